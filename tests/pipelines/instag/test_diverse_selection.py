"""Selecting tagged rows: which ones, in which order, whole, and what is told of the others."""

from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

import orjson
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth.pipelines.instag.select import SelectRows, Way
from synth.pipelines.runtime import gather
from synth.pipelines.runtime.counts import Counts
from synth.pipelines.runtime.gather import gathered
from synth.pipelines.runtime.options import Options
from synth.pipelines.runtime.runner import Run
from synth.schemas.dataset import Dataset
from synth.schemas.errors import InputError
from tests.rows import rows_of, write_rows

Rows = list[dict[str, Any]]


def selected(stage: SelectRows, source: Path, out: Path, **options: Any) -> tuple[Rows, Counts]:
    counts = Run(stage, [str(source)], out, Options(**options)).execute().counts
    return rows_of(out), counts


def pool(folder: Path, *tags: Any, column: str = "tags") -> Path:
    """Rows `r-0`, `r-1`, ... with these tags."""
    return write_rows(folder / "pool.jsonl", [{"id": f"r-{i}", "n": i, column: each} for i, each in enumerate(tags)])


def ids(stage: SelectRows, source: Path, out: Path, **options: Any) -> list[str]:
    return [row["id"] for row in selected(stage, source, out, fresh=True, **options)[0]]


def many(folder: Path) -> Path:
    return pool(folder, *([f"t{i % 7}", f"t{i % 11}", f"t{i % 13}"][: i % 4] for i in range(200)))


def test_a_tag_that_a_row_has_twice_counts_once(tmp_path: Path) -> None:
    source = pool(tmp_path, ["a", "a", "a"], ["a", "b"], ["c", "c"])
    assert ids(SelectRows(3), source, tmp_path / "out") == ["r-1", "r-2", "r-0"]


@pytest.mark.parametrize("by", get_args(Way))
def test_rows_without_tags_are_never_selected_and_what_is_missing_is_told(tmp_path: Path, by: str) -> None:
    source = pool(tmp_path, [], ["a"], None, [""], [None], ["b", "", None])
    rows, counts = selected(SelectRows(5, by), source, tmp_path / "out")
    assert sorted(row["id"] for row in rows) == ["r-1", "r-5"]
    assert (counts.tallies["shortfall"], counts.reasons) == (3, {"no_tags": 4})


def test_a_pool_without_any_tag_gives_nothing(tmp_path: Path) -> None:
    rows, counts = selected(SelectRows(1), pool(tmp_path, [], None), tmp_path / "out")
    assert (rows, counts.reasons, counts.tallies["shortfall"]) == ([], {"no_tags": 2}, 1)


@pytest.mark.parametrize("by", get_args(Way))
def test_rows_that_were_not_selected_are_counted_and_not_copied(tmp_path: Path, by: str) -> None:
    rows, counts = selected(SelectRows(10, by), many(tmp_path), tmp_path / "out")
    assert len({row["id"] for row in rows}) == 10
    assert (counts.produced, counts.reasons) == (10, {"not_selected": 140, "no_tags": 50})
    assert Dataset.open(tmp_path / "out").rejected is None


def test_the_summary_tells_complexity_and_coverage_of_what_was_selected_and_of_the_pool(tmp_path: Path) -> None:
    source = pool(tmp_path, ["a", "b", "c"], ["a"], ["d"], [])
    record = Run(SelectRows(1), [str(source)], tmp_path / "out", Options()).execute().record
    assert record["means"] == {"complexity": 3, "pool_complexity": 1.25, "coverage": 0.75}
    assert record["counts"]["tallies"]["pool_tags"] == 4


def test_complexity_is_told_by_query_where_the_rows_tell_of_their_queries(tmp_path: Path) -> None:
    rows = [
        {"tags": ["a", "b", "c"], "tags_per_query": 1.5, "queries": 4},
        {"tags": ["a", "b"], "tags_per_query": 2.0, "queries": 1},
    ]
    record = (
        Run(SelectRows(1), [str(write_rows(tmp_path / "pool.jsonl", rows))], tmp_path / "out", Options())
        .execute()
        .record
    )
    assert (record["means"]["complexity"], record["means"]["pool_complexity"]) == (1.5, 1.6)


def test_by_complexity_are_the_rows_with_the_most_tags_the_first_of_equals_first(tmp_path: Path) -> None:
    source = pool(tmp_path, ["a"], ["a", "b"], ["a", "b", "c"], ["a", "c"], ["a", "b", "c"])
    assert ids(SelectRows(4, "complexity"), source, tmp_path / "out") == ["r-2", "r-4", "r-1", "r-3"]


def test_by_diversity_every_row_adds_a_tag_in_its_round(tmp_path: Path) -> None:
    rows, _ = selected(SelectRows(40, "diversity"), many(tmp_path), tmp_path / "out")
    covered: set[str] = set()
    started = 1
    for row in rows:
        if set(row["tags"]) <= covered:
            covered, started = set(), started + 1
        covered |= set(row["tags"])
    _, counts = selected(SelectRows(40, "diversity"), many(tmp_path), tmp_path / "out")
    assert started == counts.tallies["rounds"]


