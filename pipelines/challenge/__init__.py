"""Self-Challenge (arXiv 2408.08978): patterns of a model's failures, and new questions that follow them."""
