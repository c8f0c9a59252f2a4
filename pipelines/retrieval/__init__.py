"""Searching a corpus: text as terms, the engines over them, and runs that are measured."""
