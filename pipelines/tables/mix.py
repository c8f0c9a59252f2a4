"""Mix datasets."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from synth.pipelines.runtime.counts import Counts
from synth.pipelines.runtime.declared import Only, Option
from synth.pipelines.runtime.gather import gathered
from synth.pipelines.runtime.row_hashes import in_random_order
from synth.pipelines.runtime.stage import Output, TableStage
from synth.pipelines.runtime.text.columns import text_columns
from synth.pipelines.runtime.text.tokens import TokenCounter, TokenCounts
from synth.schemas.errors import InputError, UsageError
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
    """Mix datasets by weight of rows or tokens, shuffled.

    Rows keep their ids and columns (the union of those of all inputs), and get the name of their input in a column
    `source`. No row is repeated. Without `--take`, the mix is as large as the weights allow: one of the inputs is used
    up. Without weights every input counts by its size. Which rows are taken, and their order, follow from `--seed` and
    their ids; the others are counted as `not_taken`.

    By tokens, weights and `--take` count the tokens of the texts of rows, by the tokenizer of a model. Rows of an input
    are taken until they have the tokens wanted, so it may exceed these by less than a row. The template and the special
    tokens of a chat are not counted.

    Memory: 60 bytes per row, plus a few portions of 64 MB.
    """

    name: ClassVar[str] = "mix"
    input: ClassVar[Record] = ROW
    output: ClassVar[Record] = ROW
    keeps_ids: ClassVar[bool] = True
    inputs_apart: ClassVar[bool] = True

    commands: ClassVar[tuple[str, ...]] = (
        "synth mix math/ code/ prose/ mixed/ --weights 5,3,2",
        "synth mix web/ code/ mixed/ --weights 7,3 --by tokens --tokenizer Qwen/Qwen2.5-7B-Instruct --take 1000000",
    )

    weights: Annotated[
        tuple[float, ...],
        Option("The share of each input, in order.", metavar="N,...", read=numbers, default="the sizes of the inputs"),
    ] = ()
    take: Annotated[
        int | None, Option("How many rows, or tokens, to take in all.", min=1, default="as many as possible")
    ] = None
    by: Annotated[Literal["rows", "tokens"], Option("What weights and --take count.")] = "rows"
    tokenizer: Annotated[
        str | None,
        Option("The model whose tokens count: a directory, a hub name, or `tiny`.", metavar="MODEL"),
        Only("by", "tokens"),
    ] = None
    text: Annotated[
        tuple[str, ...],
        Option(
            "Column whose tokens count: text, or chat messages. Repeatable; required if several columns contain text.",
            metavar="NAME",
        ),
        Only("by", "tokens"),
    ] = ()
    source_column: Annotated[str, Option("The column for the name of each row's input.", metavar="NAME")] = "source"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.by == "tokens" and self.tokenizer is None:
            raise UsageError("--by tokens needs --tokenizer, the model whose tokens count")

    @cached_property
    def _counter(self) -> TokenCounter:
        return TokenCounter(self.tokenizer or "", "--tokenizer")

    def identity(self) -> dict[str, Any]:
        identity = super().identity()
        if self.by == "tokens":
            return {**identity, "tokenizer": self._counter.identity}
        # Absent, so that older outputs keep their identity.
        del identity["by"]
        return identity

    def output_schema(self, inputs: pa.Schema) -> pa.Schema:
        if self.source_column in inputs.names:
            raise UsageError(f"an input has a column {self.source_column}: name another one with --source-column")
        return inputs.append(pa.field(self.source_column, pa.string()))

    def published(self, out: Path, counts: Counts) -> Iterator[str]:  # noqa: ARG002
        shares = self._shares([int(amount) for amount in counts.tallies.values()])
        width = max(map(len, counts.tallies))
        taken = sum(counts.tallies.values())
        for (source, amount), share in zip(counts.tallies.items(), shares, strict=True):
            got = amount / max(1, taken)
            yield f"{source:{width}}  asked {share:6.1%}  got {got:6.1%}  {amount:,.0f} {self.by}"
        if self.take and taken < self.take:
            yield f"{self.take - taken:,.0f} fewer {self.by} than --take {self.take:,}: an input has too few"

    def process(self, tables: Sequence[pa.Table], output: Output) -> None:
        starts = np.cumsum([0, *(table.num_rows for table in tables)])
        tokens = self._tokens(tables, output) if self.by == "tokens" else None
        wanted = self._wanted([int(sizes.sum()) for sizes in tokens] if tokens else [len(table) for table in tables])
        taken = []
        for number, (table, amount) in enumerate(zip(tables, wanted, strict=True)):
            sizes = tokens[number] if tokens else None
            rows = self._some(table, sizes, amount, output)
            taken.append(rows + starts[number])
            output.tally(output.sources[number], len(rows) if sizes is None else int(sizes[rows].sum()))
        whole = pa.concat_tables(tables)
        rows = np.concatenate(taken)
        output.skip(whole.num_rows - len(rows), "not_taken")
        # Another order than the one in which they were taken, in which each input would have its own depth.
        order = in_random_order(whole["id"], output.salt("order"))
        is_taken = np.zeros(whole.num_rows, bool)
        is_taken[rows] = True
        self._write(whole, order[is_taken[order]], starts, output)

    def _tokens(self, tables: Sequence[pa.Table], output: Output) -> list[TokenCounts]:
        """The tokens of each row of each input."""
        columns = text_columns(tables[0].schema, self.text)
        shares = self.weights or [1.0] * len(tables)
        counted: list[TokenCounts] = []
        for number, (source, table) in enumerate(zip(output.sources, tables, strict=True)):
            before = sum(map(len, counted))
            counts = self._counter.counts(table, columns, output.work / f"tokens-{number}")
            portions = []
            for portion in counts:
                portions.append(portion)
                output.progress(before + sum(map(len, portions)))
            counted.append(np.concatenate([np.empty(0, np.uint32), *portions]))
            if table.num_rows and not counted[-1].any() and shares[number]:
                raise InputError(f"{source} has no text in {' or '.join(columns)}: name its column with --text NAME")
        return counted

    def _some(self, table: pa.Table, tokens: TokenCounts | None, wanted: int, output: Output) -> NDArray[np.int64]:
        """Rows drawn by their ids that have the amount `wanted`; all if it has no more than that."""
        # Of an input that is taken whole, no row has to be drawn.
        if wanted >= (table.num_rows if tokens is None else tokens.sum()):
            return np.arange(table.num_rows)
        rows = in_random_order(table["id"], output.salt("taken"))
        if tokens is not None:
            wanted = int(np.searchsorted(np.cumsum(tokens[rows], dtype=np.int64), wanted)) + bool(wanted)
        return rows[:wanted]

    def _shares(self, sizes: Sequence[int]) -> list[float]:
        weights = self.weights or tuple(map(float, sizes))
        if len(weights) != len(sizes):
            raise UsageError(f"--weights has {len(weights)} numbers for {len(sizes)} inputs")
        if min(weights) < 0 or not sum(weights):
            raise UsageError("--weights must not be negative, nor all 0")
        return [weight / sum(weights) for weight in weights]

    def _wanted(self, sizes: Sequence[int]) -> list[int]:
        """How much of each input the mix should have; a smaller input contributes all its rows."""
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
