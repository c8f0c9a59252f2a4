"""Texts as words and shingles: scripts, equality, near duplicates, and code fences in replies."""
