"""What is measured of tagged datasets: against counts made by hand, and by plain loops over random tags."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth.pipelines.instag import measure as measuring
from synth.pipelines.instag.measure import MOST_TAGS, Measures, Pair, TagCount, measure
from synth.pipelines.instag.tagsets import Vocabulary, tag_sets
from synth.schemas.errors import InputError
from synth.schemas.reading.inputs import Input, locate
from tests.rows import write_rows

POOL = [["t1", "t2", "t3"], ["t1", "t2"], ["t4"], ["t1", "t4"], ["t5", "t1", "t2", "t4"], []]


def written(path: Path, rows: Sequence[Mapping[str, Any]]) -> Input:
    return locate(str(write_rows(path, rows)))


def tagged(path: Path, *tags: Any) -> Input:
    return written(path, [{"tags": each} for each in tags])


def measured(path: Path, *tags: Any) -> Measures:
    (found,) = measure([tagged(path / "rows.jsonl", *tags)])
    return found


def test_complexity_is_the_mean_number_of_tags(tmp_path: Path) -> None:
    found = measured(tmp_path, *POOL)
    assert (found.rows, found.untagged, found.unit, found.queries) == (6, 1, "row", 6)
    assert found.complexity == 2
    assert found.tags_per_query == {0: 1, 1: 1, 2: 2, 3: 1, 4: 1}


def test_a_tag_that_a_row_has_twice_and_what_is_no_tag_do_not_count(tmp_path: Path) -> None:
    found = measured(tmp_path, ["a", "a", "", None], None)
    assert (found.complexity, found.distinct, found.untagged) == (0.5, 1, 1)


def test_complexity_is_the_mean_over_queries_where_rows_tell_of_them(tmp_path: Path) -> None:
    rows = [
        {"tags": ["a", "b", "c"], "tags_per_query": 1.5, "queries": 4},
        {"tags": ["a", "b"], "tags_per_query": None, "queries": None},
        {"tags": [], "tags_per_query": 0.0, "queries": 1},
    ]
    (found,) = measure([written(tmp_path / "rows.jsonl", rows)])
    assert (found.unit, found.queries, found.complexity) == ("query", 6, 8 / 6)
    assert found.tags_per_query == {0: 1, 2: 5}


@pytest.mark.parametrize("queries", [["q1"], "1", None])
def test_a_column_of_that_name_which_is_no_number_of_queries_is_not_taken_for_one(
    tmp_path: Path, queries: object
) -> None:
    rows = [{"tags": ["a"], "tags_per_query": 3.0, "queries": queries}]
    (found,) = measure([written(tmp_path / "rows.jsonl", rows)])
    assert (found.unit, found.complexity) == ("row", 1)


def test_diversity_is_coverage_of_the_tags_of_all_datasets(tmp_path: Path) -> None:
    a, b = measure([tagged(tmp_path / "a.jsonl", ["a", "b"], ["c"]), tagged(tmp_path / "b.jsonl", ["c", "d"])])
    assert (a.covered, a.vocabulary, a.diversity) == (3, 4, 0.75)
    assert (b.covered, b.vocabulary, b.diversity) == (2, 4, 0.5)


def test_diversity_is_coverage_of_a_vocabulary_where_one_is_named(tmp_path: Path) -> None:
    # As in the table of tags of `instag normalize`: a row a form, the canonical tag more than once, or null.
    forms = [{"form": form, "tag": tag} for form, tag in [("a", "a"), ("A", "a"), ("z", "z"), ("x", None)]]
    vocabulary = written(tmp_path / "vocabulary.jsonl", forms)
    (found,) = measure([tagged(tmp_path / "rows.jsonl", ["a", "other"], ["new"])], vocabulary=vocabulary)
    assert (found.covered, found.vocabulary, found.diversity, found.distinct) == (1, 2, 0.5, 3)


def test_common_tags_and_pairs_of_two_datasets_are_the_same_ones_in_the_same_order(tmp_path: Path) -> None:
    a, b = measure([tagged(tmp_path / "a.jsonl", ["x"], ["x", "y"], [], []), tagged(tmp_path / "b.jsonl", ["z", "y"])])
    assert a.tags == [TagCount("y", 1), TagCount("z", 0), TagCount("x", 2)]
    assert b.tags == [TagCount("y", 1), TagCount("z", 1), TagCount("x", 0)]
    assert a.pairs == [Pair("z", "y", 0, None, None), Pair("x", "y", 1, 0.5, 2.0)]
    assert b.pairs == [Pair("z", "y", 1, 1.0, 1.0), Pair("x", "y", 0, None, None)]


@given(st.lists(st.lists(st.sampled_from("abcdefgh"), max_size=8), min_size=1, max_size=40), st.integers(1, 50))
def test_tags_and_pairs_are_counted_as_plain_loops_count_them(rows: list[list[str]], portion: int) -> None:
    vocabulary = Vocabulary()
    sets = tag_sets([pa.array(rows, pa.list_(pa.string()))], vocabulary)
    names = vocabulary.tags
    top = pa.array(range(len(names)), pa.int64()).to_numpy()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measuring, "ROWS_AT_A_TIME", portion)
        met = measuring._cooccurrences(sets, top, len(names)).reshape(len(names), len(names))
    wanted = Counter(pair for row in rows for pair in combinations(sorted(set(row), key=names.index), 2))
    found = {(names[i], names[j]): int(met[i, j]) for i in range(len(names)) for j in range(len(names)) if met[i, j]}
    assert found == wanted


def test_a_row_of_thousands_of_tags_is_counted_like_others(tmp_path: Path) -> None:
    wide = [f"tag {number}" for number in range(5_000)]
    found = measured(tmp_path, wide, ["tag 4000", "tag 4001"], ["x" * 10_000])
    assert (found.complexity, found.distinct, len(found.tags)) == (5003 / 3, 5001, MOST_TAGS)
    assert found.pairs[0] == Pair("tag 4001", "tag 4000", 2, 1.0, 1.5)


def test_rows_without_any_tag_have_no_diversity(tmp_path: Path) -> None:
    for tags in ([[], []], [None, None], [None, []]):
        found = measured(tmp_path, *tags)
        assert (found.rows, found.untagged, found.complexity, found.diversity) == (2, 2, 0, None)
        assert (found.tags, found.pairs, found.tags_per_query) == ([], [], {0: 2})


def test_tags_are_read_alike_from_texts_and_objects_and_from_any_format(tmp_path: Path) -> None:
    texts = measure([tagged(tmp_path / "texts.jsonl", *POOL)])
    structs = [{"labels": [{"tag": tag, "turn": 1} for tag in tags]} for tags in POOL]
    assert measure([written(tmp_path / "objects.jsonl", structs)], tags="labels") == texts
    for kind in (pa.list_(pa.string()), pa.large_list(pa.large_string())):
        pyarrow.parquet.write_table(pa.table({"tags": pa.array(POOL, kind)}), tmp_path / "rows.parquet")
        assert measure([locate(str(tmp_path / "rows.parquet"))]) == texts


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{"labels": ["a"], "n": 1}], r"rows.jsonl has no .* tags, which does not exist: .*--tags NAME \(labels could"),
        (
            [{"tags": "a, b"}],
            r"in the column tags, which is string: name another with --tags NAME \(there is only tags",
        ),
        ([{"tags": [1, 2]}], r"which is list<item: int64>"),
        ([], r"rows.jsonl has no rows"),
    ],
)
def test_what_has_no_tags_is_refused(tmp_path: Path, rows: list[dict[str, Any]], said: str) -> None:
    with pytest.raises(InputError, match=said):
        measure([written(tmp_path / "rows.jsonl", rows)])


@pytest.mark.parametrize("rows", [[{"name": "a"}], [{"tag": None}], [{"tag": 1}], []])
def test_what_is_no_vocabulary_is_refused(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    with pytest.raises(InputError, match=r"--vocabulary .*v.jsonl has no strings in a column tag"):
        measure([tagged(tmp_path / "rows.jsonl", ["a"])], vocabulary=written(tmp_path / "v.jsonl", rows))
