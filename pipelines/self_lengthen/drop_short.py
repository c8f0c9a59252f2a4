"""Short texts go, and so the lengths of what a model is trained on grow from round to round (arXiv 2410.23933)."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash
from numpy.typing import NDArray

from synth.pipelines.runtime.portions import pass_on, portions
from synth.pipelines.runtime.stage import Output, TableStage
from synth.schemas.errors import InputError
from synth.schemas.record import Record
from synth.schemas.records import ROW

__all__ = ["DropShort", "shortness"]

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class DropShort(TableStage):
    """Rows whole and in their order, without many of those whose text is short; these are rejected as `short`, with r.

    A row stays if a draw from 0 to 1 is more than 2 r^3, with r as `shortness` has it: of the shortest fifth
    (r > 0.7937) none does, of all rows 59.45 %. The draw follows from the seed and the row's id, r from all lengths.
    """

    name: ClassVar[str] = "self-lengthen drop-short"
    version: ClassVar[int] = 2
    input: ClassVar[Record] = ROW
    output: ClassVar[Record] = ROW

    text: str = "response"
    seed: int = 0

    def identity(self) -> dict[str, Any]:
        """Without the seed, which stands in the identity of every run."""
        return {name: value for name, value in super().identity().items() if name != "seed"}

    def process(self, tables: Sequence[pa.Table], output: Output) -> None:
        (table,) = tables
        r = shortness(self._lengths(table))
        goes = self._draws(table["id"]) <= 2 * r**3
        start = 0
        for rows in portions(table):
            short = np.flatnonzero(goes[start : start + rows.num_rows]).tolist()
            pass_on(rows, {row: ("short", f"r = {r[start + row]:.4f}") for row in short}, output)
            start += rows.num_rows

    def _lengths(self, table: pa.Table) -> Numbers:
        """Characters of each text; one that is null has none."""
        if self.text not in table.column_names:
            raise InputError(
                f"the input has no column {self.text}, only {', '.join(table.column_names)}: name one with --text NAME"
            )
        column = table[self.text]
        if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
            raise InputError(f"--text {self.text}: the column is {column.type}, where text is needed")
        lengths: Numbers = pc.fill_null(pc.utf8_length(column), 0).to_numpy().astype(np.float64)
        return lengths

    def _draws(self, ids: pa.ChunkedArray) -> Numbers:
        salt = xxhash.xxh3_64_intdigest(f"{self.seed}\x00{self.name}".encode())
        hashes = map(xxhash.xxh3_64_intdigest, ids.cast(pa.binary()).to_pylist(), repeat(salt))
        return np.fromiter(hashes, np.uint64, len(ids)) / 2.0**64


def shortness(lengths: Numbers) -> Numbers:
    """r of each text: 1 for the shortest, almost 0 for the longest; 1 less the share of texts that are shorter."""
    return 1 - np.searchsorted(np.sort(lengths), lengths) / len(lengths)
