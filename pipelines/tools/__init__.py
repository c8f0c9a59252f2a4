"""ToolACE-R: training data for calling tools from what the current model gets right and wrong (arXiv 2504.01400)."""
