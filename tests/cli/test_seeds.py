"""Runs with and without seeds: a run has them or has them not, and says so."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from synth.schemas.errors import BudgetSpent, Stale
from tests.command import invoke, synth
from tests.counting_server import CountingServer, counting_server
from tests.rows import rows_of, write_rows

ROWS = 6


@pytest.fixture
def server() -> Iterator[CountingServer]:
    with counting_server() as server:
        yield server


@pytest.fixture
def command(tmp_path: Path, server: CountingServer) -> tuple[object, ...]:
    questions = [{"question": f"What is {n}+2?", "answer": f"#### {n + 2}"} for n in range(ROWS)]
    source = write_rows(tmp_path / "questions.jsonl", questions)
    return ("reject", "sample", source, tmp_path / "out", "-n", 2, "--base-url", server.url)


def seeds(server: CountingServer) -> set[int | None]:
    """The seeds of the requests since the last call."""
    found = {body.get("seed") for body in server.asked}
    server.asked.clear()
    return found


def test_without_seeds_none_is_sent_and_the_record_says_so(
    tmp_path: Path, server: CountingServer, command: tuple[object, ...]
) -> None:
    synth(*command, "--no-seeds")
    assert len(server.asked) == ROWS
    assert seeds(server) == {None}
    assert len(rows_of(tmp_path / "out")) == 2 * ROWS
    record = json.loads((tmp_path / "out" / "synth.json").read_text())
    assert record["identity"]["engine"]["seeds"] is False


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [((), ("--no-seeds",), "drawn with seeds"), (("--no-seeds",), (), "drawn without seeds")],
)
def test_a_run_that_has_begun_with_seeds_or_without_is_not_finished_the_other_way(
    server: CountingServer, command: tuple[object, ...], before: tuple[str, ...], after: tuple[str, ...], says: str
) -> None:
    stopped = invoke(*command, *before, "--budget-tokens", 30, "--in-flight", 1).exception
    assert isinstance(stopped, BudgetSpent)
    assert 0 < len(server.asked) < ROWS
    server.asked.clear()
    refusal = invoke(*command, *after).exception
    assert isinstance(refusal, Stale)
    assert f"out.partial is stale: its samples were {says}; " in str(refusal)
    assert not server.asked


def test_an_update_takes_no_answer_over_that_was_drawn_the_other_way(
    server: CountingServer, command: tuple[object, ...]
) -> None:
    synth(*command)
    with_seeds = seeds(server)
    assert len(with_seeds) == ROWS
    synth(*command, "--no-seeds", "--stale", "update")
    assert len(server.asked) == ROWS
    assert seeds(server) == {None}
