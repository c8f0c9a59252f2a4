"""A run on a cluster writes what a run on one machine writes, whatever happens to its workers."""

import json
import random
from pathlib import Path
from typing import Any

import pytest

from synth.pipelines.engines.echo import EchoEngine
from synth.pipelines.runtime.cluster import crew
from synth.pipelines.runtime.runner import Run, Summary
from synth.schemas.dataset import Dataset
from synth.schemas.errors import BudgetSpent, EngineFailed, Partial, SynthError, UsageError
from tests.cluster.engines import Deadly, Slow, Split, Stuck
from tests.cluster.fire import under_fire
from tests.cluster.simulated import Simulated
from tests.faults.campaign import TwoCalls, asked, in_small_chunks, questions, shard_bytes

TEXTS = [f"What is {i}?" for i in range(120)]
TEXTS[17] = "refuse this"
MIXED = [*TEXTS[:50], "stumble over this", *TEXTS[50:]]


def run(folder: Path, out: str, texts: list[str], engine: EchoEngine | None = None, **options: Any) -> Summary:
    return Run(
        TwoCalls(),
        [str(questions(folder, texts))],
        folder / out,
        in_small_chunks(**options),
        engine=engine or Slow(folder / f"{out}.log"),
    ).execute()


def published(out: Path) -> dict[str, bytes]:
    """All that must be the same: data, rejected rows, and what `datasets` reads beside them."""
    files = shard_bytes(out)
    for folder in (out, out / "rejected"):
        files |= {str(path.relative_to(out)): path.read_bytes() for path in folder.glob("state.json")}
    return files


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(
    ("texts", "options"),
    [(TEXTS, {}), (TEXTS, {"until": 33}), (MIXED, {"max_failures": 1})],
    ids=["whole", "until", "with a failure"],
)
def test_data_rejected_rows_and_state_are_the_same(
    tmp_path: Path, cluster: Simulated, workers: int, texts: list[str], options: dict[str, Any]
) -> None:
    here = run(tmp_path, "here", texts, **options)
    there = run(tmp_path, "there", texts, on=f"ray:{cluster.address}", workers=workers, **options)
    assert published(tmp_path / "there") == published(tmp_path / "here")
    assert there.counts == here.counts
    if "until" not in options:
        cost = [summary.record["cost"] for summary in (here, there)]
        assert cost[0]["prompt_tokens"] == cost[1]["prompt_tokens"]
        assert cost[1]["unused_requests"] == there.counts.failed


def test_workers_that_die_cost_little_and_lose_nothing(tmp_path: Path, cluster: Simulated) -> None:
    texts = [f"What is {i}?" for i in range(400)]
    run(tmp_path, "here", texts)
    kills = under_fire(cluster, tmp_path, random.Random(5), kills=4, between=(1.0, 2.0), seconds=0.4, in_flight=16)
    assert kills == 4
    assert published(tmp_path / "there") == published(tmp_path / "here")
    requests = asked(tmp_path / "there.log")
    repeated = len(requests) - len(set(requests))
    assert set(requests) == set(asked(tmp_path / "here.log"))
    # Of each kill, the rows in flight and half a second of answers.
    assert repeated <= kills * 3 * 16
    record = json.loads((tmp_path / "there" / "synth.json").read_text())
    assert 0 < record["cost"]["unused_requests"] <= kills * 3 * 16


def test_a_run_goes_on_here_where_it_stopped_there_and_the_other_way_round(tmp_path: Path, cluster: Simulated) -> None:
    run(tmp_path, "here", TEXTS)
    log = tmp_path / "moved.log"
    for budget, on in ((700, f"ray:{cluster.address}"), (1200, None)):
        with pytest.raises(BudgetSpent):
            run(tmp_path, "moved", TEXTS, budget_tokens=budget, on=on, in_flight=8)
    run(tmp_path, "moved", TEXTS, on=f"ray:{cluster.address}")
    assert published(tmp_path / "moved") == published(tmp_path / "here")
    assert len(asked(log)) == len(set(asked(log))), "no answer was asked for twice"


