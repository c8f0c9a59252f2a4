"""Worked vectors of Self-Lengthen (arXiv 2410.23933): how words are counted, and how LonGen scores lengths."""

import json
from pathlib import Path

import pytest

from synth.pipelines.self_lengthen import language, words
from synth.pipelines.self_lengthen.longen import CONSTANT, KINDS, bounds, kind_of, score
from synth.pipelines.self_lengthen.numerals import numbers_in

LONGEN = Path(__file__).parents[3] / "shared" / "data" / "longen.jsonl"
published = pytest.mark.skipif(not LONGEN.is_file(), reason="the prompts of LonGen are not at hand")

# What each kind of constraint scores, and all of them, if every response has so many words.
SCORES = {
    1000: (0.0250, 0, 0.1400, 0, 0.0412),
    2000: (0.3036, 0.2400, 0.5127, 0.2044, 0.3152),
    3000: (0.5530, 0.4700, 0.7757, 0.4500, 0.5622),
    4000: (0.6567, 0.6552, 0.8000, 0.5994, 0.6778),
    5000: (0.6511, 0.6413, 0.7167, 0.6529, 0.6655),
    6000: (0.5804, 0.5848, 0.6000, 0.6635, 0.6072),
    8000: (0.3593, 0.3714, 0.3413, 0.5333, 0.4013),
    12000: (0.0643, 0, 0, 0.1746, 0.0597),
}


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("Hello world", 2),
        ("你好，世界", 5),
        ("Python很好用 3.11版", 6),
        ("well-known — it’s", 3),
        ("日本語かな", 4),
        ("", 0),
        ("naïve café", 2),
        # What stands between characters is a run of its own, and an ideographic space counts as they do.
        ("用Python写C", 4),
        ("你\u3000好", 3),
        (" \n\t", 0),
    ],
)
def test_words(text: str, count: int) -> None:
    assert words.count(text) == count


@published
@pytest.mark.parametrize("length", SCORES)
def test_the_score_of_responses_that_all_have_one_length(length: int) -> None:
    by_kind: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for row in _rows():
        by_kind[row["type"]].append(score(length, *bounds(row["constraint"], row["type"])))
    scores = [by_kind[kind] for kind in ("about", "range", "below", "above")]
    found = [sum(each) / len(each) for each in scores]
    assert [round(mean, 4) for mean in [*found, sum(map(sum, scores)) / sum(map(len, scores))]] == list(SCORES[length])


@published
def test_the_prompts_are_those_that_the_figures_are_of() -> None:
    rows = _rows()
    groups = [(row["language"], row["range"], row["type"]) for row in rows]
    assert len(rows) == 240
    assert {groups.count(group) for group in groups} == {10}
    assert len(set(groups)) == 24


@published
def test_the_language_and_the_kind_of_each_can_be_told_from_its_text() -> None:
    for row in _rows():
        assert language.of(row["query"]) == row["language"]
        assert kind_of(row["constraint"]) == row["type"]


@published
def test_not_every_prompt_has_the_digits_of_its_constraint() -> None:
    """So a constraint is never read from the prompt."""
    rows = _rows()
    as_written = [all(str(number) in row["query"] for number in numbers_in(row["constraint"])) for row in rows]
    assert sum(as_written) == 228


def test_the_baseline_is_what_scores_highest_of_the_lengths_above() -> None:
    assert max(SCORES, key=lambda length: SCORES[length][-1]) == CONSTANT


@pytest.mark.parametrize(
    ("constraint", "kind", "low", "high"),
    [
        ("around 3000 words", "about", 2400, 3600),
        ("2000字至4000字", "range", 2000, 4000),
        ("more than 3000 words", "above", 3000, 4500),
        ("小于3000字", "below", 1500, 3000),
        # Beyond the first numbers nothing is read.
        ("around 3000 words in 5 parts", "about", 2400, 3600),
        # As people write them, where the published code reads 3, 4 and nothing.
        ("around 3,000 words", "about", 2400, 3600),
        ("大约4千字", "about", 3200, 4800),
        ("大约三千五百字", "about", 2800, 4200),
        ("4000-2000 words", "range", 2000, 4000),
    ],
)
def test_bounds(constraint: str, kind: str, low: float, high: float) -> None:
    assert bounds(constraint, kind) == pytest.approx((low, high))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("constraint", "kind"), [("a long text", "about"), ("3000 words", "range"), ("0 words", "below"), ("", "above")]
)
def test_a_constraint_without_its_numbers_has_no_bounds(constraint: str, kind: str) -> None:
    with pytest.raises(ValueError, match="has not the"):
        bounds(constraint, kind)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("length", "expected"),
    [(0, 0), (1000, 0), (1500, 0.5), (2000, 1), (3000, 1), (4000, 1), (5000, 0.5), (6000, 0), (9000, 0)],
)
def test_the_score_falls_to_nothing_at_half_and_at_one_and_a_half(length: int, expected: float) -> None:
    assert score(length, 2000, 4000) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("constraint", "kind"),
    [
        ("at least 2000 words", "above"),
        ("no less than 2000 words", "above"),
        ("不少于2000字", "above"),
        ("2000字以上", "above"),
        ("no more than 2000 words", "below"),
        ("does not exceed 2000 words", "below"),
        ("不超过2000字", "below"),
        ("under 2000 words", "below"),
        ("roughly 2000 words", "about"),
        ("两千到三千字", "range"),
    ],
)
def test_the_kind_of_a_constraint_that_does_not_say_it(constraint: str, kind: str) -> None:
    assert kind_of(constraint) == kind


def _rows() -> list[dict[str, str]]:
    return [json.loads(line) for line in LONGEN.read_text(encoding="utf-8").splitlines()]
