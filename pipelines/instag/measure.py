"""Measure tagged datasets: complexity, diversity, tag frequencies and co-occurrence.

Complexity is the mean number of tags of a query, diversity the share of a vocabulary that occurs (InsTag, arXiv
2308.07074).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from synth.pipelines.instag.tagsets import QUERY_COLUMNS, Queries, TagSets, Vocabulary, tag_column, tag_sets
from synth.schemas.errors import InputError
from synth.schemas.reading.columns import column_values
from synth.schemas.reading.inference import columns_of
from synth.schemas.reading.inputs import Input
from synth.schemas.record import Column

__all__ = ["MOST_PAIRS", "MOST_TAGS", "Measures", "Pair", "TagCount", "measure"]

# Number of most common tags, whose co-occurrence is counted, and of their most common pairs.
MOST_TAGS = 200
MOST_PAIRS = 50
ROWS_AT_A_TIME = 1 << 18

Counts = NDArray[np.int64]


@dataclass(frozen=True)
class TagCount:
    """A tag, and the number of rows that have it."""

    tag: str
    rows: int


@dataclass(frozen=True)
class Pair:
    """Two tags, the rarer one first, and the number of rows that have both.

    `confidence` is the share of the rows with `first` that have `second`, too; `lift` is how many times as often they
    co-occur as by chance. Both are None where one of the tags does not occur.
    """

    first: str
    second: str
    rows: int
    confidence: float | None
    lift: float | None


@dataclass(frozen=True)
class Measures:
    """One dataset. Datasets measured together list the same `tags` and `pairs` in the same order.

    Complexity is a mean over the `unit`: `query` if rows count their queries, or else `row`, and then `queries` is the
    number of rows. `untagged` are the rows without any tag.

    `distinct` tags occur, `covered` of them are in the vocabulary of `vocabulary` tags; `diversity` is the share of it
    that is covered, None where it is empty.

    `tags_per_query` maps a number of tags to the number of queries with that many; each query of a row counts with the
    row's mean, rounded.

    `tags` are the most common tags by share of rows, up to `MOST_TAGS`; `pairs` are their most common pairs, up to
    `MOST_PAIRS`.
    """

    rows: int
    untagged: int
    unit: str
    queries: int
    complexity: float
    diversity: float | None
    covered: int
    vocabulary: int
    distinct: int
    tags_per_query: dict[int, int]
    tags: list[TagCount]
    pairs: list[Pair]


def measure(sources: Sequence[Input], tags: str | None = None, vocabulary: Input | None = None) -> list[Measures]:
    """Measure each of `sources`, whose tags are in the column `tags` (None: the column named `tags`).

    Coverage is of `vocabulary`, a dataset with one tag per row in its column `tag`, or else of all tags in any source.
    Memory: some 10 bytes per tag and 40 per row. Raises `InputError` for a source without rows or tags.
    """
    known = Vocabulary()
    if vocabulary:
        known.encode(_tag_table(vocabulary))
    given = len(known)
    tagged = [_Tagged.read(source, tags, known) for source in sources]
    names = known.tags
    size = given if vocabulary else len(names)
    uses = [np.bincount(each.sets.tags, minlength=len(names)) for each in tagged]
    top = _most_common(uses, tagged, MOST_TAGS)
    counted = [_cooccurrences(each.sets, top, len(names)) for each in tagged]
    common_pairs = [divmod(index, len(top)) for index in _most_common(counted, tagged, MOST_PAIRS).tolist()]
    measured = []
    for each, used, cooccurrences in zip(tagged, uses, counted, strict=True):
        covered = int(np.count_nonzero(used[:size]))
        commonest = [TagCount(names[tag], int(used[tag])) for tag in top]
        rows = len(each.sets)
        pairs = [
            _pair(commonest[rarer], commonest[commoner], int(cooccurrences[commoner * len(top) + rarer]), rows)
            for commoner, rarer in common_pairs
        ]
        measured.append(
            Measures(
                rows=rows,
                untagged=int(np.count_nonzero(each.sets.sizes == 0)),
                unit=each.queries.unit,
                queries=int(each.queries.counts.sum()),
                complexity=each.queries.complexity,
                diversity=covered / size if size else None,
                covered=covered,
                vocabulary=size,
                distinct=int(np.count_nonzero(used)),
                tags_per_query=each.tags_per_query,
                tags=commonest,
                pairs=pairs,
            )
        )
    return measured


@dataclass(frozen=True)
class _Tagged:
    """The tags and queries of one dataset."""

    sets: TagSets
    queries: Queries

    @classmethod
    def read(cls, source: Input, named: str | None, known: Vocabulary) -> "_Tagged":
        if next(source.batches(), None) is None:
            raise InputError(f"{source.spec} has no rows")
        columns = columns_of(source)
        name = tag_column(pa.schema([(column.name, column.type) for column in columns]), named, source.spec)
        table = _table(source, [column for column in columns if column.name in (name, *QUERY_COLUMNS)])
        sets = tag_sets(table[name].chunks, known)
        return cls(sets, Queries.of(table, name, sets))

    @property
    def tags_per_query(self) -> dict[int, int]:
        numbers = np.rint(self.queries.means).astype(np.int64)
        histogram = np.bincount(numbers, weights=self.queries.counts).astype(np.int64)
        return {number: int(histogram[number]) for number in np.flatnonzero(histogram).tolist()}


def _tag_table(vocabulary: Input) -> pa.ChunkedArray:
    """The column `tag` of a vocabulary. Raises `InputError` if it has no tags."""
    columns = {column.name: column for column in columns_of(vocabulary)}
    tags = _table(vocabulary, [columns["tag"]])["tag"] if "tag" in columns else pa.chunked_array([pa.nulls(0)])
    if not pa.types.is_string(tags.type) or tags.null_count == len(tags):
        raise InputError(
            f"--vocabulary {vocabulary.spec} has no strings in a column tag ({', '.join(columns) or 'it is empty'}): "
            "name the folder vocabulary in an output of `synth instag normalize`"
        )
    return tags


def _table(source: Input, columns: Sequence[Column]) -> pa.Table:
    """Some columns of all rows; Arrow files stay memory-mapped."""
    schema = pa.schema([(column.name, column.type) for column in columns])
    batches = (
        pa.record_batch([column_values(batch, column) for column in columns], schema=schema)
        for batch in source.batches()
    )
    return pa.Table.from_batches(batches, schema)


def _most_common(counts: Sequence[Counts], tagged: Sequence[_Tagged], most: int) -> Counts:
    """Indices of the largest counts, by summed share of each dataset's rows; ties keep their order."""
    shares = np.sum([count / len(each.sets) for count, each in zip(counts, tagged, strict=True)], axis=0)
    return np.argsort(-shares, kind="stable")[: min(most, np.count_nonzero(shares))]


