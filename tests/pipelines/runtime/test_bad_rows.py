"""Unusable input rows: refused, or rejected with their reason and counted like other rows."""

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pytest
from datasets import load_from_disk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from synth.pipelines.runtime.options import Options
from synth.pipelines.runtime.runner import Run, Summary
from synth.pipelines.runtime.stage import Output, Reject, Rejected, Row, RowStage, TableStage, Tools
from synth.schemas.dataset import Dataset
from synth.schemas.errors import InputError, Partial
from synth.schemas.record import Record
from synth.schemas.records import QUERY, ROW
from tests.rows import rows_of


@dataclass(frozen=True)
class Echo(RowStage):
    """Repeats a query; some queries are rejected or fail on request."""

    name: ClassVar[str] = "echo"
    input: ClassVar[Record] = QUERY
    output: ClassVar[Record] = QUERY

    async def process(self, row: Row, _: Tools) -> AsyncIterator[Row | Rejected]:
        if row["query"] == "no":
            raise Reject("unwanted", "it says so")
        if row["query"] == "crash":
            raise ZeroDivisionError("as it says")
        yield {"id": f"{row['id']}/echo", "query": row["query"]}


@dataclass(frozen=True)
class Copy(TableStage):
    name: ClassVar[str] = "copy"
    input: ClassVar[Record] = ROW
    output: ClassVar[Record] = ROW

    def process(self, tables: Sequence[pa.Table], output: Output) -> None:
        for table in tables:
            output.write_table(table, accounts_for=table.num_rows)


GOOD = '{"id": "a", "query": "one"}'
LINES = [
    GOOD,
    '{"id": "b", "query":',
    '{"query": "two"}',
    "[3]",
    '{"id": "c", "query": {"text": "three"}}',
    '{"id": "d", "text": "four"}',
    '{"id": "e", "query": null}',
    '{"id": "a", "query": "again"}',
    '{"id": "f", "query": "\\ud800"}',
    '{"id": "g", "query": "no"}',
    '{"id": "h", "query": "last"}',
]
# The fault of each bad line, counted from 1, and the id of its row.
BAD = [
    ("unreadable_row", 2, "in-1"),
    ("unreadable_row", 4, "in-3"),
    ("wrong_type", 5, "c"),
    ("missing_column", 6, "d"),
    ("null_value", 7, "e"),
    ("repeated_id", 8, "a"),
    ("unreadable_row", 9, "in-8"),
]


def written(folder: Path, lines: list[str], name: str = "in.jsonl") -> str:
    (folder / name).write_text("".join(line + "\n" for line in lines))
    return str(folder / name)


def echo(spec: str, out: Path, **options: Any) -> Summary:
    return Run(Echo(), [spec], out, Options(bad_rows="reject", **options)).execute()


def rejected(out: Path) -> list[dict[str, Any]]:
    folder = Dataset.open(out).rejected
    return list(folder.rows()) if folder else []


def ids(out: Path) -> list[str]:
    return [row["id"] for row in rows_of(out)]


def test_bad_rows_are_rejected_with_reason_position_and_text(tmp_path: Path) -> None:
    spec, out = written(tmp_path, LINES), tmp_path / "out"
    counts = echo(spec, out).counts
    assert ids(out) == ["a/echo", "in-2/echo", "h/echo"]
    bad = [row for row in rejected(out) if row["reason"] != "unwanted"]
    assert [(row["reason"], row["id"]) for row in bad] == [(reason, row_id) for reason, _, row_id in BAD]
    for row, (_, line, _) in zip(bad, BAD, strict=True):
        assert f"in.jsonl:{line}" in row["detail"]
        if row["reason"] == "unreadable_row":
            assert row["raw_row"] == LINES[line - 1]
        else:
            assert json.loads(row["raw_row"]).items() >= json.loads(LINES[line - 1]).items()
    assert counts.reasons == {
        "unwanted": 1, "unreadable_row": 3, "wrong_type": 1, "missing_column": 1, "null_value": 1, "repeated_id": 1,
    }  # fmt: skip
    assert (Dataset.open(out).run or {})["input_rows"] == len(LINES) == counts.produced + counts.rejected
    assert len(load_from_disk(out / "rejected")) == 8


def test_without_the_option_the_first_bad_row_ends_the_run(tmp_path: Path) -> None:
    spec = written(tmp_path, LINES)
    with pytest.raises(InputError, match=r"in.jsonl:2 is not JSON"):
        Run(Echo(), [spec], tmp_path / "out", Options()).execute()
    assert not (tmp_path / "out").exists()


def test_the_option_is_part_of_the_identity(tmp_path: Path) -> None:
    spec, out = written(tmp_path, [GOOD]), tmp_path / "out"
    Run(Echo(), [spec], out, Options()).execute()
    assert Run(Echo(), [spec], out, Options()).status().changed == []
    assert Run(Echo(), [spec], out, Options(bad_rows="reject")).status().changed == [("bad_rows", None, "reject")]


