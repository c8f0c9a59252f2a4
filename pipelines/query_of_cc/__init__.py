"""From a few seed words to a domain corpus: Query of CC (arXiv 2401.14624)."""
