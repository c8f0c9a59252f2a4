"""Trees grow side by side, come out in order, and go on where a run was broken off."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from synth.pipelines.engines import Answer, Request
from synth.pipelines.engines.echo import EchoEngine
from synth.pipelines.runtime.runner import Options, Run, Summary
from synth.pipelines.runtime.text.near import NearDuplicates
from synth.schemas.dataset import Dataset
from synth.schemas.errors import BudgetSpent, EngineFailed
from tests.pipelines.query_of_cc.talking import TalkingEngine, attentive, small
from tests.rows import write_rows

EXAMPLES = Path(__file__).parents[3] / "examples"
SEEDS = [{"id": name, "domain": "cooking", "text": name} for name in ("soup", "stew", "too long", "roast")]


def bootstrap(
    folder: Path, engine: EchoEngine, rows: list[dict[str, Any]] = SEEDS, name: str = "out", **options: Any
) -> Summary:
    path = write_rows(folder / f"{name}.jsonl", rows)
    # The prompt of one seed is too long.
    return Run(small(), [str(path)], folder / name, Options(max_failures=1, **options), engine=engine).execute()


def shard_bytes(folder: Path) -> dict[str, bytes]:
    """Of the rows and of those in `rejected/`; what is kept for another try of a failed row comes in no order."""
    paths = [*folder.glob("*.arrow"), *folder.glob("rejected/*.arrow")]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def test_seeds_are_conserved_and_come_out_in_order(tmp_path: Path) -> None:
    summary = bootstrap(tmp_path, TalkingEngine(), in_flight=3)
    assert (summary.counts.produced, summary.counts.failures) == (3, {"prompt_too_long": 1})
    table = Dataset.open(tmp_path / "out").table
    assert table.num_rows == 3 * (1 + 4 + 16)
    assert list(dict.fromkeys(name.partition("/")[0] for name in table["id"].to_pylist())) == ["soup", "stew", "roast"]


@pytest.mark.parametrize("answers", [0, 1, 3, 11, 30])
def test_a_run_that_dies_in_the_middle_of_a_tree_goes_on_there_and_asks_nothing_twice(
    tmp_path: Path, answers: int
) -> None:
    whole = TalkingEngine()
    bootstrap(tmp_path, whole, name="whole")
    first, second = TalkingEngine(answers), TalkingEngine()
    with pytest.raises(EngineFailed, match="it is dead"):
        bootstrap(tmp_path, first, in_flight=1)
    assert not (tmp_path / "out").exists()
    bootstrap(tmp_path, second)
    assert shard_bytes(tmp_path / "out") == shard_bytes(tmp_path / "whole")
    answered = [request for request in first.asked if "too long" not in str(request.prompt)]
    assert not [request for request in answered if request in second.asked]
    assert {*map(str, first.asked), *map(str, second.asked)} == set(map(str, whole.asked))


def test_a_budget_that_ends_a_round_loses_no_answer(tmp_path: Path) -> None:
    class Slow(TalkingEngine):
        async def answer(self, request: Request) -> Answer:
            answer = await super().answer(request)
            await asyncio.sleep(0.002 * len(self.asked))
            return answer

    first, second = Slow(), TalkingEngine()
    with pytest.raises(BudgetSpent):
        bootstrap(tmp_path, first, budget_tokens=60, in_flight=1)
    bootstrap(tmp_path, second)
    assert first.asked
    assert not {str(request) for request in first.asked} & {
        str(request) for request in second.asked if "too long" not in str(request)
    }


def test_a_pool_is_extended_where_it_ends(tmp_path: Path) -> None:
    """Two runs of a round each write what one run of two rounds writes, with the pool's duplicates out in between."""
    engine = TalkingEngine()
    one_round = small(rounds=1)
    path = tmp_path / "seeds.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in SEEDS[:2]))
    Run(one_round, [str(path)], tmp_path / "first", Options(), engine=engine).execute()
    summary = Run(one_round, [str(tmp_path / "first")], tmp_path / "second", Options(), engine=engine).execute()
    assert summary.counts.reasons == {"already_extended": 2}
    both = [row for name in ("first", "second") for row in Dataset.open(tmp_path / name).table.to_pylist()]
    bootstrap(tmp_path, engine, SEEDS[:2], name="at-once")
    at_once = Dataset.open(tmp_path / "at-once").table.to_pylist()
    assert sorted(both, key=lambda row: row["id"]) == sorted(at_once, key=lambda row: row["id"])


def test_what_several_seeds_gave_is_for_the_next_step_to_remove(tmp_path: Path) -> None:
    def single_minded(asked: str, _: int) -> str:
        if asked.startswith("think"):
            return f"It simmers slowly, {asked}"
        return f"1. How is food kept warm?\n2. What is left of {asked}?"

    twins = [{**SEEDS[0], "id": name, "text": f"{name} pots"} for name in ("iron", "clay")]
    bootstrap(tmp_path, TalkingEngine(model=single_minded), twins)
    pool = Dataset.open(tmp_path / "out").table.select(["id", "text"]).to_pylist()
    near = NearDuplicates()
    twin_of = {row["id"]: near.seen(row["id"], row["text"]) for row in pool}
    assert twin_of["clay/q0"] == "iron/q0"
    assert not [query_id for query_id, twin in twin_of.items() if twin and query_id.startswith("iron")]


def test_the_example_seeds_grow(tmp_path: Path) -> None:
    engine = TalkingEngine()
    summary = Run(
        small(rounds=1), [str(EXAMPLES / "seeds.jsonl")], tmp_path / "out", Options(), engine=engine
    ).execute()
    assert summary.counts.produced == summary.record["input_rows"] > 0


def test_a_tree_grows_on_around_a_request_that_is_not_answered(tmp_path: Path) -> None:
    """The thought about one question is too long a prompt; the seed is given up only where nothing else is left."""

    def model(asked: str, sample: int) -> str:
        return attentive(asked, sample).replace("Why would anybody boil", "Is it too long to boil")

    summary = bootstrap(tmp_path, TalkingEngine(model=model), SEEDS[:1])
    assert (summary.counts.produced, summary.counts.failed) == (1, 0)
    assert set(summary.counts.output_reasons) == {"prompt_too_long"}
    assert Dataset.open(tmp_path / "out").table["kind"].to_pylist().count("thought") > 0