def test_too_many_failures_leave_the_run_unpublished_and_the_next_one_tries_only_them(
    tmp_path: Path, cluster: Simulated, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Partial, match="1 of 121 rows failed"):
        run(tmp_path, "out", MIXED, on=f"ray:{cluster.address}")
    before = len(asked(tmp_path / "out.log"))
    monkeypatch.setattr(TwoCalls, "mended", True)
    # Patched only here, so it is tried here.
    run(tmp_path, "out", MIXED)
    assert len(asked(tmp_path / "out.log")) == before + 1
    assert Dataset.open(tmp_path / "out").table.num_rows == 2 * 120


def test_chunks_of_an_engine_that_dies_go_on_with_another_one(tmp_path: Path, cluster: Simulated) -> None:
    run(tmp_path, "here", TEXTS)
    engine = Deadly(tmp_path / "there.log", deaths=2)
    run(tmp_path, "there", TEXTS, engine, on=f"ray:{cluster.address}", in_flight=8)
    assert published(tmp_path / "there") == published(tmp_path / "here")
    assert not list(tmp_path.glob("*.death-*")), "it has died as often as it should"


def test_an_engine_that_hangs_is_replaced(
    tmp_path: Path, cluster: Simulated, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(crew, "HUNG_SECONDS", 3)
    run(tmp_path, "here", TEXTS)
    engine = Stuck(tmp_path / "there.log", deaths=1)
    run(tmp_path, "there", TEXTS, engine, on=f"ray:{cluster.address}", workers=1)
    assert published(tmp_path / "there") == published(tmp_path / "here")
    assert "gave no answer for 3 s: its chunks go on elsewhere" in caplog.text


def test_an_engine_that_cannot_be_started_ends_the_run(tmp_path: Path, cluster: Simulated) -> None:
    with pytest.raises(EngineFailed, match="there is no memory for it"):
        run(tmp_path, "out", TEXTS, Deadly(tmp_path / "log", deaths=0, starts=False), on=f"ray:{cluster.address}")


def test_a_chunk_that_kills_every_worker_ends_the_run_and_is_named(tmp_path: Path, cluster: Simulated) -> None:
    engine = Deadly(tmp_path / "log", deaths=100, at="What is 99?")
    with pytest.raises(SynthError, match="chunk 24 has cost 3 workers in a row"):
        run(tmp_path, "out", TEXTS, engine, on=f"ray:{cluster.address}", workers=1)


def test_each_worker_has_gpus_of_its_own(tmp_path: Path, cluster: Simulated) -> None:
    engine = Split(tmp_path / "there.log", seconds=0.1)
    on = f"ray:{cluster.address}"
    with pytest.raises(UsageError, match="1 worker with 2 GPUs and a processor each do not fit on the cluster"):
        run(tmp_path, "there", TEXTS, engine, on=on)
    with cluster.with_gpus(5):
        run(tmp_path, "there", TEXTS, engine, on=on, in_flight=8)
    given = sorted(path.read_text() for path in tmp_path.glob("gpus-*"))
    assert len(given) == 2
    assert len({gpu for gpus in given for gpu in gpus.split(",")}) == 4
    run(tmp_path, "here", TEXTS)
    assert published(tmp_path / "there") == published(tmp_path / "here")


def test_progress_counts_each_row_once_over_all_workers(tmp_path: Path, cluster: Simulated) -> None:
    seen: list[tuple[int, int]] = []
    source = str(questions(tmp_path, TEXTS))
    engine = Slow(tmp_path / "log", seconds=0.5)
    options = in_small_chunks(on=f"ray:{cluster.address}", in_flight=8)
    Run(TwoCalls(), [source], tmp_path / "out", options, engine=engine).execute(
        lambda now: seen.append((now.counts.finished, now.in_flight))
    )
    finished = [rows for rows, _ in seen]
    assert finished == sorted(finished)
    assert finished[-1] == 120
    assert max(requests for _, requests in seen) > 8, "both workers are counted"
    record = json.loads((tmp_path / "out" / "synth.json").read_text())
    assert record["cost"]["engine_seconds"] > 0
