"""ClusterClip sampling (arXiv 2402.14526): clusters of documents count alike, and no document comes too often."""
