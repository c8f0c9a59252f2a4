from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pytest

from synth.pipelines.runtime.stage import Reject
from synth.pipelines.self_lengthen.constrain import Constrain, Label, draw_label
from synth.pipelines.self_lengthen.longen import bounds, score
from synth.pipelines.self_lengthen.numerals import numbers_in
from synth.schemas.errors import UsageError
from tests.pipelines.passing import passed
from tests.pipelines.scripted import ScriptedTools, process
from tests.rows import write_rows

RULES = Constrain()
SHORT = Constrain(min_words=20, max_words=80, base=10)
TEXT = "The sea is for those who have the will to go far from it. " * 3
WORDS = 42


class Kept(ScriptedTools):
    """Draws a label by the seed that it is given."""

    def __init__(self, script: list[str | tuple[str, str]], seed: int = 0) -> None:
        super().__init__(script)
        self._seed = seed

    def random(self, *purpose: str | int) -> Random:  # noqa: ARG002
        return Random(self._seed)


def row(response: str = TEXT, instruction: str = "Write of the sea.") -> dict[str, Any]:
    return {"id": "a/x0", "instruction": instruction, "response": response, "model": "small"}


def label_of(response: str = TEXT, spoken: str = "en", seed: int = 0) -> Label:
    return draw_label(len(response.split()), spoken, SHORT, Random(seed))  # type: ignore[arg-type]


def labels(length: int, spoken: str, rules: Constrain = RULES, draws: int = 300) -> list[Label]:
    random = Random(length)
    return [draw_label(length, spoken, rules, random) for _ in range(draws)]  # type: ignore[arg-type]


@pytest.mark.parametrize("spoken", ["en", "zh", "other"])
def test_every_label_is_kept_by_its_text(spoken: str) -> None:
    """With banker's rounding, and numbers of 2,000, some published labels fall outside the metric's tolerance."""
    random = Random(0)
    for length in range(2000, 8000, 7):
        label = draw_label(length, spoken, RULES, random)  # type: ignore[arg-type]
        low, high = bounds(label.text, label.kind)
        assert score(length, low, high) == 1
        assert label.low <= length <= label.high
        assert all(2000 <= number <= 8000 for number in numbers_in(label.text))


@pytest.mark.parametrize("length", [2000, 3000, 4000, 5000, 6000, 7000])
def test_a_multiple_of_the_base_is_no_degenerate_range_and_no_bound_of_its_own(length: int) -> None:
    """The published labels say "3000-3000 words" of it, and of a text of 3,000 that it has more than these."""
    for label in labels(length, "en"):
        numbers = numbers_in(label.text)
        if label.kind == "range":
            assert numbers[0] < numbers[1]
        if label.kind == "above":
            assert numbers[0] < length
        if label.kind == "below":
            assert numbers[0] > length


def test_halves_are_rounded_up() -> None:
    texts = {label.text for label in labels(2500, "en") + labels(4500, "en") if label.kind == "about"}
    assert "around 3000 words" in texts
    assert "around 5000 words" in texts
    assert not texts & {"around 2000 words"}


def test_chinese_phrases_mean_what_they_say() -> None:
    """In the published code "less than" goes with the lower bound and "more than" with the upper one."""
    kinds = Counter()
    for label in labels(3500, "zh"):
        (number, *_) = numbers_in(label.text)
        kinds[label.kind] += 1
        assert (label.text[:2] == "小于") == (label.kind == "below")
        assert (label.text[:2] == "大于") == (label.kind == "above")
        if label.kind == "below":
            assert number > 3500
        if label.kind == "above":
            assert number < 3500
    assert set(kinds) == {"about", "range", "above", "below"}


def test_half_of_the_chinese_labels_have_numerals() -> None:
    texts = [label.text for label in labels(3500, "zh", draws=2000)]
    assert sum(not any(sign.isdecimal() for sign in text) for text in texts) / 2000 == pytest.approx(0.5, abs=0.04)
    assert "三千字至四千字" in texts
    assert all(any(sign.isdecimal() for sign in label.text) for label in labels(3500, "en"))


