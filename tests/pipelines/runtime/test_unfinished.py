"""The rows that a run has finished so far, looked at while it is under way, or after it was stopped."""

import errno
import os
import shutil
import signal
import subprocess
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from synth.pipelines.engines import Answer, Request
from synth.pipelines.engines.echo import EchoEngine
from synth.pipelines.runtime.unfinished import write_snapshot
from synth.schemas.dataset import Dataset
from synth.schemas.errors import EngineFailed
from synth.schemas.layout import Layout
from tests.command import SYNTH, type_synth
from tests.pipelines.runtime.asking import ask
from tests.rows import write_rows

TEXTS = ["one", "refuse", "two", "stop here", "three", "refuse", "four"]


class Mortal(EchoEngine):
    """It dies at the question to stop, once all others are answered and flushed to the journal."""

    async def answer(self, request: Request) -> Answer:
        import asyncio

        if "stop here" in str(request.prompt):
            await asyncio.sleep(1.5)
            raise EngineFailed("died")
        return await super().answer(request)


@pytest.fixture
def stopped(tmp_path: Path) -> Path:
    """The output of a run in chunks of two rows, which died at the fourth of seven rows."""
    with pytest.raises(EngineFailed):
        ask(tmp_path, TEXTS, Mortal(), chunk_rows=2)
    return tmp_path / "out"


def ids(dataset: Dataset | None) -> list[str]:
    assert dataset
    return [row["id"] for row in dataset.rows()]


def test_rows_of_published_chunks_and_of_journals_are_there_in_input_order(stopped: Path, tmp_path: Path) -> None:
    partial = Layout(stopped).partial
    assert partial.published_chunks() == [0, 2, 3]
    counts = write_snapshot(partial, tmp_path / "seen")
    assert (counts.produced, counts.rejected, counts.failed, counts.outputs) == (4, 2, 0, 4)
    seen = Dataset.open(tmp_path / "seen")
    assert ids(seen) == ["q-0/answer", "q-2/answer", "q-4/answer", "q-6/answer"]
    assert ids(seen.rejected) == ["q-0/draft", "q-1", "q-2/draft", "q-4/draft", "q-5", "q-6/draft"]
    assert seen.run
    assert seen.run["identity"]["stage"] == "ask"
    assert seen.run["counts"] == asdict(counts)


