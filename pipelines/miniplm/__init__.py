"""MiniPLM: texts that a teacher model knows better than a small reference model does (arXiv 2410.17215)."""
