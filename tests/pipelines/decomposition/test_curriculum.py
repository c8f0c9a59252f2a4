import json
from pathlib import Path
from typing import Any

import pytest

from synth.pipelines.decomposition.curriculum import Curriculum
from synth.pipelines.runtime.options import Options
from synth.pipelines.runtime.runner import Run
from synth.schemas.errors import SynthError
from tests.rows import Rows, rejected_of, rows_of, write_rows

BUCKETS: Rows = [
    # Not in order: that of lengths counts.
    {"id": "bucket_4", "bucket": 4, "length": 17, "sequences": 100, "tokens": 1700},
    {"id": "bucket_3", "bucket": 3, "length": 9, "sequences": 400, "tokens": 3600},
    {"id": "short", "bucket": None, "length": None, "sequences": 7, "tokens": 20},
]


def planned(folder: Path, rows: Rows = BUCKETS, **options: Any) -> tuple[Rows, tuple[str, ...]]:
    source = write_rows(folder / "buckets.jsonl", rows)
    stage = Curriculum(**{"cycles": 2, "batch_tokens": 32, **options})
    summary = Run(stage, [str(source)], folder / "plan", Options(fresh=True)).execute()
    return rows_of(folder / "plan"), summary.remarks


def test_by_default_every_token_is_taken_once_and_short_sequences_come_first(tmp_path: Path) -> None:
    rows, remarks = planned(tmp_path)
    # 3,200 and 1,600 tokens to predict, in two cycles.
    assert [(row["id"], row["batches_per_cycle"], row["odds"]) for row in rows] == [
        ("bucket_3", 50, 2),
        ("bucket_4", 25, 1),
    ]
    assert [(row["sequences_per_batch"], row["sequences_per_cycle"]) for row in rows] == [(4, 200), (2, 50)]
    assert remarks[-1].startswith("+0.00%")
    mixture = json.loads((tmp_path / "plan" / "mixture.json").read_text())
    assert mixture == {
        "weights": {"bucket_3": 100, "bucket_4": 25},
        "cycles": 2,
        "batch_tokens": 32,
        "sequences_per_batch": {"bucket_3": 4, "bucket_4": 2},
        "sequences_per_cycle": {"bucket_3": 200, "bucket_4": 50},
    }
    assert [(row["id"], row["reason"]) for row in rejected_of(tmp_path / "plan")] == [("short", "not_a_bucket")]


def test_what_rounding_to_whole_batches_costs_is_said(tmp_path: Path) -> None:
    rows, remarks = planned(tmp_path, tokens=1_000, odds=(1.0, 3.0))
    # 666.7 and 333.3 tokens are 10.4 and 5.2 batches in each of two cycles.
    assert [row["batches_per_cycle"] for row in rows] == [10, 5]
    assert [row["weight"] for row in rows] == [10, 15]
    assert remarks[-1].startswith("-4.00%")


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        (BUCKETS, {"odds": (1.0,)}, "--odds has 1 numbers for 2 buckets"),
        (BUCKETS, {"odds": (1.0, -1.0)}, "--odds must not be negative"),
        (BUCKETS, {"batch_tokens": 40}, "--batch-tokens 40 is no multiple of the 16 in bucket_4"),
        (BUCKETS, {"batch_tokens": 1 << 20}, "choose a smaller --batch-tokens, or fewer --cycles"),
        (BUCKETS[2:], {}, "there are no sequences in any bucket"),
        ([{"id": "bucket_3", "bucket": 3, "sequences": 0}], {}, "there are no sequences in any bucket"),
    ],
)
def test_what_cannot_be_planned_is_refused(tmp_path: Path, rows: Rows, options: dict[str, Any], message: str) -> None:
    with pytest.raises(SynthError, match=message):
        planned(tmp_path, rows, **options)
