"""Rows through `instag normalize`: what they come out with, and what is done with tags that are none."""

from pathlib import Path

import datasets
import pytest

from synth.pipelines.instag.normalize import counting
from synth.pipelines.instag.normalize.embedding import Characters, Model, embedder_named
from synth.schemas.errors import InputError, UsageError
from tests.pipelines.instag.normalizing import normalized, queries, turns
from tests.pipelines.retrieval.meanings import MODEL, needs_model


def test_rows_keep_their_columns_and_get_their_tags_once_each(tmp_path: Path) -> None:
    rows = [
        {"id": "a", "text": "x", "raw_tags": turns(["Poems", "poem", "rhyme"], ["history", "poem"]), "queries": 2},
        {"id": "b", "text": "y", "raw_tags": turns(["Poems"]), "queries": 1},
        {"id": "c", "text": None, "raw_tags": turns(["Poems"], [], ["history"]), "queries": 3},
    ]
    found = normalized(tmp_path, rows)
    assert found.rows == [
        {**rows[0], "tags": ["Poems", "rhyme", "history"], "tags_per_query": 2.0},
        {**rows[1], "tags": ["Poems"], "tags_per_query": 1.0},
        {**rows[2], "tags": ["Poems", "history"], "tags_per_query": pytest.approx(2 / 3)},
    ]
    assert found.tallies["queries"] == 6
    assert found.tallies["tags_per_query"] == 7
    assert datasets.load_from_disk(str(tmp_path / "out"))[1]["tags"] == ["Poems"]


def test_the_tag_table_says_what_became_of_each_form(tmp_path: Path) -> None:
    rows = [{"id": f"r-{n}", "raw_tags": turns(["Poems"])} for n in range(4)]
    rows += [{"id": f"s-{n}", "raw_tags": turns(["poem", "rhymes"])} for n in range(3)]
    rows += [{"id": "t", "raw_tags": turns(["rare"])}]
    found = normalized(tmp_path, rows, alpha=2)
    assert found.vocabulary == [
        {
            "form": "Poems",
            "count": 4,
            "step": None,
            "tag": "Poems",
            "tag_count": 7,
            "examples": [{"id": f"r-{n}", "explanation": "why Poems"} for n in range(3)],
        },
        {
            "form": "poem",
            "count": 3,
            "step": "rule",
            "tag": "Poems",
            "tag_count": 7,
            "examples": [{"id": f"s-{n}", "explanation": "why poem"} for n in range(3)],
        },
        {
            "form": "rhymes",
            "count": 3,
            "step": None,
            "tag": "rhymes",
            "tag_count": 3,
            "examples": [{"id": f"s-{n}", "explanation": "why rhymes"} for n in range(3)],
        },
        {
            "form": "rare",
            "count": 1,
            "step": "frequency",
            "tag": None,
            "tag_count": None,
            "examples": [{"id": "t", "explanation": "why rare"}],
        },
    ]
    assert datasets.load_from_disk(str(tmp_path / "out" / "vocabulary")).num_rows == 4


def test_each_step_tells_how_many_tags_it_leaves(tmp_path: Path) -> None:
    tags = [["writing of poems", "x"]] * 5 + [["Writing of poems!"]] * 4 + [["poems of writing"]] * 3 + [["rare"]]
    tallies = normalized(tmp_path, queries(*tags), alpha=3, min_support=5).tallies
    assert {name: tallies[name] for name in tallies if name.startswith("after") or name == "raw_tags"} == {
        "raw_tags": 5,
        "after_frequency": 4,
        "after_rules": 3,
        "after_semantics": 2,
        "after_association": 1,
    }
    assert tallies["association_rules"] == 1


def test_frequency_counts_queries_and_not_occurrences(tmp_path: Path) -> None:
    rows = [
        {"id": "a", "raw_tags": [*turns(["poem", "poem", "poem"]), *turns([], ["song"], ["song"])]},
        {"id": "b", "raw_tags": turns(["poem", "song"])},
    ]
    found = normalized(tmp_path, rows, alpha=3)
    assert found.tag_of == {"song": "song", "poem": None}
    assert [row["tags"] for row in found.rows] == [["song"], ["song"]]


def test_turns_may_come_in_any_order(tmp_path: Path) -> None:
    rows = [{"id": "a", "raw_tags": [*turns([], ["one", "two"]), *turns(["two", "three"]), *turns([], ["one", "two"])]}]
    found = normalized(tmp_path, rows)
    assert {row["form"]: row["count"] for row in found.vocabulary} == {"one": 1, "two": 2, "three": 1}
    assert found.rows[0]["tags"] == ["two", "three", "one"]
    assert found.rows[0]["tags_per_query"] == 2.0