def test_shards_on_another_file_system_are_there_too(
    stopped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    # As `link` does where the scratch folder is on another file system.
    monkeypatch.setattr(os, "link", refuse)
    write_snapshot(Layout(stopped).partial, tmp_path / "seen")
    assert ids(Dataset.open(tmp_path / "seen")) == ["q-0/answer", "q-2/answer", "q-4/answer", "q-6/answer"]


def test_a_torn_tail_of_a_journal_costs_only_its_own_rows_and_is_left_as_it_is(stopped: Path, tmp_path: Path) -> None:
    partial = Layout(stopped).partial
    (journals,) = partial.journals_of(1)
    journal = journals.rows
    torn = journal.read_bytes()[:-3]
    journal.write_bytes(torn)
    write_snapshot(partial, tmp_path / "seen")
    assert ids(Dataset.open(tmp_path / "seen")) == ["q-0/answer", "q-4/answer", "q-6/answer"]
    assert journal.read_bytes() == torn


def test_the_files_of_the_run_are_only_read(stopped: Path, tmp_path: Path) -> None:
    def state() -> dict[Path, tuple[int, int]]:
        files = sorted(Layout(stopped).partial.path.rglob("*"))
        return {file: (file.stat().st_mtime_ns, file.stat().st_size) for file in files}

    before = state()
    write_snapshot(Layout(stopped).partial, tmp_path / "seen")
    shutil.rmtree(tmp_path / "seen")
    assert state() == before
    assert ask(tmp_path, TEXTS, chunk_rows=2).counts.produced == 5


def test_a_run_without_a_finished_row_has_the_columns_of_its_output(tmp_path: Path) -> None:
    with pytest.raises(EngineFailed):
        ask(tmp_path, ["stop here"], Mortal())
    counts = write_snapshot(Layout(tmp_path / "out").partial, tmp_path / "seen")
    assert counts.finished == 0
    assert Dataset.open(tmp_path / "seen").table.column_names == ["id", "query"]


def test_show_and_stats_say_how_far_the_run_is_and_stages_refuse_it(stopped: Path, tmp_path: Path) -> None:
    def typed(*words: object) -> subprocess.CompletedProcess[str]:
        return type_synth(*words, folder=tmp_path)

    said = "out was stopped: 6 of 7 input rows are finished; repeat its command to finish it\n"
    for named in ("out", "out.partial", "out.partial/"):
        shown = typed("show", named, "-n", 9)
        assert shown.returncode == 0
        assert shown.stderr.startswith(f"{said}{named}  4 rows  ask  id, query")
        assert [name in shown.stdout for name in ("q-0/answer", "q-6/answer", "q-3/")] == [True, True, False]
    rejected = typed("show", "out", "--rejected")
    assert rejected.stderr == f"{said}out/rejected  6 rows  draft 4, unwanted 2\n"
    matched = typed("show", "out", "--where", "id = 'q-4/answer'")
    assert "1 of 4 rows match" in matched.stderr
    assert "q-4/answer" in matched.stdout
    counted = typed("stats", "out", "--json")
    assert counted.stderr == said
    assert '"rows": 4' in counted.stdout
    assert '"input_rows": 6' in counted.stdout
    for command in (("filter", "--where", "true"), ("sample", "-n", "1")):
        for named in ("out", "out.partial"):
            refused = typed(command[0], named, "next", *command[1:])
            assert refused.returncode == 2, refused.stderr
            assert "is not finished" in refused.stderr
    assert stopped.with_name("out.partial").is_dir()


def test_a_table_stage_has_nothing_to_show_before_it_is_complete(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [{"id": "a", "text": "one"}])
    failed = type_synth("filter", source, "out", "--where", "no_such_column = 1", folder=tmp_path)
    assert failed.returncode
    (tmp_path / "out.partial").mkdir(exist_ok=True)
    shown = type_synth("show", "out", folder=tmp_path)
    assert (shown.returncode, shown.stdout) == (2, "")
    assert "out is not finished" in shown.stderr


def test_a_run_is_looked_at_again_and_again_while_it_writes(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [{"id": f"q-{i}", "question": f"{i}?", "answer": "#### 1"} for i in range(3000)]
    write_rows(tmp_path / "questions.jsonl", rows)
    echo = ("--engine", "echo", "--engine-arg", "delay=0.2", "-n", "1", "--in-flight", "200")
    run = subprocess.Popen([SYNTH, "reject", "sample", "questions.jsonl", "out", *echo], cwd=tmp_path, text=True)
    while not (tmp_path / "out.partial" / "form").exists():
        time.sleep(0.01)
        assert run.poll() is None
    finished: list[int] = []
    while run.poll() is None:
        folder = tmp_path / f"seen-{len(finished)}"
        try:
            finished.append(write_snapshot(Layout(tmp_path / "out").partial, folder).finished)
        except FileNotFoundError:
            # It has just been published.
            break
        assert Dataset.open(folder).table["query_id"].to_pylist() == sorted(
            Dataset.open(folder).table["query_id"].to_pylist(), key=lambda name: int(name[2:])
        )
        if len(finished) == 10:
            under_way = type_synth("show", "out", "-n", 1, folder=tmp_path)
            assert under_way.stderr.startswith("out is under way: ")
    assert run.wait(timeout=60) == 0
    assert len(finished) > 5
    assert finished == sorted(finished)
    assert len(set(finished)) > 2


def test_a_run_that_was_killed_is_shown_without_its_process(tmp_path: Path) -> None:
    rows = [{"id": f"q-{i}", "question": f"{i}?", "answer": "#### 1"} for i in range(300)]
    write_rows(tmp_path / "questions.jsonl", rows)
    echo = ("--engine", "echo", "--engine-arg", "delay=0.3", "-n", "1", "--in-flight", "10")
    run = subprocess.Popen([SYNTH, "reject", "sample", "questions.jsonl", "out", *echo], cwd=tmp_path)
    while not any(journals.size() > 10_000 for journals in Layout(tmp_path / "out").partial.all_journals()):
        time.sleep(0.01)
        assert run.poll() is None
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    shown = type_synth("show", "out", folder=tmp_path)
    assert shown.returncode == 0
    assert "out was stopped: " in shown.stderr
    assert "q-0/path-0" in shown.stdout
