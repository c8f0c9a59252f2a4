"""`kill -9` at random moments: the command repeated asks for nothing that lay there, and ends in the same bytes."""

import random
from pathlib import Path

import pytest

from tests.counting_server import counting_server
from tests.faults.processes import kill_again_and_again, write_questions

ROWS = 48
IN_FLIGHT = ("--in-flight", 8)
COMMANDS = {
    "one call": ("reject", "sample", "-n", 4),
    "until": ("reject", "sample", "-n", 4, "--until", 150),
    "keeping answers": ("reject", "sample", "-n", 4, "--keep-answers"),
    "until distinct": ("reject", "sample", "-n", 2, "--until-distinct", 3, "--max-samples", 8),
    "two calls": ("augment", "respond", "-n", 2),
    "scores": ("score", "nll", "--text", "question", "--keep-tokens"),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_run(tmp_path: Path, name: str) -> None:
    source = write_questions(tmp_path / "questions.jsonl", ROWS)
    group, step, *options = COMMANDS[name]
    with counting_server(delay=0.06) as server:
        command = (group, step, source, *options, *IN_FLIGHT, "--base-url", server.url)
        tally = kill_again_and_again(tmp_path, command, ROWS, server, random.Random(name), kills=2, longest=1.3)
    assert tally.kills