def test_kinds_and_bases_have_the_shares_of_the_paper() -> None:
    drawn = labels(3600, "en", draws=5000)
    # Only "more than 2000 words" is drawn again: of a text of 3,600 words the score contradicts it.
    shares = {kind: count / len(drawn) for kind, count in Counter(label.kind for label in drawn).items()}
    expected = {"about": 0.40, "range": 0.25, "above": 0.10 * 0.8, "below": 0.25}
    assert shares == pytest.approx({kind: share / 0.98 for kind, share in expected.items()}, abs=0.025)
    ranges = Counter(label.text for label in drawn if label.kind == "range")
    assert ranges["2000-4000 words"] / sum(ranges.values()) == pytest.approx(0.2, abs=0.04)


def test_lengths_can_be_those_of_short_texts() -> None:
    for length in range(20, 80):
        for label in labels(length, "en", SHORT, 20):
            assert score(length, *bounds(label.text, label.kind)) == 1


def test_the_instruction_is_rewritten_and_the_old_one_kept() -> None:
    label = label_of()
    rewritten = f"Write of the sea in {label.text}."
    (out,), _, _ = process(SHORT, row(), Kept([rewritten]))
    assert out == {
        **row(),
        "instruction": rewritten,
        "original_instruction": "Write of the sea.",
        "constraint": label.text,
        "type": label.kind,
        "low": label.low,
        "high": label.high,
        "words": WORDS,
        "rewriter_model": "scripted",
        "rewriter_reasoning": None,
    }


def test_the_model_is_asked_in_the_language_of_the_text() -> None:
    chinese = Constrain(min_words=2, max_words=50, base=10)
    tools = Kept([f"写海，{draw_label(8, 'zh', chinese, Random(0)).text}。"])
    process(chinese, row("海很宽，海很深。", "写海。"), tools)
    prompt, _, _ = tools.requests[0]
    assert "字数" in prompt[0]["content"]  # type: ignore[index]
    assert "写海。" in prompt[0]["content"]  # type: ignore[index]


@pytest.mark.parametrize(
    "reply",
    [
        "Write of the sea.",
        "Write of the sea, in many words.",
        "",
        "Write of the sea. " * 30,
        "The sea, at {}, is wide and deep and cold, and it has been there for longer than we can say. " * 9,
        ("Write of the sea in {}.", "length"),
    ],
)
def test_a_rewriting_without_the_constraint_is_asked_for_again(reply: str | tuple[str, str]) -> None:
    text = label_of().text
    first = (reply[0].format(text), reply[1]) if isinstance(reply, tuple) else reply.replace("{}", text)
    tools = Kept([first, f"Write of the sea: {text}."])
    (out,), _, _ = process(SHORT, row(), tools)
    assert out["instruction"] == f"Write of the sea: {text}."
    assert tools.tallies["refused_rewritings"] == 1
    assert [list(samples) for _, _, samples in tools.requests] == [[0], [1]]


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("Write of the sea.", "no_constraint"),
        ("", "empty_answer"),
        ("Write of the sea in {}. " * 40, "not_rewritten"),
        (("Write of", "length"), "truncated"),
    ],
)
def test_after_all_tries_the_row_is_rejected_for_the_last_ones_fault(reply: str | tuple[str, str], reason: str) -> None:
    reply = reply.replace("{}", label_of().text) if isinstance(reply, str) else reply
    _, _, reject = process(SHORT, row(), Kept([reply] * 10))
    assert isinstance(reject, Reject)
    assert reject.reason == reason


def test_numbers_may_be_written_in_another_way_but_must_be_there() -> None:
    rules = Constrain(min_words=3000, max_words=4000, base=1000)
    text = "The sea is for those who will. " * 500
    label = draw_label(3500, "en", rules, Random(3))
    written = [f"{number:,}" for number in numbers_in(label.text)]
    (out,), _, _ = process(rules, row(text), Kept([f"Write of the sea, {' to '.join(written)} words long."], seed=3))
    assert out["constraint"] == label.text


