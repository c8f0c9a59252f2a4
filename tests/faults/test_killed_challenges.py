"""`kill -9` between batches of failures, questions and marks: no answer of Self-Challenge is paid for twice."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.counting_server import CountingServer, serving
from tests.faults.processes import kill_in_the_middle
from tests.pipelines.challenge.made import failures, found
from tests.rows import write_rows

PATTERNS = 4
# What the shipped prompts begin with, and what is said to them; others ask for the answer to a question.
SAYS = {
    "You study": lambda seed: found(("counting", [1, 2]), (f"kind {seed % 5}", [2])),
    "You write": lambda seed: json.dumps({"questions": [f"What has {seed % 89} legs?", f"What weighs {seed % 97}?"]}),
    "You mark": lambda seed: json.dumps({"reason": "So.", "correct": bool(seed % 3)}),
    "You sharpen": lambda seed: json.dumps({"description": f"Sharper by {seed % 7}.", "suggestion": "More."}),
}


class Challenged(CountingServer):
    def __init__(self) -> None:
        super().__init__(0.05, lambda seed: f"It is {seed % 11}.")

    def text(self, body: dict[str, Any], seed: int) -> str:
        says = next((says for start, says in SAYS.items() if start in body["messages"][0]["content"]), self.says)
        # Now and then nothing that can be read.
        return says(seed) if seed % 4 else "Well."


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    names = [f"kind {number}" for number in range(PATTERNS)]
    patterns = [{"name": name, "description": "It counts.", "suggestion": "Count."} for name in names]
    asked = [{"question": f"What is {n}?", "answer": "It is.", "pattern": names[n % PATTERNS]} for n in range(24)]
    for name, rows in (("failures", failures(24)), ("patterns", patterns), ("asked", asked)):
        write_rows(tmp_path / f"{name}.jsonl", rows)
    return tmp_path


@pytest.mark.parametrize(
    ("step", "source", "options", "answers"),
    [
        ("patterns", "failures", ["--batch", 2], 3),
        ("questions", "patterns", ["--failures", "failures.jsonl", "--domains", "chess,tea,go"], 5),
        ("refine", "patterns", ["--questions", "asked.jsonl", "--judge"], 5),
    ],
)
def test_a_row_that_asks_several_times_goes_on_where_it_was(
    inputs: Path, monkeypatch: pytest.MonkeyPatch, step: str, source: str, options: list[object], answers: int
) -> None:
    monkeypatch.chdir(inputs)
    with serving(Challenged()) as server:
        command = ("challenge", step, f"{source}.jsonl", *options, "--no-schema", "--base-url", server.url)
        limits = ("--in-flight", 1, "--engine-arg", "concurrency=2")
        kill_in_the_middle(inputs, [*command, *limits], server, answers, PATTERNS)
