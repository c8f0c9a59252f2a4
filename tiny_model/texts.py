"""Instructions for short texts, and texts for them of any length, drawn from the templates in `sentences` and `places`.

    python -m tiny_model.texts > examples/instructions.jsonl

Every text goes through the same aspects of a place in the same order; a longer one has more of them, and more to say of
each. So a text can be made longer without a change to any of its sentences.
"""

import json
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

from tiny_model.places import ANIMALS, FOODS, PLACES, SEASONS, SITES
from tiny_model.sentences import ASPECTS
from tiny_model.story import NAMES

__all__ = ["Subject", "Text", "example_instructions", "instruction", "short_text", "subjects", "unsuited"]

_WRITE = (
    "Describe the {kind} of {name} in {season}.",
    "Write about a {season} day in the {kind} of {name}.",
    "Tell how {name} spends a day in the {kind} in {season}.",
    "Write an article about {season} in the {kind} of {name}.",
    "Write a report on a visit to the {kind} of {name} in {season}.",
    "Explain why the {kind} of {name} is a good place in {season}.",
)
_ASK = (
    "Name one colour that {name} may like.",
    "What is the {kind} called in French?",
    "Say in one word how {name} feels in {season}.",
    "How many letters are there in the word {kind}?",
    "Is {season} longer than a week? Answer yes or no.",
    "Spell the name of {name} backwards.",
)
_FIELD = re.compile(r"\{(\w+)(:C)?\}")
_EXAMPLES = 8
_EXAMPLES_SEED = "instructions"

Spot = tuple[int, int]  # an aspect, and a place for a sentence in it


@dataclass(frozen=True)
class Subject:
    """Whose place it is, and when."""

    name: str
    kind: str
    season: str


@dataclass(frozen=True)
class Text:
    """Sentences by aspect and by place in it, of which each aspect makes a paragraph."""

    subject: Subject
    sentences: dict[Spot, str]

    def __str__(self) -> str:
        paragraphs: dict[int, list[str]] = {}
        for aspect, place in sorted(self.sentences):
            paragraphs.setdefault(aspect, []).append(self.sentences[aspect, place])
        return "\n\n".join(" ".join(paragraph) for paragraph in paragraphs.values())

    @property
    def aspects(self) -> list[int]:
        return sorted({aspect for aspect, _ in self.sentences})

    @property
    def words(self) -> int:
        return sum(len(sentence.split()) for sentence in self.sentences.values())

    def first_half(self) -> "Text":
        """Its first paragraphs, as the two-pass extension takes them."""
        return self._only(self.aspects[: len(self.aspects) // 2])

    def thinned(self, random: Random) -> "Text":
        """Without some of its paragraphs, but with the last."""
        *before, last = self.aspects
        return self._only([*(aspect for aspect in before if random.random() >= 0.2), last])

    def extended(self, ratio: float, random: Random) -> "Text":
        """At least `ratio` times as many words, if there is so much to say up to the aspect with which it ends."""
        sentences = dict(self.sentences)
        begun, last = set(self.aspects), self.aspects[-1]
        wanted = ratio * self.words
        words = self.words
        while words < wanted:
            new = [aspect for aspect in range(last) if aspect not in begun]
            more = [place for aspect in begun for place in _places(aspect) if place not in sentences]
            if new and (not more or random.random() < 0.3):
                aspect = random.choice(new)
                begun.add(aspect)
                added = random.sample(_places(aspect), random.randint(2, 3))
            elif more:
                added = [random.choice(more)]
            else:
                break
            for place in added:
                sentences[place] = _sentence(place, self.subject, random)
                words += len(sentences[place].split())
        return Text(self.subject, sentences)

    def _only(self, aspects: Sequence[int]) -> "Text":
        return Text(self.subject, {place: text for place, text in self.sentences.items() if place[0] in aspects})


def subjects(seed: str | int) -> Iterator[Subject]:
    """An endless stream, the same for the same seed."""
    random = Random(seed)
    while True:
        yield Subject(random.choice(NAMES), random.choice(list(PLACES)), random.choice(list(SEASONS)))


def instruction(subject: Subject, random: Random) -> str:
    """What to write."""
    return _fill(random.choice(_WRITE), subject, random)


def unsuited(subject: Subject, random: Random) -> str:
    """An instruction that no text of many words would be an answer to."""
    return _fill(random.choice(_ASK), subject, random)


def short_text(subject: Subject, random: Random) -> Text:
    """Two or three paragraphs of two or three sentences: the opening, the closing, and what may lie between."""
    middle = random.sample(range(1, len(ASPECTS) - 1), random.randint(0, 1))
    places = [
        place
        for aspect in (0, *middle, len(ASPECTS) - 1)
        for place in random.sample(_places(aspect), random.randint(2, 3))
    ]
    return Text(subject, {place: _sentence(place, subject, random) for place in places})


def example_instructions() -> Iterator[dict[str, str]]:
    """The rows of `examples/instructions.jsonl`."""
    random = Random(_EXAMPLES_SEED)
    for number, subject in zip(range(1, _EXAMPLES + 1), subjects(_EXAMPLES_SEED), strict=False):
        yield {"id": f"{subject.kind}-{number}", "instruction": instruction(subject, random), "language": "en"}


def _places(aspect: int) -> list[Spot]:
    return [(aspect, place) for place in range(len(ASPECTS[aspect]))]


def _sentence(place: Spot, subject: Subject, random: Random) -> str:
    aspect, number = place
    return _fill(random.choice(ASPECTS[aspect][number]), subject, random)


def _fill(template: str, subject: Subject, random: Random) -> str:
    kind, season = PLACES[subject.kind], SEASONS[subject.season]
    words: dict[str, Sequence[str]] = {
        "name": (subject.name,),
        "kind": (subject.kind,),
        "season": (subject.season,),
        "friend": [name for name in NAMES if name != subject.name],
        "where": SITES,
        "food": FOODS,
        "animal": ANIMALS,
        "weather": season.weather,
        "air": season.air,
        "thing": kind.things,
        "tool": kind.tools,
        "work": kind.work,
        "smell": kind.smells,
        "sound": kind.sounds,
    }

    def fill(match: re.Match[str]) -> str:
        word = random.choice(words[match[1]])
        return word[0].upper() + word[1:] if match[2] else word

    return _FIELD.sub(fill, template)


if __name__ == "__main__":
    for row in example_instructions():
        sys.stdout.write(json.dumps(row) + "\n")
