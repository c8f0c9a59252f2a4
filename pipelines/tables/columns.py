"""Keep, drop or rename columns."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, ClassVar

import pyarrow as pa

from synth.pipelines.runtime.declared import Option, assignments, names
from synth.pipelines.runtime.portions import portions
from synth.pipelines.runtime.stage import Output, TableStage
from synth.schemas.errors import UsageError
from synth.schemas.record import Record
from synth.schemas.records import ROW

__all__ = ["Columns"]


@dataclass(frozen=True)
class Columns(TableStage):
    """Keep, drop or rename columns.

    Rows keep their ids and order. The column `id` always stays, and comes first if `--keep` does not name it. (To
    take the ids from another column, use `--column id=NAME`.)
    """

    name: ClassVar[str] = "columns"
    input: ClassVar[Record] = ROW
    output: ClassVar[Record] = ROW
    keeps_ids: ClassVar[bool] = True

    commands: ClassVar[tuple[str, ...]] = (
        "synth columns rows/ pairs/ --keep question,answer --rename response=answer",
        "synth columns rows/ small/ --drop embedding",
    )

    keep: Annotated[
        tuple[str, ...], Option("Keep only these, in this order. Repeatable.", metavar="NAME,...", read=names)
    ] = ()
    drop: Annotated[tuple[str, ...], Option("Leave these out. Repeatable.", metavar="NAME,...", read=names)] = ()
    rename: Annotated[
        Mapping[str, str],
        Option(
            "Give a kept column another name. Repeatable.", metavar="TO=FROM", read=assignments("--rename", "TO=FROM")
        ),
    ] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.keep and self.drop:
            raise UsageError("--keep and --drop exclude each other: what is not kept is dropped")
        if not (self.keep or self.drop or self.rename):
            raise UsageError("--keep, --drop and --rename are all missing: no column would change")
        if "id" in self.drop or "id" in (*self.rename, *self.rename.values()):
            raise UsageError("the column id stays: use --column id=NAME to take the ids from another column")

    def output_schema(self, inputs: pa.Schema) -> pa.Schema:
        new_names = {old: new for new, old in self.rename.items()}
        fields = [inputs.field(old).with_name(new_names.get(old, old)) for old in self._kept(inputs)]
        times = Counter(one.name for one in fields)
        if twice := [name for name, count in times.items() if count > 1]:
            raise UsageError(f"--rename: two columns would be called {twice[0]}: drop or rename the other one")
        return pa.schema(fields, metadata=inputs.metadata)

    def process(self, tables: Sequence[pa.Table], output: Output) -> None:
        (table,) = tables
        chosen = table.select(self._kept(table.schema)).rename_columns(self.output_schema(table.schema).names)
        for rows in portions(chosen):
            output.write_table(rows, accounts_for=rows.num_rows)

    def _kept(self, inputs: pa.Schema) -> list[str]:
        """The names, in the input, of the columns that stay, in their order in the output."""
        for flag, named in (("--keep", self.keep), ("--drop", self.drop), ("--rename", self.rename.values())):
            if unknown := [name for name in named if name not in inputs.names]:
                raise UsageError(f"{flag} {unknown[0]}: the input has no such column, only {', '.join(inputs.names)}")
        if self.keep:
            kept = list(dict.fromkeys(self.keep))
            kept = kept if "id" in kept else ["id", *kept]
        else:
            kept = [name for name in inputs.names if name not in self.drop]
        if gone := next((old for old in self.rename.values() if old not in kept), None):
            raise UsageError(f"--rename {gone}: the column is not kept")
        return kept
