"""Rejection-sampling fine-tuning data: sample paths, select the correct and distinct ones (arXiv 2308.01825)."""
