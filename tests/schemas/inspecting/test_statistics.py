"""Statistics of columns: exact counts and quantiles, whatever the batches and the types."""

import json
import random
from collections import Counter
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from synth.schemas.inspecting import histogram
from synth.schemas.inspecting import statistics as module
from synth.schemas.inspecting.histogram import Spread, Tally, joint_spreads
from synth.schemas.inspecting.statistics import ColumnStatistics, statistics, survey
from synth.schemas.reading.inputs import locate


def columns(path: Path) -> dict[str, ColumnStatistics]:
    return {column.name: column for column in statistics(locate(str(path))).columns}


def column(folder: Path, values: list[object] | pa.Array) -> ColumnStatistics:
    parquet.write_table(pa.table({"x": values}), folder / "x.parquet")
    return columns(folder / "x.parquet")["x"]


def spread(found: ColumnStatistics) -> Spread:
    assert found.spread is not None
    return found.spread


def test_lengths_are_characters_and_quantiles_are_values_that_occur(tmp_path: Path) -> None:
    found = column(tmp_path, ["ä", "日本", None, "abc", "abcd", "abcd"])
    assert (found.nulls, found.distinct, found.unit) == (1, 4, "characters")
    lengths = spread(found)
    assert (lengths.minimum, lengths.median, lengths.ninth_decile, lengths.maximum) == (1, 3, 4, 4)
    assert (lengths.edges, lengths.bins) == ([1, 2, 3, 4, 5], [1, 1, 1, 2])


