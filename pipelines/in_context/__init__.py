"""In-context pre-training (arXiv 2310.10638): documents in an order in which neighbours share a context."""
