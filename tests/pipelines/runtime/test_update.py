"""An output is remade with what has changed: only requests that were never answered are sent."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest

from synth.pipelines.engines import Answer, EngineBusy, Request, Sampling
from synth.pipelines.runtime.options import Options
from synth.pipelines.runtime.runner import Run, Summary
from synth.pipelines.runtime.stage import Row, RowStage, Tools
from synth.schemas.dataset import Dataset
from synth.schemas.errors import EngineFailed, Stale, UsageError
from synth.schemas.record import Record
from synth.schemas.records import QUERY
from tests.pipelines.runtime.asking import CountingEngine
from tests.rows import Rows, rows_of, write_rows


@dataclass(frozen=True)
class Several(RowStage):
    """Several answers to each question."""

    name: ClassVar[str] = "several"
    input: ClassVar[Record] = QUERY
    output: ClassVar[Record] = QUERY
    n: int = 2
    shout: bool = False

    async def process(self, row: Row, tools: Tools) -> AsyncIterator[Row]:
        answer = await tools.llm.generate(({"role": "user", "content": row["query"]},), Sampling(), n=self.n)
        for number, completion in enumerate(answer.completions):
            text = completion.text.upper() if self.shout else completion.text
            yield {"id": f"{row['id']}/{number}", "query": text}


class Dying(CountingEngine):
    """Dies after four answers."""

    async def answer(self, request: Request) -> Answer:
        if len(self.asked) == 4:
            raise EngineFailed("it died")
        return await super().answer(request)


def made(folder: Path, rows: Rows, stage: RowStage | None = None, **options: Any) -> tuple[Summary, CountingEngine]:
    engine = options.pop("engine", None) or CountingEngine()
    source = write_rows(folder / "questions.jsonl", rows)
    how = Options(**{"chunk_rows": 3, **options})
    return Run(stage or Several(), [str(source)], folder / "out", how, engine=engine).execute(), engine


def questions(*numbers: int) -> Rows:
    return [{"id": f"q-{number}", "query": f"question {number}"} for number in numbers]


def asked(engine: CountingEngine) -> list[str]:
    return sorted(request.prompt[-1]["content"] for request in engine.asked)  # type: ignore[index]


def checksums(out: Path) -> list[str]:
    return [shard["xxh3"] for shard in (Dataset.open(out).run or {})["shards"]]


def test_only_new_and_edited_rows_are_asked_for(tmp_path: Path) -> None:
    made(tmp_path, questions(*range(10)))
    rows = [*questions(8, 20, 2, 3, 4, 5, 6), {"id": "q-7", "query": "edited"}, *questions(0, 21)]
    summary, engine = made(tmp_path, rows, stale="update")
    assert asked(engine) == ["edited", "question 20", "question 21"]
    assert summary.counts.produced == 10
    made(tmp_path / "from nothing", rows)
    assert checksums(tmp_path / "out") == checksums(tmp_path / "from nothing" / "out")


def test_more_samples_are_drawn_from_where_the_earlier_ones_end(tmp_path: Path) -> None:
    made(tmp_path, questions(1, 2))
    _, engine = made(tmp_path, questions(1, 2), Several(n=5), stale="update")
    assert [request.n for request in engine.asked] == [3, 3]
    made(tmp_path / "from nothing", questions(1, 2), Several(n=5))
    assert checksums(tmp_path / "out") == checksums(tmp_path / "from nothing" / "out")
    for n in (4, 5, 6):
        _, engine = made(tmp_path, questions(1, 2), Several(n=n), stale="update")
        assert [request.n for request in engine.asked] == ([1, 1] if n == 6 else [])


def test_another_reading_of_the_answers_asks_nothing_and_starts_no_engine(tmp_path: Path) -> None:
    class Absent(CountingEngine):
        async def start(self) -> None:
            raise EngineFailed("it should not be needed")

    made(tmp_path, questions(1, 2, 3, 4))
    made(tmp_path, questions(1, 2, 3, 4), Several(shout=True), engine=Absent(), stale="update")
    assert all(row["query"].isupper() for row in rows_of(tmp_path / "out"))


def test_an_update_that_is_asked_for_remakes_even_what_is_not_stale(tmp_path: Path) -> None:
    made(tmp_path, questions(1, 2))
    assert made(tmp_path, questions(1, 2), stale="update")[0].already_done
    summary, engine = made(tmp_path, questions(1, 2), update=True)
    assert (summary.already_done, engine.asked) == (False, [])


def test_an_update_that_breaks_off_is_resumed_with_all_answers(tmp_path: Path) -> None:
    made(tmp_path, questions(*range(8)))
    with pytest.raises(EngineFailed):
        made(tmp_path, questions(*range(16)), stale="update", engine=Dying(), in_flight=2)
    assert len(rows_of(tmp_path / "out")) == 16, "the old output is still there"
    _, engine = made(tmp_path, questions(*range(16)), stale="update")
    assert len(engine.asked) == 4
    assert len(rows_of(tmp_path / "out")) == 32


def test_an_update_of_an_update_that_broke_off_has_the_answers_of_both(tmp_path: Path) -> None:
    made(tmp_path, questions(*range(8)))
    with pytest.raises(EngineFailed):
        made(tmp_path, questions(*range(16)), stale="update", engine=Dying(), in_flight=2)
    _, engine = made(tmp_path, questions(*range(17)), stale="update")
    assert len(engine.asked) == 5


def test_a_run_that_never_finished_can_be_updated(tmp_path: Path) -> None:
    with pytest.raises(EngineFailed):
        made(tmp_path, questions(*range(6)), engine=Dying(), in_flight=1)
    _, engine = made(tmp_path, questions(*range(6)), Several(n=3), stale="update")
    assert sorted(request.n for request in engine.asked) == [1, 1, 1, 1, 3, 3]


def test_a_stale_output_is_refused_or_made_afresh_as_the_option_says(tmp_path: Path) -> None:
    made(tmp_path, questions(1))
    with pytest.raises(Stale, match=r"n was 2 and is now 3; --stale update .* --fresh starts over"):
        made(tmp_path, questions(1), Several(n=3))
    _, engine = made(tmp_path, questions(1), Several(n=3), stale="fresh")
    assert [request.n for request in engine.asked] == [3]
    assert made(tmp_path, questions(1), Several(n=3), stale="fresh")[0].already_done


def test_an_output_without_its_answers_is_not_updated_at_the_price_of_all_of_them(tmp_path: Path) -> None:
    made(tmp_path, questions(1), keep_answers=False)
    assert not (tmp_path / "out" / "answers").exists()
    with pytest.raises(UsageError, match=r"no recorded answers .*--no-keep-answers"):
        made(tmp_path, questions(1, 2), stale="update")
    assert len(rows_of(tmp_path / "out")) == 2


def test_a_run_that_kept_no_answers_of_its_finished_chunks_is_not_updated(tmp_path: Path) -> None:
    with pytest.raises(EngineFailed):
        made(tmp_path, questions(*range(8)), engine=Dying(), in_flight=1, keep_answers=False)
    with pytest.raises(UsageError, match=r"no recorded answers .*--no-keep-answers"):
        made(tmp_path, questions(*range(8)), Several(n=3), stale="update")


@dataclass(frozen=True)
class Faulty(Several):
    """Cannot read the answer to question 1, until it is mended."""

    mended: bool = False

    async def process(self, row: Row, tools: Tools) -> AsyncIterator[Row]:
        async for answer in super().process(row, tools):
            if row["id"] == "q-1" and not self.mended:
                raise ValueError("no answer in it")
            yield answer


@pytest.mark.parametrize(("rows", "keep_answers"), [(3, False), (8, True)])
def test_the_answers_of_failed_rows_are_not_asked_for_again(tmp_path: Path, rows: int, keep_answers: bool) -> None:
    there = questions(*range(rows))
    summary, _ = made(tmp_path, there, Faulty(), keep_answers=keep_answers, max_failures=1)
    assert summary.counts.failed == 1
    summary, engine = made(tmp_path, there, Faulty(mended=True), stale="update")
    assert (summary.counts.failed, engine.asked) == (0, [])
    assert len(rows_of(tmp_path / "out")) == 2 * rows


def test_finished_chunks_without_their_answers_are_not_asked_again_because_another_one_failed(tmp_path: Path) -> None:
    made(tmp_path, questions(*range(8)), Faulty(), keep_answers=False, max_failures=1)
    with pytest.raises(UsageError, match=r"no recorded answers .*--no-keep-answers"):
        made(tmp_path, questions(*range(8)), Faulty(mended=True), stale="update")


def test_a_busy_engine_is_retried_in_an_update_too(tmp_path: Path) -> None:
    made(tmp_path, questions(1))
    _, engine = made(tmp_path, questions(1, 2), stale="update", engine=CountingEngine([EngineBusy("wait", 0.01)]))
    assert asked(engine) == ["question 2", "question 2"]
