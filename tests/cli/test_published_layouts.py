"""Each row of the table of published layouts in docs/inputs.md is what the command does with such rows."""

import gzip
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from synth.schemas.dataset import Dataset
from synth.schemas.errors import InputError
from synth.schemas.instructions import with_input
from tests.command import synth
from tests.counting_server import counting_server
from tests.rows import Rows, rows_of, write_rows

PAGE = Path(__file__).parents[2] / "docs" / "inputs.md"
SHARED = Path(__file__).parents[3] / "shared" / "data"

# The files of the layouts that are at hand, of which some rows are read.
FILES = {
    "GSM8K": "gsm8k-train.jsonl",
    "Self-Instruct": "self-instruct-seed-tasks.jsonl",
    "LonGen": "longen.jsonl",
    "HumanEval": "humaneval.jsonl.gz",
}
EGGS, BEADS = "Ida sells 3 boxes of 6 eggs. How many eggs?", "Uli has 9 beads and finds 4. How many beads?"
ESSAY = (
    " ".join(f"The {thing} of the island is old, and nobody has seen all of it." for thing in ("well", "mill")) + " "
)
LAYOUTS: dict[str, Rows] = {
    "GSM8K": [
        {"question": EGGS, "answer": "There are 3*6=<<3*6=18>>18 eggs.\n#### 18"},
        {"question": BEADS, "answer": "There are 9+4=<<9+4=13>>13 beads.\n#### 13"},
    ],
    "MATH": [
        {
            "problem": "What is $2^5$?",
            "level": "Level 1",
            "type": "Algebra",
            "solution": r"It is $2^5 = \boxed{32}$.",
        }
    ],
    "CommonsenseQA, ARC": [
        {
            "id": "c-1",
            "question": "Where do gulls rest?",
            "question_concept": "gull",
            "choices": {"label": ["A", "B"], "text": ["on a cliff", "in a drawer"]},
            "answerKey": "A",
        }
    ],
    "OpenBookQA": [
        {
            "id": "o-1",
            "question_stem": "Tides follow",
            "choices": {"text": ["the wind", "the moon"], "label": ["A", "B"]},
            "answerKey": "B",
        }
    ],
    "RFT, AugGSM8K, MuggleMath": [
        {"query": EGGS, "response": "6+6+6=<<6+6+6=18>>18.\n#### 18"},
        {"query": EGGS, "response": "3*6=<<3*6=18>>18.\n#### 18"},
        {"query": BEADS, "response": "9+4=<<9+4=13>>13.\n#### 13"},
    ],
    "samples with gold answers": [
        {"question": EGGS, "answer": "#### 18", "response": "6+6+6=<<6+6+6=18>>18.\n#### 18"},
        {"question": EGGS, "answer": "#### 18", "response": "3*6=<<3*6=19>>19.\n#### 19"},
    ],
    "Alpaca": [
        {
            "instruction": "Translate into Danish.",
            "input": "The sea is calm.",
            "output": ESSAY,
            "text": "### All of it",
        },
        {"instruction": "Name two islands of the north.", "input": "", "output": ESSAY, "text": "All of that"},
    ],
    "Dolly": [
        {
            "instruction": "What was found?",
            "context": "Near the pier a boat was found.",
            "response": "A boat.",
            "category": "closed_qa",
        }
    ],
    "Self-Instruct": [
        {
            "id": f"task-{number}",
            "name": "rhyme",
            "instruction": instruction,
            "instances": [{"input": given, "output": "…"}],
            "is_classification": False,
        }
        for number, (instruction, given) in enumerate(
            [("Find a rhyme.", "boat"), ("Which word is longer?", "bay, cliff")]
        )
    ],
    "ShareGPT": [
        {
            "id": "s1_0",
            "conversations": [{"from": "human", "value": "Plan a walk."}, {"from": "gpt", "value": "At dawn."}],
        }
    ],
    "chats": [
        {"messages": [{"role": "user", "content": "Plan a swim."}, {"role": "assistant", "content": "At noon."}]}
    ],
    "InsTag": [
        {
            "id": f"tag-{number}",
            "conversations": [{"from": "human", "value": "Plan a walk."}],
            "tags": [{"tag": tag, "explanation": "It asks for it."} for tag in tags],
        }
        for number, tags in enumerate([["travel planning", "advice"], ["travel planning"]])
    ],
    "LonGen": [
        {
            "language": "en",
            "range": "2-4k",
            "type": "above",
            "constraint": "3000 words",
            "query": "Write of the tides in 3000 words or more.",
        }
    ],
    "Knowledge Pile": [{"text": "Tides follow the moon.", "url": "http://example.org/tides"}],
    "HumanEval": [
        {
            "task_id": "HumanEval/900",
            "prompt": 'def twice(text):\n    """Return text two times."""\n',
            "entry_point": "twice",
            "canonical_solution": "    return text * 2\n",
            "test": "def check(candidate):\n    assert candidate('a') == 'aa'\n",
        }
    ],
    "MBPP": [
        {
            "task_id": 901,
            "text": "Write a function to double a number.",
            "code": "def double(n):\n    return 2 * n",
            "test_list": ["assert double(2) == 4"],
            "test_setup_code": "",
            "challenge_test_list": [],
        }
    ],
    "MBPP, sanitized": [
        {
            "source_file": "x.ipynb",
            "task_id": 901,
            "prompt": "Write a function to double a number.",
            "code": "def double(n):\n    return 2 * n",
            "test_imports": [],
            "test_list": ["assert double(2) == 4"],
        }
    ],
}
LAYOUTS["LonGen, answered"] = [{**LAYOUTS["LonGen"][0], "response": "word " * 2000}]

