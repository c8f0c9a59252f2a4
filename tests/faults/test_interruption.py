"""Killed or interrupted at any moment, the same command goes on where it was and ends in the same bytes."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.counting_server import counting_server
from tests.faults import loading
from tests.faults.campaign import asked_for, recorded, shard_bytes
from tests.faults.processes import end, finish, kill, start, wait_until, write_questions

# All rows in one chunk, so that every answer lies in its journal until the end.
WHOLE = 60


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    return write_questions(tmp_path / "questions.jsonl", 60)


@pytest.mark.parametrize("answers", [1, 25, 45])
def test_after_kill_9_no_recorded_answer_is_asked_for_again_and_the_bytes_are_the_same(
    tmp_path: Path, questions: Path, answers: int
) -> None:
    with counting_server(delay=0.1) as server:
        command = ("reject", "sample", questions, tmp_path / "out", "--base-url", server.url, "-n", 4, "--in-flight", 4)
        process = start(*command, chunk_rows=WHOLE)
        wait_until(lambda: len(recorded(tmp_path / "out.partial")) >= answers, process)
        kill(process)
        kept = recorded(tmp_path / "out.partial")
        assert not (tmp_path / "out").exists()
        before = len(server.asked)
        server.asked.clear()
        finish(*command, chunk_rows=WHOLE)
        asked = list(map(asked_for, server.asked))
        # Of what was asked for, only requests under way when the run was killed may be missing from its cost.
        cost = json.loads((tmp_path / "out" / "synth.json").read_text())["cost"]
        assert 60 * 5 <= cost["prompt_tokens"] <= (before + len(asked)) * 5
        assert cost["completion_tokens"] == cost["prompt_tokens"] / 5 * 4 * 7
        assert not kept & set(asked)
        assert len(asked) == 60 - len(kept)
        finish("reject", "sample", questions, tmp_path / "whole", "--base-url", server.url, "-n", 4, chunk_rows=WHOLE)
    assert shard_bytes(tmp_path / "out") == shard_bytes(tmp_path / "whole")


def test_without_seeds_neither_a_run_that_was_killed_nor_a_complete_one_asks_for_a_recorded_answer_again(
    tmp_path: Path, questions: Path
) -> None:
    out = tmp_path / "out"
    with counting_server(delay=0.1) as server:
        command = ("reject", "sample", questions, out, "--base-url", server.url, "-n", 4, "--no-seeds")
        process = start(*command, "--in-flight", 4, chunk_rows=WHOLE)
        wait_until(lambda: len(recorded(tmp_path / "out.partial")) >= 25, process)
        kill(process)
        kept = {prompt for prompt, _ in recorded(tmp_path / "out.partial")}
        server.asked.clear()
        finish(*command, chunk_rows=WHOLE)
        asked = [asked_for(body)[0] for body in server.asked]
        assert len(asked) == len(set(asked)) == 60 - len(kept)
        assert not kept & set(asked)
        published = shard_bytes(out)
        server.asked.clear()
        # All answers are drawn anew if they are asked for, and none is.
        finish(*command, chunk_rows=WHOLE)
        finish(*command, "--update", chunk_rows=WHOLE)
        assert not server.asked
    assert shard_bytes(out) == published


def test_after_kill_9_of_the_echo_engine_the_bytes_are_those_of_an_uninterrupted_run(
    tmp_path: Path, questions: Path
) -> None:
    echo = ("--engine", "echo", "--engine-arg", "delay=0.05", "-n", 4)
    command = ("reject", "sample", questions, tmp_path / "out", *echo, "--in-flight", 4)
    process = start(*command, chunk_rows=WHOLE)
    partial = tmp_path / "out.partial"
    wait_until(lambda: len(recorded(partial)) > 12, process)
    kill(process)
    finish(*command, chunk_rows=WHOLE)
    finish("reject", "sample", questions, tmp_path / "whole", *echo, "--in-flight", 60, chunk_rows=WHOLE)
    assert shard_bytes(tmp_path / "out") == shard_bytes(tmp_path / "whole")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_keeps_what_was_finished_exits_130_and_the_command_goes_on(
    tmp_path: Path, questions: Path, number: signal.Signals
) -> None:
    with counting_server(delay=0.1) as server:
        command = ("reject", "sample", questions, tmp_path / "out", "--base-url", server.url, "-n", 4, "--in-flight", 4)
        process = start(*command, chunk_rows=WHOLE)
        wait_until(lambda: len(server.asked) >= 12, process)
        os.killpg(process.pid, number)
        code, said = end(process)
        assert code == 130
        assert "repeat the command" in said
        asked = len(server.asked)
        finish(*command, chunk_rows=WHOLE)
        assert len(server.asked) == 60, "rows in flight at Ctrl-C were not finished, or finished rows were asked again"
        assert asked < 60


def test_a_second_ctrl_c_does_not_wait_for_rows_in_flight(tmp_path: Path, questions: Path) -> None:
    with counting_server(delay=30) as server:
        process = start("reject", "sample", questions, tmp_path / "out", "--base-url", server.url, "-n", 4)
        wait_until(lambda: len(server.asked) >= 10, process)
        os.killpg(process.pid, signal.SIGINT)
        time.sleep(0.5)
        os.killpg(process.pid, signal.SIGINT)
        code, said = end(process, timeout=20)
        assert code == 130
        assert "repeat the command" in said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_while_a_model_is_loaded_ends_the_process_and_those_that_serve_the_model(
    tmp_path: Path, questions: Path, number: signal.Signals
) -> None:
    (tmp_path / "config.json").write_text("{}")
    command = ("reject", "sample", questions, tmp_path / "out", "--engine", "vllm", "--model", tmp_path)
    process = subprocess.Popen(
        [sys.executable, loading.__file__, tmp_path, *map(str, command)], stderr=subprocess.PIPE, text=True
    )
    wait_until((tmp_path / "before").exists, process)
    process.send_signal(number)
    assert end(process) == (130, "synth: interrupted: finished work is kept, repeat the command to continue\n")
    serving = [int((tmp_path / name).read_text()) for name in ("before", "after")]
    deadline = time.monotonic() + 60
    while any(map(is_running, serving)):
        assert time.monotonic() < deadline, "a process that serves the model was left behind"
        time.sleep(0.01)


def is_running(pid: int) -> bool:
    """Whether there is such a process; one that has ended, and that nobody has asked about yet, is not running."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def test_ctrl_c_while_the_input_is_read_has_a_sentence_too(tmp_path: Path) -> None:
    events = tmp_path / "events.jsonl"
    # Nobody writes to its standard input, so reading it does not end.
    never, unused = os.pipe()
    process = start("filter", "-", tmp_path / "out", "--where", "true", "--events", events, given=never)
    wait_until(lambda: events.exists() and events.stat().st_size > 0, process)
    process.send_signal(signal.SIGINT)
    assert end(process) == (130, "synth: interrupted: finished work is kept, repeat the command to continue\n")
    os.close(never)
    os.close(unused)
    assert not (tmp_path / "out").exists()
