"""`synth watch`: a run seen from another terminal, while it runs, when it ends and when it has died."""

import fcntl
import json
import os
import pty
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.command import SYNTH, run_synth
from tests.rows import write_rows

COUNTS: dict[str, Any] = {
    "produced": 10,
    "rejected": 2,
    "failed": 0,
    "outputs": 40,
    "reasons": {"no_gold": 2},
    "output_reasons": {"wrong_answer": 5},
    "tallies": {"prompt_tokens": 120.0, "completion_tokens": 4000.0},
}


def watch(*arguments: object, folder: Path) -> subprocess.CompletedProcess[str]:
    return run_synth("watch", *arguments, folder=folder)


def start(*arguments: object, folder: Path, stderr: int = subprocess.PIPE) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [SYNTH, *map(str, arguments)], cwd=folder, stdout=subprocess.PIPE, stderr=stderr, text=True, bufsize=1
    )


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def say(folder: Path, **changed: object) -> None:
    """Rewrite `progress.json` as the runner does."""
    facts = {"stage": "reject sample", "rows": 60, "seconds": 3.5, "pid": os.getpid(), "counts": {**COUNTS, **changed}}
    temporary = folder / "out.partial" / "progress.json.tmp"
    temporary.write_text(json.dumps(facts))
    temporary.rename(folder / "out.partial" / "progress.json")


