"""DSTC: preference pairs from a model's own programs and tests (arXiv 2411.13611)."""
