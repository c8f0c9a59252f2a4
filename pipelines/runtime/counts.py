"""The outcomes of the rows of a run, counted."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from synth.schemas.shards import Shard

__all__ = ["FAILED", "OUTPUT", "REJECTED_INPUT", "REJECTED_OUTPUT", "Counts", "Published"]

_read_tallies = msgspec.json.Decoder(dict[str, float]).decode

# What a journal line is.
OUTPUT, REJECTED_OUTPUT, REJECTED_INPUT, FAILED = range(4)


@dataclass
class Counts:
    """The outcomes of input rows, and the output rows. `produced + rejected + failed` is the number of finished rows.

    `reasons` counts rejected input rows, `failures` those that failed, `output_reasons` the outputs that were made and
    filtered out; `tallies` are the sums that stages and tools keep.
    """

    produced: int = 0
    rejected: int = 0
    failed: int = 0
    outputs: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    failures: dict[str, int] = field(default_factory=dict)
    output_reasons: dict[str, int] = field(default_factory=dict)
    tallies: dict[str, float] = field(default_factory=dict)

    @property
    def finished(self) -> int:
        return self.produced + self.rejected + self.failed

    def add(self, other: "Counts") -> None:
        for name in ("produced", "rejected", "failed", "outputs"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in ("reasons", "failures", "output_reasons", "tallies"):
            mine, theirs = getattr(self, name), getattr(other, name)
            for key, amount in theirs.items():
                mine[key] = mine.get(key, 0) + amount

    @classmethod
    def of(cls, lines: pa.Table | pa.RecordBatch) -> "Counts":
        """The counts of rows by their journal lines. A row that gave outputs has no line as a rejected input."""
        counts = cls()
        kinds = lines["_kind"].to_numpy(zero_copy_only=False)
        made = lines["_row"].to_numpy(zero_copy_only=False)[kinds == OUTPUT]
        counts.outputs = len(made)
        counts.produced = len(np.unique(made))
        counts.rejected = int((kinds == REJECTED_INPUT).sum())
        counts.failed = int((kinds == FAILED).sum())
        for kind, reasons in (
            (REJECTED_INPUT, counts.reasons),
            (FAILED, counts.failures),
            (REJECTED_OUTPUT, counts.output_reasons),
        ):
            reasons.update(_histogram(lines["reason"].filter(pa.array(kinds == kind))))
        for tallies, rows in _histogram(lines["_tallies"].drop_null()):
            for name, amount in _read_tallies(tallies).items():
                counts.tallies[name] = counts.tallies.get(name, 0) + amount * rows
        return counts


@dataclass(frozen=True)
class Published:
    """What a published chunk holds."""

    counts: Counts
    data: Shard
    rejected: Shard

    @property
    def shards(self) -> list[Shard]:
        """Those that there are: no file is written where nothing was rejected."""
        return [self.data, self.rejected] if self.rejected.rows else [self.data]

    @classmethod
    def read(cls, record: Mapping[str, Any]) -> "Published":
        return cls(Counts(**record["counts"]), Shard(**record["data"]), Shard(**record["rejected"]))


def _histogram(values: pa.Array | pa.ChunkedArray) -> Iterator[tuple[str, int]]:
    counted = values.value_counts()
    yield from zip(counted.field(0).to_pylist(), counted.field(1).to_pylist(), strict=True)
