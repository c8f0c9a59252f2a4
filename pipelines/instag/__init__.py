"""InsTag: tags for the intentions of instructions, which measure complexity and diversity (arXiv 2308.07074)."""
