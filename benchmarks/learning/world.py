"""The small closed world of the experiments on mathematics: word problems of a few kinds that the embedded model knows.

The embedded model is the teacher, as a larger model is in the papers: it writes paths and questions. The students are
models of a third of a million parameters that begin with random weights. Their questions are drawn from the teacher's
templates with seeds of their own, and no held-out question is among those of the seed data.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

from tiny_model import money, things
from tiny_model.problems import Family, families
from tiny_model.problems import calculations as problem_calculations

__all__ = ["calculations", "held_out", "seeds", "texts", "variations", "write"]

# Kinds with many ways to the same answer: two routes or more, and sums and products whose operands can be swapped.
STORIES = (things.BAKERY, money.TICKETS)


def seeds(number: int) -> list[dict[str, str]]:
    """Questions with one solution each, as GSM8K has them."""
    random = Random("solutions")
    return [
        _row("seed", place, family, random) for place, family in enumerate(islice(families("seed", STORIES), number))
    ]


def held_out(number: int, seen: Iterable[Mapping[str, str]]) -> list[dict[str, str]]:
    """Questions of the same kinds, none of which has the text of one that was `seen`."""
    random = Random("solutions")
    known = {row["question"] for row in seen}
    fresh = (family for family in families("held out", STORIES) if family.seed.question not in known)
    return [_row("held-out", place, family, random) for place, family in enumerate(islice(fresh, number))]


def _row(name: str, place: int, family: Family, random: Random) -> dict[str, str]:
    problem = family.seed
    return {"id": f"{name}-{place}", "question": problem.question, "answer": random.choice(problem.paths)}


def calculations(number: int) -> list[dict[str, str]]:
    """Bare calculations in the form that solutions have them, drawn from the stories as often as these need them."""
    random = Random("calculations")
    problems = (problem for family in families("calculations", STORIES) for problem in family.problems)
    drawn = (calculation for problem in problems for calculation in problem_calculations(problem, random))
    rows = []
    for place, calculation in enumerate(islice(drawn, number)):
        asked, _, result = calculation.partition("=")
        rows.append({"id": f"sum-{place}", "query": f"{asked}?", "response": f"{asked} = <<{calculation}>>{result}"})
    return rows


def write(file: Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    """Write JSON Lines, unless they are there already: the commands that read them see the same file again."""
    text = "".join(json.dumps(row) + "\n" for row in rows)
    if not (file.is_file() and file.read_text() == text):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return file


def texts(rows: Iterable[Mapping[str, str]]) -> Iterator[str]:
    for row in rows:
        yield row["question"]
        yield row["answer"]


def variations() -> Iterator[str]:
    """The words of the seed questions and of what they are evolved into, for a tokenizer."""
    for family in islice(families("words", STORIES), 200):
        for problem in family.problems:
            yield from (problem.question, problem.paths[0])
