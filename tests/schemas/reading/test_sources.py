"""Reading inputs: what can be read, how columns are found and ids made, and what is said of what cannot be used."""

import gzip
import json
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from threading import Event
from typing import Any

import datasets
import orjson
import pyarrow as pa
import pytest
import zstandard
from pyarrow import csv, feather, parquet

from synth.schemas.errors import InputError, UsageError
from synth.schemas.reading.sources import Source
from synth.schemas.record import Column, Record
from synth.schemas.records import QUESTION
from synth.schemas.records.shared import ID
from synth.schemas.shards import ShardWriter
from synth.schemas.writing.publication import OutputClaim

ROWS = [
    {"id": "a", "question": "How many?", "answer": "#### 2"},
    {"id": "b", "question": "Wie viele Äpfel?", "answer": "#### 3"},
    {"id": "c", "question": 'One, "two"\nthree', "answer": "#### 4"},
]
TYPED = Record(
    "typed",
    "One column of each kind.",
    (
        ID,
        Column("count", pa.int32(), ""),
        Column("share", pa.float64(), "", optional=True),
        Column("tags", pa.list_(pa.string()), "", optional=True),
    ),
)


def lines(rows: list[dict[str, Any]]) -> bytes:
    return b"".join(orjson.dumps(row) + b"\n" for row in rows)


def read(
    spec: str | Path, record: Record = QUESTION, columns: Mapping[str, str] | None = None, limit: int | None = None
) -> list[dict[str, Any]]:
    scratch = Path(str(spec).removeprefix("hf:").split("*")[0]).parent / "scratch"
    table = Source(str(spec), record, columns or {}, limit).table(scratch)
    assert table.schema.equals(record.schema, check_metadata=True)
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


def refusal(spec: str | Path, *args: Any) -> str:
    with pytest.raises(InputError) as caught:
        read(spec, *args)
    message = str(caught.value)
    assert "\n" not in message
    return message


def synth_directory(path: Path, table: pa.Table) -> Path:
    """A dataset directory of two shards, as a run writes it."""
    claim = OutputClaim.open(path, {"stage": "test"})
    assert claim
    shards = []
    for number, half in enumerate((table.slice(0, 1), table.slice(1))):
        writer = ShardWriter(claim.layout.shards / f"{number}.arrow", table.schema)
        writer.write(half)
        shards.append(writer.close())
    claim.publish(shards, [], {})
    claim.close()
    return path


def write_arrow_stream(path: Path, table: pa.Table) -> None:
    with pa.ipc.new_stream(str(path), table.schema) as stream:
        stream.write_table(table)


def write_arrow_file(path: Path, table: pa.Table) -> None:
    with pa.ipc.new_file(str(path), table.schema) as file:
        file.write_table(table)


