"""Faults within one process: engines that die, disks that refuse, clocks that step, and what later runs make of it."""

import asyncio
import logging
import os
import random
import shutil
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pyarrow as pa
import pytest

from synth.pipelines.engines import Answer, EngineBusy, Request
from synth.pipelines.engines.echo import EchoEngine
from synth.pipelines.runtime.options import Options
from synth.pipelines.runtime.runner import Run
from synth.pipelines.runtime.stage import Rejected, Row, Tools
from synth.schemas.dataset import Dataset
from synth.schemas.errors import BudgetSpent, EngineFailed, Partial, SynthError
from synth.schemas.journal import Journal
from synth.schemas.writing import data_files
from tests.faults.campaign import (
    TwoCalls,
    WritingEngine,
    asked,
    flip,
    in_small_chunks,
    questions,
    record_of,
    recorded,
    run_two_calls,
    shard_bytes,
)

TEXTS = [f"question {index}" for index in range(14)]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return questions(tmp_path, TEXTS)


@pytest.fixture
def whole(tmp_path: Path, source: Path) -> dict[str, bytes]:
    run_two_calls(source, tmp_path / "whole", tmp_path / "whole.log", in_small_chunks())
    return shard_bytes(tmp_path / "whole")


class DyingEngine(WritingEngine):
    """Dies at the request of this number, and gives no answer afterwards."""

    def __init__(self, log: Path, at: int, error: Exception) -> None:
        super().__init__(log)
        self._left, self._error = at, error

    async def answer(self, request: Request) -> Answer:
        self._left -= 1
        if self._left < 0:
            raise self._error
        return await super().answer(request)


def die(source: Path, out: Path, log: Path, options: Options, *, at: int) -> None:
    engine = DyingEngine(log, at, EngineFailed("dead"))
    with pytest.raises(EngineFailed, match="dead"):
        Run(TwoCalls(), [str(source)], out, options, engine=engine).execute()


@pytest.mark.parametrize("at", [0, 1, 9, 20, 27])
def test_an_engine_that_dies_ends_the_run_and_loses_no_answer(
    tmp_path: Path, source: Path, whole: dict[str, bytes], at: int
) -> None:
    log = tmp_path / "log"
    die(source, tmp_path / "out", log, in_small_chunks(in_flight=5), at=at)
    run_two_calls(source, tmp_path / "out", log, in_small_chunks())
    assert shard_bytes(tmp_path / "out") == whole
    # What was in flight when it died had no answer; all others were asked once.
    assert len(asked(log)) - len(set(asked(log))) <= 5
    record_of(tmp_path / "out")


@pytest.mark.parametrize("seed", [0, 1])
def test_starting_over_that_broke_off_goes_on_without_being_told_to_start_over(
    tmp_path: Path, source: Path, whole: dict[str, bytes], seed: int
) -> None:
    log = tmp_path / "log"
    run_two_calls(source, tmp_path / "out", tmp_path / "before", in_small_chunks(seed=seed))
    die(source, tmp_path / "out", log, in_small_chunks(fresh=True, in_flight=5), at=9)
    run_two_calls(source, tmp_path / "out", log, in_small_chunks())
    assert shard_bytes(tmp_path / "out") == whole
    assert len(asked(log)) - len(set(asked(log))) <= 5
    run_two_calls(source, tmp_path / "out", log, in_small_chunks())
    assert len(asked(log)) < 60


def test_an_engine_that_raises_what_it_should_not_fails_its_rows_and_they_are_tried_again(
    tmp_path: Path, source: Path, whole: dict[str, bytes]
) -> None:
    log = tmp_path / "log"
    engine = DyingEngine(log, 9, RuntimeError("CUDA error"))
    with pytest.raises(Partial, match="rows failed") as partial:
        Run(TwoCalls(), [str(source)], tmp_path / "out", in_small_chunks(in_flight=5), engine=engine).execute()
    assert partial.value.exit_code == 3
    run_two_calls(source, tmp_path / "out", log, in_small_chunks())
    assert shard_bytes(tmp_path / "out") == whole
    assert len(asked(log)) == len(set(asked(log)))


@pytest.mark.parametrize("in_flight", [2, 8])
def test_rows_that_others_overtook_before_the_end_are_no_less_wanted_until_enough_have_come_out(
    tmp_path: Path, source: Path, in_flight: int
) -> None:
    class Stragglers(WritingEngine):
        async def answer(self, request: Request) -> Answer:
            if request.prompt in (TEXTS[0], TEXTS[1], TEXTS[5]):
                await asyncio.sleep(0.2)
                raise EngineFailed("it is dead")
            return await super().answer(request)

    options = in_small_chunks(chunk_rows=16, until=8, in_flight=in_flight)
    run_two_calls(source, tmp_path / "whole", tmp_path / "whole.log", options)
    with pytest.raises(EngineFailed):
        Run(
            TwoCalls(),
            [str(source)],
            tmp_path / "out",
            in_small_chunks(chunk_rows=16, until=8, in_flight=8),
            engine=Stragglers(tmp_path / "log"),
        ).execute()
    run_two_calls(source, tmp_path / "out", tmp_path / "log", options)
    assert shard_bytes(tmp_path / "out") == shard_bytes(tmp_path / "whole")
    assert len(asked(tmp_path / "log")) == len(set(asked(tmp_path / "log")))


