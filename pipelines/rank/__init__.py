"""RRHF ranking data: sample responses, score them, and pair them (arXiv 2304.05302)."""
