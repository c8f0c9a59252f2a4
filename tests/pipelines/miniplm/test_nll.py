"""`synth score nll` with an echo, to which a word costs as many nats as it has characters."""

from math import log
from pathlib import Path
from typing import Any

import pytest

from synth.pipelines.engines import Answer, Request, RequestFailed
from synth.pipelines.engines.echo import EchoEngine
from synth.pipelines.miniplm.nll import ScoreTexts
from synth.pipelines.runtime.options import Options
from synth.pipelines.runtime.runner import Run, Summary
from synth.schemas.errors import BudgetSpent, EngineFailed, InputError, Partial, UsageError
from synth.schemas.inspecting.ancestry import ancestry
from tests.rows import Rows, rejected_of, rows_of, write_rows

ROWS: Rows = [{"id": "a", "text": "one two three four five"}, {"id": "b", "text": "äß two"}]


class Counting(EchoEngine):
    """It remembers which texts it scored, and stops answering after so many."""

    def __init__(self, most: int = 1000, **options: Any) -> None:
        super().__init__(**options)
        self._most = most
        self.asked: list[str] = []

    async def answer(self, request: Request) -> Answer:
        text = str(request.prompt)
        if "The sky" not in text:
            if len(self.asked) == self._most:
                raise EngineFailed("it broke down")
            self.asked.append(text)
        return await super().answer(request)


def run(folder: Path, rows: Rows, stage: ScoreTexts, engine: EchoEngine | None = None, **options: Any) -> Summary:
    source = write_rows(folder / "in.jsonl", rows)
    return Run(stage, [str(source)], folder / "out", Options(**options), engine=engine or EchoEngine()).execute()


def test_rows_keep_their_columns_and_get_the_score(tmp_path: Path) -> None:
    summary = run(tmp_path, ROWS, ScoreTexts())
    first, second = rows_of(tmp_path / "out")
    fingerprint = first.pop("nll_tokenizer")
    assert first == ROWS[0] | {
        "nll": 3 + 5 + 4 + 4,
        "nll_tokens": 4,
        "nll_mean": 4,
        "nll_bytes": 23,
        "nll_bits_per_byte": pytest.approx(16 / log(2) / 23),
        "nll_model": "echo",
        "nll_dtype": None,
    }
    assert (second["nll"], second["nll_bytes"], second["nll_tokenizer"]) == (3, 8, fingerprint)
    means = summary.record["means"]
    assert means == {"nats_per_token": round(19 / 5, 6), "bits_per_byte": round(19 / log(2) / 31, 6)}


def test_a_long_text_is_scored_in_windows(tmp_path: Path) -> None:
    run(tmp_path, ROWS, ScoreTexts(max_tokens=2, keep_tokens=True))
    first, _ = rows_of(tmp_path / "out")
    assert (first["nll"], first["nll_tokens"]) == (3 + 4, 2)
    assert first["nll_by_token"] == [None, 3, None, 4, None]


def test_tokens_after_the_end_of_a_document_are_left_out(tmp_path: Path) -> None:
    run(tmp_path, [{"id": "a", "text": "one end three four"}], ScoreTexts(skip_after="end"))
    (row,) = rows_of(tmp_path / "out")
    assert (row["nll"], row["nll_tokens"]) == (3 + 4, 2)


def test_texts_without_a_score_are_rejected_by_reason(tmp_path: Path) -> None:
    rows = [{"id": name, "text": text} for name, text in (("a", ""), ("b", None), ("c", "word"), ("d", "two words"))]
    run(tmp_path, rows, ScoreTexts())
    assert [row["id"] for row in rows_of(tmp_path / "out")] == ["d"]
    reasons = {row["id"]: row["reason"] for row in rejected_of(tmp_path / "out")}
    assert reasons == {"a": "no_text", "b": "no_text", "c": "too_short"}


def test_one_dataset_can_have_the_scores_of_two_models(tmp_path: Path) -> None:
    run(tmp_path, ROWS, ScoreTexts(into="small"))
    again = tmp_path / "again"
    stage = ScoreTexts()
    Run(stage, [str(tmp_path / "out")], again, Options(), engine=EchoEngine()).execute()
    (first, _) = rows_of(again)
    assert first["nll"] == first["small"] == 16
    with pytest.raises(UsageError, match="a column small already: choose other names with --into"):
        Run(ScoreTexts(into="small"), [str(again)], tmp_path / "third", Options(), engine=EchoEngine()).execute()


def test_the_column_is_named_where_several_have_text(tmp_path: Path) -> None:
    rows = [{"id": "a", "question": "one two", "answer": "one two three", "parts": ["one", "two"]}]
    with pytest.raises(InputError, match="--text NAME"):
        run(tmp_path, rows, ScoreTexts())
    with pytest.raises(InputError, match="a row of parts has several texts or messages"):
        run(tmp_path, rows, ScoreTexts(text="parts"), fresh=True)
    run(tmp_path, rows, ScoreTexts(text="answer"), fresh=True)
    assert rows_of(tmp_path / "out")[0]["nll"] == 8


