"""A process that is killed before any of the steps it takes on the file system leaves what the next one goes on from.

Where `kill -9` falls at random it seldom falls between two renames, so here it falls before each of them in turn.
"""

import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from synth.pipelines.runtime.options import Options
from synth.schemas.slices import Slice
from tests.faults.campaign import (
    CHUNK_ROWS,
    Asked,
    TwoCalls,
    asked,
    finished_rows,
    in_small_chunks,
    questions,
    record_of,
    recorded,
    run_two_calls,
    shard_bytes,
)
from tests.faults.dying import dying, forking

TEXTS = ["one", "refuse two", "three", "four", "five", "stumble six", "seven"]


def kill_at_every_step(
    quick_path: Path,
    options: Options,
    *,
    then: Options | None = None,
    prepare: Callable[[Path, Path], None] = lambda _source, _folder: None,
    mended: bool = True,
    starts_over: bool = False,
    check: Callable[[Path, set[Asked], list[Asked]], None] = lambda _folder, _before, _after: None,
) -> int:
    """After each kill the run is repeated (as `then`) and must end as an unbroken one; how often it was killed."""
    then = then or options
    source = questions(quick_path, TEXTS)
    prepared, whole = quick_path / "prepared", quick_path / "whole"
    prepared.mkdir()
    prepare(source, prepared)
    shutil.copytree(prepared, whole)
    run_two_calls(source, whole / "out", quick_path / "whole.log", then)
    step, code, left_over = 0, -signal.SIGKILL, 0
    while code:
        folder = quick_path / f"step-{step}"
        log = quick_path / f"step-{step}.log"
        shutil.copytree(prepared, folder)
        process = forking.Process(target=dying, args=(step, folder, source, options, mended))
        process.start()
        process.join()
        code = process.exitcode or 0
        assert code in (0, -signal.SIGKILL)
        before, kept = asked(log), recorded(folder)
        finished = {TEXTS[index] for index in finished_rows(folder / "out.partial", CHUNK_ROWS) if index < len(TEXTS)}
        if starts_over:
            kept, finished = set(), set()
        run_two_calls(source, folder / "out", log, then)
        after = asked(log)[len(before) :]
        assert shard_bytes(folder / "out") == shard_bytes(whole / "out"), f"killed before step {step}"
        record_of(folder / "out")
        assert not kept & set(after), f"killed before step {step}, answers that lay there were asked for again"
        assert not finished & {prompt.split(" [")[0] for prompt, _ in after}, (
            f"killed before step {step}, rows are lost"
        )
        check(folder, set(before), after)
        left_over += (folder / "out.partial").exists()
        shutil.rmtree(folder)
        step += 1
    # One moment there is, after the output has appeared, at which nothing tells the remains from a run begun anew.
    assert left_over <= 1
    return step


@pytest.fixture(autouse=True)
def _mended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TwoCalls, "mended", True)


def test_a_run_that_keeps_its_answers_and_allows_a_failure(quick_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TwoCalls, "mended", False)
    options = in_small_chunks(in_flight=3, keep_answers=True, max_failures=1)
    assert kill_at_every_step(quick_path, options, mended=False) > 40


def test_a_slice_whose_rest_the_command_alone_does(quick_path: Path) -> None:
    options = in_small_chunks(in_flight=3, slice=Slice(1, 2))
    assert kill_at_every_step(quick_path, options, then=in_small_chunks(in_flight=8)) > 20


def test_a_run_until(quick_path: Path) -> None:
    assert kill_at_every_step(quick_path, in_small_chunks(in_flight=8, until=5)) > 40


def test_parsing_again(quick_path: Path) -> None:
    def prepare(source: Path, folder: Path) -> None:
        run_two_calls(source, folder / "out", folder / "log", in_small_chunks(in_flight=8, keep_answers=True))

    def nothing_asked(_folder: Path, before: set[Asked], after: list[Asked]) -> None:
        assert not before
        assert not after

    kill_at_every_step(quick_path, in_small_chunks(in_flight=8, update=True), prepare=prepare, check=nothing_asked)


def test_trying_failed_rows_again(quick_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def prepare(source: Path, folder: Path) -> None:
        monkeypatch.setattr(TwoCalls, "mended", False)
        run_two_calls(source, folder / "out", folder / "log", in_small_chunks(in_flight=8, max_failures=1))
        monkeypatch.setattr(TwoCalls, "mended", True)

    def only_the_failed_row(_folder: Path, _before: set[Asked], after: list[Asked]) -> None:
        assert {prompt for prompt, _ in after} <= {prompt for prompt, _ in after if "six" in prompt}

    kill_at_every_step(
        quick_path, in_small_chunks(in_flight=8, retry_failed=True), prepare=prepare, check=only_the_failed_row
    )


def test_starting_over_where_something_lies(quick_path: Path) -> None:
    """Repeated with `--fresh`, it starts over again, so that only what comes out can be the same."""

    def prepare(source: Path, folder: Path) -> None:
        run_two_calls(source, folder / "out", folder / "log", in_small_chunks(in_flight=8, seed=1))

    kill_at_every_step(quick_path, in_small_chunks(in_flight=8, fresh=True), prepare=prepare, starts_over=True)
