"""The cost of an output: what its runs asked for, in tokens and in money, and what the whole input would cost."""

import dataclasses
import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from synth.pipelines.engines import Answer, Completion, Request
from synth.pipelines.runtime.options import Options
from synth.pipelines.runtime.runner import Run, Summary
from synth.schemas.dataset import Dataset
from synth.schemas.errors import BudgetSpent, EngineFailed, UsageError
from tests.pipelines.runtime.asking import CountingEngine
from tests.pipelines.runtime.test_update import Faulty, Several, made, questions
from tests.rows import write_rows

# Tokens of one request for two samples.
PROMPT, COMPLETION = 3, 4
BOTH = PROMPT + COMPLETION
PRICES = {"price_in": 2.0, "price_out": 5.0}


class Priced(CountingEngine):
    """Answers with a fixed number of tokens; dies after `alive` answers."""

    def __init__(self, alive: int = 1_000_000) -> None:
        super().__init__()
        self.alive = alive

    async def answer(self, request: Request) -> Answer:
        if len(self.asked) >= self.alive:
            raise EngineFailed("it died")
        await super().answer(request)
        return Answer(tuple(Completion("yes", "stop", 2) for _ in range(request.n)), PROMPT)


def run(folder: Path, count: int, stage: Several | None = None, **options: Any) -> tuple[Summary, CountingEngine]:
    return made(folder, questions(*range(count)), stage, **{"engine": Priced(), **options})


def spent(summary: Summary) -> tuple[int, int, int]:
    cost = summary.record["cost"]
    return cost["prompt_tokens"], cost["completion_tokens"], cost["reused_tokens"]


def test_an_update_costs_what_it_asks_for_itself(tmp_path: Path) -> None:
    assert spent(run(tmp_path, 4)[0]) == (4 * PROMPT, 4 * COMPLETION, 0)
    summary, _ = run(tmp_path, 6, stale="update")
    assert spent(summary) == (2 * PROMPT, 2 * COMPLETION, 4 * BOTH)
    fresh, _ = run(tmp_path / "from nothing", 6)
    assert summary.counts == fresh.counts
    assert summary.counts.tallies["completion_tokens"] == 6 * COMPLETION
    assert spent(run(tmp_path, 6, Several(shout=True), stale="update")[0]) == (0, 0, 6 * BOTH)


def test_samples_that_were_drawn_before_cost_nothing(tmp_path: Path) -> None:
    run(tmp_path, 2)
    more, engine = run(tmp_path, 2, Several(n=5), stale="update")
    assert [request.n for request in engine.asked] == [3, 3]
    # The prompt is sent again.
    assert spent(more) == (2 * PROMPT, 2 * 3 * 2, 2 * 2 * 2)
    fewer, _ = run(tmp_path, 2, Several(n=4), stale="update")
    assert spent(fewer) == (0, 0, 2 * (PROMPT + 4 * 2))


def test_a_budget_is_not_spent_by_answers_that_are_reused(tmp_path: Path) -> None:
    run(tmp_path, 8)
    with pytest.raises(BudgetSpent, match=r"is spent \(14\)"):
        run(tmp_path, 11, stale="update", budget_tokens=2 * BOTH, in_flight=1)
    summary, engine = run(tmp_path, 11, stale="update", budget_tokens=2 * BOTH + 1)
    assert len(engine.asked) == 1
    assert spent(summary) == (3 * PROMPT, 3 * COMPLETION, 8 * BOTH)


@pytest.mark.parametrize("kills", [[1], [2, 1], [1, 1, 1]])
def test_an_update_that_is_killed_costs_what_all_its_runs_asked_for(tmp_path: Path, kills: list[int]) -> None:
    run(tmp_path, 8)
    for alive in kills:
        with pytest.raises(EngineFailed):
            run(tmp_path, 16, stale="update", engine=Priced(alive), in_flight=1)
    summary, _ = run(tmp_path, 16, stale="update")
    assert spent(summary) == (8 * PROMPT, 8 * COMPLETION, 8 * BOTH)


def test_a_chunk_that_was_damaged_and_is_made_again_is_counted_once(tmp_path: Path) -> None:
    with pytest.raises(EngineFailed):
        run(tmp_path, 8, engine=Priced(7), in_flight=1)
    (shard,) = tmp_path.glob("out.partial/shards/00000.*.arrow")
    shard.write_bytes(shard.read_bytes()[:-8])
    summary, engine = run(tmp_path, 8)
    assert len(engine.asked) == 1
    assert spent(summary) == (8 * PROMPT, 8 * COMPLETION, 0)


def test_rows_that_failed_cost_too_and_trying_them_again_adds_to_the_cost(tmp_path: Path) -> None:
    summary, _ = run(tmp_path, 3, Faulty(), max_failures=1)
    assert summary.counts.tallies["prompt_tokens"] == 2 * PROMPT
    assert spent(summary) == (3 * PROMPT, 3 * COMPLETION, 0)
    again, engine = run(tmp_path, 3, Faulty(), max_failures=1, retry_failed=True)
    assert engine.asked == []
    assert spent(again) == (3 * PROMPT, 3 * COMPLETION, 0)


