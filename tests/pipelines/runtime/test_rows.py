"""Rows are conserved, in order, and finished once, even if some fail."""

import asyncio
import json
import os
import signal
from pathlib import Path

import pytest

from synth.pipelines.engines import Answer, Completion, EngineBusy, PromptTooLong, Request
from synth.pipelines.engines.echo import EchoEngine
from synth.pipelines.runtime.rows import rows_of_a_chunk
from synth.schemas.dataset import Dataset
from synth.schemas.errors import BudgetSpent, EngineFailed, Interrupted, Partial
from tests.pipelines.runtime.asking import CountingEngine, ask, shard_bytes
from tests.pipelines.runtime.test_update import Several, made, questions


def test_every_input_row_is_produced_or_rejected_with_its_reason(tmp_path: Path) -> None:
    summary = ask(tmp_path, ["one", "refuse two", "three"])
    counts = summary.counts
    assert (counts.produced, counts.rejected, counts.failed, counts.outputs) == (2, 1, 0, 2)
    assert counts.reasons == {"unwanted": 1}
    assert counts.output_reasons == {"draft": 2}
    out = Dataset.open(tmp_path / "out")
    assert out.table["id"].to_pylist() == ["q-0/answer", "q-2/answer"]
    assert out.rejected is not None
    assert [(row["id"], row["reason"], row["detail"]) for row in out.rejected.rows()] == [
        ("q-0/draft", "draft", ""),
        ("q-1", "unwanted", "it says so"),
        ("q-2/draft", "draft", ""),
    ]


def test_rows_come_out_in_input_order_across_chunks(tmp_path: Path) -> None:
    class Uneven(EchoEngine):
        async def answer(self, request: Request) -> Answer:
            await asyncio.sleep(request.seed % 13 / 1000)
            return await super().answer(request)

    ask(tmp_path, [f"question {i}" for i in range(50)], Uneven(), in_flight=20, chunk_rows=7)
    out = Dataset.open(tmp_path / "out")
    assert len(out.table.to_batches()) == 8
    assert out.table["id"].to_pylist() == [f"q-{i}/answer" for i in range(50)]


def test_output_does_not_depend_on_how_many_rows_are_in_flight(tmp_path: Path) -> None:
    texts = [f"question {i}" for i in range(30)]
    for in_flight in (1, 1000):
        (tmp_path / str(in_flight)).mkdir()
        ask(tmp_path / str(in_flight), texts, in_flight=in_flight)
    assert shard_bytes(tmp_path / "1" / "out") == shard_bytes(tmp_path / "1000" / "out")


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("crash", "ZeroDivisionError: as it says"),
        ("silent", "neither an output row nor a reason"),
        ("spoil", "does not fit its column"),
    ],
)
def test_a_row_that_fails_leaves_the_run_unpublished_and_the_others_finished(
    tmp_path: Path, text: str, error: str
) -> None:
    engine = CountingEngine()
    with pytest.raises(Partial, match=rf"1 of 3 rows failed.*q-1.*{error}") as partial:
        ask(tmp_path, ["one", text, "three"], engine)
    assert partial.value.exit_code == 3
    assert not (tmp_path / "out").exists()
    log = json.loads((tmp_path / "out.partial" / "failed.json").read_text())
    assert log["failed"][0]["id"] == "q-1"
    assert log["failed"][0]["traceback"]
    asked = len(engine.asked)
    with pytest.raises(Partial):
        ask(tmp_path, ["one", text, "three"], engine)
    assert len(engine.asked) == asked, "finished rows were asked again"


def test_failures_can_be_allowed_and_stay_countable(tmp_path: Path) -> None:
    counts = ask(tmp_path, ["one", "crash", "three"], max_failures=1).counts
    assert (counts.produced, counts.failed) == (2, 1)
    rejected = Dataset.open(tmp_path / "out").rejected
    assert rejected is not None
    (failed,) = [row for row in rejected.rows() if row["reason"] == "failed"]
    assert failed["id"] == "q-1"
    assert "ZeroDivisionError: as it says" in failed["detail"]


def test_requests_to_a_busy_engine_are_retried(tmp_path: Path) -> None:
    engine = CountingEngine([EngineBusy("overloaded", retry_after=0.0)] * 3)
    assert ask(tmp_path, ["one"], engine).counts.produced == 1
    assert len(engine.asked) == 5