def test_a_random_selection_follows_from_the_seed_and_the_ids_alone(tmp_path: Path) -> None:
    rows = [orjson.loads(line) for line in many(tmp_path).read_bytes().splitlines()]
    backwards = write_rows(tmp_path / "backwards.jsonl", rows[::-1])
    for by in ("random", "diversity"):
        drawn = ids(SelectRows(20, by), tmp_path / "pool.jsonl", tmp_path / "out")
        assert ids(SelectRows(20, by), backwards, tmp_path / "out") == drawn
        assert ids(SelectRows(30, by), backwards, tmp_path / "out")[:20] == drawn
        assert ids(SelectRows(20, by), backwards, tmp_path / "out", seed=1) != drawn


def test_rows_come_out_whole(tmp_path: Path) -> None:
    table = pa.table(
        {
            "id": ["x", "y"],
            "messages": [[{"role": "user", "content": "\U0001f600 text " * 50_000}], None],
            "tags": [["a"], ["a", "ф"]],
            "score": pa.array([None, 0.5], pa.float32()),
            "picture": [b"\x00\xff", None],
        }
    )
    pyarrow.parquet.write_table(table, tmp_path / "pool.parquet")
    selected(SelectRows(2), tmp_path / "pool.parquet", tmp_path / "out")
    written = Dataset.open(tmp_path / "out").table
    assert written.schema.equals(table.schema)
    assert written.to_pylist() == table.to_pylist()[::-1]


def test_a_selection_is_a_pool_again(tmp_path: Path) -> None:
    first, _ = selected(SelectRows(30), many(tmp_path), tmp_path / "first")
    again, _ = selected(SelectRows(30, "complexity"), tmp_path / "first", tmp_path / "again")
    assert again == sorted(first, key=lambda row: -len(set(row["tags"])))


@pytest.mark.parametrize(
    "tags", [[["a"], ["a", "b"]], [[{"tag": "a", "turn": 1}], [{"tag": "a", "turn": 1}, {"tag": "b", "turn": 1}]]]
)
def test_tags_may_be_texts_or_objects_in_a_column_of_any_name(tmp_path: Path, tags: list[Any]) -> None:
    assert ids(SelectRows(1, tags="labels"), pool(tmp_path, *tags, column="labels"), tmp_path / "out") == ["r-1"]


@pytest.mark.parametrize(
    ("column", "named", "said"),
    [
        ("labels", None, r"column tags, which does not exist: .* --tags NAME \(labels could be read\)"),
        ("labels", "n", r"column n, which is int64: name another with --tags NAME"),
        ("n", None, r"column tags, which does not exist: .*\(there is only id, n\)"),
    ],
)
def test_a_column_that_holds_no_tags_is_refused_naming_those_that_do(
    tmp_path: Path, column: str, named: str | None, said: str
) -> None:
    source = write_rows(tmp_path / "pool.jsonl", [{"id": "x", "n": 1, column: ["a"] if column != "n" else 1}])
    with pytest.raises(InputError, match=said):
        Run(SelectRows(1, tags=named), [str(source)], tmp_path / "out", Options()).execute()


def test_rows_of_thousands_of_tags_and_tags_of_thousands_of_characters_are_rows_like_others(tmp_path: Path) -> None:
    wide = [f"tag {number}" for number in range(5_000)]
    source = pool(tmp_path, ["x" * 10_000, "\x1b[2J\n"], wide, [wide[0]])
    assert ids(SelectRows(3), source, tmp_path / "out") == ["r-1", "r-0", "r-2"]


def test_every_row_may_have_tags_of_its_own(tmp_path: Path) -> None:
    rows, counts = selected(
        SelectRows(20_000), pool(tmp_path, *([f"{i}", f"-{i}"] for i in range(20_000))), tmp_path / "out"
    )
    assert [row["n"] for row in rows] == list(range(20_000))
    assert (counts.tallies["rounds"], counts.tallies["pool_tags"]) == (1, 40_000)


def test_one_tag_in_all_rows_takes_a_round_for_each(tmp_path: Path) -> None:
    _, counts = selected(SelectRows(3_000), pool(tmp_path, *([["a"]] * 5_000)), tmp_path / "out")
    assert counts.tallies["rounds"] == 3_000


@given(st.data())
def test_rows_are_picked_in_any_order_from_pieces_of_any_size(data: st.DataObject) -> None:
    sizes = data.draw(st.lists(st.integers(0, 5), min_size=1, max_size=8))
    table = pa.table({"text": [f"{i}" * i for i in range(sum(sizes))], "list": [[i, i] for i in range(sum(sizes))]})
    ends = [sum(sizes[:place]) for place in range(len(sizes) + 1)]
    pieces = pa.concat_tables([table.slice(start, end - start) for start, end in pairwise(ends)])
    rows = data.draw(st.permutations(range(table.num_rows)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gather, "FIRST_ROWS", data.draw(st.integers(1, 4)))
        patch.setattr(gather, "BYTES_AT_A_TIME", data.draw(st.integers(1, 400)))
        found = list(gathered(pieces, pa.array(rows, pa.int64()).to_numpy()))
    assert [row for each in found for row in each.to_pylist()] == table.take(pa.array(rows, pa.int64())).to_pylist()
