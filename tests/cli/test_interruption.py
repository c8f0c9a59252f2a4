"""Killed or interrupted at any moment, the same command goes on where it was and ends in the same bytes."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.tools import ANSWERS
from schemas.journal import read_journal
from tests.counting_server import counting_server

SYNTH = str(Path(sys.executable).with_name("synth"))


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    path = tmp_path / "questions.jsonl"
    path.write_text(
        "".join(
            json.dumps({"id": f"q-{i}", "question": f"What is {i}?", "answer": f"#### {i % 3}"}) + "\n"
            for i in range(60)
        )
    )
    return path


def start(*arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen([SYNTH, *map(str, arguments)], stderr=subprocess.PIPE, text=True, start_new_session=True)


def finish(*arguments: object) -> str:
    done = subprocess.run([SYNTH, *map(str, arguments)], stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stderr


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline, "the run did not get that far"
        time.sleep(0.01)


def shard_bytes(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.arrow"))}


def recorded(partial: Path) -> set[tuple[str, int]]:
    """The (prompt, seed) of every answer that lies in the journals of a killed run."""
    answers: set[tuple[str, int]] = set()
    for path in partial.glob("work/*/answers.arrow"):
        for request in map(json.loads, read_journal(path, ANSWERS)["request"].to_pylist()):
            answers.add((request["prompt"], request["seed"]))
    return answers


@pytest.mark.parametrize("answers", [1, 25, 45])
def test_after_kill_9_no_recorded_answer_is_asked_for_again_and_the_bytes_are_the_same(
    tmp_path: Path, questions: Path, answers: int
) -> None:
    with counting_server(delay=0.1) as server:
        command = ("reject", "sample", questions, tmp_path / "out", "--base-url", server.url, "-n", 4, "--in-flight", 4)
        process = start(*command)
        wait_until(lambda: len(recorded(tmp_path / "out.partial")) >= answers, process)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        kept = recorded(tmp_path / "out.partial")
        assert not (tmp_path / "out").exists()
        server.asked.clear()
        finish(*command)
        asked = [(body["prompt"], body["seed"]) for body in server.asked]
        assert not kept & set(asked)
        assert len(asked) == 60 - len(kept)
        finish("reject", "sample", questions, tmp_path / "whole", "--base-url", server.url, "-n", 4)
    assert shard_bytes(tmp_path / "out") == shard_bytes(tmp_path / "whole")


def test_after_kill_9_of_the_echo_engine_the_bytes_are_those_of_an_uninterrupted_run(
    tmp_path: Path, questions: Path
) -> None:
    echo = ("--engine", "echo", "--engine-arg", "delay=0.05", "-n", 4)
    command = ("reject", "sample", questions, tmp_path / "out", *echo, "--in-flight", 4)
    process = start(*command)
    partial = tmp_path / "out.partial"
    wait_until(lambda: len(recorded(partial)) > 12, process)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    finish(*command)
    finish("reject", "sample", questions, tmp_path / "whole", *echo, "--in-flight", 60)
    assert shard_bytes(tmp_path / "out") == shard_bytes(tmp_path / "whole")


def test_ctrl_c_keeps_what_was_finished_exits_130_and_the_command_goes_on(tmp_path: Path, questions: Path) -> None:
    with counting_server(delay=0.1) as server:
        command = ("reject", "sample", questions, tmp_path / "out", "--base-url", server.url, "-n", 4, "--in-flight", 4)
        process = start(*command)
        wait_until(lambda: len(server.asked) >= 12, process)
        os.killpg(process.pid, signal.SIGINT)
        said = process.communicate(timeout=10)[1]
        assert process.returncode == 130
        assert "repeat the command" in said
        assert "Traceback" not in said
        asked = len(server.asked)
        finish(*command)
        assert len(server.asked) == 60, "rows in flight at Ctrl-C were not finished, or finished rows were asked again"
        assert asked < 60


def test_a_second_ctrl_c_does_not_wait_for_rows_in_flight(tmp_path: Path, questions: Path) -> None:
    with counting_server(delay=30) as server:
        process = start("reject", "sample", questions, tmp_path / "out", "--base-url", server.url, "-n", 4)
        wait_until(lambda: len(server.asked) >= 10, process)
        os.killpg(process.pid, signal.SIGINT)
        time.sleep(0.5)
        os.killpg(process.pid, signal.SIGINT)
        assert "repeat the command" in process.communicate(timeout=3)[1]
        assert process.returncode == 130
