"""`kill -9` while rows wait for some of the answers that each of them needs: none is paid for twice."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.counting_server import counting_server
from tests.faults.processes import kill_in_the_middle
from tests.pipelines.character import acting
from tests.rows import write_rows

ROWS = 12
# Killed when so many answers are recorded, of which a row needs one to twelve.
ANSWERS = 5


@dataclass(frozen=True)
class Case:
    """The options of a command, its row of a number, and what the model says as the sample of a seed."""

    options: tuple[object, ...]
    row: Callable[[int], dict[str, Any]]
    says: Callable[[int], str]


def verdict(seed: int) -> str:
    time = "yes" if seed % 2 else "no"
    return json.dumps({"reason": "So.", "intent": "no", "knowledge": "yes", "time": time})


def reviewed(seed: int) -> str:
    """A solution, or a review of one."""
    return f"It goes on like that.\nThe answer is {4 + seed % 2}.\nVerdict: {'correct' if seed % 5 else 'incorrect'}"


def profile(number: int) -> dict[str, Any]:
    return {"name": "Ada Lane", "profile": f"She keeps {number} bees.\n\nShe sails alone."}


CASES = {
    "probe self": Case(
        ("-n", 3),
        lambda number: {"question": f"What is {number}?", "answer": "Lima"},
        lambda seed: "It is Lima." if seed % 5 else "It is Quito.",
    ),
    "probe label": Case(
        ("--votes", 3, "--temperature", 0.7, "--no-schema", "--tries", 2),
        lambda number: {"question": f"What is {number}?", "self": number % 2},
        verdict,
    ),
    "character scenes": Case(
        ("--requests", 4, "-n", 2, "--tries", 2), profile, lambda seed: acting.scenes(2, f"Place {seed}")
    ),
    "character protect": Case(("--tries", 3), profile, lambda _: acting.script()),
    "refine skills": Case(
        ("--tries", 3),
        lambda number: {"prompt": f"What is {number}?", "response": "It is 4."},
        lambda seed: f"{reviewed(seed)}\nAnswer: It is {seed % 7}.",
    ),
    "refine self": Case(
        ("--answers", 2, "--judge-temperature", 1),
        lambda number: {"prompt": f"What is {number}?", "gold": "4"},
        reviewed,
    ),
    "refine correct": Case(
        ("--verify", "model", "-n", 4),
        lambda number: {"question": f"What is {number}?", "answer": "4"},
        reviewed,
    ),
    "refine tools answer": Case(
        ("--temperature", 1),
        lambda number: {"tools": [{"name": "find", "parameters": {}}], "messages": f"Find {number}.", "calls": []},
        lambda seed: f"find(x={seed % 7})",
    ),
    "rank score": Case(
        ("--rounds", 3, "--no-schema", "--tries", 2),
        lambda number: {"query": f"What is {number}?", "responses": ["It is.", "So it is.", "No."]},
        lambda seed: json.dumps({"reason": "So.", "1": 1 + seed % 7, "2": 5, "3": 9 - seed % 5}),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_row_goes_on_with_the_answers_that_it_has(tmp_path: Path, name: str) -> None:
    case = CASES[name]
    source = write_rows(tmp_path / "rows.jsonl", map(case.row, range(ROWS)))
    # A third of the replies cannot be read, so that others are asked for.
    with counting_server(delay=0.1, says=lambda seed: case.says(seed) if seed % 3 else "Well.") as server:
        command = (*name.split(), source, *case.options, "--base-url", server.url, "--in-flight", 2)
        kill_in_the_middle(tmp_path, command, server, ANSWERS, ROWS)