@pytest.mark.parametrize("retry_after", [0.0, None])
def test_patience_ends_with_a_server_that_is_busy_for_ever(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch, retry_after: float | None
) -> None:
    class Busy(EchoEngine):
        async def answer(self, request: Request) -> Answer:  # noqa: ARG002
            raise EngineBusy("come back at once", retry_after)

    monkeypatch.setattr("synth.pipelines.runtime.shared.SharedEngine.patience", 0.2)
    with pytest.raises(EngineFailed, match="come back at once"):
        Run(TwoCalls(), [str(source)], tmp_path / "out", in_small_chunks(), engine=Busy()).execute()


def test_steps_of_the_wall_clock_change_nothing(
    tmp_path: Path, source: Path, whole: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    rng, began = random.Random(7), time.monotonic()
    monkeypatch.setattr(time, "time", lambda: rng.choice([0.0, 1e9, 4e9]) + rng.random())

    class BusyAtTimes(WritingEngine):
        async def answer(self, request: Request) -> Answer:
            if rng.random() < 0.3:
                raise EngineBusy("slow down", 0.01)
            return await super().answer(request)

    die(source, tmp_path / "out", tmp_path / "log", in_small_chunks(in_flight=3), at=9)
    engine = BusyAtTimes(tmp_path / "log")
    record = Run(TwoCalls(), [str(source)], tmp_path / "out", in_small_chunks(), engine=engine).execute().record
    assert shard_bytes(tmp_path / "out") == whole
    assert 0 <= record["seconds"] <= time.monotonic() - began
    assert 0 <= record["cost"]["engine_seconds"] <= time.monotonic() - began


def test_a_budget_counts_once_what_was_spent(tmp_path: Path, source: Path) -> None:
    """The run died between the record of its first chunk and the removal of that chunk's journals."""
    log, out = tmp_path / "log", tmp_path / "out"
    die(source, out, log, in_small_chunks(in_flight=1), at=6)
    journals = tmp_path / "out.partial" / "work" / "00000"
    shutil.copytree(journals, tmp_path / "journals")
    die(source, out, log, in_small_chunks(in_flight=1), at=4)
    shutil.copytree(tmp_path / "journals", journals)
    budget = 7 * len(asked(log)) + 1
    with pytest.raises(BudgetSpent):
        run_two_calls(source, out, log, in_small_chunks(in_flight=1, budget_tokens=budget))
    told = len(asked(log))
    with pytest.raises(BudgetSpent):
        run_two_calls(source, out, log, in_small_chunks(in_flight=1, budget_tokens=budget))
    assert told == len(asked(log)) > 10


@pytest.mark.parametrize("write", range(6))
def test_a_disk_that_is_full_for_a_moment_loses_no_answer_that_is_to_be_kept(
    tmp_path: Path, source: Path, whole: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, write: int
) -> None:
    append, writes = Journal.append, 0

    def failing(self: Journal, batch: pa.RecordBatch) -> None:
        nonlocal writes
        writes += 1
        if writes == write + 1:
            raise OSError(28, "No space left on device")
        append(self, batch)

    log, options = tmp_path / "log", in_small_chunks(keep_answers=True, in_flight=3)
    with monkeypatch.context() as broken:
        broken.setattr(Journal, "append", failing)
        with pytest.raises(SynthError, match=r"out\.partial cannot be written: No space left") as error:
            run_two_calls(source, tmp_path / "out", log, options)
        assert error.value.exit_code == 1
    run_two_calls(source, tmp_path / "out", log, options)
    assert shard_bytes(tmp_path / "out") == whole
    assert recorded(tmp_path / "out") == set(asked(log)), "an answer is missing among those kept"


@pytest.mark.parametrize("value", [2**70, "\ud800"])
def test_a_value_that_no_column_takes_fails_its_row_alone(tmp_path: Path, source: Path, value: object) -> None:
    class Odd(TwoCalls):
        async def process(self, row: Row, tools: Tools) -> AsyncIterator[Row | Rejected]:  # noqa: ARG002
            yield {"id": row["id"], "query": value if row["id"] == "q-003" else "fits"}

    with pytest.raises(Partial, match=r"1 of 14 rows failed.*q-003"):
        Run(Odd(), [str(source)], tmp_path / "out", in_small_chunks(), engine=EchoEngine()).execute()


def test_a_chunk_that_was_cut_off_is_done_again_from_the_answers_that_were_kept(
    tmp_path: Path, source: Path, whole: dict[str, bytes], caplog: pytest.LogCaptureFixture
) -> None:
    log = tmp_path / "log"
    die(source, tmp_path / "out", log, in_small_chunks(in_flight=1, keep_answers=True), at=22)
    shard = next(tmp_path.glob("out.partial/shards/00001.????????.arrow"))
    os.truncate(shard, shard.stat().st_size - 1)
    with caplog.at_level(logging.WARNING):
        run_two_calls(source, tmp_path / "out", log, in_small_chunks(keep_answers=True))
    assert "rows 4 to 7 is incomplete" in caplog.text
    assert shard_bytes(tmp_path / "out") == whole
    assert len(asked(log)) == len(set(asked(log)))


def test_a_lost_chunk_without_answers_is_asked_for_again_and_no_other(
    tmp_path: Path, source: Path, whole: dict[str, bytes]
) -> None:
    log = tmp_path / "log"
    die(source, tmp_path / "out", log, in_small_chunks(in_flight=1, keep_answers=False), at=22)
    next(tmp_path.glob("out.partial/shards/00001.*.rejected.arrow")).unlink()
    before = len(asked(log))
    run_two_calls(source, tmp_path / "out", log, in_small_chunks(keep_answers=False))
    assert shard_bytes(tmp_path / "out") == whole
    again = set(asked(log)[:before]) & set(asked(log)[before:])
    assert {prompt.split(" [")[0] for prompt, _ in again} == set(TEXTS[4:8])


def test_a_changed_byte_of_a_chunk_is_found_when_it_is_joined_and_removing_the_file_mends_it(
    tmp_path: Path, source: Path, whole: dict[str, bytes]
) -> None:
    log = tmp_path / "log"
    die(source, tmp_path / "out", log, in_small_chunks(in_flight=1), at=22)
    shard = next(tmp_path.glob("out.partial/shards/00001.????????.arrow"))
    flip(shard)
    with pytest.raises(SynthError, match=f"{shard.name} is damaged: remove it and repeat the command"):
        run_two_calls(source, tmp_path / "out", log, in_small_chunks())
    assert not (tmp_path / "out").exists()
    shard.unlink()
    run_two_calls(source, tmp_path / "out", log, in_small_chunks())
    assert shard_bytes(tmp_path / "out") == whole


def test_parsing_again_can_be_broken_off_after_chunks_were_published(tmp_path: Path, source: Path) -> None:
    log, out = tmp_path / "log", tmp_path / "out"
    run_two_calls(source, out, log, in_small_chunks(keep_answers=True))
    texts = [*TEXTS[:9], "changed", *TEXTS[10:]]
    changed = questions(tmp_path, texts)
    for _ in range(2):
        die(changed, out, log, in_small_chunks(update=True, in_flight=1), at=0)
        assert (tmp_path / "out.partial" / "shards" / "00000.json").exists()
    run_two_calls(changed, out, log, in_small_chunks(update=True))
    assert len(asked(log)) == 2 * len(TEXTS) + 2
    assert recorded(out) == set(asked(log))


def test_answers_are_kept_from_where_they_were_asked_for(tmp_path: Path, source: Path, whole: dict[str, bytes]) -> None:
    log = tmp_path / "log"
    die(source, tmp_path / "out", log, in_small_chunks(in_flight=1), at=22)
    run_two_calls(source, tmp_path / "out", log, in_small_chunks(keep_answers=True))
    assert shard_bytes(tmp_path / "out") == whole
    assert Dataset.open(tmp_path / "out" / "answers").table.num_rows > 0


@pytest.mark.parametrize("rows_of_a_file", [3, 6, 100])
def test_trying_failed_rows_again_takes_nothing_from_a_run_with_other_settings(
    tmp_path: Path, rows_of_a_file: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data_files, "ROWS_PER_SHARD", rows_of_a_file)
    log, out = tmp_path / "log", tmp_path / "out"
    with_failures = questions(tmp_path, ["stumble", *TEXTS[1:]])
    run_two_calls(with_failures, out, log, in_small_chunks(max_failures=1))
    die(with_failures, out, log, in_small_chunks(seed=9, fresh=True, in_flight=1), at=22)
    monkeypatch.setattr(TwoCalls, "mended", True)
    run_two_calls(with_failures, out, log, in_small_chunks(retry_failed=True))
    run_two_calls(with_failures, tmp_path / "again", log, in_small_chunks())
    assert shard_bytes(out) == shard_bytes(tmp_path / "again")
