"""Dataset decomposition (arXiv 2405.13226): documents as sequences of powers of two, by length, and in which order."""
