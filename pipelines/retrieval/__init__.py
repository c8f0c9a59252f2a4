"""Search in a corpus: text analysis, searchers, and evaluation of runs."""
