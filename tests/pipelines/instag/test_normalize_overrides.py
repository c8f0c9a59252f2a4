"""What a person decides about tags holds, whatever the steps find."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from synth.pipelines.instag.normalize.groups import RULE, Groups
from synth.pipelines.instag.normalize.overrides import Overrides
from synth.schemas.errors import InputError
from tests.pipelines.instag.normalizing import normalized, queries


def overrides(folder: Path, *lines: dict[str, Any]) -> Overrides:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "overrides.jsonl"
    path.write_bytes(b"\n".join(map(orjson.dumps, lines)) + b"\n\n")
    return Overrides.read(path)


def test_a_pinned_form_has_its_tag_and_takes_along_what_is_the_same(tmp_path: Path) -> None:
    pins = overrides(tmp_path, {"form": "AI", "tag": "artificial intelligence"})
    tags = [["AI"]] * 9 + [["ai"]] * 3 + [["artificial intelligence"]] * 2 + [["robots"]] * 5
    found = normalized(tmp_path, queries(*tags), overrides=pins)
    assert found.tag_of == {
        "AI": "artificial intelligence",
        "ai": "artificial intelligence",
        "artificial intelligence": "artificial intelligence",
        "robots": "robots",
    }
    assert found.step_of["AI"] == "override"
    assert found.vocabulary[0]["tag_count"] == 14


def test_the_tag_of_a_pin_need_not_occur_and_a_pinned_form_is_never_rare(tmp_path: Path) -> None:
    pins = overrides(tmp_path, {"form": "LOTR", "tag": "The Lord of the Rings"}, {"form": "keep me", "tag": "keep me"})
    tags = [["LOTR"], ["keep me"], ["rare"], *[["poem"]] * 9]
    found = normalized(tmp_path, queries(*tags), overrides=pins, alpha=5)
    assert found.rows[0]["tags"] == ["The Lord of the Rings"]
    assert [row["tags"] for row in found.rows[1:4]] == [["keep me"], [], ["poem"]]
    (added,) = (row for row in found.vocabulary if row["form"] == "The Lord of the Rings")
    assert (added["count"], added["tag_count"], added["step"], added["examples"]) == (0, 1, None, [])


def test_a_form_can_be_no_tag(tmp_path: Path) -> None:
    pins = overrides(tmp_path, {"form": "N/A", "tag": None}, {"form": "is not there", "tag": None})
    found = normalized(tmp_path, queries(["N/A", "poem"], ["N/A"], ["n a"]), overrides=pins)
    assert found.tallies["overrides_not_met"] == 1
    assert [row["tags"] for row in found.rows] == [["poem"], [], ["n a"]]
    assert (found.tag_of["N/A"], found.step_of["N/A"]) == (None, "override")


def test_overrides_that_leave_no_tag_are_refused_and_can_be_mended(tmp_path: Path) -> None:
    rows = queries(["N/A", "poem"], ["N/A", "poem"], ["rare"])
    pins = overrides(tmp_path, {"form": "N/A", "tag": None}, {"form": "poem", "tag": None})
    with pytest.raises(InputError, match=r"--overrides drops every tag that --alpha 2 leaves: .* a lower --alpha"):
        normalized(tmp_path, rows, overrides=pins, alpha=2)
    assert [row["tags"] for row in normalized(tmp_path, rows, overrides=pins, alpha=1).rows] == [[], [], ["rare"]]


def test_two_pinned_tags_are_never_one(tmp_path: Path) -> None:
    pins = overrides(tmp_path, {"form": "movie", "tag": "Movies"}, {"form": "movies!", "tag": "movies!"})
    found = normalized(tmp_path, queries(["movie"], ["Movies"], ["movies!"], ["movies"]), overrides=pins)
    assert found.tag_of["movie"] == found.tag_of["Movies"] == "Movies"
    assert found.tag_of["movies!"] == "movies!"


@pytest.mark.parametrize("step", ["rule", "spelling", "association"])
def test_forms_stay_apart_in_every_step(tmp_path: Path, step: str) -> None:
    one, other = {
        "rule": ("C", "C++"),
        "spelling": ("grammar correction", "grammer correction"),
        "association": ("numpy", "arrays"),
    }[step]
    tags = [[one, other]] * 50 if step == "association" else [[one]] * 50 + [[other]] * 40
    together = normalized(tmp_path / "together", queries(*tags), eps=0.2)
    assert together.tag_of[one] == together.tag_of[other]
    apart = overrides(tmp_path, {"apart": [one, other]})
    found = normalized(tmp_path / "apart", queries(*tags), eps=0.2, overrides=apart)
    assert found.tag_of == {one: one, other: other}


def test_forms_stay_apart_through_chains_and_what_is_between_them_goes_where_it_is_nearer(tmp_path: Path) -> None:
    # Of these the first is near to the second, and the second to the third.
    chain = ["creative poem writing task", "creative poem writing tasks a", "creative poem writing tasks abc"]
    tags = [[form] for form in chain for _ in range(5)]
    assert len(set(normalized(tmp_path / "one", queries(*tags), eps=0.13).tag_of.values())) == 1
    apart = overrides(tmp_path, {"apart": [chain[0], chain[2]]})
    found = normalized(tmp_path / "two", queries(*tags), eps=0.13, overrides=apart)
    assert found.tag_of[chain[0]] != found.tag_of[chain[2]]
    assert found.tag_of[chain[1]] in (found.tag_of[chain[0]], found.tag_of[chain[2]])
    # Through association, too: the one between comes with both.
    tags = [["left", "middle"]] * 50 + [["middle", "right"]] * 60
    linked = normalized(tmp_path / "three", queries(*tags), min_confidence=0.9)
    assert len(set(linked.tag_of.values())) == 1
    apart = overrides(tmp_path, {"apart": ["left", "right"]})
    found = normalized(tmp_path / "four", queries(*tags), min_confidence=0.9, overrides=apart)
    assert found.tag_of["left"] != found.tag_of["right"] == found.tag_of["middle"]


def test_of_equal_forms_each_goes_with_the_most_frequent_that_it_may_go_with(tmp_path: Path) -> None:
    forms = {"C": 9, "C++": 8, "c": 7, "C#": 6, "c.": 5}
    tags = [[form] for form, count in forms.items() for _ in range(count)]
    apart = overrides(tmp_path, {"apart": ["C", "C++", "C#"]}, {"apart": ["c.", "C"]})
    found = normalized(tmp_path, queries(*tags), overrides=apart)
    assert found.tag_of == {"C": "C", "C++": "C++", "c": "C", "C#": "C#", "c.": "C++"}


def test_links_are_taken_from_the_strongest_on() -> None:
    groups = Groups(5, apart=[(0, 4)])
    labels = groups.leader * 0
    groups.merge(labels, RULE, lambda _: [(1, 2), (0, 1), (2, 4), (3, 4), (2, 3)])
    assert groups.leader.tolist() == [0, 0, 0, 3, 3]
    # Later steps keep to it although other forms lead.
    groups.merge(labels, RULE, lambda _: [(0, 3)])
    assert groups.leader.tolist() == [0, 0, 0, 3, 3]


@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        (["not json"], ":1 is not JSON"),
        (['{"form": "a", "tag": "b"}', '{"form": 1, "tag": "b"}'], r':2 is neither {"form": TEXT'),
        (['{"form": "a"}'], ":1 is neither"),
        (['{"form": "a", "tag": ""}'], ":1 is neither"),
        (['{"form": "a", "tag": "b", "apart": ["a", "c"]}'], ":1 is neither"),
        (['{"apart": ["a"]}'], ":1 is neither"),
        (['{"apart": ["a", "a"]}'], ":1 is neither"),
        (['["a", "b"]'], ":1 is neither"),
        (
            ['{"form": "a", "tag": "b"}', '{"form": "a", "tag": "c"}'],
            ":2 maps 'a' to 'c', another line to 'b'",
        ),
        (['{"form": "a", "tag": "b"}', '{"form": "b", "tag": "c"}'], "maps forms to 'b', but 'b' itself to 'c'"),
        (['{"form": "a", "tag": "b"}', '{"apart": ["a", "b"]}'], "keeps 'b' and 'a' apart, but maps both to 'b'"),
    ],
)
def test_a_line_that_cannot_be_meant_is_named(tmp_path: Path, lines: list[str], fault: str) -> None:
    path = tmp_path / "overrides.jsonl"
    path.write_text("\n".join(lines))
    with pytest.raises(InputError, match=r"--overrides .*overrides\.jsonl"):
        Overrides.read(path)
    with pytest.raises(InputError) as error:
        Overrides.read(path)
    assert fault in str(error.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"--overrides .*nowhere cannot be read: No such file"):
        Overrides.read(tmp_path / "nowhere")