@pytest.mark.parametrize("rows", [1, 10, 4097, 30_000])
def test_quantiles_and_bins_are_exact_over_many_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    monkeypatch.setattr(histogram, "GATHERED", 1000)
    rng = random.Random(rows)
    numbers = [rng.choice([rng.randrange(-50, 50), rng.randrange(10_000)]) for _ in range(rows)]
    found = column(tmp_path, list(numbers))
    ordered = sorted(numbers)
    measured = spread(found)
    assert found.distinct == len(set(numbers))
    assert measured.median == ordered[-(-rows // 2) - 1]
    assert measured.ninth_decile == ordered[-(-rows * 9 // 10) - 1]
    assert sum(measured.bins) == rows
    for low, high, count in zip(measured.edges, measured.edges[1:], measured.bins, strict=False):
        assert count == sum(low <= number < high for number in numbers) or rows == 1


@given(st.lists(st.lists(st.integers(-5, 30), max_size=8), max_size=8), st.booleans())
def test_each_number_is_counted_whether_numbers_rise_or_not(parts: list[list[int]], rise: bool) -> None:
    tally = Tally()
    for part in parts:
        tally.add(np.array(sorted(set(part)) if rise else part, np.int64))
        tally.sorted()
    values, counts = tally.sorted()
    expected = Counter(number for part in parts for number in (set(part) if rise else part))
    assert list(zip(values.tolist(), counts.tolist(), strict=True)) == sorted(expected.items())


def test_numbers_in_one_file_and_text_in_another_are_a_text_column(tmp_path: Path) -> None:
    parquet.write_table(pa.table({"n": [1, 20]}), tmp_path / "a.parquet")
    parquet.write_table(pa.table({"n": ["x", None]}), tmp_path / "b.parquet")
    found = columns(tmp_path)["n"]
    assert (found.type, found.nulls, found.distinct, spread(found).maximum) == ("string", 1, 3, 2)


def test_distinct_texts_are_counted_up_to_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GATHERED", 100)
    texts = [f"text {index % 700}" for index in range(9000)]
    assert column(tmp_path, list(texts)).distinct == 700
    monkeypatch.setattr(module, "MOST_DISTINCT", 600)
    assert column(tmp_path, list(texts)).distinct is None


def test_a_few_outliers_are_shown_on_a_logarithmic_scale(tmp_path: Path) -> None:
    skewed = spread(column(tmp_path, ["a" * 10] * 95 + ["a" * 1000] * 4 + ["a" * 100_000]))
    assert skewed.logarithmic
    assert [count for count in skewed.bins if count] == [95, 4, 1]
    assert not spread(column(tmp_path, list(range(100)))).logarithmic
    assert not spread(column(tmp_path, [-5] * 99 + [10_000])).logarithmic


def test_texts_of_few_kinds_are_categories_but_not_those_that_hardly_repeat(tmp_path: Path) -> None:
    assert column(tmp_path, ["stop"] * 3 + ["length", None]).values == {"stop": 3, "length": 1}
    assert column(tmp_path, ["a", "b", "c"]).values is None
    assert column(tmp_path, ["x" * 41] * 10).values is None
    assert column(tmp_path, [True, None, True, False]).values == {"true": 2, "false": 1}
    assert column(tmp_path, pa.array(["a", "b", "a", "a"]).dictionary_encode()).values == {"a": 3, "b": 1}


def test_nan_and_infinity_have_no_part_in_the_spread(tmp_path: Path) -> None:
    found = column(tmp_path, [0.5, float("nan"), float("inf"), 1.5, None])
    assert (found.not_finite, found.nulls, found.distinct) == (2, 1, 2)
    assert (spread(found).minimum, spread(found).maximum) == (0.5, 1.5)


@pytest.mark.parametrize(
    ("values", "kind", "unit"),
    [
        (pa.array([[1, 2], [], None]), "list<element: int64>", "items"),
        (pa.array([b"ab", b""]), "binary", "bytes"),
        (pa.array(["a", "bc"], pa.large_string()), "string", "characters"),
        (pa.array([{"a": 1}]), "struct<a: int64>", None),
        (pa.array([datetime(2026, 1, 1)]), "timestamp[us]", None),
        (pa.nulls(3), "null", None),
        (pa.array([-(2**63), 2**63 - 1]), "int64", None),
        (pa.array([2**64 - 1, 0], pa.uint64()), "uint64", None),
        (pa.array([], pa.string()), "string", "characters"),
    ],
    ids=lambda value: str(value) if isinstance(value, str) else "",
)
def test_every_type_has_its_statistics(tmp_path: Path, values: pa.Array, kind: str, unit: str | None) -> None:
    found = column(tmp_path, values)
    assert (found.type, found.unit, found.nulls) == (kind, unit, values.null_count)
    if found.spread:
        assert sum(found.spread.bins) == len(values) - values.null_count


def test_json_rows_need_not_all_have_the_same_columns(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ({"a": 1}, {"b": "x"}, {"a": 2.5, "b": "y"})))
    found = columns(path)
    assert (found["a"].nulls, found["a"].type, spread(found["a"]).maximum) == (1, "double", 2.5)
    assert (found["b"].nulls, found["b"].distinct) == (1, 2)
    path.write_text('{"a": 1}\n{"a": "x"}\n{"a": []}\n')
    assert columns(path)["a"].type == "string"


def test_inputs_that_are_compared_have_the_same_bins(tmp_path: Path) -> None:
    surveys = []
    for name, numbers in (("a", [1, 2, 2, 3]), ("b", [40, 41])):
        parquet.write_table(pa.table({"x": numbers}), tmp_path / f"{name}.parquet")
        surveys.append(survey(locate(str(tmp_path / f"{name}.parquet"))))
    first, second = joint_spreads([found.tallies["x"] for found in surveys])
    assert first.edges == second.edges == list(range(1, 44, 2))
    assert (first.bins[:2], sum(first.bins)) == ([3, 1], 4)
    assert (first.maximum, second.minimum) == (3, 40)
    assert second.bins[-2:] == [1, 1]


def test_words_are_han_characters_and_what_stands_between_white_space(tmp_path: Path) -> None:
    texts = ["", " two  words\n", None, "wörter, drei davon", "日本", " \t", "a b c d", "x"]
    table = pa.table({"x": pa.array(["left out", *texts]).slice(1)})
    parquet.write_table(table, tmp_path / "x.parquet")
    values, counts = survey(locate(str(tmp_path / "x.parquet"))).words["x"].sorted()
    assert dict(zip(values.tolist(), counts.tolist(), strict=True)) == {0: 2, 1: 1, 2: 2, 3: 1, 4: 1}
