"""Map raw tags to a vocabulary, in the four steps of InsTag (arXiv 2308.07074, section 3.2), one module per step."""
