"""Values as 64-bit numbers, so that a million long texts can be matched and counted in a few megabytes."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash
from numpy.typing import NDArray

__all__ = ["Fingerprints", "fingerprints"]

Fingerprints = NDArray[np.uint64]


def fingerprints(values: pa.Array) -> Fingerprints:
    """One number for each value: equal values of one type have equal numbers.

    Different numbers, flags and times have different ones; other values are hashed (XXH3), and two that differ share
    theirs once in 2^64. A null has that of some other value: whoever cares compares the nulls, too.
    """
    kind = values.type
    if pa.types.is_dictionary(kind):
        return fingerprints(values.dictionary_decode())
    if pa.types.is_floating(kind):
        # Adding zero makes -0.0, which is equal to it, the same number.
        return (_without_nulls(values.cast(pa.float64()), 0.0) + 0.0).view(np.uint64)
    if pa.types.is_uint64(kind):
        return _without_nulls(values, 0).view(np.uint64)
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_null(kind):
        return _without_nulls(values.cast(pa.int64()), 0).view(np.uint64)
    if pa.types.is_temporal(kind) and not pa.types.is_interval(kind):
        whole = pa.int32() if kind.bit_width == 32 else pa.int64()
        return _without_nulls(values.cast(whole).cast(pa.int64()), 0).view(np.uint64)
    return np.fromiter(map(xxhash.xxh3_64_intdigest, _as_bytes(values)), np.uint64, len(values))


def _without_nulls(values: pa.Array, instead: float) -> NDArray[Any]:
    filled: NDArray[Any] = pc.fill_null(values, instead).to_numpy(zero_copy_only=False)
    return filled


def _as_bytes(values: pa.Array) -> list[bytes]:
    """Texts and bytes as they are, anything else as Python writes it: bytes are no text, and NaN is no null."""
    types, kind = pa.types, values.type
    text = types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)
    if text or types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind):
        filled: list[bytes] = pc.fill_null(values.cast(pa.large_binary()), b"").to_pylist()
        return filled
    return [repr(value).encode() for value in values.to_pylist()]
