"""An input that belongs to its instruction is part of what a model is asked, in every command that asks one."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth.pipelines.instag.queries import queries_of
from synth.pipelines.runtime.instructions import with_its_input
from synth.schemas.errors import InputError, UsageError
from synth.schemas.reading.sources import Source
from synth.schemas.records import INSTRUCTION, QUERY
from tests.command import synth
from tests.counting_server import counting_server
from tests.rows import rows_of, write_rows

LONG = " ".join(["word"] * 60) + "."
OTHER = [{"instruction": "Name three trees.", "input": "of the north"}]
# Each command with options that have it ask about every row, and the columns that it needs besides.
COMMANDS: dict[tuple[str, ...], dict[str, Any]] = {
    ("instag", "tag", "--tries", "1", "--no-schema"): {},
    ("augment", "evolve"): {},
    ("augment", "respond", "-n", "1"): {},
    ("reject", "sample", "-n", "1"): {"answer": "5"},
    ("dstc", "--n-code", "2", "--n-tests", "2"): {},
    ("probe", "self", "-n", "1"): {"answers": "5"},
    ("probe", "label", "--no-schema", "--tries", "1"): {"self": 1},
    ("self-lengthen", "instruct", "-n", "1", "--tries", "1"): {},
    ("self-lengthen", "draft", "-n", "1", "--no-check"): {},
    ("self-lengthen", "extend", "-n", "1", "--tries", "1"): {"response": LONG},
    ("self-lengthen", "constrain", "--tries", "1", "--min-words", "2"): {"response": LONG},
    ("self-lengthen", "evaluate", "--judge", "--no-schema", "--tries", "1"): {
        "response": LONG,
        "constraint": "about 50 words",
    },
}
# The same row as it is published in several layouts.
LAYOUTS: dict[str, dict[str, Any]] = {
    "alpaca": {"instruction": "Turn it into a question.", "input": "The hens lay eggs."},
    "dolly": {"instruction": "Turn it into a question.", "context": "The hens lay eggs."},
    "self-instruct": {
        "instruction": "Turn it into a question.",
        "instances": [{"input": "The hens lay eggs.", "output": "Do they?"}],
        "is_classification": False,
    },
}


def said(request: dict[str, Any]) -> str:
    return request["prompt"] if "prompt" in request else "\n".join(one["content"] for one in request["messages"])


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_model_is_asked_the_instruction_with_its_input(tmp_path: Path, command: tuple[str, ...], layout: str) -> None:
    rows = [{**row, **COMMANDS[command]} for row in (LAYOUTS[layout], *OTHER)]
    name = {"augment": ("--column", "query=instruction"), "reject": ("--column", "question=instruction")}
    with counting_server(says=lambda _: "Yes, indeed, that is what is said.") as server:
        synth(
            *command[: 1 if command[0] == "dstc" else 2],
            write_rows(tmp_path / "rows.jsonl", rows),
            tmp_path / "out",
            *command[1 if command[0] == "dstc" else 2 :],
            *name.get(command[0], ()),
            *("--engine", "openai", "--base-url", server.url, "--model", "counted"),
        )
    asking = [said(request) for request in server.asked if "Turn it into a question." in said(request)]
    assert asking
    assert all("The hens lay eggs." in text for text in asking)
    if command[1] != "constrain":
        assert all("Turn it into a question.\n\nThe hens lay eggs." in text for text in asking)


def test_what_goes_on_has_the_input_once(tmp_path: Path) -> None:
    """Beside its instruction, or within it; and so the next command asks about it, too."""
    rows = write_rows(tmp_path / "rows.jsonl", [{**LAYOUTS["alpaca"], "response": LONG}])
    echo = ("--engine", "echo")
    synth("self-lengthen", "draft", rows, tmp_path / "drafts", "-n", 1, "--no-check", *echo)
    synth("self-lengthen", "curate", tmp_path / "drafts", tmp_path / "chats", "--role", "generator")
    (chat,) = rows_of(tmp_path / "chats")
    assert chat["messages"][0]["content"] == "Turn it into a question.\n\nThe hens lay eggs."
    reply = ("--engine-arg", "reply=Turn it into a question of about 60 words, of 50 to 70 words.")
    limits = ("--min-words", 50, "--max-words", 70, "--base", 10, "--tries", 1)
    synth("self-lengthen", "constrain", rows, tmp_path / "constrained", *limits, *echo, *reply)
    (constrained,) = rows_of(tmp_path / "constrained")
    assert with_its_input(constrained) == f"{reply[1].removeprefix('reply=')}\n\nThe hens lay eggs."
    answered = write_rows(tmp_path / "answered.jsonl", [{"query": "Add up.", "input": "2 and 3", "answer": 5}])
    synth("reject", "sample", answered, tmp_path / "paths", "-n", 1, *echo)
    assert [row["query"] for row in rows_of(tmp_path / "paths")] == ["Add up.\n\n2 and 3"]
    synth("reject", "sample", tmp_path / "paths", tmp_path / "again", "-n", 1, *echo)
    assert [row["query"] for row in rows_of(tmp_path / "again")] == ["Add up.\n\n2 and 3"]


def test_an_input_that_is_no_text_is_refused_by_name(tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "rows.jsonl", [{"instruction": "Sort them.", "input": ["b", "a"]}])
    echo = ("--engine", "echo")
    for command in (("instag", "tag"), ("self-lengthen", "draft"), ("dstc",)):
        with pytest.raises(InputError, match="input is a list"):
            synth(*command, rows, tmp_path / "out", *echo)
    synth("self-lengthen", "draft", rows, tmp_path / "out", "-n", 1, "--no-check", "--column", "letters=input", *echo)
    assert rows_of(tmp_path / "out")[0]["letters"] == ["b", "a"]


def test_a_column_that_is_read_as_the_instruction_is_not_its_input(tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "rows.jsonl", [{"input": "Say hello.", "output": "Hello."}])
    (row,) = read(rows, INSTRUCTION, {"instruction": "input"})
    assert row["instruction"] == "Say hello."
    out = tmp_path / "out"
    synth(
        "self-lengthen", "draft", rows, out, "-n", 1, "--no-check", "--column", "instruction=input", "--engine", "echo"
    )
    assert rows_of(out)[0]["response"].startswith("Say hello. [")
    with counting_server(says=lambda _: "[]") as server:
        engine = ("--engine", "openai", "--base-url", server.url, "--model", "counted")
        synth("instag", "tag", rows, tmp_path / "tagged", "--text", "input", "--no-schema", "--tries", 1, *engine)
    assert said(server.asked[0]).count("Say hello.") == 1


def test_another_column_may_be_named_as_the_input(tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "rows.jsonl", [{"question": "Who is it?", "passage": "It is Ann."}])
    assert read(rows, QUERY, {"input": "passage"})[0]["query"] == "Who is it?\n\nIt is Ann."
    with pytest.raises(InputError, match="no column none"):
        read(rows, QUERY, {"input": "none"})
    with pytest.raises(UsageError, match="no column other is read"):
        read(rows, QUERY, {"other": "passage"})


def test_directories_and_tables_are_read_like_lines(tmp_path: Path) -> None:
    """A dataset directory that has an input is not taken as it is, though its columns fit."""
    rows = [{"id": "a", "query": "Add up.", "input": 3}, {"id": "b", "query": "Go.", "input": None}]
    lines = write_rows(tmp_path / "rows.jsonl", rows)
    synth("import", lines, tmp_path / "directory")
    synth("export", tmp_path / "directory", tmp_path / "rows.parquet")
    synth("export", tmp_path / "directory", tmp_path / "rows.csv")
    for source in (lines, tmp_path / "directory", tmp_path / "rows.csv"):
        assert [row["query"] for row in read(source, QUERY)] == ["Add up.\n\n3", "Go."]


@pytest.mark.parametrize(
    ("row", "named", "query"),
    [
        ({"instruction": "Do it.", "input": "x", "text": "Below is: Do it. x"}, (), "Do it.\n\nx"),
        ({"instruction": "Do it.", "input": "x", "text": "Below is: Do it. x"}, ("text",), "Below is: Do it. x"),
        ({"instruction": None, "prompt": "Do that.", "input": "x"}, (), "Do that.\n\nx"),
        ({"task": "Do it.", "input": "x"}, ("task",), "Do it.\n\nx"),
        ({"instruction": "Do it.", "input": "x", "task": "tidy"}, ("task",), "tidy"),
        ({"instruction": "Do it.", "input": float("nan")}, (), "Do it."),
        ({"instruction": "Square it.", "input": 4}, (), "Square it.\n\n4"),
        ({"instruction": "Do it.", "input": " ", "context": "here"}, (), "Do it.\n\nhere"),
        ({"instruction": "Do it.", "instances": []}, (), "Do it."),
        ({"instruction": "Do it.", "instances": 3}, (), "Do it."),
    ],
)
def test_the_input_goes_with_the_column_that_it_belongs_to(
    row: dict[str, Any], named: tuple[str, ...], query: str
) -> None:
    assert queries_of({"id": "r", **row}, named) == [query]


INPUTS = st.one_of(st.none(), st.text(), st.integers(-9, 9), st.floats(-1, 1))


@given(
    st.text(min_size=1),
    st.dictionaries(st.sampled_from(["input", "context"]), INPUTS),
    st.one_of(st.none(), st.lists(st.fixed_dictionaries({"input": st.text(), "output": st.text()}), max_size=2)),
)
def test_all_columns_of_a_row_and_its_own_ones_give_the_same_question(
    query: str, inputs: dict[str, Any], instances: list[dict[str, str]] | None
) -> None:
    """What a stage reads of an open record, and what it is given of a record of its own."""
    row = {"id": "r", "query": query, **inputs, "instances": instances}
    with TemporaryDirectory() as folder:
        (found,) = read(write_rows(Path(folder) / "rows.jsonl", [row]), QUERY)
    assert found["query"] == with_its_input(row, "query")
    # Of two names for it, the first is meant that says something.
    texts = ["" if inputs.get(name) is None else str(inputs[name]) for name in ("input", "context")]
    assert next(filter(str.strip, texts), "") in found["query"]


def read(spec: Path, record: Any, columns: dict[str, str] | None = None) -> list[dict[str, Any]]:
    scratch = spec.with_name("scratch")
    scratch.unlink(missing_ok=True)
    rows: list[dict[str, Any]] = Source(str(spec), record, columns or {}, None).table(scratch).to_pylist()
    return rows
