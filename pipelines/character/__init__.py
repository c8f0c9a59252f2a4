"""Character-LLM: experiences of a person, to train a model that acts as that person (arXiv 2310.10158)."""
