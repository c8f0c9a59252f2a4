"""Rows that come more than once: their ids, their numbers, and which rows they repeat."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth.pipelines.runtime.repeats import appearances, first_rows, numbered, require_new_ids, unrepeated
from synth.schemas.errors import InputError


def test_the_first_keeps_its_id_and_the_others_are_numbered() -> None:
    table = pa.table({"text": ["C", "A", "C", "C"], "id": ["c", "a", "c", "c"]})
    assert numbered(table, np.array([1, 1, 2, 3], np.int32)).to_pylist() == [
        {"text": "C", "id": "c", "repeat": 1},
        {"text": "A", "id": "a", "repeat": 1},
        {"text": "C", "id": "c/repeat-2", "repeat": 2},
        {"text": "C", "id": "c/repeat-3", "repeat": 3},
    ]


def test_rows_that_have_been_repeated_before_get_new_numbers() -> None:
    table = pa.table({"id": ["a/repeat-2"] * 2, "repeat": pa.array([2, 2], pa.int32())})
    assert numbered(table, np.array([1, 2], np.int32)).to_pylist() == [
        {"id": "a/repeat-2", "repeat": 1},
        {"id": "a/repeat-2/repeat-2", "repeat": 2},
    ]


def test_an_id_that_is_taken_already_is_refused() -> None:
    ids = pa.chunked_array([["a"], ["a/repeat-2"]])
    with pytest.raises(InputError, match=r"a repeated row would get the id 'a/repeat-2', which another row has"):
        require_new_ids(ids, np.array([0, 0]), np.array([1, 2], np.int32))
    require_new_ids(ids, np.array([0, 1, 1]), np.array([1, 1, 2], np.int32))


@given(st.lists(st.integers(0, 5)))
def test_appearances_are_counted_in_order(rows: list[int]) -> None:
    assert appearances(np.array(rows, np.int64)).tolist() == [rows[: at + 1].count(row) for at, row in enumerate(rows)]


def test_a_repeated_row_leads_to_the_one_that_it_repeats() -> None:
    ids = pa.chunked_array([["a", "b/repeat-2"], ["a/repeat-2", "a/repeat-2/repeat-3", "b/repeat-x", "a/repeat-3/x"]])
    assert first_rows(ids).tolist() == [0, 1, 0, 2, 4, 5]
    assert unrepeated(ids).to_pylist() == ["a", "b", "a", "a/repeat-2", "b/repeat-x", "a/repeat-3/x"]