def test_samples_that_an_engine_has_given_are_kept_while_it_is_asked_for_the_others(tmp_path: Path) -> None:
    class OneByOne(CountingEngine):
        async def answer(self, request: Request) -> Answer:
            if len(self.asked) == 1:
                self.faults = [EngineBusy("wait", 0.0, overloaded=True)] * 2
            answer = await super().answer(request)
            return Answer(answer.completions[:1], answer.prompt_tokens)

    whole, parted = CountingEngine(), OneByOne()
    made(tmp_path / "whole", questions(1), Several(n=3), engine=whole)
    made(tmp_path / "parted", questions(1), Several(n=3), engine=parted)
    (first,) = {request.seed for request in whole.asked}
    assert [(request.seed - first, request.n) for request in parted.asked] == [(0, 3), *[(1, 2)] * 3, (2, 1)]
    assert shard_bytes(tmp_path / "parted" / "out") == shard_bytes(tmp_path / "whole" / "out")


def test_patience_with_an_engine_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("synth.pipelines.runtime.shared.SharedEngine.patience", 0.01)
    engine = CountingEngine([EngineBusy("overloaded", retry_after=0.01)] * 9)
    with pytest.raises(EngineFailed, match=r"no answer .* \(overloaded\)"):
        ask(tmp_path, ["one"], engine)


def test_a_retry_after_beyond_the_patience_ends_the_run_at_once(tmp_path: Path) -> None:
    with pytest.raises(EngineFailed, match=r"asks to retry only after 3600 s \(overloaded\)"):
        ask(tmp_path, ["one"], CountingEngine([EngineBusy("overloaded", retry_after=3600.0)]))


def test_a_dead_engine_ends_the_run_and_its_answers_are_kept(tmp_path: Path) -> None:
    class Mortal(CountingEngine):
        async def answer(self, request: Request) -> Answer:
            if len(self.asked) == 5:
                raise EngineFailed("it is dead")
            return await super().answer(request)

    texts = [f"question {i}" for i in range(4)]
    first, second = Mortal(), CountingEngine()
    with pytest.raises(EngineFailed, match="it is dead"):
        ask(tmp_path, texts, first, in_flight=1)
    ask(tmp_path, texts, second, in_flight=1)
    assert len(second.asked) == 3
    assert not {r.seed for r in first.asked if r in second.asked}


def test_a_run_ends_even_if_a_row_misses_its_cancellation(tmp_path: Path) -> None:
    class Deaf(EchoEngine):
        async def answer(self, request: Request) -> Answer:
            if "die" in str(request.prompt):
                await asyncio.sleep(0.05)
                raise EngineFailed("it is dead")
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                # As if a request timed out at the same moment and were sent again.
                await asyncio.sleep(60)
            raise AssertionError("it was waited for")

    with pytest.raises(EngineFailed, match="it is dead"):
        ask(tmp_path, ["one", "die"], Deaf())


def test_a_prompt_too_long_for_the_model_fails_its_row_with_a_reason(tmp_path: Path) -> None:
    engine = CountingEngine([PromptTooLong("1,000 tokens into 512")])
    counts = ask(tmp_path, ["one", "two"], engine, max_failures=1).counts
    assert (counts.produced, counts.failures) == (1, {"prompt_too_long": 1})
    rejected = Dataset.open(tmp_path / "out" / "rejected").table.select(["reason", "detail"]).to_pylist()
    assert {"reason": "prompt_too_long", "detail": "1,000 tokens into 512"} in rejected


@pytest.mark.parametrize(
    ("completion", "reason"),
    [
        (Completion("", "refused", 0), "refused"),
        (Completion("First, you take", "refused", 4), "refused"),
        (Completion(" \n", "stop", 1), "empty_answer"),
        (Completion("<think>Let me see.</think>\n", "stop", 7), "empty_answer"),
        (Completion("", None, None, "Let me see."), "empty_answer"),
    ],
)
def test_a_row_without_an_answer_is_rejected_with_a_reason(tmp_path: Path, completion: Completion, reason: str) -> None:
    class Reticent(EchoEngine):
        async def answer(self, request: Request) -> Answer:
            return Answer((completion,), 3) if "secret" in str(request.prompt) else await super().answer(request)

    counts = ask(tmp_path, ["one", "a secret"], Reticent()).counts
    assert (counts.produced, counts.reasons) == (1, {reason: 1})


