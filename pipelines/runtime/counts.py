"""Counts of the outcomes of rows."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from math import fsum
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from synth.schemas.errors import SynthError
from synth.schemas.shards import Shard

__all__ = ["FAILED", "OUTPUT", "REJECTED_INPUT", "REJECTED_OUTPUT", "Counts", "Published"]

_read_tallies = msgspec.json.Decoder(dict[str, float]).decode

# The kinds of journal lines.
OUTPUT, REJECTED_OUTPUT, REJECTED_INPUT, FAILED = range(4)


@dataclass
class Counts:
    """Counts of input rows by outcome, and of output rows. `produced + rejected + failed` input rows are finished.

    By reason, `reasons` counts rejected input rows, `failures` failed ones, and `output_reasons` filtered outputs;
    `tallies` are sums that stages and tools keep.
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
        """Counts from journal lines, in which those of a row follow one another.

        A row with outputs has no line as a rejected input.
        """
        counts = cls()
        kinds = lines["_kind"].to_numpy(zero_copy_only=False)
        made = lines["_row"].to_numpy(zero_copy_only=False)[kinds == OUTPUT]
        of_kind = np.bincount(kinds, minlength=FAILED + 1).tolist()
        counts.outputs = of_kind[OUTPUT]
        counts.produced = int(np.count_nonzero(np.diff(made))) + bool(counts.outputs)
        counts.rejected = of_kind[REJECTED_INPUT]
        counts.failed = of_kind[FAILED]
        for kind, reasons in (
            (REJECTED_INPUT, counts.reasons),
            (FAILED, counts.failures),
            (REJECTED_OUTPUT, counts.output_reasons),
        ):
            if of_kind[kind]:
                reasons.update(_histogram(lines["reason"].filter(pa.array(kinds == kind))))
        amounts: defaultdict[str, list[float]] = defaultdict(list)
        for tallies, rows in _histogram(lines["_tallies"].drop_null()):
            for name, amount in _read_tallies(tallies).items():
                amounts[name].append(amount * rows)
        # Exact sums, which do not depend on the order in which rows finished.
        counts.tallies = {name: fsum(each) for name, each in amounts.items()}
        return counts


@dataclass(frozen=True)
class Published:
    """The counts and shards of a published chunk, its lease, and the number of its answers that were kept."""

    counts: Counts
    data: Shard
    rejected: Shard
    lease: str = ""
    answers: int = 0

    @property
    def shards(self) -> list[Shard]:
        """The existing shards: there is no file of rejected rows if there are none."""
        return [self.data, self.rejected] if self.rejected.rows else [self.data]

    @classmethod
    def read(cls, record: Mapping[str, Any]) -> "Published":
        """Raises `SynthError` for a record of another version."""
        try:
            data, rejected = (Shard(**record[name]) for name in ("data", "rejected"))
            return cls(Counts(**record["counts"]), data, rejected, record["lease"], record["answers"])
        except (KeyError, TypeError) as error:
            raise SynthError("the output was written by another version of synth: use --fresh to start over") from error

    def settled(self) -> "Published":
        """The same without the lease, which is chance: the record of the chunk in an output."""
        data, rejected = (
            replace(shard, filename=shard.filename.replace(f".{self.lease}.", "."))
            for shard in (self.data, self.rejected)
        )
        return replace(self, data=data, rejected=rejected, lease="")


def _histogram(values: pa.Array | pa.ChunkedArray) -> Iterator[tuple[str, int]]:
    counted = values.value_counts()
    yield from zip(counted.field(0).to_pylist(), counted.field(1).to_pylist(), strict=True)
