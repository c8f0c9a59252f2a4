"""Progress on stderr: what a run waits for, and the answers that arrive before any row is finished."""

import os
import pty
import subprocess
from pathlib import Path

import pytest

from synth.cli import progress
from synth.pipelines.runtime.counts import Counts
from synth.pipelines.runtime.observation import Observation
from tests.command import SYNTH, synth
from tests.rows import write_rows


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line for every observation."""
    monkeypatch.setattr(progress, "SECONDS_PER_LINE", 0.0)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time is the last number of the list."""
    times = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: times[-1])
    return times


@pytest.mark.usefixtures("hurried")
def test_a_line_says_what_the_run_waits_for_before_anything_is_answered(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.observing("augment evolve") as observe:
        observe(Observation(phase="reading seeds.jsonl"))
        observe(Observation(340, phase="starting vLLM: loading weights, starting 2 jails"))
    assert capsys.readouterr().err.splitlines() == [
        "augment evolve: reading seeds.jsonl",
        "augment evolve: 0/340 rows, starting vLLM: loading weights, starting 2 jails",
    ]


@pytest.mark.usefixtures("hurried")
def test_a_line_counts_answers_and_tokens_although_no_row_is_finished(
    capsys: pytest.CaptureFixture[str], clock: list[float]
) -> None:
    with progress.observing("augment evolve") as observe:
        observe(Observation(340, in_flight=64))
        clock.append(1010.0)
        observe(Observation(340, answers=1200, tokens=45000, verdicts=1, searches=2, scores=3, in_flight=64))
    assert capsys.readouterr().err.splitlines()[-1] == (
        "augment evolve: 0/340 rows, 0.0 rows/s, 1,200 answers, 1 verdict, 2 searches, 3 scores, "
        "4,500 tok/s, 64 in flight"
    )


@pytest.mark.usefixtures("hurried")
def test_rates_are_those_of_the_last_half_minute(capsys: pytest.CaptureFixture[str], clock: list[float]) -> None:
    with progress.observing("reject sample") as observe:
        for second in range(0, 600, 10):
            clock.append(1000.0 + second)
            # Nothing for five minutes, in which a model is loaded; then 2 rows and 100 tokens a second.
            worked = max(0, second - 300)
            observe(Observation(9999, Counts(produced=2 * worked), answers=worked, tokens=100 * worked))
    assert "2.0 rows/s, 100% accepted, 290 answers, 100 tok/s" in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("command", [("stats",), ("report", "-o", "report.html")])
@pytest.mark.usefixtures("hurried")
def test_whoever_reads_all_rows_says_how_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    monkeypatch.setattr(progress, "SECONDS_PER_LOOK", 0.0)
    monkeypatch.chdir(tmp_path)
    write_rows(tmp_path / "rows.jsonl", [{"id": "a", "text": "x"}, {"id": "b", "text": "y"}])
    said = synth(*command, "rows.jsonl").stderr.splitlines()
    assert said[0] == f"{command[0]}: 2/2 rows, reading rows.jsonl"


def test_a_terminal_of_80_columns_shows_bar_and_requests_whole(tmp_path: Path) -> None:
    rows = [{"id": f"q-{i}", "question": f"What is {i}?", "answer": "#### 1"} for i in range(40)]
    write_rows(tmp_path / "questions.jsonl", rows)
    ours, theirs = pty.openpty()
    echo = ("--engine", "echo", "--engine-arg", "delay=0.1", "-n", "2", "--in-flight", "2")
    run = subprocess.Popen(
        [SYNTH, "reject", "sample", "questions.jsonl", "out", *echo],
        cwd=tmp_path,
        stderr=theirs,
        env={**os.environ, "COLUMNS": "80", "TERM": "xterm"},
    )
    os.close(theirs)
    seen = b""
    while b"2 in flight" not in seen:
        seen += os.read(ours, 4096)
    run.terminate()
    run.wait(timeout=60)
    os.close(ours)
    shown = seen.decode(errors="replace")
    assert "/40" in shown
    assert "answers, " in shown
    assert "tok/s, 2 in flight" in shown