def test_until_stops_after_the_same_row_whatever_is_in_flight(tmp_path: Path) -> None:
    texts = ["one", "refuse two", "three", "refuse four", *(f"question {i}" for i in range(60))]
    for in_flight in (1, 7, 64):
        (tmp_path / str(in_flight)).mkdir()
        engine = CountingEngine()
        summary = ask(tmp_path / str(in_flight), texts, engine, until=3, in_flight=in_flight)
        assert summary.record["input_rows"] == 5
        assert (summary.counts.produced, summary.counts.rejected) == (3, 2)
        assert len(engine.asked) < 30, "rows were begun that nobody wants"
    assert shard_bytes(tmp_path / "1" / "out") == shard_bytes(tmp_path / "64" / "out")


def test_until_beyond_the_outputs_takes_the_whole_input(tmp_path: Path) -> None:
    summary = ask(tmp_path, ["one", "refuse two", "three"], until=5)
    assert (summary.record["input_rows"], summary.counts.outputs) == (3, 2)


def test_until_cuts_a_chunk_and_drops_later_ones(tmp_path: Path) -> None:
    summary = ask(tmp_path, [f"question {i}" for i in range(30)], until=10, in_flight=30, chunk_rows=4)
    assert Dataset.open(tmp_path / "out").table["id"].to_pylist() == [f"q-{i}/answer" for i in range(10)]
    assert summary.counts.finished == 10


def test_a_budget_ends_the_run_and_a_larger_one_continues_it(tmp_path: Path) -> None:
    texts = [f"question {i}" for i in range(20)]
    first, second = CountingEngine(), CountingEngine()
    with pytest.raises(BudgetSpent, match="larger --budget-tokens") as spent:
        ask(tmp_path, texts, first, budget_tokens=50, in_flight=2)
    assert spent.value.exit_code == 3
    assert 0 < len(first.asked) < 20
    with pytest.raises(BudgetSpent):
        ask(tmp_path, texts, second, budget_tokens=50)
    assert second.asked == [], "what was spent before counts"
    ask(tmp_path, texts, second, budget_tokens=100_000)
    assert len(first.asked) + len(second.asked) == 40


def test_a_signal_stops_a_run_whose_engine_never_waits(tmp_path: Path) -> None:
    class Interrupting(CountingEngine):
        async def answer(self, request: Request) -> Answer:
            if len(self.asked) == 1_000:
                os.kill(os.getpid(), signal.SIGINT)
            return await super().answer(request)

    engine = Interrupting()
    with pytest.raises(Interrupted):
        ask(tmp_path, [f"question {i}" for i in range(20_000)], engine)
    assert 1_000 < len(engine.asked) < 20_000


def test_an_engine_that_never_waits_needs_few_coroutines(tmp_path: Path) -> None:
    class Watching(EchoEngine):
        most = 0

        async def answer(self, request: Request) -> Answer:
            self.most = max(self.most, len(asyncio.all_tasks()))
            return await super().answer(request)

    engine = Watching()
    ask(tmp_path, [f"question {i}" for i in range(3_000)], engine)
    assert engine.most < 200, "of 2,048 rows that may be in flight"


@pytest.mark.parametrize(
    ("rows", "size"), [(1, 16), (1_000, 16), (7_473, 128), (100_000, 2_048), (200_000, 4_096), (10**9, 4_096)]
)
def test_the_size_of_chunks_follows_the_number_of_rows(rows: int, size: int) -> None:
    assert rows_of_a_chunk(rows) == size


def test_an_output_keeps_the_size_of_its_chunks(tmp_path: Path) -> None:
    texts = ["one", "two", "three", "crash"]
    with pytest.raises(Partial):
        ask(tmp_path, texts, chunk_rows=3)
    for options in ({}, {"retry_failed": True}):
        ask(tmp_path, texts, max_failures=1, **options)
        assert (Dataset.open(tmp_path / "out").run or {})["chunk_rows"] == 3
