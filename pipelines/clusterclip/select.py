"""ClusterClip sampling (arXiv 2402.14526): cluster the documents, draw clusters alike, clip the repeats."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from synth.pipelines.clusterclip.clusters import Clusters, given_clusters, made_clusters
from synth.pipelines.clusterclip.sampling import sampled
from synth.pipelines.retrieval.document_vectors import VECTORS_OPTION, GivenVectors
from synth.pipelines.runtime.counts import Counts
from synth.pipelines.runtime.declared import ByOption, Only, Option
from synth.pipelines.runtime.gather import gathered
from synth.pipelines.runtime.output import padded_table
from synth.pipelines.runtime.portions import portions, reject_rows
from synth.pipelines.runtime.repeats import appearances, numbered, require_new_ids
from synth.pipelines.runtime.row_hashes import row_hashes
from synth.pipelines.runtime.stage import Output, TableStage
from synth.pipelines.runtime.text.tokens import TOKENIZER_OPTION, TokenCounter
from synth.schemas.errors import UsageError
from synth.schemas.record import Record
from synth.schemas.records import CLUSTER, DRAWN, ROW, WEIGHTED
from synth.schemas.writing.side_table import write_side_table

__all__ = ["ClusterClip"]

Int64s = NDArray[np.int64]
# The folder of the table of clusters in the output.
CLUSTERS = "clusters"


@dataclass(frozen=True)
class ClusterClip(TableStage):
    """Draw documents so that clusters count alike, but no document comes too often (ClusterClip).

    The output has the rows in the order in which they are drawn, so it is the order of training. A row that is drawn
    again is `ID/repeat-2` and so on. With `--weights`, every row comes once, in input order, with its number of
    `draws`. `clusters/` in the output is the table of the clusters, before and after.

    Vectors are clustered by spherical k-means from `--clusters` rows that the seed draws. Rows that have a column
    `cluster`, such as the output of `--weights`, can be drawn from again without `--vectors`.

    Each draw takes a cluster, all with equal chances, and the next document of its shuffled pass. A document that was
    drawn `--max-repeats` times leaves, and with its last document a cluster. Sampling ends with `-n` draws or with
    `--budget-tokens`, which are exceeded by less than a document. What was never drawn is counted as `not_drawn`; rows
    without a usable vector are rejected as `no_vector` or `bad_vector`.

    Memory: 60 bytes per row and 12 per draw; vectors are memory-mapped.
    """

    name: ClassVar[str] = "select clusterclip"
    input: ClassVar[Record] = ROW
    output: ClassVar[ByOption[Record]] = ByOption("weights", {False: DRAWN, True: WEIGHTED})

    commands: ClassVar[tuple[str, ...]] = (
        "synth select clusterclip corpus/ drawn/ --vectors embedded/ --max-repeats 4 -n 1000000",
        "synth select clusterclip corpus/ drawn/ --vectors embedded/ --max-repeats 4 --budget-tokens 10000000 "
        "--tokenizer Qwen/Qwen2.5-7B-Instruct",
    )

    vectors: Annotated[
        GivenVectors | None, replace(VECTORS_OPTION, default="none, if the rows have a column `cluster`")
    ] = None
    clusters: Annotated[int, Option("How many clusters to make, at most as many as rows.", min=1)] = 2000
    iterations: Annotated[int, Option("Most updates of their centroids.", min=0)] = 300
    max_repeats: Annotated[
        int | None, Option("How often a document may be drawn; required with --clip.", min=1), Only("clip", True)
    ] = None
    clip: Annotated[bool, Option("Whether documents leave; without, sampling is only uniform.")] = True
    order: Annotated[
        Literal["uniform", "proportional"],
        Option("Chances of a cluster: all alike, or by its documents, which is a baseline of the paper."),
    ] = "uniform"
    n: Annotated[int | None, Option("How many rows to draw.", min=1, flag="-n", long="--rows")] = None
    budget_tokens: Annotated[int | None, Option("How many tokens to draw.", min=1)] = None
    tokenizer: Annotated[str | None, TOKENIZER_OPTION] = None
    text: Annotated[
        tuple[str, ...],
        Option(
            "Column whose tokens count: text, or chat messages. Repeatable; required if several columns contain text.",
            metavar="NAME",
        ),
    ] = ()
    weights: Annotated[bool, Option("Write each row once, with its number of draws.")] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.n is None) == (self.budget_tokens is None):
            raise UsageError("give either -n, the number of rows to draw, or --budget-tokens")
        if self.clip and self.max_repeats is None:
            raise UsageError("--max-repeats is missing: how often a document may be drawn (--no-clip for no limit)")
        if self.tokenizer is None and (self.budget_tokens is not None or self.text):
            given = "--text" if self.budget_tokens is None else "--budget-tokens"
            raise UsageError(f"{given} needs --tokenizer, the model whose tokens count")

    @property
    def means(self) -> Mapping[str, str]:
        return {"distance": "clustered"}

    def identity(self) -> dict[str, Any]:
        identity = {**super().identity(), "vectors": self.vectors and self.vectors.identity()}
        return {**identity, "tokenizer": self._counter.identity} if self._counter else identity

    @property
    def _limit(self) -> int | None:
        return self.max_repeats if self.clip else None

    @cached_property
    def _counter(self) -> TokenCounter | None:
        return TokenCounter(self.tokenizer, "--tokenizer") if self.tokenizer else None

    def published(self, out: Path, counts: Counts) -> Iterator[str]:  # noqa: ARG002
        tallies = counts.tallies
        if self.vectors and tallies["clusters"] < self.clusters:
            yield f"{tallies['clusters']:,.0f} clusters instead of {self.clusters:,}: there are no more rows"
        if shortfall := tallies.get("shortfall"):
            asked = f"-n {self.n:,}" if self.n else f"--budget-tokens {self.budget_tokens:,}"
            yield (
                f"{shortfall:,.0f} {'rows' if self.n else 'tokens'} short of {asked}: every document was drawn "
                f"--max-repeats {self.max_repeats} times"
            )

    def process(self, tables: Sequence[pa.Table], output: Output) -> None:
        (table,) = tables
        tokens = self._counter.of_rows(table, self.text, output.work / "tokens") if self._counter else None
        clusters = self._clusters(table, output)
        drawn = self._draw(table, clusters, tokens, output)
        self._write_clusters(table["id"], clusters, drawn, tokens, output)
        reject_rows(table, clusters.faults, output)
        if self.weights:
            self._write_weights(table, clusters, drawn, output)
            return
        self._write_draws(table, clusters, drawn, output)

    def _clusters(self, table: pa.Table, output: Output) -> Clusters:
        if self.vectors:
            return made_clusters(table, self.vectors, self.clusters, self.iterations, output)
        return given_clusters(table)

    def _draw(self, table: pa.Table, clusters: Clusters, tokens: Int64s | None, output: Output) -> Int64s:
        """The rows in the order in which they are drawn, until there are enough of them."""
        rows = clusters.rows
        keys = row_hashes(table["id"], output.salt("documents"))[rows]
        rng = np.random.default_rng(output.salt("clusters"))
        proportional = self.order == "proportional"
        wanted = self.n or self.budget_tokens or 0
        amounts = tokens if tokens is not None and not self.n else np.ones(table.num_rows, np.int64)
        drawn = [np.empty(0, np.int64)]
        for portion in sampled(clusters.labels[rows], keys, self._limit, rng, proportional=proportional):
            sums = np.cumsum(amounts[rows[portion]])
            enough = int(np.searchsorted(sums, wanted)) + 1
            drawn.append(rows[portion[:enough]])
            wanted -= int(sums[:enough][-1])
            if wanted <= 0:
                break
        if wanted > 0:
            output.tally("shortfall", wanted)
        return np.concatenate(drawn)

    def _write_clusters(
        self, ids: pa.ChunkedArray, clusters: Clusters, drawn: Int64s, tokens: Int64s | None, output: Output
    ) -> None:
        """Write `clusters/`, the table of the clusters."""
        documents, draws = clusters.counted(clusters.rows), clusters.counted(drawn)
        last = np.zeros(len(draws), np.int64)
        # Of several values for one place the last one stays.
        last[clusters.labels[drawn]] = np.arange(1, len(drawn) + 1)
        is_used_up = (draws == documents * self._limit) if self._limit else np.zeros(len(draws), bool)
        nearest, starts = clusters.nearest(5)
        near_ids = ids.take(pa.array(nearest)).combine_chunks()
        columns = {
            "cluster": clusters.numbers,
            "documents": documents,
            "drawn": draws,
            "used_up_at": pa.array(last, mask=~is_used_up | (draws == 0)),
            "nearest": pa.ListArray.from_arrays(pa.array(starts, pa.int32()), near_ids),
        }
        if tokens is not None:
            columns["tokens"] = clusters.counted(clusters.rows, tokens)
            columns["drawn_tokens"] = clusters.counted(drawn, tokens)
        table = padded_table({name: pa.array(column) for name, column in columns.items()}, CLUSTER.schema, len(draws))
        write_side_table(output.kept / CLUSTERS, CLUSTER.schema, [table])
        output.tally("clusters", len(draws))
        output.tally("used_up", int(np.count_nonzero(is_used_up & (draws > 0))))

    def _write_draws(self, table: pa.Table, clusters: Clusters, drawn: Int64s, output: Output) -> None:
        schema, times = self.output_schema(table.schema), appearances(drawn)
        require_new_ids(table["id"], drawn, times)
        output.skip(len(clusters.rows) - int(np.count_nonzero(times == 1)), "not_drawn")
        output.tally("repeated", int(np.count_nonzero(times > 1)))
        start = 0
        for rows in gathered(table, drawn):
            part = slice(start, start := start + rows.num_rows)
            again = numbered(rows, times[part])
            columns = {**{name: again[name] for name in again.column_names}, **clusters.columns(drawn[part])}
            made = padded_table(columns, schema, rows.num_rows)
            output.write_table(made, accounts_for=int(np.count_nonzero(times[part] == 1)))

    def _write_weights(self, table: pa.Table, clusters: Clusters, drawn: Int64s, output: Output) -> None:
        draws = np.bincount(drawn, minlength=table.num_rows).astype(np.int32)
        schema = self.output_schema(table.schema)
        start = 0
        for rows in portions(table):
            part = slice(start, start := start + rows.num_rows)
            given = {name: rows[name] for name in rows.column_names}
            columns = {**given, **clusters.columns(part), "draws": pa.array(draws[part])}
            made = padded_table(columns, schema, rows.num_rows).filter(pa.array(clusters.labels[part] >= 0))
            output.write_table(made, accounts_for=made.num_rows)
