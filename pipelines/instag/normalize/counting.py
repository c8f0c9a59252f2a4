"""Count raw tags out of core: each distinct form with the number of queries that have it.

Strings are read once and numbered. The forms of each query are in a memory-mapped file, 4 bytes each, and later steps
map these numbers to tags. All counts are saved, so a resumed run need not count again.
"""

import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from synth.pipelines.instag.tagsets import Int32s, Int64s
from synth.pipelines.runtime.portions import portions
from synth.schemas.atomic import atomic, sync
from synth.schemas.dataset import read_shard

__all__ = ["Occurrences", "count"]


# Longer strings are not tags but degenerate model output.
MOST_CHARACTERS = 200
# For review: example queries per form, and how much of an explanation each shows.
EXAMPLES = 3
EXPLANATION_CHARACTERS = 300

ROWS_AT_A_TIME = 1 << 16
BYTES_AT_A_TIME = 64 << 20
TAGS_AT_A_TIME = 1 << 21

# Form numbers of invalid tags.
_EMPTY, _OVERLONG, _NULL = -1, -2, -3
REASONS = {_EMPTY: "empty_tags", _OVERLONG: "overlong_tags", _NULL: "null_tags"}

EXAMPLE = pa.schema([("form", pa.int32()), ("id", pa.string()), ("explanation", pa.string())])


@dataclass(frozen=True)
class Occurrences:
    """Query `q` has the distinct forms `forms[starts[q]:starts[q + 1]]`, row `r` the queries `rows[r]:rows[r + 1]`.

    These omit queries without tags; `asked` is each row's number of queries including them. `texts` and `counts` have
    each form's text and the number of queries with it. `skipped` counts invalid tags by reason.
    """

    forms: Int32s
    starts: Int64s
    rows: Int64s
    asked: Int32s
    texts: list[str]
    counts: Int64s
    skipped: dict[str, int]
    folder: Path

    @classmethod
    def open(cls, folder: Path) -> "Occurrences":
        texts = read_shard(folder / "texts.arrow")
        return cls(
            _mapped(folder / "forms"),
            _starts(_mapped(folder / "tags_in_query")),
            _starts(_mapped(folder / "queries_in_row")),
            _mapped(folder / "asked_in_row"),
            texts["text"].to_pylist(),
            texts["count"].to_numpy(),
            json.loads((folder / "skipped.json").read_text()),
            folder,
        )

    def discard(self) -> None:
        """Delete the saved counts."""
        shutil.rmtree(self.folder)

    @property
    def examples(self) -> pa.Table:
        """Up to `EXAMPLES` queries of each form, memory-mapped, as rows of `EXAMPLE` in input order."""
        return read_shard(self.folder / "examples.arrow")

    def sets(self, tag_of: Int32s, first: int, stop: int) -> tuple[Int64s, Int32s]:
        """For the queries from `first` up to `stop`, the number of distinct tags of each, and these tags concatenated.

        `tag_of` maps each form to its tag, -1 for none.
        """
        starts = self.starts[first : stop + 1]
        tags = tag_of[self.forms[starts[0] : starts[-1]]]
        queries = np.repeat(np.arange(stop - first), np.diff(starts))
        firsts = first_occurrences(queries, tags)
        return np.bincount(queries[firsts], minlength=stop - first), tags[firsts]

    def all_sets(self, tag_of: Int32s) -> tuple[Int64s, Int32s]:
        """`starts` and `tags` of all queries: query `q` has `tags[starts[q]:starts[q + 1]]`. 4 bytes per tag."""
        parts = (self.sets(tag_of, *bounds) for bounds in ranges_up_to(np.diff(self.starts), TAGS_AT_A_TIME))
        sizes, tags = map(np.concatenate, zip(*parts, strict=True))
        return _starts(sizes), tags


