"""Parts of a dataset that stay what they are as it grows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from synth.pipelines.runtime.declared import Option
from synth.pipelines.runtime.row_hashes import row_hashes
from synth.pipelines.runtime.stage import Output, TableStage
from synth.pipelines.tables.selection import write_selected
from synth.schemas.errors import UsageError
from synth.schemas.record import Record
from synth.schemas.records import ROW

__all__ = ["Split"]


@dataclass(frozen=True)
class Split(TableStage):
    """Keep the part of the rows whose hash lies in a range, such as a training or a test set.

    Each row has a number in [0, 1), a hash of its id or of the column `by`, and the rows with `from` <= number < `to`
    are kept; the others are counted as `other_part`. So commands with `--to 0.9` and with `--from 0.9` give two parts
    that share no row and leave out none, and a row of a dataset that has grown stays in its part. With `--by`, rows
    with the same value are in the same part; a row without a value goes by its id.
    """

    name: ClassVar[str] = "split"
    input: ClassVar[Record] = ROW
    output: ClassVar[Record] = ROW
    keeps_ids: ClassVar[bool] = True

    commands: ClassVar[tuple[str, ...]] = (
        "synth split rows/ train/ --to 0.9",
        "synth split rows/ test/ --from 0.9 --by source_id",
    )

    start: Annotated[float, Option("Where the part begins.", min=0, max=1, long="--from")] = 0.0
    end: Annotated[float, Option("Where the part ends.", min=0, max=1, long="--to")] = 1.0
    by: Annotated[str | None, Option("Column to hash.", metavar="NAME", default="id")] = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.start >= self.end:
            raise UsageError(f"--from {self.start:g} --to {self.end:g}: no row lies in this range")
        if (self.start, self.end) == (0, 1):
            raise UsageError("--from and --to are missing: give the end of one part, and begin the next one there")

    def process(self, tables: Sequence[pa.Table], output: Output) -> None:
        (table,) = tables
        # The upper 53 bits, which a float holds exactly.
        numbers = (row_hashes(_keys(table, self.by), output.salt()) >> 11) / 2.0**53
        is_in_part = (numbers >= self.start) & (numbers < self.end)
        output.skip(int(np.count_nonzero(~is_in_part)), "other_part")
        write_selected(table, is_in_part, output)


def _keys(table: pa.Table, by: str | None) -> pa.ChunkedArray:
    if by is None:
        return table["id"]
    if by not in table.column_names:
        raise UsageError(f"--by {by}: the input has no such column, only {', '.join(table.column_names)}")
    try:
        texts = table[by].cast(pa.string())
    except pa.ArrowException as error:
        raise UsageError(f"--by {by}: a {table[by].type} cannot be hashed as text") from error
    return pc.coalesce(texts, table["id"])
