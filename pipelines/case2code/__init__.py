"""Inductive reasoning from programs: infer a function from examples (Case2Code, arXiv 2407.12504)."""
