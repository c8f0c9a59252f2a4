"""Mix datasets."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from synth.pipelines.runtime.counts import Counts
from synth.pipelines.runtime.declared import Only, Option, amounts
from synth.pipelines.runtime.gather import gathered
from synth.pipelines.runtime.mixtures import Mixture
from synth.pipelines.runtime.repeats import REPEAT, numbered, require_new_ids
from synth.pipelines.runtime.row_hashes import in_random_order, row_hashes
from synth.pipelines.runtime.stage import Output, TableStage
from synth.pipelines.runtime.text.columns import text_columns
from synth.pipelines.runtime.text.tokens import TOKENIZER_OPTION, TokenCounter, TokenCounts
from synth.schemas.errors import InputError, UsageError
from synth.schemas.record import Record
from synth.schemas.records import ROW
from synth.schemas.storable import is_list

__all__ = ["Mix"]


def weights_read(text: str) -> tuple[float, ...] | Mixture:
    """Numbers such as `7,2,1`, or a file with weights by name."""
    return Mixture.read(Path(text), "--weights") if text.endswith(".json") else amounts("--weights")(text)


@dataclass(frozen=True)
class Mix(TableStage):
    """Mix datasets by weight of rows or tokens, shuffled.

    Rows keep their ids and columns (the union of those of all inputs), and get the name of their input in a column
    `source`. Without `--take`, the mix is as large as the weights allow: one of the inputs is used up. Without weights
    every input counts by its size. Which rows are taken, and their order, follow from `--seed` and their ids; the
    others are counted as `not_taken`.

    A file with weights has them by the names of the inputs: `{"weights": {"math": 5, "code": 3}}`.

    No row is repeated, unless `--max-repeats` allows it: then an input is taken again when all its rows are, and a
    column `repeat` says which time it is. The second time, the row `ID` becomes `ID/repeat-2`.

    By tokens, weights and `--take` count the tokens of the texts of rows, by the tokenizer of a model, or the ids in a
    column of token ids. Rows of an input are taken until they have the tokens wanted, so it may exceed these by less
    than a row. The template and the special tokens of a chat are not counted.

    Memory: 60 bytes for each row, and for each time it is taken again, plus a few portions of 64 MB.
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
        tuple[float, ...] | Mixture,
        Option(
            "The share of each input, in order, or a JSON file with them by name.",
            metavar="N,...|FILE",
            read=weights_read,
            default="the sizes of the inputs",
        ),
    ] = ()
    take: Annotated[
        int | None, Option("How many rows, or tokens, to take in all.", min=1, default="as many as possible")
    ] = None
    max_repeats: Annotated[int, Option("Times that a row may be taken.", min=1)] = 1
    by: Annotated[Literal["rows", "tokens"], Option("What weights and --take count.")] = "rows"
    tokenizer: Annotated[
        str | None,
        TOKENIZER_OPTION,
        Only("by", "tokens"),
    ] = None
    text: Annotated[
        tuple[str, ...],
        Option(
            "Column whose tokens count: text, chat messages, or token ids, which need no tokenizer. Repeatable; "
            "required if several columns contain text.",
            metavar="NAME",
        ),
        Only("by", "tokens"),
    ] = ()
    source_column: Annotated[str, Option("The column for the name of each row's input.", metavar="NAME")] = "source"

    @cached_property
    def _counter(self) -> TokenCounter | None:
        return TokenCounter(self.tokenizer, "--tokenizer") if self.tokenizer is not None else None

    def identity(self) -> dict[str, Any]:
        identity = super().identity()
        # Absent, so that older outputs keep their identity.
        if self.by == "tokens":
            identity["tokenizer"] = self._counter and self._counter.identity
        else:
            del identity["by"]
        if self.max_repeats == 1:
            del identity["max_repeats"]
        return identity

    def output_schema(self, inputs: pa.Schema) -> pa.Schema:
        if self.source_column in inputs.names:
            raise UsageError(f"an input has a column {self.source_column}: name another one with --source-column")
        outputs = inputs.append(pa.field(self.source_column, pa.string()))
        if self.max_repeats == 1:
            return outputs
        if REPEAT.name in outputs.names:
            raise UsageError(
                f"an input has a column {REPEAT.name}: rename it with `synth columns`, or use no --max-repeats"
            )
        return outputs.append(REPEAT)

    def published(self, out: Path, counts: Counts) -> Iterator[str]:  # noqa: ARG002
        shares = self._shares({source: int(amount) for source, amount in counts.tallies.items()})
        width = max(map(len, counts.tallies))
        taken = sum(counts.tallies.values())
        for (source, amount), share in zip(counts.tallies.items(), shares, strict=True):
            got = amount / max(1, taken)
            yield f"{source:{width}}  asked {share:6.1%}  got {got:6.1%}  {amount:,.0f} {self.by}"
        if repeats := counts.outputs - counts.produced:
            yield f"{repeats:,} rows are repeats"
        if self.take and taken < self.take:
            yield f"{self.take - taken:,.0f} fewer {self.by} than --take {self.take:,}: an input has too few"

    def process(self, tables: Sequence[pa.Table], output: Output) -> None:
        starts = np.cumsum([0, *(table.num_rows for table in tables)])
        tokens = self._tokens(tables, output) if self.by == "tokens" else None
        sizes = [int(counts.sum()) for counts in tokens] if tokens else [table.num_rows for table in tables]
        wanted = self._wanted(dict(zip(output.sources, sizes, strict=True)))
        rows, times, keys = [np.empty(0, np.int64)], [np.empty(0, np.int32)], [np.empty(0, np.uint64)]
        for number, (source, table, amount) in enumerate(zip(output.sources, tables, wanted, strict=True)):
            counts = tokens[number] if tokens else None
            output.tally(source, 0)
            for time, drawn in enumerate(self._draws(table, counts, amount, output), start=1):
                output.tally(source, len(drawn) if counts is None else int(counts[drawn].sum()))
                rows.append(drawn + starts[number])
                times.append(np.full(len(drawn), time, np.int32))
                # Another order than the one in which they were drawn, in which each input would have its own depth.
                salt = output.salt("order") if time == 1 else output.salt("order", time)
                keys.append(row_hashes(table["id"], salt)[drawn])
        order = np.argsort(np.concatenate(keys), kind="stable")
        self._write(pa.concat_tables(tables), np.concatenate(rows)[order], np.concatenate(times)[order], starts, output)

    def _tokens(self, tables: Sequence[pa.Table], output: Output) -> list[TokenCounts]:
        """The tokens of each row of each input."""
        schema = tables[0].schema
        if self.text and all(_has_token_ids(schema, name) for name in self.text):
            return [_numbers_of_items(table.select(list(self.text))) for table in tables]
        if self._counter is None:
            raise UsageError("--by tokens needs --tokenizer, the model whose tokens count, unless --text has token ids")
        columns = text_columns(schema, self.text)
        shares = self._shares(dict.fromkeys(output.sources, 1))
        counted: list[TokenCounts] = []
        for number, (source, table) in enumerate(zip(output.sources, tables, strict=True)):
            before = sum(map(len, counted))
            portions = []
            for portion in self._counter.counts(table, columns, output.work / f"tokens-{number}"):
                portions.append(portion)
                output.progress(before + sum(map(len, portions)))
            counted.append(np.concatenate([np.empty(0, np.uint32), *portions]))
            if table.num_rows and not counted[-1].any() and shares[number]:
                raise InputError(f"{source} has no text in {' or '.join(columns)}: name its column with --text NAME")
        return counted

    def _draws(
        self, table: pa.Table, tokens: TokenCounts | None, wanted: int, output: Output
    ) -> Iterator[NDArray[np.int64]]:
        """Rows with the amount `wanted`: all rows as often as it takes, and then some, drawn by their ids."""
        amount = table.num_rows if tokens is None else int(tokens.sum())
        for _ in range(self.max_repeats):
            if wanted <= 0:
                return
            # Of an input that is taken whole, no row has to be drawn.
            if wanted >= amount:
                yield np.arange(table.num_rows)
            else:
                rows = in_random_order(table["id"], output.salt("taken"))
                if tokens is not None:
                    wanted = int(np.searchsorted(np.cumsum(tokens[rows], dtype=np.int64), wanted)) + 1
                yield np.sort(rows[:wanted])
                return
            wanted -= amount

    def _shares(self, sizes: Mapping[str, int]) -> list[float]:
        """The share of each input in the mix, in order, from the sizes of all."""
        if isinstance(self.weights, Mixture):
            weights: Sequence[float] = self.weights.of([*sizes], "--weights")
        else:
            weights = self.weights or tuple(map(float, sizes.values()))
        if len(weights) != len(sizes):
            raise UsageError(f"--weights has {len(weights)} numbers for {len(sizes)} inputs")
        if min(weights) < 0 or not sum(weights):
            raise UsageError("--weights must not be negative, nor all 0")
        return [weight / sum(weights) for weight in weights]

    def _wanted(self, sizes: Mapping[str, int]) -> list[int]:
        """How much of each input the mix should have; one that has less contributes all that it may."""
        shares = self._shares(sizes)
        most = min(self.max_repeats * size / share for size, share in zip(sizes.values(), shares, strict=True) if share)
        total = self.take or int(most + 1e-9)
        exact = [total * share for share in shares]
        wanted = [int(number + 1e-9) for number in exact]
        # The largest remainders get what rounding down has left over.
        by_remainder = sorted(range(len(exact)), key=lambda number: wanted[number] - exact[number])
        for number in by_remainder[: total - sum(wanted)]:
            wanted[number] += 1
        return wanted

    def _write(
        self,
        whole: pa.Table,
        rows: NDArray[np.int64],
        times: NDArray[np.int32],
        starts: NDArray[np.int64],
        output: Output,
    ) -> None:
        """Write rows of `whole`, each with the input in which it is and which time it is."""
        require_new_ids(whole["id"], rows, times)
        output.skip(whole.num_rows - int(np.count_nonzero(times == 1)), "not_taken")
        names = pa.array(output.sources, pa.string())
        done = 0
        for portion in gathered(whole, rows):
            part = slice(done, done + portion.num_rows)
            sources = np.searchsorted(starts, rows[part], side="right") - 1
            written = portion.append_column(self.source_column, names.take(pa.array(sources)))
            if self.max_repeats > 1:
                written = numbered(written, times[part])
            output.write_table(written, accounts_for=int(np.count_nonzero(times[part] == 1)))
            done += portion.num_rows


def _has_token_ids(schema: pa.Schema, name: str) -> bool:
    kind = schema.field(name).type if name in schema.names else pa.null()
    return is_list(kind) and pa.types.is_integer(kind.value_type)


def _numbers_of_items(columns: pa.Table) -> TokenCounts:
    """The number of items of the lists in each row."""
    counts = [pc.fill_null(pc.list_value_length(column), 0).to_numpy().astype(np.uint32) for column in columns.columns]
    total: TokenCounts = np.sum(counts, axis=0, dtype=np.uint32)
    return total
