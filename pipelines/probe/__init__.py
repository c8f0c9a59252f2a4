"""UAR: whether a question needs retrieval, by four criteria (arXiv 2406.12534)."""
