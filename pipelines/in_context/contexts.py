"""Contexts: the order cut into windows of tokens, which are shuffled whole (arXiv 2310.10638, section 2.2).

The documents of a context are alike. If its neighbours in training were alike, too, a batch would be of one subject.
"""

import numpy as np

from synth.pipelines.in_context.neighbors import Int64s

__all__ = ["contexts_of", "shuffled"]


def contexts_of(tokens: Int64s, size: int) -> Int64s:
    """The window of `size` tokens in which the first token of each document is, for documents of so many `tokens`."""
    return (np.cumsum(tokens) - tokens) // size


def shuffled(contexts: Int64s, rng: np.random.Generator) -> Int64s:
    """The places of documents, given the context of each, with the contexts in random order."""
    _, numbers = np.unique(contexts, return_inverse=True)
    return np.argsort(rng.permutation(numbers.max(initial=-1) + 1)[numbers], kind="stable")