def _cooccurrences(sets: TagSets, top: Counts, known: int) -> Counts:
    """Number of rows with both `top[i]` and `top[j]`, at index i * len(top) + j for i < j."""
    ranks = np.full(known, -1)
    ranks[top] = np.arange(len(top))
    cooccurrences = np.zeros(len(top) ** 2, np.int64)
    for start in range(0, len(sets), ROWS_AT_A_TIME):
        starts = sets.starts[start : start + ROWS_AT_A_TIME + 1]
        rank = ranks[sets.tags[starts[0] : starts[-1]]]
        row = np.repeat(np.arange(len(starts) - 1), np.diff(starts))[rank >= 0]
        rank = rank[rank >= 0]
        at = np.arange(len(row))
        for distance in count(1):
            at = at[at + distance < len(row)]
            at = at[row[at] == row[at + distance]]
            if not len(at):
                break
            one, other = rank[at], rank[at + distance]
            pair = np.minimum(one, other) * len(top) + np.maximum(one, other)
            cooccurrences += np.bincount(pair, minlength=len(cooccurrences))
    return cooccurrences


def _pair(first: TagCount, second: TagCount, rows: int, total: int) -> Pair:
    if not (first.rows and second.rows):
        return Pair(first.tag, second.tag, rows, None, None)
    return Pair(first.tag, second.tag, rows, rows / first.rows, rows * total / (first.rows * second.rows))
