"""Patterns that were found in several batches under equal or similar names are one."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synth.pipelines.retrieval.embedding import Embedder
from synth.pipelines.runtime.stage import Row
from synth.pipelines.runtime.text.words import without_punctuation

__all__ = ["Merged", "merge", "same_name"]


@dataclass(frozen=True)
class Merged:
    """A pattern that became part of another, `into`, whose name is so similar, 0 to 1."""

    pattern: Row
    into: Row
    similarity: float


def same_name(name: str) -> str:
    """What equal names share: their words, whatever their case and the punctuation between them."""
    return " ".join(without_punctuation(name).split())


def merge(patterns: Sequence[Row], embedder: Embedder | None, least: float) -> tuple[list[Row], list[Merged]]:
    """The patterns with the most examples first, and those that were merged with them.

    In that order a pattern is merged with the one before it whose name is most similar, if that is equal or, with an
    `embedder`, has a cosine similarity of at least `least`. That one gets its examples. A pattern is compared with
    those that stay only, so that no chain of similar names makes one pattern of two different ones.
    """
    ordered = sorted(patterns, key=lambda one: -len(one["examples"]))
    similarities = _similarities([one["name"] for one in ordered], embedder)
    stay: list[int] = []
    merged: list[tuple[int, int]] = []
    for number in range(len(ordered)):
        nearest = max(stay, key=similarities[number].__getitem__, default=None)
        if nearest is None or similarities[number, nearest] < least:
            stay.append(number)
        else:
            merged.append((number, nearest))
    kept = {number: _with_examples_of(ordered, number, merged) for number in stay}
    return (
        sorted(kept.values(), key=lambda one: -one["support"]),
        [Merged(ordered[one], kept[into], float(similarities[one, into])) for one, into in merged],
    )


def _similarities(names: Sequence[str], embedder: Embedder | None) -> NDArray[np.float32]:
    """Names x names; 1 for equal ones, and 0 for others unless there is an embedder."""
    _, keys = np.unique([same_name(name) for name in names], return_inverse=True)
    equal = np.equal.outer(keys, keys)
    if embedder is None:
        return equal.astype(np.float32)
    vectors = embedder.passages(names)
    return np.where(equal, np.float32(1), np.minimum(vectors @ vectors.T, np.float32(1)))


def _with_examples_of(patterns: Sequence[Row], number: int, merged: Sequence[tuple[int, int]]) -> Row:
    members = [number, *(one for one, into in merged if into == number)]
    examples = list(dict.fromkeys(example for member in members for example in patterns[member]["examples"]))
    return {**patterns[number], "examples": examples, "support": len(examples)}
