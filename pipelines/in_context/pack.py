"""Documents in the order of in-context pre-training (arXiv 2310.10638): similar ones in a row, contexts shuffled."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from synth.pipelines.in_context.contexts import contexts_of, shuffled
from synth.pipelines.in_context.neighbors import Int64s, Neighbors, Twins, all_neighbors, without_twins
from synth.pipelines.in_context.runs import dissolved, in_runs, is_repetition
from synth.pipelines.in_context.traversal import traversed
from synth.pipelines.retrieval.document_vectors import VECTORS_OPTION, GivenVectors
from synth.pipelines.retrieval.nearest import INDEX, Nearest, build, kind_for
from synth.pipelines.retrieval.vectors import Vectors
from synth.pipelines.runtime.declared import Only, Option
from synth.pipelines.runtime.gather import gathered
from synth.pipelines.runtime.output import padded_table
from synth.pipelines.runtime.portions import reject_rows
from synth.pipelines.runtime.repeats import appearances, first_rows
from synth.pipelines.runtime.stage import Output, TableStage
from synth.pipelines.runtime.text.columns import text_columns, texts_of
from synth.pipelines.runtime.text.tokens import TOKENIZER_OPTION, TokenCounter
from synth.schemas.errors import UsageError
from synth.schemas.record import Record
from synth.schemas.records import NEIGHBORED, ROW

__all__ = ["PackNeighbors"]

# Clusters of a large index to look into: of a million documents, four times the share that the paper looks into.
NPROBE = 32
DOCUMENTS_AT_A_TIME = 1 << 14
NEAR_DUPLICATE = "near_duplicate"


@dataclass(frozen=True)
class PackNeighbors(TableStage):
    """Order documents so that neighbours share a context (In-Context Pretraining).

    Each row is followed by one of its nearest neighbours where that can be. Rows keep their ids and columns.

    Each document gets its `--neighbors` nearest others. `--method paper` first drops each one whose cosine with an
    earlier one is `--duplicate` or more, then links neighbours and follows the links, from a document with the fewest
    on to the most similar one that is left. `--method code` does what the released code means to do: runs of at least
    `--run` documents; a text that begins almost as the one before it is dropped. Dropped documents are rejected as
    `near_duplicate`, rows without a usable vector as `no_vector` or `bad_vector`.

    Documents of one context are alike, so neighbouring contexts should not be: with `--context-tokens`, the order is
    cut into contexts, which are shuffled whole. A document belongs to the context of its first token.

    Rows that repeat others (`ID/repeat-2`) follow in the same order after all documents, those of `repeat-3` after
    these.

    Memory: 130 bytes per neighbour of a row; vectors are memory-mapped.
    """

    name: ClassVar[str] = "pack neighbors"
    input: ClassVar[Record] = ROW
    output: ClassVar[Record] = NEIGHBORED
    keeps_ids: ClassVar[bool] = True

    commands: ClassVar[tuple[str, ...]] = (
        "synth pack neighbors corpus/ ordered/ --vectors embedded/",
        "synth pack neighbors corpus/ ordered/ --vectors embedded/ --context-tokens 8192 --tokenizer tiny",
    )

    vectors: Annotated[GivenVectors, VECTORS_OPTION]
    method: Annotated[Literal["paper", "code"], Option("The traversal of the paper, or the runs of its code.")] = (
        "paper"
    )
    neighbors: Annotated[
        int | None, Option("Nearest neighbours of each document.", min=1, default="10; with --method code 9")
    ] = None
    duplicate: Annotated[
        float, Option("Cosine from which the later of two documents is dropped.", min=0, max=1), Only("method", "paper")
    ] = 0.95
    run: Annotated[int, Option("Documents of a run.", min=1), Only("method", "code")] = 21
    context_tokens: Annotated[int | None, Option("Tokens of a context.", min=1)] = None
    tokenizer: Annotated[str | None, TOKENIZER_OPTION] = None
    shuffle_contexts: Annotated[bool, Option("Shuffle contexts; their documents stay together.")] = True
    text: Annotated[
        tuple[str, ...],
        Option(
            "Column of the text: text, or chat messages. Repeatable; required if several columns contain text.",
            metavar="NAME",
        ),
    ] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.context_tokens is None) != (self.tokenizer is None):
            raise UsageError("--context-tokens and --tokenizer, the model whose tokens count, need each other")

    @cached_property
    def _counter(self) -> TokenCounter | None:
        return TokenCounter(self.tokenizer, "--tokenizer") if self.tokenizer else None

    @property
    def means(self) -> Mapping[str, str]:
        return {"similarity": "followers"}

    def identity(self) -> dict[str, Any]:
        identity = {**super().identity(), "vectors": self.vectors.identity(), "neighbors": self._most}
        return {**identity, "tokenizer": self._counter.identity} if self._counter else identity

    @property
    def _most(self) -> int:
        return self.neighbors or (10 if self.method == "paper" else 9)

    def process(self, tables: Sequence[pa.Table], output: Output) -> None:
        (table,) = tables
        tokens = self._counter.of_rows(table, self.text, output.work / "tokens") if self._counter else None
        firsts = first_rows(table["id"])
        documents = np.flatnonzero(firsts == np.arange(len(firsts)))
        laid_out = self.vectors.laid_out(table, output.work / "vectors", documents)
        runs, twins = self._runs(laid_out.vectors, output)
        dropped = dict(laid_out.faults)
        for document, (other, cosine) in twins.items():
            twin = table["id"][int(laid_out.rows[other])]
            dropped[int(laid_out.rows[document])] = (NEAR_DUPLICATE, f"{twin}, similarity {cosine:.2f}")
        dropped = {row: dropped[first] for row, first in enumerate(firsts.tolist()) if first in dropped}

        # By row: its run, and its place. Rows that repeat others come after all documents, in the order of these.
        run_of, places = (numbers[firsts] for numbers in _numbered(runs, laid_out.rows, table.num_rows))
        turns = appearances(firsts)
        rows = np.flatnonzero(run_of >= 0)
        rows = rows[np.lexsort((places[rows], turns[rows]))]
        if self.method == "code":
            repetitions = self._repetitions(table, rows)
            dropped |= repetitions
            rows = rows[~np.isin(rows, [*repetitions])]
        begins = (np.diff(run_of[rows], prepend=-1) != 0) | (np.diff(turns[rows], prepend=0) != 0)
        cosines = _with_the_one_before(laid_out.vectors.array, np.searchsorted(laid_out.rows, firsts[rows]))
        order = {
            "run": pa.array(np.cumsum(begins) - 1, pa.int32()),
            "position": pa.array(np.arange(len(rows))),
            "previous_similarity": pa.array(cosines, mask=begins),
        }
        if tokens is not None and self.context_tokens:
            contexts = contexts_of(tokens[rows], self.context_tokens)
            order["context"] = pa.array(contexts)
            if self.shuffle_contexts:
                shuffle = shuffled(contexts, np.random.default_rng(output.salt("contexts")))
                rows, order = rows[shuffle], {name: column.take(pa.array(shuffle)) for name, column in order.items()}
            output.tally("contexts", len(np.unique(contexts)))
        output.tally("runs", int(np.count_nonzero(begins)))
        output.tally("followers", int(np.count_nonzero(~begins)))
        output.tally("similarity", float(cosines[~begins].sum()))
        self._write(table, rows, order, dropped, output)

    def _runs(self, vectors: Vectors, output: Output) -> tuple[list[list[int]], Twins]:
        """The runs of documents, and those that are left out because another one says nearly the same."""
        vectors = replace(vectors, faiss=kind_for(vectors.passages))
        if not (vectors.folder / INDEX).exists():
            build(vectors)
        nearest = Nearest(vectors, NPROBE)

        def search(documents: Int64s, most: int) -> Neighbors:
            return Neighbors(*nearest.others(documents, most))

        found = all_neighbors(search, vectors.documents, self._most, output.work / "neighbors", output.progress)
        if self.method == "code":
            return dissolved(in_runs(found, self.run), found, self.run), {}
        found, twins = without_twins(found, search, self.duplicate)
        return [run for run in traversed(found) if run[0] not in twins], twins

    def _repetitions(self, table: pa.Table, rows: Int64s) -> dict[int, tuple[str, str]]:
        """Rows, in this order, whose text begins almost as that of the last one before it that stays."""
        columns = text_columns(table.schema, self.text)
        found: dict[int, tuple[str, str]] = {}
        text_before, before, place = "", "", 0
        for portion in gathered(table.select(["id", *columns]), rows):
            for row_id, texts in zip(portion["id"].to_pylist(), texts_of(portion, columns), strict=True):
                text = "\n\n".join(texts)
                if is_repetition(text, text_before):
                    found[int(rows[place])] = (NEAR_DUPLICATE, f"{before}, by its first characters")
                else:
                    text_before, before = text, row_id
                place += 1
        return found

    def _write(
        self,
        table: pa.Table,
        rows: Int64s,
        order: Mapping[str, pa.Array],
        dropped: Mapping[int, tuple[str, str]],
        output: Output,
    ) -> None:
        schema = self.output_schema(table.schema)
        start = 0
        for portion in gathered(table, rows):
            given = {name: portion[name] for name in portion.column_names}
            made = {name: column.slice(start, portion.num_rows) for name, column in order.items()}
            output.write_table(padded_table({**given, **made}, schema, len(portion)), accounts_for=len(portion))
            start += len(portion)
        reject_rows(table, dropped, output)


def _numbered(runs: Sequence[Sequence[int]], rows: Int64s, count: int) -> tuple[Int64s, Int64s]:
    """By row, of `count`: the number of its run, and its place in all of them; -1 for rows in none.

    Runs name documents, and `rows` has the row of each document.
    """
    found = rows[np.fromiter(chain.from_iterable(runs), np.int64)]
    run_of, places = np.full(count, -1), np.full(count, -1)
    run_of[found] = np.repeat(np.arange(len(runs)), list(map(len, runs)))
    places[found] = np.arange(len(found))
    return run_of, places


def _with_the_one_before(vectors: NDArray[np.float16], documents: Int64s) -> NDArray[np.float32]:
    """The cosine of each of these documents and the one before it; 0 for the first."""
    cosines = np.zeros(len(documents), np.float32)
    for start in range(1, len(documents), DOCUMENTS_AT_A_TIME):
        part = vectors[documents[start - 1 : start + DOCUMENTS_AT_A_TIME]].astype(np.float64)
        part /= np.linalg.norm(part, axis=1, keepdims=True)
        cosines[start : start + DOCUMENTS_AT_A_TIME] = np.einsum("ij,ij->i", part[1:], part[:-1])
    return cosines
