"""Vectors as of documents: subjects of very different sizes, related ones near each other, few main directions.

A document lies around one of many subjects, whose sizes follow Zipf's law, and a subject around one of a few fields. As
of a model's vectors, most of their length is in a sixth of the directions.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

FIELDS, SUBJECTS = 200, 20_000
AT_A_TIME = 1 << 16


def drawn(count: int, dimensions: int, seed: int = 1) -> Iterator[Any]:
    """Unit vectors in portions, of shape (documents, dimensions)."""
    import numpy as np

    rng = np.random.default_rng(0)
    spectrum = np.arange(6, dimensions + 6, dtype=np.float32) ** -0.5
    fields = rng.standard_normal((FIELDS, dimensions), np.float32) * spectrum
    subjects = fields[rng.integers(0, FIELDS, SUBJECTS)]
    subjects += rng.standard_normal((SUBJECTS, dimensions), np.float32) * spectrum
    chances = np.cumsum(1 / np.arange(1, SUBJECTS + 1))
    rng = np.random.default_rng(seed)
    for start in range(0, count, AT_A_TIME):
        size = min(AT_A_TIME, count - start)
        vectors = subjects[np.searchsorted(chances, rng.random(size) * chances[-1])]
        vectors += rng.standard_normal((size, dimensions), np.float32) * spectrum
        yield vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def write_vectors(folder: Path, count: int, dimensions: int) -> None:
    """The vectors as `synth embed` writes them."""
    import numpy as np

    from synth.pipelines.retrieval.nearest import FLAT
    from synth.pipelines.retrieval.vectors import VectorWriter, finish

    writer = VectorWriter(folder, dimensions, 1)
    for vectors in drawn(count, dimensions):
        writer.append(vectors, np.arange(writer.saved, writer.saved + len(vectors), dtype=np.uint32))
    finish(writer.unfinished(count, FLAT))
