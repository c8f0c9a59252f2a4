"""Inductive reasoning from programs: show what a function gives, ask for it (Case2Code, arXiv 2407.12504)."""
