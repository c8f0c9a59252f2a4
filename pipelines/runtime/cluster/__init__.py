"""Runs on several machines: the workers of a run on a Ray cluster. Only `connection` and `crew` import ray."""
