"""Hashes of ids or other keys: an order, a sample or a split that depends on each row's key, not on its position."""

from itertools import repeat

import numpy as np
import pyarrow as pa
import xxhash
from numpy.typing import NDArray

__all__ = ["in_random_order", "row_hashes"]


def row_hashes(keys: pa.ChunkedArray, salt: int) -> NDArray[np.uint64]:
    """64 bits for each key, uniformly distributed; keys must not be null."""
    hashes = [
        np.fromiter(map(xxhash.xxh3_64_intdigest, chunk.to_pylist(), repeat(salt)), np.uint64, len(chunk))
        for chunk in keys.cast(pa.binary()).chunks
    ]
    return np.concatenate([np.empty(0, np.uint64), *hashes])


def in_random_order(keys: pa.ChunkedArray, salt: int) -> NDArray[np.int64]:
    """The indices of all rows in an order that depends on `salt` and each row's key."""
    return np.argsort(row_hashes(keys, salt), kind="stable")