def test_a_length_that_was_asked_for_before_must_go() -> None:
    rules = Constrain(min_words=20, max_words=8000, base=10)
    text = draw_label(WORDS, "en", rules, Random(0)).text
    old = "Write of the sea in 2,500 words, with a 15-word motto."
    replies = [
        f"Write of the sea in 2,500 words, with a 15-word motto: {text}.",
        f"A 15-word motto, then the sea, {text}.",
    ]
    tools = Kept([*replies])
    (out,), _, _ = process(rules, row(instruction=old), tools)
    assert out["instruction"] == replies[1]
    _, _, reject = process(rules, row(instruction=old), Kept([replies[0]] * 10))
    assert reject is not None
    assert reject.reason == "old_constraint"


def test_an_instruction_that_has_the_constraint_already_may_stay_as_it_is() -> None:
    instruction = f"Write of the sea in {label_of().text}."
    (out,), _, _ = process(SHORT, row(instruction=instruction), Kept([instruction]))
    assert out["instruction"] == out["original_instruction"] == instruction


def test_quotes_around_the_reply_are_not_part_of_it() -> None:
    text = label_of().text
    (out,), _, _ = process(SHORT, row(), Kept([f'"Write of the sea in {text}."']))
    assert out["instruction"] == f"Write of the sea in {text}."
    instruction = '"The sea" is the title of a text'
    quoted = f'"The sea" is the title of a text of {text} on "ships"'
    (out,), _, _ = process(SHORT, row(instruction=instruction), Kept([quoted]))
    assert out["instruction"] == quoted


@pytest.mark.parametrize(
    ("response", "instruction", "reason"),
    [
        (TEXT, " ", "no_instruction"),
        ("\n", "Write.", "no_response"),
        ("The sea is wide.", "Write.", "too_short"),
        ("sea " * 80, "Write.", "too_long"),
        ("海" * 1_000_000, "写。", "too_long"),
        ("ทะเลกว้างมาก " * 30, "เขียน", "not_countable"),
        ("これは海についての文章です。" * 5, "書いてください。", "not_countable"),
    ],
)
def test_what_has_no_length_to_ask_for_is_rejected(response: str, instruction: str, reason: str) -> None:
    _, _, reject = process(SHORT, row(response, instruction), Kept([]))
    assert isinstance(reject, Reject)
    assert reject.reason == reason


def test_a_text_in_another_language_with_blanks_gets_the_english_constraint() -> None:
    french = "La mer est grande et les enfants sont dans la maison avec le chien. " * 3
    label = draw_label(WORDS, "other", SHORT, Random(0))
    assert label == draw_label(WORDS, "en", SHORT, Random(0))
    rewritten = f"Décris la mer ({label.text})."
    (out,), _, _ = process(SHORT, row(french, "Décris la mer."), Kept([rewritten]))
    assert out["instruction"] == rewritten


@dataclass(frozen=True)
class Labelled(Constrain):
    """Rejects each row with its label, where a model would have been asked to write it."""

    min_words: int = 20
    max_words: int = 80
    base: int = 10

    async def _rewritten(self, _instruction: str, label: Label, *_: Any) -> str:
        raise Reject("labelled", label.text)


def test_rows_are_labelled_by_the_seed_and_their_ids(tmp_path: Path) -> None:
    def drawn(seed: int, name: str, rows: list[dict[str, Any]]) -> dict[str, str]:
        source = write_rows(tmp_path / f"{name}.jsonl", rows)
        _, rejected = passed(Labelled(), [source], tmp_path / name, seed=seed)
        return {row["id"]: row["detail"] for row in rejected}

    rows = [{**row(), "id": f"r-{number}"} for number in range(20)]
    first = drawn(0, "one", rows)
    assert drawn(0, "two", rows[::-1]) == first
    assert drawn(1, "three", rows) != first
    assert len(set(first.values())) > 3


@pytest.mark.parametrize(
    "options", [{"min_words": 0}, {"base": 0}, {"tries": 0}, {"min_words": 8000}, {"max_words": 10**8}]
)
def test_options_that_leave_nothing_are_refused(options: dict[str, int]) -> None:
    with pytest.raises(UsageError, match="--"):
        Constrain(**options)  # type: ignore[arg-type]
