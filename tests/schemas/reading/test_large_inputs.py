"""Large inputs: repeated ids are found, and missing columns added, without memory for each row."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from synth.schemas.reading import bad_rows
from synth.schemas.reading.bad_rows import duplicates
from synth.schemas.reading.columns import null_column


@pytest.fixture(params=["in memory", "in a file"])
def hashes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bad_rows, "HASHED_AT_ONCE", 3)
    if request.param == "in a file":
        monkeypatch.setattr(bad_rows, "HASHES_IN_MEMORY", 0)


def ids(*parts: str) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(list(part), pa.string()) for part in parts], pa.string())


@pytest.mark.usefixtures("hashes")
@pytest.mark.parametrize(
    ("rows", "found"),
    [
        (ids("abcdefg", "hijk"), []),
        (ids("abcdefg", "", "hbija"), [(1, 8), (0, 11)]),
        (ids("aaaa", "aa"), [(0, 1), (0, 2), (0, 3), (0, 4), (0, 5)]),
        (ids("a"), []),
        (ids(), []),
    ],
)
def test_each_repeated_id_is_found_with_its_first_row(
    tmp_path: Path, rows: pa.ChunkedArray, found: list[tuple[int, int]]
) -> None:
    assert list(duplicates(rows, tmp_path)) == found
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("hashes")
def test_ids_with_one_hash_are_not_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bad_rows, "fingerprints", lambda values: np.zeros(len(values), np.uint64))
    assert list(duplicates(ids("abc", "db"), tmp_path)) == [(1, 4)]


@pytest.mark.parametrize("kind", [pa.string(), pa.list_(pa.int64()), pa.struct([("x", pa.float64())])])
def test_a_column_of_a_billion_nulls_takes_little_memory(kind: pa.DataType) -> None:
    before = pa.total_allocated_bytes()
    column = null_column(1_000_000_000, kind)
    assert pa.total_allocated_bytes() - before < 2_000_000
    assert (len(column), column.null_count, column[999_999_999].as_py()) == (1_000_000_000, 1_000_000_000, None)
    assert null_column(0, kind).type == kind
