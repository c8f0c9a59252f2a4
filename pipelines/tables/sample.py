"""A random part of a dataset."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import pyarrow as pa

from synth.pipelines.runtime.declared import Option
from synth.pipelines.runtime.row_hashes import in_random_order
from synth.pipelines.runtime.stage import Output, TableStage
from synth.pipelines.tables.selection import write_selected
from synth.schemas.errors import UsageError
from synth.schemas.record import Record
from synth.schemas.records import ROW

__all__ = ["Sample"]


@dataclass(frozen=True)
class Sample(TableStage):
    """Keep a random sample of the rows.

    Kept rows keep their ids, columns and order; the others are counted as `not_sampled`. Which rows are kept follows
    from `--seed` and their ids, not from their positions: a larger sample with the same seed contains a smaller one.
    """

    name: ClassVar[str] = "sample"
    input: ClassVar[Record] = ROW
    output: ClassVar[Record] = ROW
    keeps_ids: ClassVar[bool] = True

    commands: ClassVar[tuple[str, ...]] = (
        "synth sample rows/ some/ -n 1000",
        "synth sample rows/ tenth/ --fraction 0.1 --seed 1",
    )

    n: Annotated[int | None, Option("How many rows to keep.", min=1, flag="-n", long="--rows")] = None
    fraction: Annotated[float | None, Option("The share of the rows to keep.", min=0, max=1)] = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.n is None) == (self.fraction is None):
            raise UsageError("give either -n, the number of rows to keep, or --fraction, their share")

    def process(self, tables: Sequence[pa.Table], output: Output) -> None:
        (table,) = tables
        wanted = round(self.fraction * table.num_rows) if self.fraction is not None else self.n
        if self.n and self.n > table.num_rows:
            raise UsageError(f"-n {self.n}: the input has only {table.num_rows:,} rows")
        is_sampled = np.zeros(table.num_rows, bool)
        is_sampled[in_random_order(table["id"], output.salt())[:wanted]] = True
        output.skip(int(np.count_nonzero(~is_sampled)), "not_sampled")
        write_selected(table, is_sampled, output)
