"""64-bit fingerprints of values, so that a million long texts can be matched and counted in a few megabytes."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash
from numpy.typing import NDArray

from synth.schemas.storable import is_binary, is_text

__all__ = ["Fingerprints", "fingerprints"]

Fingerprints = NDArray[np.uint64]


def fingerprints(values: pa.Array) -> Fingerprints:
    """One fingerprint for each value: equal values of one type have equal fingerprints.

    Numbers, booleans and times never collide; other values are hashed (XXH3), and two of them collide with
    probability 2^-64. A null has the fingerprint of some other value, so callers compare nulls separately.
    """
    kind = values.type
    if pa.types.is_dictionary(kind):
        return fingerprints(values.dictionary_decode())
    if pa.types.is_floating(kind):
        # Adding zero turns -0.0 into 0.0.
        return (_without_nulls(values.cast(pa.float64()), 0.0) + 0.0).view(np.uint64)
    if pa.types.is_uint64(kind):
        return _without_nulls(values, 0).view(np.uint64)
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_null(kind):
        return _without_nulls(values.cast(pa.int64()), 0).view(np.uint64)
    if pa.types.is_temporal(kind) and not pa.types.is_interval(kind):
        whole = pa.int32() if kind.bit_width == 32 else pa.int64()
        return _without_nulls(values.cast(whole).cast(pa.int64()), 0).view(np.uint64)
    return np.fromiter(map(xxhash.xxh3_64_intdigest, _as_bytes(values)), np.uint64, len(values))


def _without_nulls(values: pa.Array, replacement: float) -> NDArray[Any]:
    return np.asarray(pc.fill_null(values, replacement).to_numpy(zero_copy_only=False))


def _as_bytes(values: pa.Array) -> list[bytes]:
    """Text and bytes unchanged, other values as their `repr`, which distinguishes bytes from text and NaN from null."""
    if is_text(values.type) or is_binary(values.type):
        return list(pc.fill_null(values.cast(pa.large_binary()), b"").to_pylist())
    return [repr(value).encode() for value in values.to_pylist()]