# So that a command asks about each row once, whatever it is answered.
BRIEFLY = {
    "augment respond": ("-n", 1),
    "reject sample": ("-n", 1),
    "refine correct": ("-n", 1),
    "instag tag": ("--no-schema", "--tries", 1),
    "dstc": ("--n-code", 2, "--n-tests", 2),
    "self-lengthen instruct": ("-n", 1, "--tries", 1),
    "self-lengthen draft": ("-n", 1, "--no-check"),
    "self-lengthen extend": ("-n", 1, "--tries", 1),
    "self-lengthen constrain": ("--min-words", 2, "--tries", 1),
    "self-lengthen evaluate --judge": ("--no-schema", "--tries", 1),
}
# What these read goes through to their output.
PASSING = ("instag", "self-lengthen")


@dataclass(frozen=True)
class Line:
    """A row of the table, for one of its commands."""

    layout: str
    columns: tuple[str, ...]
    command: str
    asked: tuple[str, ...]
    read: tuple[str, ...]


def table() -> Iterator[Line]:
    _, _, lines = PAGE.read_text().partition("| layout | columns | command |")
    for line in lines.partition("\n\n")[0].splitlines()[2:]:
        layout, *cells = (cell.strip() for cell in line.strip("|").split("|"))
        columns, commands, asked, read = (tuple(re.findall(r"`([^`]+)`", cell)) for cell in cells)
        yield from (Line(layout, columns, command, asked, read) for command in commands)


TABLE = list(table())


def published_rows(layout: str) -> Rows:
    """Rows of the published file, where it is at hand, and rows of that layout where it is not."""
    if (file := SHARED / FILES.get(layout, "nowhere")).is_file():
        return read_lines(file)[:3]
    return LAYOUTS[layout]


def read_lines(file: Path) -> Rows:
    text = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    return [json.loads(line) for line in text.splitlines()]


@dataclass(frozen=True)
class Outcome:
    """What a command asked, printed and wrote."""

    requests: Sequence[str]
    printed: str
    rows: Rows


def outcome(line: Line, rows: Rows, folder: Path) -> Outcome:
    words = line.command.split()
    command = 1 if words[0] == "dstc" else 2
    source = write_rows(folder / "published.jsonl", rows)
    gold = write_rows(folder / "gsm8k.jsonl", LAYOUTS["GSM8K"])
    flags = [gold if word == "gsm8k.jsonl" else word for word in words[command:]]
    out = folder / "out"
    with counting_server(says=lambda _: "Yes, it is so.") as server:
        engine = ("--engine", "openai", "--base-url", server.url, "--model", "counted") if line.asked else ()
        target = () if line.command == "instag measure" else (out,)
        printed = synth(*words[:command], source, *target, *flags, *BRIEFLY.get(line.command, ()), *engine).stdout
        bodies = [
            request.get("prompt") or "\n".join(one["content"] for one in request["messages"])
            for request in server.asked
        ]
    return Outcome(sorted(bodies), printed, rows_of(out) if target else [])


def outcome_or_fault(line: Line, rows: Rows, folder: Path) -> Outcome | str:
    try:
        return outcome(line, rows, folder)
    except InputError as error:
        return str(error)


def without(row: dict[str, Any], columns: Sequence[str]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in columns}


def text_of(column: str, value: Any) -> str:
    """What a model is asked of a value: of chats what the user says first, of instances and choices the first."""
    if column == "choices":
        return str(value["text"][0])
    if column == "instances":
        return str(value[0]["input"])
    if isinstance(value, list):
        return str(value[0].get("value") or value[0].get("content"))
    return str(value).strip()


def names(line: Line) -> str:
    return f"{line.command}, {line.layout}"


def skip_without_math_verify(line: Line) -> None:
    if "--boxed" in line.command and find_spec("math_verify") is None:
        pytest.skip("math-verify is an extra")


def test_the_page_and_these_tests_have_the_same_layouts() -> None:
    assert {line.layout for line in TABLE} == set(LAYOUTS)


