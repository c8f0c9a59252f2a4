"""What happens to datasets between recipes: filter, sample, split, choose columns, join, mix."""
