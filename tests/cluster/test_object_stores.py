"""Workers that share nothing but an object store write what one machine writes to a directory."""

import json
from pathlib import Path
from typing import Any

import pytest

from synth.pipelines.engines.echo import EchoEngine
from synth.pipelines.runtime.runner import Run, Summary
from synth.schemas.errors import BudgetSpent, SynthError
from synth.schemas.stores.places import output_at
from tests.cluster.engines import Deadly, Slow
from tests.cluster.simulated import Simulated
from tests.faults.campaign import TwoCalls, asked, in_small_chunks, questions, shard_bytes
from tests.object_store import Bucket

TEXTS = [f"What is {i}?" for i in range(60)]
TEXTS[17] = "refuse this"
MIXED = [*TEXTS[:50], "stumble over this", *TEXTS[50:]]


def run(folder: Path, out: Path, texts: list[str], engine: EchoEngine | None = None, **options: Any) -> Summary:
    engine = engine or Slow(folder / f"{out.name}.log")
    return Run(TwoCalls(), [str(questions(folder, texts))], out, in_small_chunks(**options), engine=engine).execute()


def here(folder: Path) -> dict[str, bytes]:
    """Data, rejected rows, and what `datasets` reads beside them."""
    out = folder / "here"
    states = [out / "state.json", out / "rejected" / "state.json"]
    return shard_bytes(out) | {str(path.relative_to(out)): path.read_bytes() for path in states}


def there(bucket: Bucket) -> dict[str, bytes]:
    objects = bucket.objects("there")
    return {
        name: content
        for name, content in objects.items()
        if name.endswith((".arrow", "state.json")) and not name.startswith(("answers/", "failed/"))
    }


def left_on(cluster: Simulated) -> list[Path]:
    return [file for file in cluster.disks.rglob("*") if file.is_file()]


@pytest.mark.parametrize(
    ("texts", "options"),
    [(TEXTS, {}), (TEXTS, {"until": 33}), (MIXED, {"max_failures": 1})],
    ids=["whole", "until", "with a failure"],
)
def test_the_bytes_are_those_of_one_machine_and_nothing_else_is_left(
    tmp_path: Path, bucket: Bucket, cluster: Simulated, texts: list[str], options: dict[str, Any]
) -> None:
    one = run(tmp_path, tmp_path / "here", texts, **options)
    two = run(tmp_path, output_at(f"{bucket.url}/there"), texts, on=f"ray:{cluster.address}", workers=2, **options)
    assert there(bucket) == here(tmp_path)
    assert two.counts == one.counts
    if "until" not in options:
        cost = [summary.record["cost"] for summary in (one, two)]
        assert cost[0]["prompt_tokens"] == cost[1]["prompt_tokens"]
        assert cost[0]["unused_requests"] == cost[1]["unused_requests"]
    assert bucket.objects("there.partial") == {}
    assert list(cluster.disks.glob("*/synth/outputs")), "workers have worked there"
    assert left_on(cluster) == []


def test_a_run_goes_on_here_where_it_stopped_there_and_the_other_way_round(
    tmp_path: Path, bucket: Bucket, cluster: Simulated
) -> None:
    run(tmp_path, tmp_path / "here", TEXTS)
    out, log = output_at(f"{bucket.url}/there"), tmp_path / "there.log"
    for budget, on in ((400, f"ray:{cluster.address}"), (600, None)):
        with pytest.raises(BudgetSpent):
            run(tmp_path, out, TEXTS, budget_tokens=budget, on=on, in_flight=8)
    run(tmp_path, out, TEXTS, on=f"ray:{cluster.address}")
    assert there(bucket) == here(tmp_path)
    assert len(asked(log)) == len(set(asked(log))), "no answer was asked for twice"
    assert json.loads(bucket.objects("there")["synth.json"])["cost"]["unused_requests"] == 0


def test_chunks_of_a_worker_that_is_killed_go_on_with_another_one(
    tmp_path: Path, bucket: Bucket, cluster: Simulated
) -> None:
    run(tmp_path, tmp_path / "here", TEXTS)
    engine = Deadly(tmp_path / "there.log", deaths=2, at=TEXTS[33])
    run(tmp_path, output_at(f"{bucket.url}/there"), TEXTS, engine, on=f"ray:{cluster.address}", in_flight=8)
    assert there(bucket) == here(tmp_path)


def test_a_row_that_kills_its_workers_ends_the_run(tmp_path: Path, bucket: Bucket, cluster: Simulated) -> None:
    engine = Deadly(tmp_path / "there.log", deaths=9, at=TEXTS[33])
    with pytest.raises(SynthError, match="chunk 8 has cost 3 workers in a row"):
        run(tmp_path, output_at(f"{bucket.url}/there"), TEXTS, engine, on=f"ray:{cluster.address}", in_flight=8)
