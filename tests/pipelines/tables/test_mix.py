from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from synth.pipelines.runtime.options import Options
from synth.pipelines.runtime.runner import Run, Summary
from synth.pipelines.tables.mix import Mix
from synth.schemas.errors import UsageError
from tests.rows import rows_of, write_rows

SIZES = {"math": 60, "code": 30, "prose": 10}


@pytest.fixture
def inputs(tmp_path: Path) -> list[str]:
    return [
        str(write_rows(tmp_path / f"{name}.jsonl", [{"text": f"{name} {i}", f"of_{name}": i} for i in range(size)]))
        for name, size in SIZES.items()
    ]


def mixed(folder: Path, inputs: list[str], *, seed: int = 0, **options: Any) -> tuple[Summary, Counter[str]]:
    summary = Run(Mix(**options), inputs, folder / "mixed", Options(seed=seed, fresh=True)).execute()
    return summary, Counter(row["source"] for row in rows_of(folder / "mixed"))


def test_without_weights_every_row_is_taken_and_keeps_its_columns(tmp_path: Path, inputs: list[str]) -> None:
    _, sources = mixed(tmp_path, inputs)
    assert sources == SIZES
    row = next(row for row in rows_of(tmp_path / "mixed") if row["id"] == "code-7")
    assert row == {"id": "code-7", "text": "code 7", "of_math": None, "of_code": 7, "of_prose": None, "source": "code"}


def test_the_mix_is_as_large_as_its_weights_allow(tmp_path: Path, inputs: list[str]) -> None:
    summary, sources = mixed(tmp_path, inputs, weights=(2.0, 1.0, 1.0))
    assert sources == {"math": 20, "code": 10, "prose": 10}
    assert summary.counts.reasons == {"not_taken": 60}
    assert summary.remarks[0].split() == ["math", "asked", "50.0%", "got", "50.0%", "20", "rows"]


def test_take_sets_the_size_and_a_shortfall_is_reported(tmp_path: Path, inputs: list[str]) -> None:
    assert mixed(tmp_path, inputs, weights=(1.0, 1.0, 1.0), take=10)[1] == {"math": 4, "code": 3, "prose": 3}
    summary, sources = mixed(tmp_path, inputs, weights=(1.0, 1.0, 2.0), take=80)
    assert sources == {"math": 20, "code": 20, "prose": 10}
    assert summary.remarks[-1] == "30 fewer rows than --take 80: an input has too few"


def test_rows_are_shuffled_by_the_seed_and_not_by_their_order(tmp_path: Path, inputs: list[str]) -> None:
    orders = []
    for seed, given in ((0, inputs), (0, inputs[::-1]), (1, inputs)):
        mixed(tmp_path, given, seed=seed)
        orders.append([row["id"] for row in rows_of(tmp_path / "mixed")])
    assert orders[0] == orders[1]
    assert sorted(orders[0]) == sorted(orders[2])
    assert orders[0] != orders[2]
    positions = [place for place, row_id in enumerate(orders[0]) if row_id.startswith("prose")]
    assert 30 < sum(positions) / len(positions) < 70


def test_bad_rows_do_not_shift_the_sources(tmp_path: Path, inputs: list[str]) -> None:
    with Path(inputs[0]).open("a") as file:
        file.write("{not json\n")
    out = tmp_path / "mixed"
    Run(Mix(), inputs, out, Options(bad_rows="reject")).execute()
    assert all(row["id"].startswith(row["source"]) for row in rows_of(out))
    assert Counter(row["source"] for row in rows_of(out)) == SIZES


def test_two_inputs_of_one_name_are_told_apart(tmp_path: Path) -> None:
    same = [
        str(write_rows(tmp_path / folder / "rows.jsonl", [{"id": f"{folder}-{i}"} for i in range(3)]))
        for folder in "ab"
    ]
    _, sources = mixed(tmp_path, same)
    assert sources == dict.fromkeys(same, 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weights": (1.0,)}, "--weights has 1 numbers for 3 inputs"),
        ({"weights": (1.0, -1.0, 1.0)}, "must not be negative"),
        ({"source_column": "text"}, "an input has a column text"),
    ],
)
def test_a_mix_that_cannot_be_made_is_a_usage_error(
    tmp_path: Path, inputs: list[str], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        mixed(tmp_path, inputs, **options)
