"""Intrinsic self-correction: an answer, its verification and, if it is wrong, its correction (arXiv 2401.07301)."""