@contextmanager
def running(folder: Path) -> Iterator[None]:
    """A run that makes `out`, as other processes see it: this one holds the lock."""
    partial = folder / "out.partial"
    partial.mkdir(exist_ok=True)
    command = ["reject", "sample", "my questions.jsonl", "out"]
    (partial / "synth.json").write_text(json.dumps({"identity": {}, "command": command}))
    with (partial / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        say(folder)
        yield


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    rows = [{"id": f"q-{i}", "question": f"What is {i}?", "answer": "#### 1" if i else ""} for i in range(100)]
    return write_rows(tmp_path / "questions.jsonl", rows)


def slow_run(folder: Path) -> subprocess.Popen[str]:
    echo = ("--engine", "echo", "--engine-arg", "delay=0.05", "-n", 2, "--in-flight", 2)
    run = start("reject", "sample", "questions.jsonl", "out", *echo, folder=folder)
    wait_until(lambda: (folder / "out.partial" / "progress.json").exists() or run.poll() is not None)
    return run


def test_each_change_is_a_line_of_json_until_the_process_has_gone(tmp_path: Path) -> None:
    with running(tmp_path):
        watching = start("watch", "out", "--json", folder=tmp_path)
        assert watching.stdout
        first = json.loads(watching.stdout.readline())
        assert (first["state"], first["stage"], first["rows"]) == ("running", "reject sample", 60)
        assert first["counts"] == COUNTS
        say(tmp_path, produced=30)
        assert json.loads(watching.stdout.readline())["counts"]["produced"] == 30
    rest, said = watching.communicate(timeout=30)
    assert [json.loads(line)["state"] for line in rest.splitlines()] == ["stopped"]
    assert watching.returncode == 3
    assert said == (
        "synth: the run that writes out has stopped at 32 of 60 rows; "
        "repeat its command to resume: synth reject sample 'my questions.jsonl' out\n"
    )


def test_a_terminal_shows_the_bar_the_reasons_and_the_tokens(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    with running(tmp_path):
        watching = start("watch", "out", folder=tmp_path, stderr=theirs)
        os.close(theirs)
        seen = b""
        while b"completion tokens 4,000" not in seen:
            seen += os.read(ours, 4096)
        watching.send_signal(signal.SIGINT)
        watching.communicate(timeout=30)
    os.close(ours)
    shown = seen.decode(errors="replace")
    assert "reject sample" in shown
    assert "12/60" in shown
    assert "rejected: 2 (no_gold 2)" in shown
    assert "filtered: 5 (wrong_answer 5)" in shown


def test_ctrl_c_leaves_with_130_and_touches_nothing(tmp_path: Path) -> None:
    with running(tmp_path):
        before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
        watching = start("watch", "out", "--json", folder=tmp_path)
        assert watching.stdout
        watching.stdout.readline()
        watching.send_signal(signal.SIGINT)
        _, said = watching.communicate(timeout=30)
        assert watching.returncode == 130
        assert "Traceback" not in said
        assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_a_run_that_has_gone_is_reported_with_how_to_resume_and_leaves_the_lock_free(tmp_path: Path) -> None:
    with running(tmp_path):
        say(tmp_path, failed=3)
    for named in ("out", "out.partial/"):
        done = watch(named, folder=tmp_path)
        assert done.returncode == 3
        assert "has stopped at 15 of 60 rows, 3 of them failed; repeat its command" in done.stderr
    with running(tmp_path):
        pass


def test_a_run_that_died_before_it_said_anything_is_told_too(tmp_path: Path) -> None:
    (tmp_path / "out.partial").mkdir()
    done = watch("out", folder=tmp_path)
    assert (done.returncode, done.stdout) == (3, "")
    assert "has stopped before its first row; repeat its command to resume\n" in done.stderr


def test_where_there_is_nothing_to_watch_it_is_said(tmp_path: Path) -> None:
    (tmp_path / "file.jsonl").write_text("{}\n")
    (tmp_path / "empty").mkdir()
    for named in ("nowhere", "file.jsonl", "empty", ".", "/"):
        done = watch(named, folder=tmp_path)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith("synth: no run is making")


def test_progress_that_cannot_be_read_is_one_sentence(tmp_path: Path) -> None:
    with running(tmp_path):
        for content in ("{", "[]", "{}"):
            (tmp_path / "out.partial" / "progress.json").write_text(content)
            done = watch("out", folder=tmp_path)
            assert done.returncode == 2
            assert done.stderr.startswith("synth: out.partial/progress.json")


def test_a_real_run_is_watched_to_its_end(tmp_path: Path, questions: Path) -> None:
    assert questions.exists()
    run = slow_run(tmp_path)
    done = watch("out", "--json", folder=tmp_path)
    assert "198 rows from 99 of 100" in run.communicate(timeout=60)[1]
    states = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["state"] for line in states] == ["running"] * (len(states) - 1) + ["complete"]
    finished = [sum(line["counts"][name] for name in ("produced", "rejected", "failed")) for line in states]
    assert finished == sorted(finished)
    assert len(states) > 1
    assert states[-1]["counts"]["outputs"] == 198
    assert done.returncode == 0
    assert "out is complete: 198 rows" in done.stderr

    again = watch("out", folder=tmp_path)
    assert (again.returncode, again.stdout) == (0, "")
    assert "out is complete: 198 rows" in again.stderr
    assert "rejected: 1 (no_gold 1)" in again.stderr


def test_a_real_run_that_is_killed_ends_the_watch_and_can_be_resumed(tmp_path: Path, questions: Path) -> None:
    assert questions.exists()
    run = slow_run(tmp_path)
    watching = start("watch", "out", folder=tmp_path)
    run.kill()
    run.communicate()
    _, said = watching.communicate(timeout=30)
    assert watching.returncode == 3
    assert "of 100 rows; repeat its command to resume: synth reject sample questions.jsonl out" in said
    (tmp_path / "below").mkdir()
    said = watch("../out", folder=tmp_path / "below").stderr
    assert "repeat its command to resume: cd .. && synth reject sample questions.jsonl out" in said


def test_an_old_output_that_fresh_has_begun_to_replace_is_not_taken_for_the_new_one(
    tmp_path: Path, questions: Path
) -> None:
    command = ("reject", "sample", questions, "out", "--engine", "echo", "-n", 1)
    start(*command, folder=tmp_path).communicate()
    with running(tmp_path):
        pass
    later = time.time() + 60
    os.utime(tmp_path / "out.partial" / "synth.json", (later, later))
    assert watch("out", folder=tmp_path).returncode == 3


def test_a_directory_that_datasets_wrote_is_complete(tmp_path: Path) -> None:
    import datasets

    datasets.Dataset.from_dict({"text": ["a"]}).save_to_disk(tmp_path / "saved")
    done = watch("saved", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "saved is complete\n")