def test_ids_stay_when_a_bad_row_is_fixed(tmp_path: Path) -> None:
    lines = ['{"query": "one"}', "{", '{"query": "two"}']
    echo(written(tmp_path, lines), tmp_path / "before")
    echo(written(tmp_path, [lines[0], '{"query": "new"}', lines[2]]), tmp_path / "after")
    assert ids(tmp_path / "before") == ["in-0/echo", "in-2/echo"]
    assert ids(tmp_path / "after") == ["in-0/echo", "in-1/echo", "in-2/echo"]


def test_the_limit_counts_bad_rows_and_until_those_before_its_last_row(tmp_path: Path) -> None:
    spec = written(tmp_path, LINES)
    assert (echo(spec, tmp_path / "limited", limit=4).record["input_rows"], len(rejected(tmp_path / "limited"))) == (
        4,
        2,
    )
    cut = echo(spec, tmp_path / "cut", until=2)
    assert ids(tmp_path / "cut") == ["a/echo", "in-2/echo"]
    assert (cut.record["input_rows"], [row["id"] for row in rejected(tmp_path / "cut")]) == (3, ["in-1"])


def test_a_failed_run_continues_and_failed_rows_are_retried(tmp_path: Path) -> None:
    spec, out = written(tmp_path, [*LINES, '{"id": "x", "query": "crash"}', "}"]), tmp_path / "out"
    with pytest.raises(Partial):
        echo(spec, out)
    allowed = echo(spec, out, max_failures=1)
    assert (allowed.counts.failed, allowed.record["input_rows"]) == (1, 13)
    for _ in range(2):
        again = echo(spec, out, max_failures=1, retry_failed=True)
        assert (again.counts, again.record["input_rows"]) == (allowed.counts, 13)
        assert len(rejected(out)) == 10


def test_an_input_of_only_bad_rows_is_refused(tmp_path: Path) -> None:
    spec = written(tmp_path, ["{", "["])
    with pytest.raises(InputError, match=r"in.jsonl has 2 rows, none of which can be used: .*in.jsonl:1 is not JSON"):
        echo(spec, tmp_path / "out")


def test_a_column_missing_in_all_rows_is_still_refused(tmp_path: Path) -> None:
    parquet.write_table(pa.table({"id": ["a"], "text": ["one"]}), tmp_path / "in.parquet")
    with pytest.raises(InputError, match="has no column query"):
        echo(str(tmp_path / "in.parquet"), tmp_path / "out")


def test_rows_of_a_dataset_directory_are_rejected_too(tmp_path: Path) -> None:
    columns = {"id": ["a", "b", "a", "c"], "query": ["one", None, "three", "four"]}
    parquet.write_table(pa.table(columns), tmp_path / "in.parquet")
    Run(Copy(), [str(tmp_path / "in.parquet")], tmp_path / "first", Options(bad_rows="reject")).execute()
    assert [(row["reason"], row["id"]) for row in rejected(tmp_path / "first")] == [("repeated_id", "a")]
    counts = echo(str(tmp_path / "first"), tmp_path / "second").counts
    assert (ids(tmp_path / "second"), counts.reasons) == (["a/echo", "c/echo"], {"null_value": 1})


def test_bad_rows_of_several_inputs_are_combined(tmp_path: Path) -> None:
    one = written(tmp_path, [GOOD, "{"], "one.jsonl")
    two = written(tmp_path, ["}", '{"id": "b", "query": "x"}', '{"id": "a", "query": "y"}'], "two.jsonl")
    summary = Run(Copy(), [one, two], tmp_path / "out", Options(bad_rows="reject")).execute()
    assert ids(tmp_path / "out") == ["a", "b"]
    assert [(row["reason"], row["id"]) for row in rejected(tmp_path / "out")] == [
        ("unreadable_row", "one-1"), ("unreadable_row", "two-0"), ("repeated_id", "a"),
    ]  # fmt: skip
    assert f"{one}:1 and again in {two}:3" in rejected(tmp_path / "out")[-1]["detail"]
    assert summary.record["input_rows"] == 5


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(drawn=st.lists(st.sampled_from(LINES), min_size=1, max_size=25), data=st.data())
def test_every_row_is_accounted_for_in_any_order(
    tmp_path_factory: pytest.TempPathFactory, drawn: list[str], data: Any
) -> None:
    folder = tmp_path_factory.mktemp("rows")
    limit = data.draw(st.none() | st.integers(1, 30))
    spec, out = written(folder, drawn), folder / "out"
    usable = set(drawn[:limit]) & {GOOD, LINES[2], LINES[7], LINES[9], LINES[10]}
    if not usable:
        with pytest.raises(InputError, match="none of which can be used"):
            echo(spec, out, limit=limit)
        return
    record = echo(spec, out, limit=limit).record
    read = len(drawn) if limit is None else min(limit, len(drawn))
    assert record["input_rows"] == read == record["counts"]["produced"] + record["counts"]["rejected"]
    assert len(rejected(out)) == record["counts"]["rejected"]
    places = [row["detail"].rpartition(f"{spec}:")[2].split()[0].strip(",:") for row in rejected(out)]
    kept = [int(place) for place in places if place.isdigit()]
    assert kept == sorted(kept)
