"""The tags of rows as sets of numbers, in row order: a few bytes per tag."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from synth.schemas.errors import InputError
from synth.schemas.storable import is_list, is_text

__all__ = ["DEFAULT", "QUERY_COLUMNS", "Int32s", "Int64s", "Queries", "TagSets", "Vocabulary", "tag_column", "tag_sets"]

Int64s = NDArray[np.int64]
Int32s = NDArray[np.int32]

DEFAULT = "tags"
# Columns in which `instag normalize` counts a row's queries and their mean number of tags.
QUERY_COLUMNS = ("tags_per_query", "queries")
BYTES_AT_A_TIME = 16 << 20


class Vocabulary:
    """Tags numbered from 0 in order of first appearance. Some 150 bytes per tag."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._numbers)

    @property
    def tags(self) -> list[str]:
        return list(self._numbers)

    def encode(self, tags: pa.ChunkedArray) -> Int32s:
        """The number of each tag; -1 for null and the empty string."""
        if pa.types.is_null(tags.type):
            return np.full(len(tags), -1, np.int32)
        found = tags.dictionary_encode().combine_chunks()
        texts, known = found.dictionary.to_pylist(), self._numbers
        numbers = np.array([known.setdefault(text, len(known)) if text else -1 for text in texts] + [-1], np.int32)
        return np.asarray(numbers[pc.fill_null(found.indices, len(texts)).to_numpy()])


@dataclass(frozen=True)
class TagSets:
    """Row i has the tags `tags[starts[i]:starts[i + 1]]`, distinct, in ascending order of their numbers."""

    starts: Int64s
    tags: Int32s

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def sizes(self) -> Int64s:
        return np.diff(self.starts)

    def distinct(self, rows: Int64s) -> int:
        """Number of distinct tags in these rows."""
        has = np.zeros(len(self), bool)
        has[rows] = True
        return int(np.count_nonzero(np.bincount(self.tags[np.repeat(has, self.sizes)])))


@dataclass(frozen=True)
class Queries:
    """For each row, the mean number of tags per query (`means`) and the number of queries (`counts`).

    `unit` is `query`, or `row` if the table does not count queries: then each row counts as one query.
    """

    unit: str
    means: NDArray[np.float64]
    counts: NDArray[np.float64]

    @property
    def complexity(self) -> float:
        """The mean number of tags of a query."""
        return float(self.means @ self.counts / max(self.counts.sum(), 1))

    @classmethod
    def of(cls, table: pa.Table, column: str, sets: TagSets) -> "Queries":
        """Read from the `QUERY_COLUMNS` of `table`, or else from `sets`, the tags in `column`."""
        columns = [table[name] for name in QUERY_COLUMNS if name in table.column_names and column == DEFAULT]
        if len(columns) < len(QUERY_COLUMNS) or not all(_is_number(values.type) for values in columns):
            return cls("row", sets.sizes.astype(np.float64), np.ones(len(sets)))
        means, counts = (values.cast(pa.float64()).to_numpy() for values in columns)
        # Nulls became NaN, which fails every comparison.
        return cls("query", np.where(means >= 0, means, sets.sizes), np.where(counts >= 0, counts, 1))


def tag_column(schema: pa.Schema, named: str | None, where: str = "the input") -> str:
    """The column of tag lists (strings, or structs with `tag`). Raises `InputError` if it has another type."""
    possible = [field.name for field in schema if _holds_tags(field.type)]
    name = named or DEFAULT
    if name in possible:
        return name
    fault = f"is {schema.field(name).type}" if name in schema.names else "does not exist"
    others = [field for field in possible if not pa.types.is_null(schema.field(field).type)]
    hint = f"{' and '.join(others)} could be read" if others else f"there is only {', '.join(schema.names)}"
    raise InputError(
        f"{where} has no list of tags in the column {name}, which {fault}: name another with --tags NAME ({hint})"
    )


def tag_sets(
    columns: Iterable[pa.Array], vocabulary: Vocabulary, seen: Callable[[int], None] = lambda _rows: None
) -> TagSets:
    """The tag sets of several arrays; calls `seen` with the number of rows read so far.

    Memory: 8 bytes per row and 4 per tag, twice that while they are concatenated.
    """
    sizes, tags = [np.zeros(1, np.int64)], [np.empty(0, np.int32)]
    read = 0
    for lengths, texts in _gathered(columns):
        rows = np.repeat(np.arange(len(lengths)), lengths)
        numbers = vocabulary.encode(texts)
        # Once sorted, a tag that a row repeats is next to its copy.
        keys = np.sort(rows[numbers >= 0] << 32 | numbers[numbers >= 0])
        keys = keys[np.diff(keys, prepend=-1) != 0]
        sizes.append(np.bincount(keys >> 32, minlength=len(lengths)))
        tags.append((keys & 0xFFFFFFFF).astype(np.int32))
        read += len(lengths)
        seen(read)
    return TagSets(np.cumsum(np.concatenate(sizes)), np.concatenate(tags))


def _gathered(columns: Iterable[pa.Array]) -> Iterator[tuple[Int64s, pa.ChunkedArray]]:
    """Number of tags of each row, and the tags concatenated, in portions of some megabytes."""
    lengths: list[Int64s] = []
    texts: list[pa.Array] = []
    size = 0
    for column in columns:
        if pa.types.is_null(column.type):
            lengths.append(np.zeros(len(column), np.int64))
            continue
        lengths.append(pc.fill_null(pc.list_value_length(column), 0).to_numpy().astype(np.int64))
        items = column.flatten()
        texts.append(pc.struct_field(items, "tag") if pa.types.is_struct(items.type) else items)
        size += texts[-1].nbytes + lengths[-1].nbytes
        if size >= BYTES_AT_A_TIME:
            yield np.concatenate(lengths), pa.chunked_array(texts)
            lengths, texts, size = [], [], 0
    if lengths:
        yield np.concatenate(lengths), pa.chunked_array(texts, None if texts else pa.null())


def _holds_tags(kind: pa.DataType) -> bool:
    if not is_list(kind):
        return bool(pa.types.is_null(kind))
    items = kind.value_type
    if pa.types.is_struct(items):
        index = items.get_field_index("tag")
        return index >= 0 and _is_tag(items.field(index).type)
    return _is_tag(items)


def _is_tag(kind: pa.DataType) -> bool:
    return is_text(kind) or bool(pa.types.is_null(kind))


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))
