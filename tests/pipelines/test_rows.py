"""Rows are conserved, kept in order, and finished once, whatever happens to some of them."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest
from datasets import load_from_disk

from synth.pipelines.engines import Answer, Completion, EngineBusy, PromptTooLong, Request, Sampling
from synth.pipelines.engines.echo import EchoEngine
from synth.pipelines.runtime.runner import Options, Summary, run
from synth.pipelines.runtime.stage import Reject, Rejected, Row, RowStage, Tools
from synth.schemas.dataset import Dataset
from synth.schemas.errors import BudgetSpent, EngineFailed, InputError, Partial, Stale, UsageError
from synth.schemas.record import Record
from synth.schemas.records import QUERY


@dataclass(frozen=True)
class Ask(RowStage):
    """Asks twice, the second time about the first answer; what a row does otherwise, its question says."""

    name: ClassVar[str] = "ask"
    input: ClassVar[Record] = QUERY
    output: ClassVar[Record] = QUERY
    sampling: Sampling = Sampling(max_tokens=50)

    async def process(self, row: Row, tools: Tools) -> AsyncIterator[Row | Rejected]:
        question = row["query"]
        if "refuse" in question:
            raise Reject("unwanted", "it says so")
        if "crash" in question:
            raise ZeroDivisionError("as it says")
        if "silent" in question:
            return
        first = await tools.llm.generate(({"role": "user", "content": question},), self.sampling)
        second = await tools.llm.generate(({"role": "user", "content": first.text},), self.sampling)
        if "spoil" in question:
            yield {"id": row["id"], "query": 17}
            return
        yield Rejected({"id": f"{row['id']}/draft", "query": first.text}, "draft")
        yield {"id": f"{row['id']}/answer", "query": second.text}


class CountingEngine(EchoEngine):
    """The echo engine, counting what it is asked; the first answers can be faults."""

    def __init__(self, faults: list[Exception] | None = None) -> None:
        super().__init__()
        self.asked: list[Request] = []
        self.faults = faults or []

    async def answer(self, request: Request) -> Answer:
        self.asked.append(request)
        if self.faults:
            raise self.faults.pop(0)
        return await super().answer(request)


def questions(folder: Path, texts: list[str]) -> str:
    path = folder / "questions.jsonl"
    path.write_text("".join(json.dumps({"id": f"q-{i}", "query": text}) + "\n" for i, text in enumerate(texts)))
    return str(path)


def ask(folder: Path, texts: list[str], engine: EchoEngine | None = None, **options: object) -> Summary:
    return run(
        Ask(),
        [questions(folder, texts)],
        folder / "out",
        Options(**options),
        engine=engine or EchoEngine(),  # type: ignore[arg-type]
    )


def shard_bytes(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.arrow"))}


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


def test_tokens_and_requests_are_summed_into_the_run_record(tmp_path: Path) -> None:
    tallies = ask(tmp_path, ["a b c"]).counts.tallies
    assert tallies["requests"] == 2
    assert tallies["prompt_tokens"] >= 3


def test_rows_come_out_in_input_order_across_shards(tmp_path: Path) -> None:
    class Uneven(EchoEngine):
        async def answer(self, request: Request) -> Answer:
            await asyncio.sleep(request.seed % 13 / 1000)
            return await super().answer(request)

    ask(tmp_path, [f"question {i}" for i in range(50)], Uneven(), in_flight=20, chunk_rows=7)
    out = Dataset.open(tmp_path / "out")
    assert len(out.shards) == 8
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


def test_a_busy_engine_is_asked_again(tmp_path: Path) -> None:
    engine = CountingEngine([EngineBusy("overloaded", retry_after=0.0)] * 3)
    assert ask(tmp_path, ["one"], engine).counts.produced == 1
    assert len(engine.asked) == 5


def test_patience_with_an_engine_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("synth.pipelines.runtime.shared.SharedEngine.patience", 0.01)
    engine = CountingEngine([EngineBusy("overloaded", retry_after=0.01)] * 9)
    with pytest.raises(EngineFailed, match=r"no answer .* \(overloaded\)"):
        ask(tmp_path, ["one"], engine)


def test_a_server_that_names_a_longer_time_than_the_patience_ends_the_run_at_once(tmp_path: Path) -> None:
    with pytest.raises(EngineFailed, match=r"left alone for 3600 s \(overloaded\)"):
        ask(tmp_path, ["one"], CountingEngine([EngineBusy("overloaded", retry_after=3600.0)]))


def test_a_dead_engine_ends_the_run_and_the_answers_it_gave_are_kept(tmp_path: Path) -> None:
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


def test_a_run_ends_although_a_row_misses_that_it_is_cancelled(tmp_path: Path) -> None:
    class Deaf(EchoEngine):
        async def answer(self, request: Request) -> Answer:
            if "die" in str(request.prompt):
                await asyncio.sleep(0.05)
                raise EngineFailed("it is dead")
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                # As where a request runs out of time in the same moment, and is sent again.
                await asyncio.sleep(60)
            raise AssertionError("it was waited for")

    with pytest.raises(EngineFailed, match="it is dead"):
        ask(tmp_path, ["one", "die"], Deaf())


def test_a_prompt_too_long_for_the_model_fails_its_row_by_name(tmp_path: Path) -> None:
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
def test_a_row_that_the_model_does_not_answer_is_rejected_by_name(
    tmp_path: Path, completion: Completion, reason: str
) -> None:
    class Reticent(EchoEngine):
        async def answer(self, request: Request) -> Answer:
            return Answer((completion,), 3) if "secret" in str(request.prompt) else await super().answer(request)

    counts = ask(tmp_path, ["one", "a secret"], Reticent()).counts
    assert (counts.produced, counts.reasons) == (1, {reason: 1})


def test_tokens_that_an_engine_does_not_count_are_unknown_and_not_0(tmp_path: Path) -> None:
    class Uncounted(EchoEngine):
        async def answer(self, request: Request) -> Answer:  # noqa: ARG002
            return Answer((Completion("yes", "stop", None),), None)

    summary = ask(tmp_path, ["one"], Uncounted())
    assert summary.counts.tallies == {"requests": 2, "uncounted_requests": 2}
    assert summary.record["cost"]["prompt_tokens"] is None
    assert summary.record["cost"]["completion_tokens"] is None
    assert summary.record["cost"]["completion_tokens_each"] is None


def test_a_finished_run_repeated_asks_nothing(tmp_path: Path) -> None:
    ask(tmp_path, ["one"])
    engine = CountingEngine()
    assert ask(tmp_path, ["one"], engine).already_done
    assert engine.asked == []


def test_a_changed_input_or_seed_is_refused(tmp_path: Path) -> None:
    ask(tmp_path, ["one"])
    with pytest.raises(Stale, match=r"inputs\.0 was"):
        ask(tmp_path, ["two"])
    with pytest.raises(Stale, match="seed was 0 and is now 1"):
        ask(tmp_path, ["one"], seed=1)


def test_a_limit_makes_a_trial_of_the_first_rows(tmp_path: Path) -> None:
    assert ask(tmp_path, ["one", "two", "three"], limit=2).record["input_rows"] == 2


def test_until_stops_after_the_row_that_gives_the_last_output_wanted_whatever_was_in_flight(tmp_path: Path) -> None:
    texts = ["one", "refuse two", "three", "refuse four", *(f"question {i}" for i in range(60))]
    for in_flight in (1, 7, 64):
        (tmp_path / str(in_flight)).mkdir()
        engine = CountingEngine()
        summary = ask(tmp_path / str(in_flight), texts, engine, until=3, in_flight=in_flight)
        assert summary.record["input_rows"] == 5
        assert (summary.counts.produced, summary.counts.rejected) == (3, 2)
        assert len(engine.asked) < 30, "rows were begun that nobody wants"
    assert shard_bytes(tmp_path / "1" / "out") == shard_bytes(tmp_path / "64" / "out")


def test_until_more_than_the_input_gives_takes_the_whole_input(tmp_path: Path) -> None:
    summary = ask(tmp_path, ["one", "refuse two", "three"], until=5)
    assert (summary.record["input_rows"], summary.counts.outputs) == (3, 2)


def test_until_cuts_a_chunk_in_its_middle_and_leaves_out_those_after_it(tmp_path: Path) -> None:
    summary = ask(tmp_path, [f"question {i}" for i in range(30)], until=10, in_flight=30, chunk_rows=4)
    assert Dataset.open(tmp_path / "out").table["id"].to_pylist() == [f"q-{i}/answer" for i in range(10)]
    assert summary.counts.finished == 10


def test_a_budget_ends_the_run_and_a_larger_one_goes_on(tmp_path: Path) -> None:
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


@dataclass(frozen=True)
class Careful(Ask):
    """Asks like `Ask` and reads the answers with a parser that can be mended."""

    mended: ClassVar[bool] = False

    async def process(self, row: Row, tools: Tools) -> AsyncIterator[Row | Rejected]:
        first = await tools.llm.generate(({"role": "user", "content": row["query"]},), self.sampling)
        if "7" in row["query"] and not self.mended:
            raise ValueError("the parser stumbles over a 7")
        yield {"id": f"{row['id']}/answer", "query": first.text.upper() if self.mended else first.text}


def careful(folder: Path, engine: EchoEngine, **options: object) -> Summary:
    spec = questions(folder, [f"question {i}" for i in range(20)])
    return run(Careful(), [spec], folder / "out", Options(**options), engine=engine)  # type: ignore[arg-type]


def test_failed_rows_of_a_published_output_are_tried_again_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert careful(tmp_path, CountingEngine(), max_failures=2, chunk_rows=6).counts.failed == 2
    assert careful(tmp_path, CountingEngine(), max_failures=2).already_done
    with pytest.raises(Partial, match="2 of 20 rows failed"):
        careful(tmp_path, CountingEngine(), retry_failed=True)
    assert Dataset.open(tmp_path / "out").table.num_rows == 18, "a try that fails leaves the output as it was"
    monkeypatch.setattr(Careful, "mended", True)
    engine = CountingEngine()
    counts = careful(tmp_path, engine, retry_failed=True).counts
    assert (counts.produced, counts.failed) == (20, 0)
    assert engine.asked == [], "the answers of failed rows are kept"
    out = Dataset.open(tmp_path / "out")
    assert out.rejected is None
    assert [text.isupper() for text in out.table["query"].to_pylist()] == [i in (7, 17) for i in range(20)]
    assert careful(tmp_path, engine, retry_failed=True).already_done


def test_kept_answers_are_a_dataset_and_parsed_again_without_asking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    careful(tmp_path, CountingEngine(), max_failures=2, keep_answers=True, chunk_rows=6)
    assert load_from_disk(str(tmp_path / "out" / "answers"))["row"][:] == [f"q-{i}" for i in range(20)]
    monkeypatch.setattr(Careful, "mended", True)
    for _ in range(2):
        engine = CountingEngine()
        counts = careful(tmp_path, engine, reparse=True).counts
        assert (counts.produced, engine.asked) == (20, [])
        assert all(text.isupper() for text in Dataset.open(tmp_path / "out").table["query"].to_pylist())


def test_reparsing_asks_only_what_another_prompt_needs(tmp_path: Path) -> None:
    ask(tmp_path, ["one", "two"], keep_answers=True)
    engine = CountingEngine()
    ask(tmp_path, ["one", "changed"], engine, reparse=True)
    assert engine.asked[0].prompt == ({"role": "user", "content": "changed"},)
    assert len(engine.asked) == 2


def test_reparsing_without_kept_answers_is_refused(tmp_path: Path) -> None:
    ask(tmp_path, ["one"])
    with pytest.raises(UsageError, match="--keep-answers"):
        ask(tmp_path, ["one"], reparse=True)
    assert Dataset.open(tmp_path / "out").table.num_rows == 1


def test_an_engine_is_not_started_where_every_answer_is_recorded(tmp_path: Path) -> None:
    class Absent(EchoEngine):
        async def start(self) -> None:
            raise EngineFailed("it should not be needed")

    ask(tmp_path, ["one"], keep_answers=True)
    assert ask(tmp_path, ["one"], Absent(), reparse=True).counts.produced == 1


def test_a_damaged_input_is_refused_and_a_damaged_chunk_is_done_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    texts = ["one", "two", "three", "crash"]
    with pytest.raises(Partial):
        ask(tmp_path, texts, chunk_rows=2)
    flip(tmp_path / "out.partial" / "shards" / "00000.arrow")
    engine = CountingEngine()
    ask(tmp_path, texts, engine, max_failures=1)
    assert len(engine.asked) == 4
    assert "rows 0 to 1 is damaged" in caplog.text
    assert Dataset.open(tmp_path / "out").table.num_rows == 3
    flip(tmp_path / "out" / "data-00000-of-00002.arrow")
    with pytest.raises(InputError, match=r"data-00000-of-00002.arrow is damaged"):
        run(Ask(), [str(tmp_path / "out")], tmp_path / "next", Options(), engine=engine)


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-64] ^= 1
    path.write_bytes(content)
