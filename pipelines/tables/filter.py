"""Keep the rows that meet a condition."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import pyarrow as pa

from synth.pipelines.runtime.declared import Option
from synth.pipelines.runtime.stage import Output, TableStage
from synth.pipelines.tables.selection import write_selected
from synth.schemas.record import Record
from synth.schemas.records import ROW
from synth.schemas.sql import matching

__all__ = ["Filter"]


@dataclass(frozen=True)
class Filter(TableStage):
    """Keep the rows that meet a condition in SQL.

    Kept rows keep their ids, columns and order. The others are counted as `not_met`, or as `condition_is_null` if the
    condition is NULL, as `score > 4` is for a row without a score; they are not copied to rejected/.

    The condition is an expression of DuckDB's SQL over the columns: `length(text) > 200 AND lang = 'en'`,
    `answer IS NOT NULL`, `list_contains(tags, 'math')`, `question ~ '[0-9]'`. A name with capitals or other signs
    stands in double quotes, a text in single ones.

    Memory: the columns that the condition names, a portion at a time, and two bytes per row.
    """

    name: ClassVar[str] = "filter"
    input: ClassVar[Record] = ROW
    output: ClassVar[Record] = ROW
    keeps_ids: ClassVar[bool] = True

    commands: ClassVar[tuple[str, ...]] = (
        "synth filter rows/ long/ --where 'length(answer) > 200'",
        """synth filter rows/ good/ --where "score >= 4 AND lang = 'en'\"""",
    )

    where: Annotated[str, Option("The condition, in DuckDB's SQL over the columns.", metavar="SQL")]

    def process(self, tables: Sequence[pa.Table], output: Output) -> None:
        (table,) = tables
        met = matching(table, self.where, scratch=output.work)
        is_kept = met.fill_null(False).to_numpy()
        output.skip(met.null_count, "condition_is_null")
        output.skip(table.num_rows - met.null_count - int(np.count_nonzero(is_kept)), "not_met")
        write_selected(table, is_kept, output)
