"""Mix datasets."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from synth.pipelines.runtime.counts import Counts
from synth.pipelines.runtime.declared import Option
from synth.pipelines.runtime.gather import gathered
from synth.pipelines.runtime.row_hashes import in_random_order
from synth.pipelines.runtime.stage import Output, TableStage
from synth.schemas.errors import UsageError
from synth.schemas.record import Record
from synth.schemas.records import ROW

__all__ = ["Mix"]


def numbers(texts: tuple[str, ...]) -> tuple[float, ...]:
    """`7,2,1` as numbers."""
    try:
        return tuple(float(number) for text in texts for number in text.split(","))
    except ValueError as error:
        raise UsageError(f"--weights {','.join(texts)}: expected numbers, such as 7,2,1") from error


@dataclass(frozen=True)
class Mix(TableStage):
    """Mix datasets by weight, shuffled.

    Rows keep their ids and columns (the union of those of all inputs), and get the name of their input in a column
    `source`. No row is repeated. Without `--take`, the mix is as large as the weights allow: one of the inputs is used
    up. Without weights every input counts by its size. Which rows are taken, and their order, follow from `--seed` and
    their ids; the others are counted as `not_taken`.

    Memory: 40 bytes per row, plus the portion being written (64 MB).
    """

    name: ClassVar[str] = "mix"
    input: ClassVar[Record] = ROW
    output: ClassVar[Record] = ROW
    keeps_ids: ClassVar[bool] = True
    inputs_apart: ClassVar[bool] = True

    commands: ClassVar[tuple[str, ...]] = (
        "synth mix math/ code/ prose/ mixed/ --weights 5,3,2",
        "synth mix math/ code/ mixed/ --weights 1,1 --take 10000",
    )

    weights: Annotated[
        tuple[float, ...],
        Option("The share of each input, in order.", metavar="N,...", read=numbers, default="the sizes of the inputs"),
    ] = ()
    take: Annotated[int | None, Option("How many rows to take in all.", min=1, default="as many as possible")] = None
    source_column: Annotated[str, Option("The column for the name of each row's input.", metavar="NAME")] = "source"

    def output_schema(self, inputs: pa.Schema) -> pa.Schema:
        if self.source_column in inputs.names:
            raise UsageError(f"an input has a column {self.source_column}: name another one with --source-column")
        return inputs.append(pa.field(self.source_column, pa.string()))

    def published(self, out: Path, counts: Counts) -> Iterator[str]:  # noqa: ARG002
        shares = self._shares([int(rows) for rows in counts.tallies.values()])
        width = max(map(len, counts.tallies))
        for (source, rows), share in zip(counts.tallies.items(), shares, strict=True):
            got = rows / max(1, counts.outputs)
            yield f"{source:{width}}  asked {share:6.1%}  got {got:6.1%}  {rows:,.0f} rows"
        if self.take and counts.outputs < self.take:
            yield f"{self.take - counts.outputs:,} fewer rows than --take {self.take:,}: an input has too few"

    def process(self, tables: Sequence[pa.Table], output: Output) -> None:
        sizes = [table.num_rows for table in tables]
        wanted = self._wanted(sizes)
        starts = np.cumsum([0, *sizes])
        taken = []
        for source, table, start, count in zip(output.sources, tables, starts.tolist(), wanted, strict=False):
            # Of an input that is taken whole, no row has to be chosen.
            is_whole = count >= table.num_rows
            rows = np.arange(table.num_rows) if is_whole else in_random_order(table["id"], output.salt("taken"))[:count]
            taken.append(rows + start)
            output.tally(source, len(rows))
        whole = pa.concat_tables(tables)
        rows = np.concatenate(taken)
        output.skip(whole.num_rows - len(rows), "not_taken")
        # Another order than the one in which they were taken, in which each input would have its own depth.
        order = in_random_order(whole["id"], output.salt("order"))
        is_taken = np.zeros(whole.num_rows, bool)
        is_taken[rows] = True
        self._write(whole, order[is_taken[order]], starts, output)

    def _shares(self, sizes: Sequence[int]) -> list[float]:
        weights = self.weights or tuple(map(float, sizes))
        if len(weights) != len(sizes):
            raise UsageError(f"--weights has {len(weights)} numbers for {len(sizes)} inputs")
        if min(weights) < 0 or not sum(weights):
            raise UsageError("--weights must not be negative, nor all 0")
        return [weight / sum(weights) for weight in weights]

    def _wanted(self, sizes: Sequence[int]) -> list[int]:
        """How many rows of each input the mix should have; a smaller input contributes all its rows."""
        shares = self._shares(sizes)
        most = min(size / share for size, share in zip(sizes, shares, strict=True) if share)
        total = self.take or int(most + 1e-9)
        exact = [total * share for share in shares]
        wanted = [int(number + 1e-9) for number in exact]
        # The largest remainders get what rounding down has left over.
        by_remainder = sorted(range(len(exact)), key=lambda number: wanted[number] - exact[number])
        for number in by_remainder[: total - sum(wanted)]:
            wanted[number] += 1
        return wanted

    def _write(self, whole: pa.Table, rows: NDArray[np.int64], starts: NDArray[np.int64], output: Output) -> None:
        names = pa.array(output.sources, pa.string())
        done = 0
        for portion in gathered(whole, rows):
            sources = np.searchsorted(starts, rows[done : done + portion.num_rows], side="right") - 1
            done += portion.num_rows
            named = portion.append_column(self.source_column, names.take(pa.array(sources)))
            output.write_table(named, accounts_for=portion.num_rows)
