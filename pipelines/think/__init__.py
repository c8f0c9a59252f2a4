"""TPT, thinking-augmented pre-training (arXiv 2509.20186): documents followed by what a model thinks about them."""
