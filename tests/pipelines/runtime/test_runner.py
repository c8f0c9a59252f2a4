"""A run: its record, what it refuses, and what it leaves if it cannot start."""

from collections.abc import Callable
from pathlib import Path

import pytest

from synth.pipelines.engines import Answer, Completion, Request
from synth.pipelines.engines.echo import EchoEngine
from synth.pipelines.runtime.options import Options
from synth.pipelines.runtime.runner import Run
from synth.schemas.dataset import Dataset
from synth.schemas.errors import InputError, Partial, Stale, UsageError
from tests.pipelines.runtime.asking import Ask, CountingEngine, ask


def test_tokens_and_requests_are_summed_into_the_run_record(tmp_path: Path) -> None:
    tallies = ask(tmp_path, ["a b c"]).counts.tallies
    assert tallies["requests"] == 2
    assert tallies["prompt_tokens"] >= 3


def test_tokens_that_an_engine_does_not_count_are_null(tmp_path: Path) -> None:
    class Uncounted(EchoEngine):
        async def answer(self, request: Request) -> Answer:  # noqa: ARG002
            return Answer((Completion("yes", "stop", None),), None)

    summary = ask(tmp_path, ["one"], Uncounted())
    assert summary.counts.tallies == {"requests": 2, "uncounted_requests": 2}
    assert summary.record["cost"]["prompt_tokens"] is None
    assert summary.record["cost"]["completion_tokens"] is None
    assert summary.record["cost"]["completion_tokens_each"] is None


def test_repeating_a_finished_run_sends_no_requests(tmp_path: Path) -> None:
    ask(tmp_path, ["one"])
    engine = CountingEngine()
    assert ask(tmp_path, ["one"], engine).already_done
    assert engine.asked == []


def test_a_changed_input_or_seed_is_refused(tmp_path: Path) -> None:
    ask(tmp_path, ["one"])
    with pytest.raises(Stale, match=r"the content of .*questions\.jsonl changed; --stale update"):
        ask(tmp_path, ["two"])
    with pytest.raises(Stale, match="seed was 0 and is now 1"):
        ask(tmp_path, ["one"], seed=1)


def test_a_limit_makes_a_trial_of_the_first_rows(tmp_path: Path) -> None:
    assert ask(tmp_path, ["one", "two", "three"], limit=2).record["input_rows"] == 2


def test_chunks_keep_their_size_on_resume(tmp_path: Path) -> None:
    texts = ["one", "two", "three", "crash", "five"]
    with pytest.raises(Partial):
        ask(tmp_path, texts, chunk_rows=2)
    summary = ask(tmp_path, texts, chunk_rows=3, max_failures=1)
    assert list(map(len, Dataset.open(tmp_path / "out").table.to_batches())) == [2, 1, 1]
    assert (Dataset.open(tmp_path / "out").run or {})["chunk_rows"] == 2
    assert summary.counts.finished == 5


def lacking_a_column(folder: Path) -> Path:
    path = folder / "questions.jsonl"
    path.write_text('{"id": "q-0", "answer": "none of the columns that are read"}\n')
    return path


def unreadable(folder: Path) -> Path:
    path = folder / "questions.jsonl"
    path.write_text('{"id": "q-0", "query":\n')
    return path


@pytest.mark.parametrize("source", [lacking_a_column, unreadable])
def test_a_usage_error_leaves_no_partial_output_if_nothing_was_done(
    tmp_path: Path, source: Callable[[Path], Path]
) -> None:
    with pytest.raises(InputError):
        Run(Ask(), [str(source(tmp_path))], tmp_path / "out", Options(), engine=CountingEngine()).execute()
    assert [path.name for path in tmp_path.iterdir()] == ["questions.jsonl"]


class Choosy(CountingEngine):
    """Answers the first request, and raises a usage error at the next."""

    async def answer(self, request: Request) -> Answer:
        if self.asked:
            raise UsageError("an option that only the engine can judge")
        return await super().answer(request)


def test_a_usage_error_keeps_earlier_answers(tmp_path: Path) -> None:
    engine = CountingEngine()
    with pytest.raises(UsageError, match="only the engine"):
        ask(tmp_path, ["one"], Choosy())
    ask(tmp_path, ["one"], engine)
    assert len(engine.asked) == 1
