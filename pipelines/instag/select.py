"""Complex and diverse rows of a tagged dataset (InsTag, arXiv 2308.07074, section 3)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import numpy as np
import pyarrow as pa

from synth.pipelines.instag.sampling import Rows, most_tags_first, rounds
from synth.pipelines.instag.tagsets import Queries, TagSets, Vocabulary, tag_column, tag_sets
from synth.pipelines.runtime.common_options import TagColumn
from synth.pipelines.runtime.counts import Counts
from synth.pipelines.runtime.declared import Option
from synth.pipelines.runtime.gather import gathered
from synth.pipelines.runtime.row_hashes import in_random_order
from synth.pipelines.runtime.stage import Output, TableStage
from synth.schemas.record import Record
from synth.schemas.records import ROW

__all__ = ["SelectRows", "Way"]

Way = Literal["complexity-first-diverse", "random", "complexity", "diversity"]


@dataclass(frozen=True)
class SelectRows(TableStage):
    """Select complex, diverse rows by their tags: complexity-first diverse sampling.

    The output has the first `n` rows, with all columns, in the order in which they were selected.

    `complexity-first-diverse` is Algorithm 1: it scans rows in descending order of tag count, in rounds; a round takes
    each row that adds a tag to it. `complexity` takes the first rows of that order, without rounds; `diversity` runs
    the rounds over rows in random order; `random` takes the first rows of the random order, which depends on `seed`
    and the ids.

    The tags of a row are the distinct tags of all its queries (the paper does not say how it treats sessions). Rows
    without tags are never selected. The paper's loop would not end when only those are left; here it does, and the
    shortfall is reported.

    Memory: some 25 bytes per tag and 40 per row of the pool, plus the portion of rows being written (`gather`).
    """

    name: ClassVar[str] = "instag select"
    input: ClassVar[Record] = ROW
    output: ClassVar[Record] = ROW
    keeps_ids: ClassVar[bool] = True

    commands: ClassVar[tuple[str, ...]] = (
        "synth instag select normalized/ selected/ -n 6000",
        "synth instag select normalized/ baseline/ -n 6000 --by random --seed 1",
    )

    n: Annotated[int, Option("How many rows to select.", min=1, flag="-n", long="--rows")]
    by: Annotated[Way, Option("Algorithm 1 of the paper, or a baseline.")] = "complexity-first-diverse"
    tags: TagColumn = None

    @property
    def means(self) -> Mapping[str, str]:
        return {"complexity": "queries", "pool_complexity": "pool_queries", "coverage": "pool_tags"}

    def published(self, out: Path, counts: Counts) -> Iterator[str]:  # noqa: ARG002
        if shortfall := counts.tallies.get("shortfall"):
            yield f"{shortfall:,.0f} fewer rows than -n {self.n:,}: every row that has tags was selected"

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
        for rows in gathered(table, selected):
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
            order = in_random_order(table["id"], output.salt())
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
