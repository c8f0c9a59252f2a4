"""What raw tags there are: each distinct form with the number of queries that have it. Out of core.

Strings are read once. After that a tag is a number: the forms of each query stand in a file, 4 bytes each, and later
steps only map them. All of it is laid by, so that a run that was killed does not count again.
"""

import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from synth.pipelines.runtime.portions import portions
from synth.schemas.atomic import atomic
from synth.schemas.dataset import read_shard

__all__ = ["Occurrences", "count"]

Numbers = NDArray[np.int32]
Whole = NDArray[np.int64]

# Longer texts are no tags: a model that has lost its way.
MOST_CHARACTERS = 200
# Queries that are shown to whoever reviews a merge, and how much of an explanation.
EXAMPLES = 3
EXPLANATION_CHARACTERS = 300

ROWS_AT_A_TIME = 1 << 16
BYTES_AT_A_TIME = 64 << 20
TAGS_AT_A_TIME = 1 << 21

# Numbers of what is no tag.
_EMPTY, _OVERLONG, _NULL = -1, -2, -3
REASONS = {_EMPTY: "empty_tags", _OVERLONG: "overlong_tags", _NULL: "null_tags"}

EXAMPLE = pa.schema([("form", pa.int32()), ("id", pa.string()), ("explanation", pa.string())])


@dataclass(frozen=True)
class Occurrences:
    """Query `q` has the forms `forms[starts[q]:starts[q + 1]]`, each once; row `r` the queries `rows[r]:rows[r + 1]`.

    Queries without a tag are left out there; `asked` is how many queries each row has with these. `texts` and `counts`
    are of each form its text and the number of queries that have it. `skipped` counts what was no tag, by reason.
    """

    forms: Numbers
    starts: Whole
    rows: Whole
    asked: Numbers
    texts: list[str]
    counts: Whole
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

    def forget(self) -> None:
        """Remove what was laid by."""
        shutil.rmtree(self.folder)

    @property
    def examples(self) -> pa.Table:
        """Up to three queries of each form, memory-mapped, as rows of `EXAMPLE` in the order of the input."""
        return read_shard(self.folder / "examples.arrow")

    def sets(self, tag_of: Numbers, first: int, stop: int) -> tuple[Whole, Numbers]:
        """Of the queries `first` to `stop` - 1: how many tags each has, and all these tags, each once a query.

        `tag_of` is the tag of each form, -1 for none.
        """
        starts = self.starts[first : stop + 1]
        tags = tag_of[self.forms[starts[0] : starts[-1]]]
        queries = np.repeat(np.arange(stop - first), np.diff(starts))
        firsts = first_of_each(queries, tags)
        return np.bincount(queries[firsts], minlength=stop - first), tags[firsts]

    def all_sets(self, tag_of: Numbers) -> tuple[Whole, Numbers]:
        """The tags of all queries: those of query `q` stand from `starts[q]` to `starts[q + 1]`. 4 bytes a tag."""
        parts = [self.sets(tag_of, *stretch) for stretch in stretches(np.diff(self.starts), TAGS_AT_A_TIME)]
        sizes, tags = ([part[i] for part in parts] for i in range(2))
        return _starts(np.concatenate(sizes)), np.concatenate(tags)


def first_of_each(owners: Whole, tags: Numbers) -> Whole:
    """Where each tag of each owner stands first, in order; what is negative is no tag."""
    valid = np.flatnonzero(tags >= 0)
    _, firsts = np.unique(owners[valid] << 32 | tags[valid], return_index=True)
    in_order: Whole = valid[np.sort(firsts)]
    return in_order


def stretches(sizes: Whole, most: int) -> Iterator[tuple[int, int]]:
    """Ranges that cover all of `sizes` in order, each with a sum of at most `most` unless it is a single one."""
    ends = np.cumsum(sizes)
    start = 0
    while start < len(sizes):
        before = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + most, side="right")))
        yield start, stop
        start = stop