def first_occurrences(owners: Int64s, tags: Int32s) -> Int64s:
    """Indices, ascending, of the first occurrence of each tag of each owner; negative tags are skipped."""
    valid = np.flatnonzero(tags >= 0)
    _, firsts = np.unique(owners[valid] << 32 | tags[valid], return_index=True)
    return np.asarray(valid[np.sort(firsts)])


def ranges_up_to(sizes: Int64s, most: int) -> Iterator[tuple[int, int]]:
    """Consecutive ranges that cover `sizes`, each with a sum of at most `most` unless it has only one element."""
    sums = _starts(sizes)
    start = 0
    while start < len(sizes):
        stop = max(start + 1, int(np.searchsorted(sums, sums[start] + most, side="right")) - 1)
        yield start, stop
        start = stop


def count(table: pa.Table, column: str, work: Path, prepared: Callable[[int], None]) -> Occurrences:
    """Count the tags in `column`, or read the saved counts in `work`. Calls `prepared` with the number of rows done."""
    folder = work / "occurrences"
    if not folder.exists():
        with atomic(folder) as scratch:
            scratch.mkdir()
            counting = _Counting(scratch)
            done = 0
            for rows in portions(table, ROWS_AT_A_TIME, BYTES_AT_A_TIME):
                counting.add(rows, column)
                done += rows.num_rows
                prepared(done)
            counting.close()
    return Occurrences.open(folder)


class _Counting:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        names = ("forms", "tags_in_query", "queries_in_row", "asked_in_row")
        self._files = {name: (folder / name).open("wb") for name in names}
        self._examples = pa.ipc.new_stream(str(folder / "examples.arrow"), EXAMPLE)
        self._numbers: dict[str, int] = {}
        self._counts = np.zeros(0, np.int64)
        self._skipped: Counter[str] = Counter()

    def add(self, rows: pa.Table, column: str) -> None:
        lists = rows[column].combine_chunks()
        if pa.types.is_null(lists.type):
            lists = lists.cast(pa.list_(pa.string()))
        lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy().astype(np.int64)
        items = lists.flatten()
        owners = np.repeat(np.arange(rows.num_rows), lengths)
        is_struct = pa.types.is_struct(items.type)
        order, queries, queries_in_row = _queries(owners, _turns(items), rows.num_rows)
        forms = self._encode(pc.struct_field(items, "tag") if is_struct else items)[order]
        for number, reason in REASONS.items():
            self._skipped[reason] += int(np.count_nonzero(forms == number))
        firsts = first_occurrences(queries, forms)
        tags_in_query = np.bincount(queries[firsts], minlength=int(queries_in_row.sum()))
        of_row = np.repeat(np.arange(rows.num_rows), queries_in_row)
        self._write("forms", forms[firsts])
        self._write("tags_in_query", tags_in_query[tags_in_query > 0])
        self._write("queries_in_row", np.bincount(of_row[tags_in_query > 0], minlength=rows.num_rows))
        self._write("asked_in_row", np.maximum(queries_in_row, _asked(rows, items)))
        self._counts.resize(len(self._numbers), refcheck=False)
        self._save_examples(rows, items, forms[firsts], order[firsts], owners)
        self._counts += np.bincount(forms[firsts], minlength=len(self._numbers))

    def _encode(self, tags: pa.Array) -> Int32s:
        """The number of each tag's form, in order of first appearance; negative for an invalid tag."""
        encoded = tags.cast(pa.string()).dictionary_encode()
        numbers = np.array([*map(self._number, encoded.dictionary.to_pylist()), _NULL], np.int32)
        return np.asarray(numbers[pc.fill_null(encoded.indices, len(numbers) - 1).to_numpy()])

    def _number(self, tag: str) -> int:
        if not tag or tag.isspace():
            return _EMPTY
        return _OVERLONG if len(tag) > MOST_CHARACTERS else self._numbers.setdefault(tag, len(self._numbers))

    def _save_examples(self, rows: pa.Table, items: pa.Array, forms: Int32s, indices: Int64s, owners: Int64s) -> None:
        """Save the first queries of each form; `indices` are the positions of `forms` in `items`."""
        chosen = np.flatnonzero(self._counts[forms] < EXAMPLES)
        chosen = chosen[np.argsort(forms[chosen], kind="stable")]
        sorted_forms = forms[chosen]
        number_in_portion = np.arange(len(chosen)) - np.searchsorted(sorted_forms, sorted_forms)
        chosen = chosen[self._counts[sorted_forms] + number_in_portion < EXAMPLES]
        explanations = pa.nulls(len(chosen), pa.string())
        if _field_type(items.type, "explanation") is not None:
            texts = pc.struct_field(items.take(pa.array(indices[chosen])), "explanation").cast(pa.string())
            explanations = pc.utf8_slice_codeunits(texts, 0, EXPLANATION_CHARACTERS)
        ids = rows["id"].combine_chunks().take(pa.array(owners[indices[chosen]]))
        self._examples.write(pa.record_batch([pa.array(forms[chosen]), ids, explanations], schema=EXAMPLE))

    def _write(self, name: str, numbers: NDArray[np.integer]) -> None:
        self._files[name].write(numbers.astype(np.int32).tobytes())

    def close(self) -> None:
        self._examples.close()
        texts = pa.table({"text": pa.array(self._numbers, pa.string()), "count": self._counts})
        with pa.ipc.new_stream(str(self._folder / "texts.arrow"), texts.schema) as stream:
            stream.write_table(texts)
        (self._folder / "skipped.json").write_text(json.dumps(self._skipped))
        for file in self._files.values():
            file.close()
        for path in self._folder.iterdir():
            sync(path)


