"""Texts for a small model to learn: instructions, short texts, and the same texts made longer."""

import itertools
import json
from random import Random

import pytest

from pipelines.self_lengthen import language, quality, words
from pipelines.tiny import EXAMPLES
from pipelines.tiny.sentences import ASPECTS
from pipelines.tiny.texts import Text, example_instructions, instruction, short_text, subjects, unsuited

INSTRUCTIONS = EXAMPLES.with_name("instructions.jsonl")


@pytest.fixture(scope="module")
def texts() -> list[Text]:
    random = Random("test")
    return [short_text(subject, random) for subject in itertools.islice(subjects("test"), 400)]


def test_a_short_text_has_two_or_three_paragraphs_and_is_fit_to_be_trained_on(texts: list[Text]) -> None:
    for text in texts:
        assert 1 <= str(text).count("\n\n") <= 2
        assert 30 <= words.count(str(text)) == text.words <= 130
        assert quality.refusal(str(text)) is None
        assert language.of(str(text)) == "en"


def test_nothing_is_left_unfilled(texts: list[Text]) -> None:
    everything = Text(texts[0].subject, {}).subject
    random = Random(0)
    whole = str(short_text(everything, random).extended(99, random))
    assert whole.count("\n\n") == len(ASPECTS) - 1
    assert not {"{", "}"} & set(whole + "".join(map(str, texts)))


def test_a_text_is_made_longer_without_a_change_to_its_sentences(texts: list[Text]) -> None:
    random = Random("longer")
    for text in texts:
        longer = text.extended(1.5, random)
        assert longer.words >= 1.5 * text.words
        assert text.sentences.items() <= longer.sentences.items()
        assert longer.aspects[-1] == text.aspects[-1]
        assert quality.refusal(str(longer)) is None


def test_even_the_longest_text_is_fit_and_fits_twice_into_the_context(texts: list[Text]) -> None:
    random = Random("longest")
    longest = [text.extended(99, random) for text in texts[:100]]
    assert all(quality.refusal(str(text)) is None for text in longest)
    assert max(text.words for text in longest) < 700
    assert all(len(text.sentences) == sum(map(len, ASPECTS)) for text in longest)


def test_the_first_half_of_a_text_is_its_first_paragraphs(texts: list[Text]) -> None:
    from pipelines.self_lengthen.paragraphs import first_half

    random = Random("halves")
    for text in texts:
        longer = text.extended(3, random)
        assert str(longer.first_half()) == first_half(str(longer))


def test_a_thinned_text_keeps_its_last_paragraph(texts: list[Text]) -> None:
    thinned = [text.thinned(Random(number)) for number, text in enumerate(texts)]
    assert all(thin.aspects[-1] == text.aspects[-1] for thin, text in zip(thinned, texts, strict=True))
    kept = sum(len(thin.aspects) for thin in thinned) / sum(len(text.aspects) for text in texts)
    assert 0.8 < kept < 1


def test_instructions_are_long_enough_to_be_taken() -> None:
    random = Random("instructions")
    drawn = [instruction(subject, random) for subject in itertools.islice(subjects("instructions"), 200)]
    assert all(3 < words.count(text) < 20 and language.of(text) == "en" for text in drawn)
    assert len(set(drawn)) > 190
    trivial = [unsuited(subject, random) for subject in itertools.islice(subjects("unsuited"), 50)]
    assert not set(drawn) & set(trivial)


def test_the_example_instructions_are_those_of_the_generator() -> None:
    rows = [json.loads(line) for line in INSTRUCTIONS.read_text().splitlines()]
    assert rows == list(example_instructions())
    assert len({row["id"] for row in rows}) == len({row["instruction"] for row in rows}) == len(rows) == 8