def count(table: pa.Table, column: str, work: Path, prepared: Callable[[int], None]) -> Occurrences:
    """Count the tags in `column` of all rows, or read the counts in `work`; `prepared` is called with the rows done."""
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
        forms = self._numbered(_field(items, "tag") if pa.types.is_struct(items.type) else items)
        in_order, queries, queries_in_row = _queries(owners, _turns(items), rows.num_rows)
        forms = forms[in_order]
        for number, reason in REASONS.items():
            self._skipped[reason] += int(np.count_nonzero(forms == number))
        firsts = first_of_each(queries, forms)
        tags_in_query = np.bincount(queries[firsts], minlength=int(queries_in_row.sum()))
        of_row = np.repeat(np.arange(rows.num_rows), queries_in_row)
        self._write("forms", forms[firsts])
        self._write("tags_in_query", tags_in_query[tags_in_query > 0])
        self._write("queries_in_row", np.bincount(of_row[tags_in_query > 0], minlength=rows.num_rows))
        self._write("asked_in_row", np.maximum(queries_in_row, _asked(rows, items)))
        self._lay_by_examples(rows, items, forms[firsts], in_order[firsts], owners)
        self._counts = _padded(self._counts, len(self._numbers)) + np.bincount(
            forms[firsts], minlength=len(self._numbers)
        )

    def _numbered(self, tags: pa.Array) -> Numbers:
        """The number of each tag's form, in the order in which forms are met; negative where it is no tag."""
        encoded = tags.cast(pa.string()).dictionary_encode()
        numbers = [*map(self._number, encoded.dictionary.to_pylist()), _NULL]
        places = pc.fill_null(encoded.indices, len(numbers) - 1).to_numpy()
        found: Numbers = np.take(np.array(numbers, np.int32), places)
        return found

    def _number(self, tag: str) -> int:
        if not tag or tag.isspace():
            return _EMPTY
        return _OVERLONG if len(tag) > MOST_CHARACTERS else self._numbers.setdefault(tag, len(self._numbers))

    def _lay_by_examples(self, rows: pa.Table, items: pa.Array, forms: Numbers, places: Whole, owners: Whole) -> None:
        """The first queries of each form, of which `places` are its tags among `items`."""
        seen = _padded(self._counts, len(self._numbers))
        chosen = np.flatnonzero(seen[forms] < EXAMPLES)
        chosen = chosen[np.argsort(forms[chosen], kind="stable")]
        of = forms[chosen]
        number_in_portion = np.arange(len(of)) - np.searchsorted(of, of)
        chosen = chosen[seen[of] + number_in_portion < EXAMPLES]
        shown = pa.array(places[chosen])
        explained = pa.types.is_struct(items.type) and items.type.get_field_index("explanation") >= 0
        explanations = _field(items.take(shown), "explanation").cast(pa.string()) if explained else None
        self._examples.write(
            pa.record_batch(
                [
                    pa.array(forms[chosen]),
                    rows["id"].combine_chunks().take(pa.array(owners[places[chosen]])),
                    pc.utf8_slice_codeunits(explanations, 0, EXPLANATION_CHARACTERS)
                    if explanations is not None
                    else pa.nulls(len(chosen), pa.string()),
                ],
                schema=EXAMPLE,
            )
        )

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
            with path.open("rb") as whole:
                os.fsync(whole.fileno())


def _queries(owners: Whole, turns: Whole, rows: int) -> tuple[Whole, Whole, Whole]:
    """Tags by their queries, which are the turns of rows: the order in which to take them, the query of each tag then,
    and how many queries each row has."""
    in_order = np.arange(len(owners))
    if np.any((np.diff(owners) == 0) & (np.diff(turns) < 0)):
        in_order = np.lexsort((turns, owners))
    owners, turns = owners[in_order], turns[in_order]
    begins = np.ones(len(owners), bool)
    begins[1:] = (np.diff(owners) != 0) | (np.diff(turns) != 0)
    return in_order, np.cumsum(begins) - 1, np.bincount(owners[begins], minlength=rows)


def _turns(items: pa.Array) -> Whole:
    """The turn of each tag; 0 where that is not said, so that all tags of a row are of one query."""
    if not _has_turns(items.type):
        return np.zeros(len(items), np.int64)
    turns: Whole = pc.fill_null(_field(items, "turn"), 0).to_numpy().astype(np.int64)
    return turns


def _asked(rows: pa.Table, items: pa.Array) -> Whole:
    """How many queries each row says that it has, where its tags say of which turn they are."""
    told = "queries" in rows.column_names and pa.types.is_integer(rows.schema.field("queries").type)
    if not told or not _has_turns(items.type):
        return np.zeros(rows.num_rows, np.int64)
    asked: Whole = pc.fill_null(rows["queries"], 0).to_numpy().astype(np.int64)
    return asked


def _has_turns(kind: pa.DataType) -> bool:
    place = kind.get_field_index("turn") if pa.types.is_struct(kind) else -1
    return place >= 0 and bool(pa.types.is_integer(kind.field(place).type))


def _field(items: pa.Array, name: str) -> pa.Array:
    return pc.struct_field(items, name)


def _padded(numbers: Whole, size: int) -> Whole:
    return np.concatenate([numbers, np.zeros(size - len(numbers), np.int64)])


def _mapped(path: Path) -> Numbers:
    # An empty file cannot be mapped.
    return np.asarray(np.memmap(path, np.int32, "r")) if path.stat().st_size else np.zeros(0, np.int32)


def _starts(sizes: Numbers) -> Whole:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes, dtype=np.int64)])
