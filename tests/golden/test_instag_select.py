"""The worked vector of complexity-first diverse sampling (InsTag, arXiv 2308.07074, Algorithm 1)."""

from pathlib import Path

import orjson
import pytest

from synth.pipelines.instag.select import SelectRows
from synth.pipelines.runtime.options import Options
from synth.pipelines.runtime.runner import Run
from tests.rows import rows_of

POOL = {
    "a": ["t1", "t2", "t3"],
    "b": ["t1", "t2"],
    "c": ["t4"],
    "d": ["t1", "t4"],
    "e": ["t5", "t1", "t2", "t4"],
    "f": [],
}


@pytest.mark.parametrize(
    ("n", "order", "rounds"),
    [(1, "e", 1), (2, "ea", 1), (3, "eab", 2), (4, "eabd", 2), (5, "eabdc", 3), (6, "eabdc", 3)],
)
def test_rows_come_out_in_the_order_in_which_they_are_selected(tmp_path: Path, n: int, order: str, rounds: int) -> None:
    pool = tmp_path / "pool.jsonl"
    pool.write_bytes(b"\n".join(orjson.dumps({"id": name, "tags": tags}) for name, tags in POOL.items()))
    counts = Run(SelectRows(n), [str(pool)], tmp_path / "out", Options()).execute().counts
    assert [row["id"] for row in rows_of(tmp_path / "out")] == list(order)
    assert counts.tallies["rounds"] == rounds
    assert counts.tallies.get("shortfall", 0) == n - len(order)
    assert (counts.produced, counts.reasons["no_tags"]) == (len(order), 1)
