"""Comparing two datasets: rows matched by id, values compared whatever their types and their order."""

import json
import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from synth.schemas.dataset import Dataset
from synth.schemas.fingerprints import fingerprints
from synth.schemas.inspecting.comparison import Comparison, Side, compare

ROWS = [{"id": f"q-{index}", "text": f"Frage № {index}", "n": index, "score": index / 7} for index in range(5000)]


def saved(path: Path, rows: list[dict[str, Any]] | pa.Table) -> Dataset:
    """A dataset directory of one shard, without a run record."""
    table = rows if isinstance(rows, pa.Table) else pa.Table.from_pylist(rows)
    path.mkdir(parents=True)
    with pa.ipc.new_stream(str(path / "data.arrow"), table.schema) as stream:
        stream.write_table(table, max_chunksize=1000)
    (path / "state.json").write_text(json.dumps({"_data_files": [{"filename": "data.arrow"}]}))
    return Dataset.open(path)


def compared(folder: Path, a: list[dict[str, Any]] | pa.Table, b: list[dict[str, Any]] | pa.Table) -> Comparison:
    return compare(saved(folder / "a", a), saved(folder / "b", b))


def names(side: Side, rows: Any) -> list[str]:
    return [side.name(int(row)) for row in rows]


def test_rows_are_matched_by_id_in_any_order(tmp_path: Path) -> None:
    shuffled = random.Random(0).sample(ROWS, len(ROWS))
    found = compared(tmp_path, ROWS, shuffled)
    assert (found.equal, found.same, found.moved) == (True, 5000, True)


def test_rows_of_one_side_and_changed_rows_are_told_apart(tmp_path: Path) -> None:
    other = [dict(row) for row in ROWS if row["id"] != "q-4999"]
    other[7]["text"] = "another"
    other[9].update(text=None, n=-1)
    other.insert(0, {"id": "new", "text": "", "n": 0, "score": 0.0})
    found = compared(tmp_path, ROWS, other)
    assert names(found.a, found.a.only) == ["q-4999"]
    assert names(found.b, found.b.only) == ["new"]
    assert names(found.a, found.a.changed) == names(found.b, found.b.changed) == ["q-7", "q-9"]
    assert found.by_column == {"text": 2, "n": 1}
    assert (found.equal, found.same, found.moved) == (False, 4997, False)
    assert found.b.values(int(found.b.changed[1]))["n"] == -1


@pytest.mark.parametrize(
    ("a", "b", "equal"),
    [
        (pa.array([1, None], pa.int32()), pa.array([1, None], pa.int64()), True),
        (pa.array([1, 2]), pa.array([1.0, 2.0]), True),
        (pa.array([0.0, math.nan]), pa.array([-0.0, math.nan]), True),
        (pa.array([0, 1]), pa.array([None, 1]), False),
        (pa.array(["", "a"]), pa.array([None, "a"]), False),
        (pa.array(["a", "b"]), pa.array(["a", "b"], pa.large_string()), True),
        (pa.array(["a", "a"]), pa.array(["a", "a"]).dictionary_encode(), True),
        (pa.array(["1", "2"]), pa.array([1, 2]), False),
        (pa.array([None, None], pa.string()), pa.array([None, None], pa.int8()), True),
        (pa.array([[{"role": "user"}], []]), pa.array([[{"role": "user"}], []]), True),
        (pa.array([[{"role": "user"}], []]), pa.array([[{"role": "tool"}], []]), False),
        (pa.array([b"a", b"\xff"]), pa.array([b"a", b"\xfe"]), False),
    ],
    ids=[
        "int32 int64",
        "int float",
        "zeros and NaN",
        "null is not 0",
        "null is not empty",
        "large text",
        "dictionary",
        "text is not a number",
        "nulls of any type",
        "nested equal",
        "nested different",
        "bytes",
    ],
)
def test_values_are_compared_and_not_their_types(tmp_path: Path, a: pa.Array, b: pa.Array, equal: bool) -> None:
    ids = ["x", "y"]
    found = compared(tmp_path, pa.table({"id": ids, "value": a}), pa.table({"id": ids, "value": b}))
    assert found.equal is equal
    assert bool(found.types) is (a.type != b.type)


def test_a_column_that_one_side_lacks_is_a_difference(tmp_path: Path) -> None:
    found = compared(tmp_path, ROWS[:3], [{"id": row["id"], "n": row["n"], "extra": 1} for row in ROWS[:3]])
    assert (found.columns_only_a, found.columns_only_b) == (["text", "score"], ["extra"])
    assert (found.equal, found.same) == (False, 3)


def test_without_ids_rows_are_matched_by_place(tmp_path: Path) -> None:
    found = compared(tmp_path, [{"t": "a"}, {"t": "b"}], [{"t": "a"}, {"t": "c"}, {"t": "d"}])
    assert names(found.a, found.a.changed) == ["row 2"]
    assert names(found.b, found.b.only) == ["row 3"]


def test_an_id_that_repeats_is_matched_in_turn(tmp_path: Path) -> None:
    a = [{"id": "x", "n": number} for number in (1, 2, 3)]
    assert compared(tmp_path, a, a).equal
    assert compared(tmp_path / "less", a, a[:2]).a.only.tolist() == [2]
    assert compared(tmp_path / "other", a, [a[0], a[2], a[2]]).a.changed.tolist() == [1]


def test_a_dataset_without_rows_or_columns_lacks_all(tmp_path: Path) -> None:
    empty = saved(tmp_path / "empty", pa.table({"id": pa.array([], pa.string())}))
    assert compare(empty, empty).equal
    found = compare(saved(tmp_path / "a", ROWS[:3]), empty)
    assert (found.equal, len(found.a.only)) == (False, 3)


def test_fingerprints_of_different_values_differ() -> None:
    for values in (["", "a", "b", "ab"], [b"", b"\x00"], [0, 1, -1], [0.0, 0.5, math.inf], [[1], [1, 2], [[]][0]]):
        assert len(np.unique(fingerprints(pa.array(values)))) == len(values)
