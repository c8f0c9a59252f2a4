"""InsTag: what instructions ask for, as tags; how complex and how diverse a dataset is by them (arXiv 2308.07074)."""
