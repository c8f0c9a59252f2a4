"""Whatever a server does, each row gets the answer to its own question, once, and the run goes on.

What the protocol cannot tell is believed: a well-formed answer to another request, of the right number of choices,
looks like any other, also where a server sends two answers to one request and the connection is used again. Nor is
the name of the model in an answer compared with the one asked for, because servers answer with the names of releases
and adapters behind the name that they offer.
"""

import os
import signal
from pathlib import Path

import pytest

from synth.pipelines.runtime.shared import NEUTRAL
from synth.schemas.dataset import Dataset
from tests.faults.campaign import record_of, shard_bytes
from tests.faults.faulty_server import FaultyServer, faulty_server
from tests.faults.processes import end, finish, start, wait_until, write_questions

ROWS = 30


@pytest.fixture(scope="module")
def questions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_questions(tmp_path_factory.mktemp("faulty") / "questions.jsonl", ROWS)


@pytest.fixture(scope="module")
def whole(questions: Path) -> dict[str, bytes]:
    with faulty_server() as server:
        finish(*command(questions, questions.with_name("whole"), server))
    return shard_bytes(questions.with_name("whole"))


def command(source: Path, out: Path, server: FaultyServer) -> tuple[object, ...]:
    patience = ("--engine-arg", "timeout=2")
    return ("reject", "sample", source, out, "-n", 3, "--in-flight", 8, "--base-url", server.url, *patience)


FAULTS = [
    "429",
    "500",
    "half",
    "closed",
    "garbage",
    "not HTTP",
    "late",
    "few choices",
    "malformed",
    "an error with status 200",
]


@pytest.mark.parametrize(
    "faults",
    [
        ["429", "500"],
        ["half", "closed", "garbage", "not HTTP"],
        ["late", "hangs"],
        ["few choices"],
        FAULTS,
    ],
)
def test_passing_faults_change_nothing(
    tmp_path: Path, questions: Path, whole: dict[str, bytes], faults: list[str]
) -> None:
    def plan(number: int) -> str | None:
        return faults[number // 3 % len(faults)] if number % 3 == 1 and number < 36 else None

    with faulty_server(plan) as server:
        finish(*command(questions, tmp_path / "out", server))
        assert shard_bytes(tmp_path / "out") == whole
        assert record_of(tmp_path / "out")["counts"]["produced"] == ROWS
        answered = [(prompt, seed) for prompt, seed in server.answered if prompt != NEUTRAL]
        assert len(answered) == len(set(answered))
        assert len({prompt for prompt, _ in answered}) == ROWS


def test_an_answer_without_choices_is_a_refusal_and_one_without_counts_leaves_them_unknown(
    tmp_path: Path, questions: Path, whole: dict[str, bytes]
) -> None:
    odd = {4: "no choices", 9: "no counts"}
    with faulty_server(odd.get) as server:
        finish(*command(questions, tmp_path / "out", server))
        assert server.received == ROWS
    counts = record_of(tmp_path / "out")["counts"]
    assert (counts["produced"], counts["rejected"], counts["reasons"]) == (ROWS - 1, 1, {"refused": 1})
    rows = {row["id"]: row for row in Dataset(tmp_path / "out").rows()}
    right = {row["id"]: row for row in Dataset(questions.with_name("whole")).rows()}
    assert whole
    assert rows.keys() < right.keys()
    assert len(rows) == len(right) - 3
    uncounted = {"prompt_tokens": None, "completion_tokens": None}
    changed = [name for name, row in rows.items() if row != right[name]]
    assert len(changed) == 3
    assert all(rows[name] == right[name] | uncounted for name in changed)


def test_a_server_that_dies_and_comes_back_on_its_port_is_found_again(
    tmp_path: Path, questions: Path, whole: dict[str, bytes]
) -> None:
    with faulty_server(lambda number: None if number < 10 else "closed") as server:
        port = server.server_address[1]
        process = start(*command(questions, tmp_path / "out", server))
        wait_until(lambda: server.received >= 14, process)
        answered = list(server.answered)
    with faulty_server(port=port) as server:
        code, said = end(process)
        assert code == 0, said
        assert shard_bytes(tmp_path / "out") == whole
        assert not set(answered) & set(server.answered)


def test_ctrl_c_ends_a_run_whose_server_hangs(tmp_path: Path, questions: Path, whole: dict[str, bytes]) -> None:
    with faulty_server(lambda number: "hangs" if number > 4 else None) as server:
        process = start(*command(questions, tmp_path / "out", server), "--engine-arg", "concurrency=4")
        wait_until(lambda: server.received >= 8, process)
        os.killpg(process.pid, signal.SIGINT)
        code, said = end(process)
        assert code == 130
        assert said.startswith("synth: interrupted")
        answered = list(server.answered)
    with faulty_server() as server:
        finish(*command(questions, tmp_path / "out", server))
        assert not set(answered) & set(server.answered)
    assert shard_bytes(tmp_path / "out") == whole
