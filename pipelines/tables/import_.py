"""Any inputs as a dataset directory."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pyarrow as pa

from synth.pipelines.runtime.counts import Counts
from synth.pipelines.runtime.stage import Output, TableStage
from synth.schemas.dataset import Dataset
from synth.schemas.record import Record
from synth.schemas.records import ROW
from synth.schemas.shards import ROWS_PER_SHARD

__all__ = ["Import"]


@dataclass(frozen=True)
class Import(TableStage):
    """Convert any inputs to a dataset directory.

    It has all columns of the inputs, and generated ids where an input has none.
    """

    name: ClassVar[str] = "import"
    version: ClassVar[int] = 2
    input: ClassVar[Record] = ROW
    output: ClassVar[Record] = ROW
    keeps_ids: ClassVar[bool] = True

    commands: ClassVar[tuple[str, ...]] = (
        "synth import questions.jsonl questions/",
        "synth import 'shards/*.parquet' more.csv.gz rows/ --column id=key --bad-rows reject",
    )

    def published(self, out: Path, counts: Counts) -> Iterator[str]:  # noqa: ARG002
        yield f"columns: {', '.join(Dataset.open(out).table.column_names)}"

    def process(self, tables: Sequence[pa.Table], output: Output) -> None:
        (table,) = tables
        for start in range(0, table.num_rows, ROWS_PER_SHARD):
            rows = table.slice(start, ROWS_PER_SHARD)
            output.write_table(rows, accounts_for=rows.num_rows)
