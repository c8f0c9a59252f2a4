"""One vector for each row: what clusters and neighbours of whole texts are made from."""