WRITERS: dict[str, Callable[[Path, pa.Table], Any]] = {
    "rows.jsonl": lambda path, table: path.write_bytes(lines(table.to_pylist())),
    "rows.ndjson": lambda path, table: path.write_bytes(lines(table.to_pylist())),
    "rows.jsonl.gz": lambda path, table: path.write_bytes(gzip.compress(lines(table.to_pylist()))),
    "rows.JSONL.zst": lambda path, table: path.write_bytes(zstandard.compress(lines(table.to_pylist()))),
    "rows.json": lambda path, table: path.write_text(json.dumps(table.to_pylist(), indent=1)),
    "rows.csv": lambda path, table: csv.write_csv(table, path),
    "rows.parquet": lambda path, table: parquet.write_table(table, path),
    "rows.feather": lambda path, table: feather.write_feather(table, str(path)),
    "stream.arrow": write_arrow_stream,
    "file.arrow": write_arrow_file,
    "by-synth": synth_directory,
    "by-datasets": lambda path, table: datasets.Dataset(table).save_to_disk(path, num_shards=2),
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_gives_the_same_table(tmp_path: Path, name: str) -> None:
    WRITERS[name](tmp_path / name, pa.Table.from_pylist(ROWS))
    assert read(tmp_path / name) == ROWS


def test_a_directory_or_a_glob_of_files_is_read_in_the_order_of_their_names(tmp_path: Path) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for index in (2, 0, 1):
        (folder / f"part-{index}.jsonl").write_bytes(lines([{"question": f"q{index}", "answer": "1"}]))
    (folder / "README.md").write_text("not data")
    assert [row["question"] for row in read(folder)] == ["q0", "q1", "q2"]
    assert [row["id"] for row in read(folder)] == ["many-0", "many-1", "many-2"]
    assert [row["id"] for row in read(folder / "part-*.jsonl")] == ["part-0", "part-1", "part-2"]
    assert [row["id"] for row in read(folder / "*.jsonl")] == ["many-0", "many-1", "many-2"]


def test_a_dataset_directory_that_matches_is_used_in_place(tmp_path: Path) -> None:
    folder = synth_directory(tmp_path / "seeds", pa.Table.from_pylist([{"extra": 1, **row} for row in ROWS]))
    assert read(folder, QUESTION, {"answer": "question", "question": "answer"}, 2)[1]["answer"] == "Wie viele Äpfel?"
    assert not (tmp_path / "scratch").exists()


def test_the_limit_takes_the_first_rows(tmp_path: Path) -> None:
    for name in ("rows.jsonl", "rows.parquet", "by-synth"):
        WRITERS[name](tmp_path / name, pa.Table.from_pylist(ROWS))
        assert read(tmp_path / name, QUESTION, {}, 2) == ROWS[:2]
        assert read(tmp_path / name, QUESTION, {}, 9) == ROWS


def test_columns_are_found_by_the_mapping_then_the_name_then_the_aliases_of_each_row(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    rows: list[dict[str, Any]] = [
        {"problem": "p", "response": "r"},
        {"query": "q", "problem": "p", "solution": "s", "answer": "a"},
    ]
    path.write_bytes(lines(rows))
    assert [(row["question"], row["answer"]) for row in read(path)] == [("p", "r"), ("q", "a")]
    assert [row["question"] for row in read(path, QUESTION, {"question": "problem"})] == ["p", "p"]


def test_ids_are_made_of_the_name_and_the_index_where_there_are_none(tmp_path: Path) -> None:
    path = tmp_path / "gsm8k-train.jsonl.gz"
    rows = [{"question": str(i), "answer": "1"} for i in range(30_000)]
    path.write_bytes(gzip.compress(lines(rows)))
    assert [row["id"] for row in read(path)] == [f"gsm8k-train-{i}" for i in range(30_000)]


def test_whole_number_ids_become_text(tmp_path: Path) -> None:
    rows = [{**row, "id": index} for index, row in enumerate(ROWS)]
    for name in ("rows.jsonl", "rows.parquet", "by-datasets"):
        WRITERS[name](tmp_path / name, pa.Table.from_pylist(rows))
        assert [row["id"] for row in read(tmp_path / name)] == ["0", "1", "2"]


def test_numbers_in_a_numeric_text_column_are_written_as_python_writes_them(tmp_path: Path) -> None:
    answers = [72, 72.0, 0.1, -3, None, "1/2", 10**18]
    rows = [{"question": "q", "answer": answer} for answer in answers]
    (tmp_path / "rows.jsonl").write_bytes(lines(rows))
    assert [row["answer"] for row in read(tmp_path / "rows.jsonl")] == [
        "72", "72.0", "0.1", "-3", None, "1/2", "1000000000000000000",
    ]  # fmt: skip
    columns = {"question": ["q"] * 3, "answer": [72.0, float("nan"), 0.1]}
    parquet.write_table(pa.table(columns), tmp_path / "rows.parquet")
    assert [row["answer"] for row in read(tmp_path / "rows.parquet")] == ["72.0", None, "0.1"]


def test_csv_cells_are_text_until_the_record_wants_numbers(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("id,count,share,question,answer\n007,1,0.5,1,2\n008,2,,3,4\n")
    assert read(tmp_path / "rows.csv", TYPED) == [
        {"id": "007", "count": 1, "share": 0.5, "tags": None},
        {"id": "008", "count": 2, "share": None, "tags": None},
    ]
    assert read(tmp_path / "rows.csv")[0] == {"id": "007", "question": "1", "answer": "2"}


def test_an_optional_column_may_be_absent_or_null(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_bytes(lines([{"count": 1}, {"count": 2, "share": 1, "tags": ["x"]}]))
    assert [(row["share"], row["tags"]) for row in read(tmp_path / "rows.jsonl", TYPED)] == [(None, None), (1.0, ["x"])]
    folder = synth_directory(tmp_path / "typed", pa.table({"id": ["a", "b"], "count": pa.array([1, 2], pa.int32())}))
    assert [row["share"] for row in read(folder, TYPED)] == [None, None]


def test_whole_numbers_that_pandas_wrote_as_floats_are_whole_numbers(tmp_path: Path) -> None:
    parquet.write_table(pa.table({"id": ["a"], "count": [2.0], "share": [1]}), tmp_path / "rows.parquet")
    assert read(tmp_path / "rows.parquet", TYPED) == [{"id": "a", "count": 2, "share": 1.0, "tags": None}]


def test_the_fingerprint_is_of_the_content_alone(tmp_path: Path) -> None:
    def fingerprint(path: Path) -> str:
        return Source(str(path), QUESTION, {}, None).fingerprint

    (tmp_path / "one.jsonl").write_bytes(lines(ROWS))
    (tmp_path / "two.jsonl").write_bytes(lines(ROWS))
    assert fingerprint(tmp_path / "one.jsonl") == fingerprint(tmp_path / "two.jsonl")
    (tmp_path / "two.jsonl").write_bytes(lines(ROWS[::-1]))
    assert fingerprint(tmp_path / "one.jsonl") != fingerprint(tmp_path / "two.jsonl")
    folder = synth_directory(tmp_path / "by-synth", pa.Table.from_pylist(ROWS))
    recorded = fingerprint(folder)
    (folder / "synth.json").unlink()
    assert fingerprint(folder.rename(tmp_path / "moved")) == recorded


def test_the_fingerprint_tells_names_apart_where_ids_are_made_of_them(tmp_path: Path) -> None:
    for name in ("one.jsonl", "two.jsonl"):
        (tmp_path / name).write_bytes(lines([{"question": "q", "answer": "a"}]))
    one, two = (Source(str(tmp_path / name), QUESTION, {}, None).fingerprint for name in ("one.jsonl", "two.jsonl"))
    assert one != two


def test_what_was_converted_is_used_again_until_the_input_changes(tmp_path: Path) -> None:
    path, scratch = tmp_path / "rows.jsonl", tmp_path / "scratch"
    path.write_bytes(lines(ROWS))
    read(path)
    before = scratch.stat()
    read(path)
    assert scratch.stat() == before
    read(path, QUESTION, {}, 2)
    assert len(read(path)) == 3
    path.write_bytes(lines(ROWS[:1]))
    assert read(path) == ROWS[:1]


def test_of_several_that_read_an_input_at_once_one_converts_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "rows.jsonl").write_bytes(lines(ROWS))
    convert, conversions, has_begun = Source._batches, [], Event()

    def slowly(source: Source, types: Any) -> Any:
        conversions.append(source)
        has_begun.set()
        # The others come meanwhile.
        time.sleep(0.5)
        yield from convert(source, types)

    monkeypatch.setattr(Source, "_batches", slowly)
    with ThreadPoolExecutor() as pool:
        first = pool.submit(read, tmp_path / "rows.jsonl")
        has_begun.wait()
        others = [pool.submit(read, tmp_path / "rows.jsonl") for _ in range(3)]
        assert [reading.result() for reading in (first, *others)] == [ROWS] * 4
    assert len(conversions) == 1


def test_a_missing_column_is_named_with_those_that_are_there(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_bytes(lines([ROWS[0], {"id": "b", "prompt": "?", "answer": "1"}]))
    assert refusal(tmp_path / "rows.jsonl") == (
        f"{tmp_path}/rows.jsonl:2 has no column question or query or problem, only id, prompt, answer: "
        "name the one to read with --column question=NAME"
    )
    parquet.write_table(pa.table({"id": ["a"], "prompt": ["?"]}), tmp_path / "rows.parquet")
    assert "rows.parquet has no column question" in refusal(tmp_path / "rows.parquet")
    assert "has no column text, and" in refusal(tmp_path / "rows.parquet", QUESTION, {"question": "text"})
    assert "has no column uuid, only" in refusal(tmp_path / "rows.jsonl", QUESTION, {"id": "uuid"})


def test_a_mapping_of_an_optional_column_that_is_nowhere_is_refused(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_bytes(lines([{"count": 1}]))
    message = refusal(tmp_path / "rows.jsonl", TYPED, {"tags": "labels"})
    assert "has no column labels, which --column tags=labels names" in message


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (["q"], "question is a list"),
        ({"q": 1}, "question is an object"),
        (3, "question is a number"),
        (True, "question is true or false"),
        (None, "question is null"),
    ],
)
def test_a_wrong_type_is_named_with_its_line(tmp_path: Path, value: Any, said: str) -> None:
    (tmp_path / "rows.jsonl").write_bytes(b"\n" + lines([ROWS[0], {**ROWS[1], "question": value}]))
    message = refusal(tmp_path / "rows.jsonl")
    assert said in message
    assert "rows.jsonl:3, where text is needed: name another column with --column question=NAME" in message


def test_a_wrong_type_of_an_alias_is_named_as_the_input_names_it(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_bytes(lines([{"query": 1, "answer": "1"}]))
    assert "query is a number in" in refusal(tmp_path / "rows.jsonl")


def test_a_wrong_type_of_a_typed_file_is_named_with_its_type_or_its_row(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    parquet.write_table(pa.table({"question": [["q"]], "answer": ["1"]}), path)
    assert f"question is list<element: string> in {path}, where text is needed" in refusal(path)
    parquet.write_table(pa.table({"count": [1.0, 2.5]}), path)
    assert f"count is a number in row 2 of {path}, where a whole number is needed" in refusal(path, TYPED)
    parquet.write_table(pa.table({"question": ["q", None], "answer": ["1", None]}), path)
    assert f"question is null in row 2 of {path}" in refusal(path)
    (tmp_path / "rows.csv").write_text("count\n1\nmany\n")
    assert f"count is the text 'many' in row 2 of {tmp_path}/rows.csv" in refusal(tmp_path / "rows.csv", TYPED)
    (tmp_path / "rows.jsonl").write_bytes(lines([{"count": 1, "tags": "abc"}]))
    assert "tags is the text 'abc'" in refusal(tmp_path / "rows.jsonl", TYPED)
    (tmp_path / "rows.jsonl").write_bytes(lines([{"count": 2**40}]))
    assert "count is 1099511627776, beyond 32 bits, in" in refusal(tmp_path / "rows.jsonl", TYPED)


def test_a_number_whose_digits_would_be_lost_is_refused_or_kept_as_text(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(f'{{"id": {2**70}, "question": "30!", "answer": {2**70}}}\n')
    assert read(path) == [{"id": str(2**70), "question": "30!", "answer": str(2**70)}]
    path.write_text('{"question": "π?", "answer": 3.14159265358979323846264338327950288}\n')
    assert read(path)[0]["answer"] == "3.14159265358979323846264338327950288"
    path.write_text(f'{{"count": 1, "share": {2**53 + 1}}}\n')
    assert "share is 9007199254740993, of more digits than 64 bits hold, in" in refusal(path, TYPED)
    path.write_text('{"count": 1, "share": 0.1234567890123456789}\n')
    assert "share is 0.1234567890123456789, of more digits than 64 bits hold, in" in refusal(path, TYPED)


def test_digits_of_text_and_of_decimals_are_not_rounded_away(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("count,share\n1,0.10000000000000000555\n2,-0.30000000000000004\n3,1e-5\n")
    assert [row["share"] for row in read(path, TYPED)] == [0.1, -0.30000000000000004, 1e-5]
    for number in ("0.1234567890123456789", "9007199254740993", "1e400"):
        path.write_text(f"count,share\n1,0.5\n2,{number.zfill(18)}\n")
        assert f"share is {number.zfill(18)}, of more digits than 64 bits hold, in row 2 of" in refusal(path, TYPED)
    for number in ("0.1234567890123456789", "9007199254740993"):
        shares = pa.array([Decimal(number)])
        parquet.write_table(pa.table({"count": [1], "share": shares}), tmp_path / "rows.parquet")
        assert f"share is {number}, of more digits than 64 bits hold, in" in refusal(tmp_path / "rows.parquet", TYPED)


def test_all_missing_columns_are_named_at_once(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_bytes(lines([{"prompt": "?", "gold": "1"}]))
    (tmp_path / "rows.csv").write_text("prompt,gold\n?,1\n")
    for place in ("rows.jsonl:1", "rows.csv"):
        assert refusal(tmp_path / place.partition(":")[0]) == (
            f"{tmp_path}/{place} has no column question or query or problem, and no column answer or response or "
            "solution, only prompt, gold: name the ones to read with --column question=NAME and --column answer=NAME"
        )


def test_repeated_ids_are_named_with_both_places(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(lines([*ROWS, {**ROWS[1], "id": "a"}]))
    assert refusal(path) == (
        f"id 'a' stands in {path}:1 and again in {path}:4: "
        "ids must be unique, so name another column with --column id=NAME"
    )
    folder = synth_directory(tmp_path / "twice", pa.Table.from_pylist([*ROWS, ROWS[1]]))
    assert f"id 'b' stands in row 2 of {folder} and again in row 4 of {folder}" in refusal(folder)
    (tmp_path / "part-0.jsonl").write_bytes(lines(ROWS[:2]))
    (tmp_path / "part-1.jsonl").write_bytes(lines(ROWS[1:]))
    assert f"{tmp_path}/part-0.jsonl:2 and again in {tmp_path}/part-1.jsonl:1" in refusal(tmp_path / "part-*.jsonl")


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.csv", "rows.json"])
@pytest.mark.parametrize("content", [b"", b"\n\n"])
def test_an_empty_file_has_no_rows(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    assert refusal(tmp_path / name) == f"{tmp_path / name} has no rows"


def test_a_table_without_rows_has_no_rows(tmp_path: Path) -> None:
    empty = pa.Table.from_pylist([], pa.Table.from_pylist(ROWS).schema)
    for name in ("rows.parquet", "rows.csv", "by-synth"):
        WRITERS[name](tmp_path / name, empty)
        assert refusal(tmp_path / name) == f"{tmp_path / name} has no rows"
    datasets.Dataset.from_dict({"question": []}).save_to_disk(tmp_path / "by-datasets")
    assert refusal(tmp_path / "by-datasets") == f"{tmp_path}/by-datasets has no rows"
    (tmp_path / "rows.json").write_text("[]")
    assert refusal(tmp_path / "rows.json") == f"{tmp_path}/rows.json has no rows"


def test_a_mapping_that_cannot_be_meant_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no column text is read, only id, question \(query, problem\), answer"):
        Source(str(tmp_path), QUESTION, {"text": "question"}, None)
    with pytest.raises(UsageError, match="--column answer=body: body is already read as question"):
        Source(str(tmp_path), QUESTION, {"question": "body", "answer": "body"}, None)


@pytest.mark.parametrize("name", ["question", "query", "problem"])
def test_a_column_is_mapped_by_its_name_or_by_any_alias(tmp_path: Path, name: str) -> None:
    (tmp_path / "rows.jsonl").write_text('{"task": "1 + 1?", "answer": "2"}\n')
    for record in (QUESTION, replace(QUESTION, open=True)):
        source = Source(str(tmp_path / "rows.jsonl"), record, {name: "task"}, None)
        assert source.table(tmp_path / "scratch")["question"].to_pylist() == ["1 + 1?"]


def test_an_alias_that_means_two_columns_or_one_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text("{}\n")
    text, other = (Column(name, pa.string(), "", aliases=("content",)) for name in ("text", "other"))
    two = Record("two", "", (text, other))
    with pytest.raises(UsageError, match="--column content=a: content may mean text or other: name one of them"):
        Source(str(tmp_path / "rows.jsonl"), two, {"content": "a"}, None)
    with pytest.raises(UsageError, match="--column query=b: question is already read from a"):
        Source(str(tmp_path / "rows.jsonl"), QUESTION, {"question": "a", "query": "b"}, None)