def test_money_is_recorded_in_all_and_for_each_accepted(tmp_path: Path) -> None:
    summary, _ = run(tmp_path, 4, **PRICES)
    cost = (Dataset.open(tmp_path / "out").run or {})["cost"]
    assert cost == summary.record["cost"]
    paid = 4 * (PROMPT * 2 + COMPLETION * 5) / 1e6
    assert (cost["price_in"], cost["price_out"]) == (2, 5)
    assert cost["money"] == pytest.approx(paid)
    assert cost["money_each"] == pytest.approx(paid / 8)
    # A price determines no row.
    assert run(tmp_path, 4, price_in=1.0, price_out=1.0)[0].already_done
    assert run(tmp_path, 4, Several(shout=True), stale="update", **PRICES)[0].record["cost"]["money"] == 0


def test_money_is_unknown_without_prices_and_without_counts_of_tokens(tmp_path: Path) -> None:
    class Silent(CountingEngine):
        async def answer(self, request: Request) -> Answer:
            return Answer((await super().answer(request)).completions, None)

    assert run(tmp_path, 2)[0].record["cost"]["money"] is None
    cost = run(tmp_path / "silent", 2, engine=Silent(), **PRICES)[0].record["cost"]
    assert (cost["money"], cost["money_each"], cost["prompt_tokens"]) == (None, None, None)


def test_a_prompt_that_a_server_reads_once_for_each_sample_costs_as_often(tmp_path: Path) -> None:
    class OneByOne(Priced):
        async def answer(self, request: Request) -> Answer:
            answer = await super().answer(request)
            return Answer(answer.completions[:1], answer.prompt_tokens)

    summary, _ = run(tmp_path, 2, engine=OneByOne())
    assert spent(summary) == (2 * 2 * PROMPT, 2 * COMPLETION, 0)
    assert summary.counts.tallies["prompt_tokens"] == 2 * PROMPT


@pytest.mark.parametrize(("given", "other"), [("price_in", "--price-out"), ("price_out", "--price-in")])
def test_one_price_alone_is_refused(given: str, other: str) -> None:
    with pytest.raises(UsageError, match=f"set {other}, too"):
        Options(**{given: 1.0})


def test_a_trial_tells_what_the_whole_input_would_take(tmp_path: Path) -> None:
    summary, _ = run(tmp_path, 30, limit=3, **PRICES)
    whole = summary.whole_input
    assert whole
    assert (whole.rows, whole.prompt_tokens, whole.completion_tokens) == (30, 30 * PROMPT, 30 * COMPLETION)
    assert whole.money == pytest.approx(30 * (PROMPT * 2 + COMPLETION * 5) / 1e6)
    assert whole.seconds
    assert 0 < whole.seconds <= 10 * (summary.record["seconds"] + 0.001)


def test_the_time_for_a_start_is_not_multiplied(tmp_path: Path) -> None:
    class Slow(Priced):
        async def start(self) -> None:
            import asyncio

            await asyncio.sleep(0.5)

    whole = run(tmp_path, 3000, limit=3, engine=Slow())[0].whole_input
    assert whole
    assert whole.seconds
    assert whole.seconds < 500


def test_a_trial_of_recorded_answers_tells_no_time(tmp_path: Path) -> None:
    run(tmp_path, 3)
    whole = run(tmp_path, 30, limit=3, stale="update")[0].whole_input
    assert whole
    assert (whole.prompt_tokens, whole.seconds, whole.money) == (30 * PROMPT, None, None)


@pytest.mark.parametrize("more", [{}, {"limit": 30}, {"limit": 31}, {"limit": 3, "until": 2}])
def test_nothing_is_told_of_an_input_that_was_read_whole(tmp_path: Path, more: dict[str, int]) -> None:
    assert run(tmp_path, 30, **more)[0].whole_input is None


def test_the_rows_of_an_input_are_counted_only_where_that_is_quick(tmp_path: Path) -> None:
    rows = questions(*range(30))
    jsonl = write_rows(tmp_path / "a.jsonl", rows)
    (tmp_path / "unended.jsonl").write_text(jsonl.read_text().rstrip())
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(jsonl.read_bytes()))
    (tmp_path / "a.json").write_text(json.dumps(rows))
    (tmp_path / "a.csv").write_text("query\n" + "one\n" * 30)
    Run(Several(), [str(jsonl)], tmp_path / "made", Options(), engine=Priced()).execute()
    table = Dataset.open(tmp_path / "made").table
    pq.write_table(table, tmp_path / "a.parquet")
    expected = {"a.jsonl": 30, "unended.jsonl": 30, "made": 60, "made/data-*.arrow": 60, "a.parquet": 60}
    expected |= {"a.jsonl.gz": None, "a.json": None, "a.csv": None}
    for name, count in expected.items():
        options = Options(limit=2)
        out = tmp_path / "out" / name.replace("/", "-").replace("*", "-")
        whole = Run(Several(), [str(tmp_path / name)], out, options, engine=Priced()).execute().whole_input
        assert (dataclasses.asdict(whole)["rows"] if whole else None) == count, name
