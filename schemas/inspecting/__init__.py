"""Looking at datasets: where a row comes from, statistics, and comparison."""
