"""Ids that stand twice, which ids of rows must not."""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice

import numpy as np
import pyarrow as pa
import xxhash

from synth.schemas.errors import InputError
from synth.schemas.reading.bad_rows import Reading

__all__ = ["repetitions", "without_repetitions"]


def repetitions(ids: pa.ChunkedArray) -> Iterator[tuple[int, int]]:
    """Indices of each id that an earlier row has, after those of that row.

    Eight bytes an id are held: equal hashes are found first, then compared are the few ids that have them.
    """
    hashes = np.empty(len(ids), np.uint64)
    start = 0
    for batch in pa.table({"id": ids.cast(pa.binary())}).to_batches(max_chunksize=1 << 16):
        hashes[start : start + len(batch)] = [xxhash.xxh3_64_intdigest(value) for value in batch.column(0).to_pylist()]
        start += len(batch)
    ordered = np.sort(hashes)
    shared = ordered[1:][ordered[1:] == ordered[:-1]]
    seen: dict[str, int] = {}
    for index in np.flatnonzero(np.isin(hashes, shared)).tolist() if shared.size else ():
        earlier = seen.setdefault(ids[index].as_py(), index)
        if earlier != index:
            yield earlier, index


def without_repetitions(reading: Reading, places: Callable[[Sequence[int]], list[str]], *, rejects: bool) -> Reading:
    """The rows of a reading but those whose id an earlier one has. `places` says where rows of its table are."""
    pairs = list(repetitions(reading.table["id"]) if rejects else islice(repetitions(reading.table["id"]), 1))
    if not pairs:
        return reading
    indices = sorted({index for pair in pairs for index in pair})
    place = dict(zip(indices, places(indices), strict=True))
    bad = []
    for earlier, again in pairs:
        row_id = reading.table["id"][again].as_py()
        detail = f"id {row_id!r} stands in {place[earlier]} and again in {place[again]}: ids must be unique"
        if not rejects:
            raise InputError(f"{detail}, so name another column with --column id=NAME")
        bad.append(reading.bad_row(again, row_id, "repeated_id", detail))
    return reading.without(bad)
