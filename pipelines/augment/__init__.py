"""Query and response augmentation for mathematics: MuggleMath (arXiv 2310.05506)."""