def _queries(owners: Int64s, turns: Int64s, rows: int) -> tuple[Int64s, Int64s, Int64s]:
    """Group tags into queries (the turns of rows). Returns an order of the tags by query, each tag's query in that
    order, and the number of queries of each row."""
    order = np.arange(len(owners))
    if np.any((np.diff(owners) == 0) & (np.diff(turns) < 0)):
        order = np.lexsort((turns, owners))
    owners, turns = owners[order], turns[order]
    is_first = np.ones(len(owners), bool)
    is_first[1:] = (np.diff(owners) != 0) | (np.diff(turns) != 0)
    return order, np.cumsum(is_first) - 1, np.bincount(owners[is_first], minlength=rows)


def _turns(items: pa.Array) -> Int64s:
    """Each tag's turn, 0 if unknown: then all tags of a row belong to one query."""
    return _integers(pc.struct_field(items, "turn")) if _has_turns(items) else np.zeros(len(items), np.int64)


def _asked(rows: pa.Table, items: pa.Array) -> Int64s:
    """Each row's own count of its queries, used if its tags have turns; otherwise 0."""
    if "queries" in rows.column_names and pa.types.is_integer(rows["queries"].type) and _has_turns(items):
        return _integers(rows["queries"])
    return np.zeros(rows.num_rows, np.int64)


def _has_turns(items: pa.Array) -> bool:
    kind = _field_type(items.type, "turn")
    return kind is not None and bool(pa.types.is_integer(kind))


def _field_type(kind: pa.DataType, name: str) -> pa.DataType | None:
    index = kind.get_field_index(name) if pa.types.is_struct(kind) else -1
    return kind.field(index).type if index >= 0 else None


def _integers(values: pa.Array | pa.ChunkedArray) -> Int64s:
    return np.asarray(pc.fill_null(values, 0).to_numpy(), np.int64)


def _mapped(path: Path) -> Int32s:
    # An empty file cannot be mapped.
    return np.asarray(np.memmap(path, np.int32, "r")) if path.stat().st_size else np.zeros(0, np.int32)


def _starts(sizes: NDArray[np.integer]) -> Int64s:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes, dtype=np.int64)])
