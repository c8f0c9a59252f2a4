"""Seeds of a domain, questions about them, and thoughts about the questions, drawn from the terms in `domains`.

    python -m tiny_model.questions > examples/seeds.jsonl

A seed names one to three terms of a branch, or the branch. The questions about it are about these terms and their
neighbours in the branch, as are the thoughts.
"""

import itertools
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from random import Random

from tiny_model.domains import DOMAINS, Branch

__all__ = ["KINDS", "Topic", "example_seeds", "numbered", "questions", "thought", "topics", "training_topics"]

KINDS = ("category", "question", "phrase", "passage", "thought")
_ABOUT_ONE = (
    "How does {a} {do}?",
    "How can a program {do} with {a}?",
    "Why is {a} needed to {do}?",
    "What happens if {a} does not {do}?",
    "When should {a} {do}?",
    "What goes wrong when {a} has to {do}?",
    "Is {a} the only way to {do}?",
)
_ABOUT_TWO = (
    "How does {a} differ from {b}?",
    "Should one choose {a} or {b} to {do}?",
    "Can {a} {do} without {b}?",
    "Why does {a} not {do_b}?",
    "Does {a} need {b} to {do}?",
    "What do {a} and {b} have in common?",
)
_PURPOSE = (
    "{A} serves to {do}.",
    "{A} is there to {do}.",
    "One uses {a} to {do}.",
    "To {do}, one needs {a}.",
)
_OPENING = ("The question turns on {a}.", "The first thing to know is {a}.", "All depends on {a} here.")
_SECOND = (
    "{B} is not the same, because it serves to {do_b}.",
    "Next to it stands {b}, which serves to {do_b}.",
    "{B} is another thing: it is there to {do_b}.",
)
_CLOSING = (
    "So whoever wants to {do} begins with {a} and goes on with {b}.",
    "In the end {a} and {b} are used together, each for its own purpose.",
    "The usual mistake is to take {b} where {a} would have to {do}.",
)
_EXAMPLES_SEED = "seeds"

Term = tuple[str, str]  # the term with its article, and what it serves to do


@dataclass(frozen=True)
class Topic:
    """A seed: `terms` are those that its text names, or tells the purpose of, and `near` all of their branches."""

    domain: str
    kind: str
    text: str
    terms: tuple[Term, ...]
    near: tuple[Term, ...]


def topics(seed: str | int) -> Iterator[Topic]:
    """An endless stream of seeds of all domains, the same for the same seed."""
    random = Random(seed)
    while True:
        yield _topic(random.choice(list(DOMAINS)), random.choice(KINDS), random)


def training_topics(seed: str | int) -> Iterator[Topic]:
    """Topics whose text is no example's."""
    held_out = _held_out()
    return (topic for topic in topics(seed) if topic.text not in held_out)


def questions(topic: Topic, n: int, random: Random) -> list[str]:
    """Distinct questions about a topic, more of them about what it names than about what is near it; no example's."""
    known, asked = {topic.text, *_held_out()}, list[str]()
    while len(asked) < n:
        about = random.choice(topic.terms if random.random() < 0.6 else topic.near)
        text, _ = _question(about, topic.near, random)
        if text not in known:
            known.add(text)
            asked.append(text)
    return asked


def numbered(items: Sequence[str]) -> str:
    """The list as a reply."""
    return "\n".join(f"{number}. {item}" for number, item in enumerate(items, start=1))


def thought(topic: Topic, random: Random) -> str:
    """Some fifty words that turn on the first term of a topic and speak of the second, or of a neighbour, as well."""
    return _thought(topic.terms, topic.near, random)


def example_seeds() -> Iterator[dict[str, str]]:
    """The rows of `examples/seeds.jsonl`, which training never sees: one of each kind of each domain."""
    random = Random(_EXAMPLES_SEED)
    for domain, kind in itertools.product(DOMAINS, KINDS[:-1]):
        word = domain.split()[0]
        yield {"id": f"{word}-{kind}", "domain": domain, "kind": kind, "text": _topic(domain, kind, random).text}


@cache
def _held_out() -> frozenset[str]:
    return frozenset(row["text"] for row in example_seeds())


def _topic(domain: str, kind: str, random: Random) -> Topic:
    branches = DOMAINS[domain]
    name = random.choice(list(branches))
    near = tuple(branches[name].items())
    terms = tuple(random.sample(near, random.randint(2, 3)))
    if kind == "category":
        return _category(domain, name, terms, random)
    if kind == "question":
        text, terms = _question(terms[0], near, random)
    elif kind == "phrase":
        text = ", ".join(_bare(term) for term, _ in terms)
    elif kind == "passage":
        terms = tuple(random.sample(near, 3))
        text = " ".join(_fill(random.choice(_PURPOSE), [term]) for term in terms)
    else:
        terms = terms[:2]
        text = _thought(terms, near, random)
    return Topic(domain, kind, text, terms, near)


def _category(domain: str, name: str, terms: tuple[Term, ...], random: Random) -> Topic:
    """A branch, two branches, or what a branch has to do with terms of it."""
    branches: dict[str, Branch] = DOMAINS[domain]
    near = tuple(branches[name].items())
    form = random.random()
    if form < 0.3:
        other = random.choice([branch for branch in branches if branch != name])
        both = near + tuple(branches[other].items())
        return Topic(domain, "category", _capital(f"{name} and {other}"), both, both)
    if form < 0.4:
        return Topic(domain, "category", _capital(name), near, near)
    listed = " and ".join(_bare(term) for term, _ in terms[:2])
    return Topic(domain, "category", f"{_capital(name)}: {listed}", terms[:2], near)


def _thought(terms: Sequence[Term], near: Sequence[Term], random: Random) -> str:
    first, *others = terms
    second = others[0] if others else random.choice([term for term in near if term != first])
    moves = (_OPENING, _PURPOSE, _SECOND, _CLOSING)
    return " ".join(_fill(random.choice(move), (first, second)) for move in moves)


def _question(about: Term, near: Sequence[Term], random: Random) -> tuple[str, tuple[Term, ...]]:
    if random.random() < 0.65:
        return _fill(random.choice(_ABOUT_ONE), [about]), (about,)
    other = random.choice([term for term in near if term != about])
    return _fill(random.choice(_ABOUT_TWO), [about, other]), (about, other)


def _bare(term: str) -> str:
    """Without its article."""
    article, _, rest = term.partition(" ")
    return rest if article in ("a", "an") else term


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _fill(template: str, terms: Sequence[Term]) -> str:
    """`{a}` is the first term and `{do}` what it serves to do, `{b}` and `{do_b}` are those of the second."""
    (a, do), (b, do_b) = terms[0], terms[-1]
    return template.format(a=a, A=_capital(a), do=do, b=b, B=_capital(b), do_b=do_b)


if __name__ == "__main__":
    for row in example_seeds():
        sys.stdout.write(json.dumps(row) + "\n")
