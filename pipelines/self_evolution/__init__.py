"""SELF: a model judges and refines its own answers, and learns from those that it finds good (arXiv 2310.00533)."""
