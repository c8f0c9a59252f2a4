"""Object stores: their buckets, and local copies of what is read there."""