@pytest.mark.parametrize("rows_at_a_time", [1, 2, 1 << 16])
def test_what_is_no_tag_is_counted_and_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows_at_a_time: int
) -> None:
    monkeypatch.setattr(counting, "ROWS_AT_A_TIME", rows_at_a_time)
    tags = [["poem", "", " \n", None], None, [], ["x" * 10_000, "poem"], [None], ["y" * 200]]
    found = normalized(tmp_path, queries(*tags))
    assert [row["tags"] for row in found.rows] == [["poem"], [], [], ["poem"], [], ["y" * 200]]
    assert [row["tags_per_query"] for row in found.rows] == [1, 0, 0, 1, 0, 1]
    names = ("empty_tags", "null_tags", "overlong_tags", "rows_without_tags")
    assert [found.tallies[name] for name in names] == [2, 2, 1, 3]
    assert len(found.vocabulary) == 2


def test_a_row_may_have_thousands_of_tags(tmp_path: Path) -> None:
    # Consonants alone, so that no two of them have the same stem.
    letters = "bcdfghjklmnpqrtvwxz"
    many = [f"{a}{b}{c}{d}" for a in letters[:9] for b in letters[:9] for c in letters[:9] for d in letters[:7]][:5000]
    found = normalized(tmp_path, queries(many, ["poem"], many[:10]), eps=0.0, min_support=2)
    assert found.rows[0]["tags"] == many[:1] + many[10:]
    assert found.rows[0]["tags_per_query"] == len(many) - 9
    assert found.rows[2]["tags"] == many[:1]


def test_lists_of_texts_and_foreign_columns_are_read(tmp_path: Path) -> None:
    foreign = [{"id": "a", "labels": ["one", "two"]}, {"id": "b", "labels": []}]
    assert [row["tags"] for row in normalized(tmp_path, foreign, tags="labels").rows] == [["one", "two"], []]
    # A column with the name of ours is read, and then replaced in its place.
    own = [{"id": "a", "tags": ["One", "one", "two"], "text": "x"}]
    found = normalized(tmp_path, own)
    assert found.rows == [{"id": "a", "tags": ["One", "two"], "text": "x", "tags_per_query": 2.0}]
    # Objects, as InsTag gives them, are not lost.
    structs = [{"id": "a", "tags": [{"tag": "One"}, {"tag": "two"}]}]
    (row,) = normalized(tmp_path, structs).rows
    assert (row["raw_tags"], row["tags"]) == (structs[0]["tags"], ["One", "two"])
    both = [{"id": "a", "raw_tags": ["one"], "tags": [{"tag": "One"}]}]
    with pytest.raises(InputError, match="rename the input's column with --column NAME=tags"):
        normalized(tmp_path, both)


@pytest.mark.parametrize(
    ("rows", "fault"),
    [
        ([{"id": "a", "text": "x"}], "--tags NAME"),
        ([{"id": "a", "raw_tags": [1, 2]}], r"raw_tags, which is list<.*int64>: name another with --tags NAME"),
        ([{"id": "a", "raw_tags": "poem, song"}], r"raw_tags, which is string: name another with --tags NAME"),
        ([{"id": "a", "raw_tags": [{"name": "poem"}]}], "--tags NAME"),
        ([{"id": "a", "raw_tags": None}], "raw_tags has no tag in any of 1 row: name .* --tags NAME"),
        ([{"id": "a", "raw_tags": []}, {"id": "b", "raw_tags": [" ", None]}], "has no tag in any of 2 rows"),
    ],
)
def test_rows_without_a_single_tag_are_refused(tmp_path: Path, rows: list[dict[str, object]], fault: str) -> None:
    with pytest.raises(InputError, match=fault):
        normalized(tmp_path, rows)


def test_a_threshold_that_leaves_nothing_is_named_with_the_highest_count(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"'poem', occurs in 7 queries, so --alpha 20 drops all tags: .* lower --alpha"
    ):
        normalized(tmp_path, queries(*[["poem"]] * 7, ["song"]), alpha=20)


def test_a_small_dataset_without_any_merge_stays_as_it_is(tmp_path: Path) -> None:
    found = normalized(tmp_path, queries(["poem"], ["song"]))
    assert [row["tags"] for row in found.rows] == [["poem"], ["song"]]
    assert set(found.step_of.values()) == {None}


def test_the_paper_s_model_is_not_downloaded_unless_it_is_named() -> None:
    with pytest.raises(UsageError, match="is not on this machine: --embedder whaleloops/phrase-bert downloads it"):
        embedder_named(None)
    assert embedder_named("characters") == Characters()
    with pytest.raises(UsageError, match="--embedder nosuch: there is no such directory"):
        embedder_named("nosuch")


@needs_model
def test_a_model_tells_what_means_the_same(tmp_path: Path) -> None:
    tags = [["tv show"]] * 3 + [["television show"]] * 2 + [["theatre play"]]
    embedder = embedder_named(str(MODEL))
    assert isinstance(embedder, Model)
    assert normalized(tmp_path, queries(*tags), embedder=embedder).tag_of == {
        "tv show": "tv show",
        "television show": "tv show",
        "theatre play": "theatre play",
    }
