"""DSTC: preference pairs from a model's own codes and tests (arXiv 2411.13611)."""
