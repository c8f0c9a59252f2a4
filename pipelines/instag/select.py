"""N of many tagged rows: complex ones that are different (InsTag, arXiv 2308.07074, section 3)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import numpy as np
import pyarrow as pa

from synth.pipelines.instag.gather import picked
from synth.pipelines.instag.sampling import Rows, at_random, most_tags_first, rounds
from synth.pipelines.instag.tagsets import Queries, TagSets, Vocabulary, tag_column, tag_sets
from synth.pipelines.runtime.counts import Counts
from synth.pipelines.runtime.declared import Option
from synth.pipelines.runtime.stage import Output, TableStage
from synth.pipelines.runtime.usual_options import TagColumn
from synth.schemas.record import Record
from synth.schemas.records import ROW

__all__ = ["SelectRows", "Way"]

Way = Literal["complexity-first-diverse", "random", "complexity", "diversity"]


@dataclass(frozen=True)
class SelectRows(TableStage):
    """Select rows of many tags that differ: complexity-first diverse sampling.

    The first `n` rows by one of four ways, whole, in the order in which they were selected.

    `complexity-first-diverse` is Algorithm 1: rows by their number of tags, the most first, scanned in rounds, each of
    which takes what adds a tag to it. `complexity` is the same order without rounds, `diversity` the same rounds over
    rows in random order, `random` the first rows of that order, which follows from `seed` and the ids.

    The tags of a row are those of all its queries (the paper does not say what it does with sessions), each once. Rows
    without tags are never selected, and there the paper's loop would not end: here it does, and the shortfall is told.

    Memory holds some 25 bytes a tag and 40 a row of the pool, and the rows that are on their way (`picking`).
    """

    name: ClassVar[str] = "instag select"
    input: ClassVar[Record] = ROW
    output: ClassVar[Record] = ROW

    commands: ClassVar[tuple[str, ...]] = (
        "synth instag select normalized/ selected/ -n 6000",
        "synth instag select normalized/ baseline/ -n 6000 --by random --seed 1",
    )

    n: Annotated[int, Option("How many rows to select.", min=1, flag="-n", long="--rows")]
    by: Annotated[Way, Option("Algorithm 1 of the paper, or what it is compared with.")] = "complexity-first-diverse"
    tags: TagColumn = None

    @property
    def means(self) -> Mapping[str, str]:
        return {"complexity": "queries", "pool_complexity": "pool_queries", "coverage": "pool_tags"}

    def published(self, out: Path, counts: Counts) -> Iterator[str]:  # noqa: ARG002
        if shortfall := counts.tallies.get("shortfall"):
            yield f"{shortfall:,.0f} fewer than -n {self.n:,} asks for: all rows that have tags are in it"

    def process(self, tables: Sequence[pa.Table], output: Output) -> None:
        (table,) = tables
        column = tag_column(table.schema, self.tags)
        vocabulary = Vocabulary()
        sets = tag_sets(table[column].chunks, vocabulary, output.progress)
        selected = self._select(table, sets, output)
        untagged = int(np.count_nonzero(sets.sizes == 0))
        left = {"not_selected": len(sets) - untagged - len(selected), "no_tags": untagged}
        for reason, count in left.items():
            if count:
                output.skip(count, reason)
        for rows in picked(table, selected):
            output.write_table(rows, accounts_for=rows.num_rows)
        if len(selected) < self.n:
            output.tally("shortfall", self.n - len(selected))
        output.tally("pool_tags", len(vocabulary))
        output.tally("coverage", sets.distinct(selected))
        queries = Queries.of(table, column, sets)
        for prefix, part in (("", selected), ("pool_", slice(None))):
            output.tally(f"{prefix}queries", float(queries.counts[part].sum()))
            output.tally(f"{prefix}complexity", float(queries.means[part] @ queries.counts[part]))

    def _select(self, table: pa.Table, sets: TagSets, output: Output) -> Rows:
        if self.by in ("complexity-first-diverse", "complexity"):
            order = most_tags_first(sets)
        else:
            order = at_random(table["id"], output.salt())
        order = order[sets.sizes[order] > 0]
        if self.by in ("complexity", "random"):
            return order[: self.n]
        taken: list[int] = []
        for taken_in_round in rounds(sets, order):
            taken += taken_in_round
            output.tally("rounds")
            if len(taken) >= self.n:
                break
        return np.array(taken[: self.n], np.int64)
