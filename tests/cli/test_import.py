"""`synth import`: several inputs, names of files, bad rows, names that are empty; and back through `synth export`."""

import csv
import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from synth.schemas.dataset import Dataset
from synth.schemas.errors import InputError, Stale, UsageError
from synth.schemas.reading import formats
from synth.schemas.reading.formats import Batch
from tests.command import SYNTH, run_synth, synth
from tests.rows import rows_of, write_rows


def write(path: Path, *rows: Any) -> Path:
    return write_rows(path, rows)


def test_several_inputs_become_one_directory_with_the_columns_of_all(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    one = write(tmp_path / "one.jsonl", {"n": 1}, {"n": 2})
    (tmp_path / "two.csv").write_text("n,late\nmany,x\n")
    synth("import", one, tmp_path / "two.csv", tmp_path / "out")
    assert rows_of(tmp_path / "out") == [
        {"id": "one-0", "n": "1", "late": None},
        {"id": "one-1", "n": "2", "late": None},
        {"id": "two-0", "n": "many", "late": "x"},
    ]
    assert "n is int64 in" in caplog.text
    assert "is complete already" in synth("import", one, tmp_path / "two.csv", tmp_path / "out").stderr
    with pytest.raises(Stale):
        synth("import", one, tmp_path / "out")
    again = write(tmp_path / "again.jsonl", {"id": "one-1"})
    with pytest.raises(InputError, match=r"id 'one-1' stands in .*one.jsonl:2 and again in .*again.jsonl:1"):
        synth("import", one, again, tmp_path / "other")


@pytest.mark.parametrize(
    ("spec", "names"),
    [
        ("runs/*.jsonl", ["Llama-3.1-8B", "Qwen2.5-7B"]),
        ("runs", ["Llama-3.1-8B", "Qwen2.5-7B"]),
        ("*/out.jsonl", ["deep/out", "wide/out"]),
        ("deep/out.jsonl", ["out"]),
    ],
)
def test_the_name_of_each_file_can_be_a_column(tmp_path: Path, spec: str, names: list[str]) -> None:
    for name in ("runs/Qwen2.5-7B.jsonl", "runs/Llama-3.1-8B.jsonl", "deep/out.jsonl", "wide/out.jsonl"):
        write(tmp_path / name, {"id": name, "text": "x"})
    synth("import", tmp_path / spec, tmp_path / "made", "--file-column", "model")
    assert [row["model"] for row in rows_of(tmp_path / "made")] == names


def test_a_file_column_is_part_of_what_was_imported_and_takes_the_place_of_none(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", {"id": "a", "text": "x"})
    synth("import", tmp_path / "a.jsonl", tmp_path / "out", "--file-column", "origin")
    (tmp_path / "a.jsonl").rename(tmp_path / "b.jsonl")
    with pytest.raises(Stale, match=r"the content of .*a\.jsonl changed"):
        synth("import", tmp_path / "b.jsonl", tmp_path / "out", "--file-column", "origin")
    with pytest.raises(UsageError, match=r"--file-column text: .*b.jsonl has a column of this name"):
        synth("import", tmp_path / "b.jsonl", tmp_path / "other", "--file-column", "text")
    synth("dedup", tmp_path / "b.jsonl", tmp_path / "deduped", "--file-column", "origin", "--text", "text")
    assert rows_of(tmp_path / "deduped")[0]["origin"] == "b"


def test_bad_rows_are_counted_in_rejected(tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text('{"text": "x"}\n{"text": "\\ud800"}\n{"text": "y", "text": "z"}\n')
    with pytest.raises(InputError, match=r"in.jsonl:2 holds half of a surrogate pair"):
        synth("import", tmp_path / "in.jsonl", tmp_path / "out")
    result = synth("import", tmp_path / "in.jsonl", tmp_path / "out", "--bad-rows", "reject")
    assert result.stderr.splitlines()[1:] == ["  rejected: 2 (unreadable_row 2)", "  columns: id, text"]
    run = Dataset.open(tmp_path / "out").run or {}
    assert (run["input_rows"], run["counts"]["reasons"]) == (3, {"unreadable_row": 2})
    assert datasets.load_from_disk(tmp_path / "out" / "rejected")["id"][:] == ["in-1", "in-2"]


def test_instructions_with_uneven_metadata_are_imported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = [
        {"instruction": "Add.", "instances": [{"input": "1, 2", "output": "3"}], "meta": {"score": 1, "tags": ["x"]}},
        {"instruction": "Greet.", "instances": [{"input": "", "output": "Hi"}], "meta": {"score": "N/A", "tags": "x"}},
        {"instruction": "Wait.", "instances": [], "meta": ["none"]},
    ]
    synth("import", write(tmp_path / "seeds.jsonl", *rows), tmp_path / "out")
    read = datasets.load_from_disk(tmp_path / "out").to_list()
    assert [{**row, "meta": json.loads(row["meta"])} for row in read] == [
        {"id": f"seeds-{number}", **row} for number, row in enumerate(rows)
    ]
    assert caplog.messages == [
        f"meta.score is a number in {tmp_path}/seeds.jsonl:1 and text in {tmp_path}/seeds.jsonl:2: "
        "the column meta is read as JSON text"
    ]


@pytest.mark.parametrize(
    "arguments",
    [
        ("import", "", "out"),
        ("import", "in.jsonl", ""),
        ("import", "in.jsonl", "", "out"),
        ("show", ""),
        ("stats", ""),
        ("dedup", "in.jsonl", " "),
        ("decontaminate", "in.jsonl", "out", "--against", ""),
        ("query-of-cc", "index", "in.jsonl", "out", "--extend", ""),
        ("query-of-cc", "index", "in.jsonl", "out", "--extend="),
        ("reject", "select", "in.jsonl", "out", "--merge", ""),
        ("reject", "sample", "", "out", "--engine", "echo"),
        ("watch", ""),
        ("why", ""),
        ("report", "in.jsonl", "-o", ""),
    ],
)
def test_an_empty_name_is_a_usage_error_and_not_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    write(tmp_path / "in.jsonl", {"id": "a", "text": "x"})
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="is empty: is a shell variable not set"):
        synth(*arguments)
    assert os.listdir(tmp_path) == ["in.jsonl"]  # noqa: PTH208


def test_an_empty_name_ends_with_one_sentence_and_exit_code_2(tmp_path: Path) -> None:
    command = [SYNTH, "import", "", "out"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == "synth: the name of an input is empty: is a shell variable not set?\n"


def test_a_format_is_added_by_one_object(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def paragraphs(path: Path) -> Iterator[Batch]:
        yield Batch(path, 0, [{"text": text} for text in path.read_text().split("\n\n")])

    monkeypatch.setattr(formats, "FORMATS", (*formats.FORMATS, formats.Format("paragraphs", (".par",), paragraphs)))
    (tmp_path / "poem.par").write_text("One\ntwo\n\nthree")
    synth("import", tmp_path / "poem.par", tmp_path / "out")
    assert rows_of(tmp_path / "out") == [{"id": "poem-0", "text": "One\ntwo"}, {"id": "poem-1", "text": "three"}]
    (tmp_path / "poem.xyz").write_text("")
    with pytest.raises(InputError, match=r"extensions that can be read: .*\.wet, \.par \("):
        synth("import", tmp_path / "poem.xyz", tmp_path / "other")


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
SCALAR = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | TEXT
VALUE = st.recursive(
    SCALAR.filter(lambda value: value not in (float("inf"), float("-inf"))),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=2),
    max_leaves=4,
)
often = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)


def exported(folder: Path, source: Path) -> list[dict[str, Any]]:
    synth("import", source, folder / "out", "--fresh")
    assert datasets.load_from_disk(folder / "out").num_rows == len(rows_of(folder / "out"))
    synth("export", folder / "out", folder / "back.jsonl", "--force")
    return [orjson.loads(line) for line in (folder / "back.jsonl").read_bytes().splitlines()]


def alike(value: Any) -> Any:
    """What a value and its form in a typed column share: absent keys and null ones are one, and so are 1 and 1.0."""
    if isinstance(value, dict):
        return {name: alike(inner) for name, inner in value.items() if inner is not None}
    return [alike(inner) for inner in value] if isinstance(value, list) else value


@often
@given(values=st.lists(VALUE, min_size=1, max_size=5))
def test_json_rows_come_back_through_import_and_export(tmp_path: Path, values: list[Any]) -> None:
    source = write(tmp_path / "in.jsonl", *({"v": value} for value in values))
    for row, value in zip(exported(tmp_path, source), values, strict=True):
        read = row["v"]
        if isinstance(read, str) and read != value:
            read = orjson.loads(read)
        assert alike(read) == alike(value)


@often
@given(cells=st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=5))
def test_csv_rows_come_back_through_import_and_export(tmp_path: Path, cells: list[tuple[str, str]]) -> None:
    with (tmp_path / "in.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL).writerows([("x", "y"), *cells])
    read = exported(tmp_path, tmp_path / "in.csv")
    assert [(row["x"], row["y"]) for row in read] == cells


@often
@given(cells=st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=5))
def test_tsv_rows_come_back_or_are_refused_by_their_line(tmp_path: Path, cells: list[tuple[str, str]]) -> None:
    text = "".join(f"{x}\t{y}\n" for x, y in [("x", "y"), *cells])
    (tmp_path / "in.tsv").write_bytes(text.encode())
    lines = [tuple(line.split("\t")) for line in re.split("\r\n|\r|\n", text)[1:] if line]
    if all(len(line) == 2 for line in lines):
        assert [(row["x"], row["y"]) for row in exported(tmp_path, tmp_path / "in.tsv")] == lines
    else:
        with pytest.raises(InputError, match=r"in.tsv:\d+ has \d+ fields?, where the header has 2"):
            exported(tmp_path, tmp_path / "in.tsv")


def test_standard_input_is_read_as_jsonl(tmp_path: Path) -> None:
    rows = '{"text": "one"}\n{"text": "two"}\n'
    for times in ("from 2 of 2 input rows", "nothing to do"):
        done = run_synth("import", "-", "out", folder=tmp_path, given=rows)
        assert (done.returncode, times in done.stderr) == (0, True), done.stderr
    assert rows_of(tmp_path / "out") == [{"id": "stdin-0", "text": "one"}, {"id": "stdin-1", "text": "two"}]
    done = run_synth("show", "-", "--where", "text = 'two'", folder=tmp_path, given=rows)
    assert "1 of 2 rows match" in done.stderr
    done = run_synth("import", "-", "other", folder=tmp_path, given="{")
    assert (done.returncode, "stdin.jsonl:1" in done.stderr) == (2, True)
    done = run_synth("import", "-", "other", folder=tmp_path, given="")
    assert (done.returncode, "- has no rows" in done.stderr) == (2, True)
