"""Drop short texts, so that the texts of each training round are longer than the last (arXiv 2410.23933)."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Annotated, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash
from numpy.typing import NDArray

from synth.pipelines.runtime.declared import Option
from synth.pipelines.runtime.portions import portions, write_kept
from synth.pipelines.runtime.stage import Output, TableStage
from synth.schemas.errors import InputError
from synth.schemas.record import Record
from synth.schemas.records import ROW

__all__ = ["DropShort", "shortness"]

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class DropShort(TableStage):
    """Drop the rows with the shortest texts, and others at random, the shorter the likelier: about 59 % stay.

    Writes the other rows unchanged and in order. Dropped rows are rejected as `short`, with r.

    A row stays if a random number from 0 to 1 exceeds 2 r^3, where r is 1 minus the share of texts that are shorter:
    none of the shortest fifth (r > 0.7937), 59.45 % of all. The random number follows from the seed and the row's id.
    """

    name: ClassVar[str] = "self-lengthen drop-short"
    version: ClassVar[int] = 2
    input: ClassVar[Record] = ROW
    output: ClassVar[Record] = ROW
    commands: ClassVar[tuple[str, ...]] = (
        "synth self-lengthen drop-short extended/ long/",
        "synth self-lengthen drop-short articles.jsonl long/ --text body --seed 1",
    )

    text: Annotated[str, Option("Column of the texts whose lengths are compared.", metavar="NAME")] = "response"

    def process(self, tables: Sequence[pa.Table], output: Output) -> None:
        (table,) = tables
        r = shortness(self._lengths(table))
        dropped = _random_numbers(table["id"], output.salt()) <= 2 * r**3
        start = 0
        for rows in portions(table):
            short = np.flatnonzero(dropped[start : start + rows.num_rows]).tolist()
            write_kept(rows, {row: ("short", f"r = {r[start + row]:.4f}") for row in short}, output)
            start += rows.num_rows

    def _lengths(self, table: pa.Table) -> Numbers:
        """The characters of each text; 0 for null."""
        if self.text not in table.column_names:
            raise InputError(
                f"the input has no column {self.text}, only {', '.join(table.column_names)}: name one with --text NAME"
            )
        column = table[self.text]
        if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
            raise InputError(f"--text {self.text}: the column is {column.type}, not text")
        lengths: Numbers = pc.fill_null(pc.utf8_length(column), 0).to_numpy().astype(np.float64)
        return lengths


def _random_numbers(ids: pa.ChunkedArray, salt: int) -> Numbers:
    hashes = map(xxhash.xxh3_64_intdigest, ids.cast(pa.binary()).to_pylist(), repeat(salt))
    return np.fromiter(hashes, np.uint64, len(ids)) / 2.0**64


def shortness(lengths: Numbers) -> Numbers:
    """r of each text: 1 minus the share of texts that are shorter, so 1 for the shortest, almost 0 for the longest."""
    return 1 - np.searchsorted(np.sort(lengths), lengths) / len(lengths)