@pytest.mark.parametrize("line", TABLE, ids=names)
def test_a_layout_is_read_as_it_is_published(tmp_path: Path, line: Line) -> None:
    skip_without_math_verify(line)
    rows = published_rows(line.layout)
    assert all(set(line.columns) <= set(row) for row in rows)
    found = outcome(line, rows, tmp_path)
    assert bool(found.requests) == bool(line.asked)
    if line.asked:
        texts = [[text_of(column, row[column]) for column in line.asked] for row in rows]
        assert any(all(text in request for text in row) for row in texts if all(row) for request in found.requests)
    elif line.command != "instag measure":
        assert found.rows


@pytest.mark.parametrize(
    ("line", "column"),
    [(line, column) for line in TABLE for column in (*line.asked, *line.read)],
    ids=lambda value: names(value) if isinstance(value, Line) else value,
)
def test_each_column_of_the_table_counts(tmp_path: Path, line: Line, column: str) -> None:
    """Without it the command asks or writes something else, or says that it is missing."""
    skip_without_math_verify(line)
    rows = LAYOUTS[line.layout]
    whole = outcome(line, rows, tmp_path / "whole")
    partial = outcome_or_fault(line, [without(row, (column,)) for row in rows], tmp_path / "partial")
    if isinstance(partial, str):
        assert any(name in partial for name in (column, "--text", "--tags"))
        return
    passed = (column,) if line.command.startswith(PASSING) else ()
    written = [[without(row, passed) for row in found.rows] for found in (whole, partial)]
    assert whole.requests != partial.requests or written[0] != written[1]


@pytest.mark.parametrize("name", ["self-instruct-seed-tasks.jsonl", "self-instruct-user-instructions.jsonl"])
def test_all_of_self_instruct_is_asked_with_its_inputs(tmp_path: Path, name: str) -> None:
    if not (file := SHARED / name).is_file():
        pytest.skip(f"{file} is not there")
    synth("self-lengthen", "draft", file, tmp_path / "out", "-n", 1, "--no-check", "--engine", "echo")
    told = {row["instruction_id"]: row["response"] for row in rows_of(tmp_path / "out")}
    for row in read_lines(file):
        asked = with_input(row["instruction"], row["instances"][0]["input"]).strip()
        assert told[row["id"]].startswith(f"{asked} [")
    synth("instag", "tag", file, tmp_path / "tags", "--no-schema", "--tries", 1, "--engine", "echo")
    run = Dataset.open(tmp_path / "tags").run
    assert run is not None
    assert run["input_rows"] == len(told)


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("longen.jsonl", ("self-lengthen", "draft", "-n", 1, "--no-check")),
        ("humaneval.jsonl.gz", ("dstc", "--n-code", 2)),
        ("gsm8k-train.jsonl", ("reject", "sample", "-n", 1, "--limit", 500)),
        ("gsm8k-train.jsonl", ("augment", "evolve", "--limit", 500)),
    ],
)
def test_published_files_are_read_to_their_end(tmp_path: Path, name: str, command: tuple[Any, ...]) -> None:
    if not (file := SHARED / name).is_file():
        pytest.skip(f"{file} is not there")
    words = 1 if command[0] == "dstc" else 2
    synth(*command[:words], file, tmp_path / "out", *command[words:], "--engine", "echo")
    run = Dataset.open(tmp_path / "out").run
    assert run is not None
    assert run["input_rows"] == min(len(read_lines(file)), 500)
    assert run["counts"]["failed"] == 0


def test_answers_to_longen_are_measured_as_they_come_from_draft(tmp_path: Path) -> None:
    if not (file := SHARED / "longen.jsonl").is_file():
        pytest.skip(f"{file} is not there")
    reply = ("--engine-arg", f"reply={'word ' * 4000}")
    synth("self-lengthen", "draft", file, tmp_path / "out", "-n", 1, "--no-check", "--engine", "echo", *reply)
    synth("self-lengthen", "evaluate", tmp_path / "out", tmp_path / "scored")
    run = Dataset.open(tmp_path / "scored").run
    assert run is not None
    assert run["means"]["length_score"] == pytest.approx(0.6778, abs=1e-4)


@pytest.mark.parametrize(
    ("rows", "command", "told"),
    [
        ('[["Question: …", "Answer: …"]]\n', ("reject", "select"), r"lines\.jsonl:1 is a list"),
        ('{"query": "a", "tags": "[{}]"}\n', ("instag", "measure"), "tags, which is string"),
        ('{"query": "a", "type": "about"}\n', ("self-lengthen", "evaluate"), "response"),
    ],
)
def test_what_could_be_two_things_is_refused_by_name(
    tmp_path: Path, rows: str, command: tuple[str, ...], told: str
) -> None:
    file = tmp_path / "lines.jsonl"
    file.write_text(rows)
    with pytest.raises(InputError, match=told):
        synth(*command, file, *(() if command[1] == "measure" else (tmp_path / "out",)))
