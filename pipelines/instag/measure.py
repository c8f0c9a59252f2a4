"""What tagged datasets are like: complexity, diversity, which tags there are, and which of them go together.

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

# The commonest tags, of which it is counted how often they meet, and the commonest of these pairs.
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
    meet as they would by chance. Both are None where one of the tags does not occur.
    """

    first: str
    second: str
    rows: int
    confidence: float | None
    lift: float | None


@dataclass(frozen=True)
class Measures:
    """One dataset. Where several are measured together, `tags` and `pairs` of all are the same ones in the same order.

    `unit` is what complexity is a mean over: `query` where rows tell of their queries, or else `row`, and then
    `queries` is the number of rows. `untagged` are the rows without any tag.

    `distinct` tags occur, `covered` of them are in the vocabulary, which has `vocabulary` tags; the share of it that is
    covered is the `diversity`, None where it is empty.

    `tags_per_query` has the number of queries with so many tags by the number of tags; the queries of one row all
    count as their mean, rounded.

    `tags` are the commonest ones by their share of the rows, up to `MOST_TAGS`; `pairs` are the commonest pairs of
    these, up to `MOST_PAIRS`.
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
    """Measures of each of `sources`, whose tags are in the column `tags` (None: the one of that name).

    What is to be covered is `vocabulary`, a dataset with a tag a row in its column `tag`, or else all the tags that any
    of the sources has. Memory holds some 10 bytes a tag and 40 a row. Raises `InputError` for what has no rows or tags.
    """
    known = Vocabulary()
    if vocabulary:
        known.encode(_tag_table(vocabulary))
    given = len(known)
    tagged = [_Tagged.read(source, tags, known) for source in sources]
    names = known.tags
    size = given if vocabulary else len(names)
    uses = [np.bincount(each.sets.tags, minlength=len(names)) for each in tagged]
    top = _commonest(uses, tagged, MOST_TAGS)
    met = [_meetings(each.sets, top, len(names)) for each in tagged]
    places = [divmod(place, len(top)) for place in _commonest(met, tagged, MOST_PAIRS).tolist()]
    measured = []
    for each, used, meetings in zip(tagged, uses, met, strict=True):
        covered = int(np.count_nonzero(used[:size]))
        commonest = [TagCount(names[tag], int(used[tag])) for tag in top]
        pairs = [
            _pair(commonest[rarer], commonest[commoner], int(meetings[commoner * len(top) + rarer]), len(each.sets))
            for commoner, rarer in places
        ]
        measured.append(
            Measures(
                rows=len(each.sets),
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
    """What was read of one dataset."""

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
    """The column `tag` of a vocabulary. Raises `InputError` where there is nothing in it."""
    columns = {column.name: column for column in columns_of(vocabulary)}
    tags = _table(vocabulary, [columns["tag"]])["tag"] if "tag" in columns else pa.chunked_array([pa.nulls(0)])
    if not pa.types.is_string(tags.type) or tags.null_count == len(tags):
        raise InputError(
            f"--vocabulary {vocabulary.spec} has no texts in a column tag ({', '.join(columns) or 'it is empty'}): "
            "name the folder vocabulary in an output of `synth instag normalize`"
        )
    return tags


def _table(source: Input, columns: Sequence[Column]) -> pa.Table:
    """Some columns of all rows. What is in Arrow files stays there, memory-mapped."""
    schema = pa.schema([(column.name, column.type) for column in columns])
    batches = (
        pa.record_batch([column_values(batch, column) for column in columns], schema=schema)
        for batch in source.batches()
    )
    return pa.Table.from_batches(batches, schema)


def _commonest(counts: Sequence[Counts], tagged: Sequence[_Tagged], most: int) -> Counts:
    """Where the largest counts stand by their shares of the rows of all datasets; of equal ones the first."""
    shares = np.sum([count / len(each.sets) for count, each in zip(counts, tagged, strict=True)], axis=0)
    return np.argsort(-shares, kind="stable")[: min(most, np.count_nonzero(shares))]


def _meetings(sets: TagSets, top: Counts, known: int) -> Counts:
    """In how many rows two of the tags `top` meet: at i * len(top) + j, i < j, for the one at i and the one at j."""
    places = np.full(known, -1)
    places[top] = np.arange(len(top))
    meetings = np.zeros(len(top) ** 2, np.int64)
    for start in range(0, len(sets), ROWS_AT_A_TIME):
        starts = sets.starts[start : start + ROWS_AT_A_TIME + 1]
        place = places[sets.tags[starts[0] : starts[-1]]]
        row = np.repeat(np.arange(len(starts) - 1), np.diff(starts))[place >= 0]
        place = place[place >= 0]
        at = np.arange(len(row))
        for distance in count(1):
            at = at[at + distance < len(row)]
            at = at[row[at] == row[at + distance]]
            if not len(at):
                break
            one, other = place[at], place[at + distance]
            met = np.minimum(one, other) * len(top) + np.maximum(one, other)
            meetings += np.bincount(met, minlength=len(meetings))
    return meetings


def _pair(first: TagCount, second: TagCount, rows: int, whole: int) -> Pair:
    if not (first.rows and second.rows):
        return Pair(first.tag, second.tag, rows, None, None)
    return Pair(first.tag, second.tag, rows, rows / first.rows, rows * whole / (first.rows * second.rows))
