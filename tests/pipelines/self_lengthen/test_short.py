from pathlib import Path
from random import Random

import numpy as np
import pytest

from synth.pipelines.self_lengthen.drop_short import DropShort, shortness
from synth.schemas.errors import InputError
from tests.pipelines.passing import passed
from tests.rows import write_rows


def drop(folder: Path, lengths: list[int], *, seed: int = 0, order: list[int] | None = None) -> dict[int, str]:
    """What remains of rows whose texts have these lengths, by number; and why the others went."""
    rows = [{"id": f"r-{i}", "response": "x" * lengths[i], "n": i} for i in order or range(len(lengths))]
    source = write_rows(folder / "rows.jsonl", rows)
    kept, rejected = passed(DropShort(), [source], folder / "out", seed=seed, fresh=True)
    ids = {row["id"] for row in kept}
    assert kept == [row for row in rows if row["id"] in ids]
    assert {row["reason"] for row in rejected} <= {"short"}
    return {row["n"]: "kept" for row in kept} | {row["n"]: row["detail"] for row in rejected}


def test_r_is_one_for_the_shortest_and_almost_nothing_for_the_longest() -> None:
    assert shortness(np.array([30.0, 10.0, 20.0, 40.0])).tolist() == [0.5, 1.0, 0.75, 0.25]


def test_equal_lengths_share_the_first_rank() -> None:
    assert shortness(np.array([5.0, 5.0, 9.0, 9.0])).tolist() == [1.0, 1.0, 0.5, 0.5]


def test_of_many_rows_the_share_that_the_rule_expects_stays(tmp_path: Path) -> None:
    lengths = [length % 500 + 1 for length in range(100_000)]
    Random(0).shuffle(lengths)
    fates = drop(tmp_path, lengths)
    kept = [lengths[number] for number, fate in fates.items() if fate == "kept"]
    assert len(kept) / 100_000 == pytest.approx(0.5945, rel=0.01)
    # r >= 0.7937: none of the shortest fifth, almost all of the longest.
    assert min(kept) > 0.206 * 500
    assert sum(length > 450 for length in kept) / 10_000 > 0.99


def test_the_characters_count_and_not_the_words_or_the_bytes(tmp_path: Path) -> None:
    rows = [{"id": "a", "response": "字" * 10}, {"id": "b", "response": "x" * 20}, {"id": "c", "response": "y " * 8}]
    _, rejected = passed(DropShort(), [write_rows(tmp_path / "in.jsonl", rows)], tmp_path / "out")
    assert {row["id"]: row["detail"] for row in rejected}["a"] == "r = 1.0000"


def test_what_stays_follows_from_the_seed_and_the_ids_and_not_from_the_order(tmp_path: Path) -> None:
    lengths = list(range(1, 301))
    order = list(range(300))
    Random(1).shuffle(order)
    fates = drop(tmp_path, lengths)
    assert drop(tmp_path, lengths, order=order) == fates
    assert drop(tmp_path, lengths, seed=1) != fates


def test_several_inputs_are_ranked_together(tmp_path: Path) -> None:
    short = write_rows(tmp_path / "short.jsonl", [{"response": "x" * n} for n in range(1, 101)])
    long = write_rows(tmp_path / "long.jsonl", [{"response": "x" * n} for n in range(1000, 1400)])
    kept, _ = passed(DropShort(), [short, long], tmp_path / "out")
    assert {row["id"].split("-")[0] for row in kept} == {"long"}


def test_one_row_and_rows_of_one_length_are_the_shortest(tmp_path: Path) -> None:
    assert drop(tmp_path, [7]) == {0: "r = 1.0000"}
    assert drop(tmp_path, [7, 7, 7]) == dict.fromkeys(range(3), "r = 1.0000")


def test_a_text_that_is_null_has_no_characters(tmp_path: Path) -> None:
    rows = [{"id": "a", "response": None}, {"id": "b", "response": "x"}]
    _, rejected = passed(DropShort(), [write_rows(tmp_path / "in.jsonl", rows)], tmp_path / "out")
    assert rejected[0]["detail"] == "r = 1.0000"


def test_other_columns_can_be_named(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "in.jsonl", [{"id": "a", "body": "x", "n": 1}])
    with pytest.raises(InputError, match="no column response, only id, body, n: name one with --text NAME"):
        passed(DropShort(), [source], tmp_path / "out")
    with pytest.raises(InputError, match="--text n: the column is int64, not text"):
        passed(DropShort(text="n"), [source], tmp_path / "out-2")
    _, rejected = passed(DropShort(text="body"), [source], tmp_path / "out-3")
    assert [row["reason"] for row in rejected] == ["short"]
