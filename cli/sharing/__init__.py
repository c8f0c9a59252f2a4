"""Datasets for others: the card that describes one, and the hub that serves it."""