def test_a_window_beyond_the_context_fails_its_row_alone(tmp_path: Path) -> None:
    with pytest.raises(Partial, match=r"1 of 2 rows failed \(prompt_too_long 1\).*lower --max-tokens"):
        run(tmp_path, ROWS, ScoreTexts(), EchoEngine(context=5))
    summary = run(tmp_path, ROWS, ScoreTexts(), EchoEngine(context=5), max_failures=1)
    assert summary.counts.failures == {"prompt_too_long": 1}


def test_an_interrupted_run_asks_for_no_score_twice(tmp_path: Path) -> None:
    rows = [{"id": f"r-{number}", "text": f"row {'x' * number} end"} for number in range(1, 40)]
    first, second = Counting(most=17), Counting()
    with pytest.raises(EngineFailed):
        run(tmp_path, rows, ScoreTexts(), first, in_flight=4)
    run(tmp_path, rows, ScoreTexts(), second, in_flight=4)
    assert sorted(first.asked + second.asked) == sorted(row["text"] for row in rows)
    assert [row["nll"] for row in rows_of(tmp_path / "out")] == [number + 3 for number in range(1, 40)]


@pytest.mark.parametrize(
    ("change", "asked"),
    [
        ({"into": "other"}, 0),
        ({"max_tokens": 3}, 2),
        ({"bos": False}, 2),
        ({"skip_after": "two"}, 2),
        ({"keep_tokens": True}, 2),
    ],
)
def test_recorded_scores_are_reused_where_the_windows_are_the_same(
    tmp_path: Path, change: dict[str, Any], asked: int
) -> None:
    run(tmp_path, ROWS, ScoreTexts())
    engine = Counting()
    summary = run(tmp_path, ROWS, ScoreTexts(**change), engine, stale="update")
    assert len(engine.asked) == asked
    assert summary.record["cost"]["reused_tokens"] == (0 if asked else 7)


def test_recorded_scores_are_not_those_of_another_model(tmp_path: Path) -> None:
    run(tmp_path, ROWS, ScoreTexts())
    engine = Counting(context=100)
    run(tmp_path, ROWS, ScoreTexts(), engine, stale="update")
    assert len(engine.asked) == 2


def test_the_tokens_of_windows_are_what_it_costs(tmp_path: Path) -> None:
    summary = run(tmp_path, ROWS, ScoreTexts(max_tokens=2), price_in=1e6, price_out=1e6)
    cost, tallies = summary.record["cost"], summary.counts.tallies
    # The fifth word is a window of its own, and not sent; of the nine words of the check, neither is the last.
    assert (tallies["prompt_tokens"], tallies["requests"]) == (6, 2)
    assert (cost["prompt_tokens"], cost["completion_tokens"], cost["money"]) == (6 + 8, 0, 14)
    assert cost["unused_requests"] == 0


def test_a_budget_ends_the_run_and_a_larger_one_goes_on(tmp_path: Path) -> None:
    rows = [{"id": f"r-{number}", "text": "five words in each row"} for number in range(10)]
    engine = Counting()
    with pytest.raises(BudgetSpent):
        run(tmp_path, rows, ScoreTexts(), engine, budget_tokens=30, in_flight=1)
    assert len(engine.asked) == 5
    run(tmp_path, rows, ScoreTexts(), engine, budget_tokens=100, in_flight=1)
    assert len(engine.asked) == 10


def test_an_engine_that_gives_no_scores_ends_the_run_in_one_sentence(tmp_path: Path) -> None:
    class Talker(EchoEngine):
        async def answer(self, request: Request) -> Answer:
            return Answer((), len(str(request.prompt).split()))

    with pytest.raises(EngineFailed, match="the engine does not score texts: it answers None; use --engine vllm, or"):
        run(tmp_path, ROWS, ScoreTexts(), Talker())


def test_a_text_that_the_engine_cannot_score_fails_its_row(tmp_path: Path) -> None:
    class Choosy(EchoEngine):
        async def answer(self, request: Request) -> Answer:
            if request.prompt == ROWS[1]["text"]:
                raise RequestFailed("the model gives the text a negative log-likelihood of nan")
            return await super().answer(request)

    summary = run(tmp_path, ROWS, ScoreTexts(), Choosy(), max_failures=1)
    assert (summary.counts.produced, summary.counts.failures) == (1, {"engine_error": 1})


def test_a_trace_of_a_scored_row_shows_the_row_alone(tmp_path: Path) -> None:
    run(tmp_path, ROWS, ScoreTexts())
    found = ancestry("a", [str(tmp_path / "out")])
    assert [ancestor.exchanges for ancestor in found] == [[]] * len(found)
