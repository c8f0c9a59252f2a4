"""Word problems with every way to solve them, drawn from the templates in `money` and `things`.

    python -m tiny_model.problems > examples/questions.jsonl

A family is a seed problem and its five evolutions (arXiv 2310.05506, section 3), each a problem of its own with
solutions in the form of GSM8K: one step a line, each calculation repeated as `<<4*6=24>>`, and last `#### 24`.
"""

import itertools
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from random import Random

from synth.pipelines.augment.evolve import EVOLUTIONS
from tiny_model import money, things
from tiny_model.story import NAMES, PARTS, Change, Story

__all__ = ["STORIES", "Family", "Problem", "calculations", "examples", "families"]

STORIES = (
    things.BAKERY,
    money.CHANGE,
    things.SHARING,
    things.COLLECTING,
    money.DISCOUNT,
    things.EATING,
    money.PRICE,
    things.GARDEN,
    money.SAVINGS,
    things.TRAVEL,
    things.PACKING,
    things.AGES,
    money.WAGES,
    money.TICKETS,
    things.TANK,
    things.LIBRARY,
)

_CALCULATION = re.compile(r"\[(\w)=(\w+)([-+*/])(\w+)\]")
_EXAMPLES_SEED = 20_260_000
_EXAMPLES_PER_STORY = 5

Values = dict[str, str | Fraction]


@dataclass(frozen=True, slots=True)
class Problem:
    """A question and its solutions, no two of which make the same calculations in the same order."""

    question: str
    paths: tuple[str, ...]

    @property
    def answer(self) -> str:
        return self.paths[0].rpartition("#### ")[2]

    def solution(self, random: Random) -> str:
        """Any of the paths, half of the time in another wording."""
        path = random.choice(self.paths)
        return path if random.random() < 0.5 else _connected(path)


@dataclass(frozen=True, slots=True)
class Family:
    """A seed problem and its evolutions, in the order of `EVOLUTIONS`."""

    kind: str
    seed: Problem
    evolutions: tuple[Problem, ...]

    @property
    def problems(self) -> tuple[Problem, ...]:
        return (self.seed, *self.evolutions)

    @property
    def evolve_reply(self) -> str:
        """What a model should answer to the evolution prompt."""
        pairs = enumerate(zip(EVOLUTIONS, self.evolutions, strict=True), start=1)
        return "\n".join(f"{number}. **{name}**: {problem.question}" for number, (name, problem) in pairs)


def families(seed: str | int, stories: Sequence[Story] = STORIES) -> Iterator[Family]:
    """An endless stream of families, the same for the same seed."""
    random = Random(seed)
    while True:
        yield _family(random.choice(stories), random)


def calculations(problem: Problem, random: Random) -> list[str]:
    """Those of any of its paths, such as `4*6=24`."""
    return re.findall("<<(.*?)>>", random.choice(problem.paths))


def examples() -> Iterator[dict[str, str]]:
    """The rows of `examples/questions.jsonl`, which training never sees."""
    for story in STORIES:
        random = Random(f"{_EXAMPLES_SEED}/{story.kind}")
        drawn = families(f"{_EXAMPLES_SEED}/{story.kind}", [story])
        for number, family in enumerate(itertools.islice(drawn, _EXAMPLES_PER_STORY), start=1):
            answer = random.choice(family.seed.paths)
            yield {"id": f"{story.kind}-{number:02}", "question": family.seed.question, "answer": answer}


def _family(story: Story, random: Random) -> Family:
    name, friend = random.sample(NAMES, 2)
    words: Values = {"name": name, "friend": friend, "thing": random.choice(story.things)}
    facts, ask = random.choice(story.facts), random.choice(story.asks)

    def draw(result_multiple: int) -> tuple[Problem, Values]:
        while True:
            values = words | _numbers(story, random, result_multiple)
            problem = _problem(f"{facts} {ask}", story.routes, values)
            if len(problem.paths) > 1:
                return problem, values

    # Divisible by four, so that every share of the result which a change may speak of is a whole number.
    seed, values = draw(result_multiple=4)
    other, _ = draw(result_multiple=1)
    changes = [_changed(facts, story, change, values | _extras(random)) for change in story.changes]
    return Family(story.kind, seed, (other, *changes))


def _changed(facts: str, story: Story, change: Change, values: Values) -> Problem:
    routes = tuple(route + tail for route in story.routes for tail in change.routes)
    return _problem(f"{facts} {change.fact} {change.ask}", routes, values)


def _numbers(story: Story, random: Random, result_multiple: int) -> Values:
    """Quantities for which each step of each route is a whole number from 1 to 100, and the result is not tiny.

    So the model can learn all calculations that occur: of larger numbers it sees each too rarely.
    """
    while True:
        values: Values = {name: Fraction(random.randint(low, high)) for name, (low, high) in story.numbers.items()}
        word, percent, divisor = random.choice(PARTS)
        values |= {"share": word, "percent": percent, "s": Fraction(divisor), "sf": Fraction(1, divisor)}
        results = [_calculate(route, values) for route in story.routes]
        if all(0 < value <= 100 and value.denominator == 1 for steps in results for value in steps.values()):
            result = results[0]["r"]
            if result >= 8 and result % result_multiple == 0:
                return values


def _extras(random: Random) -> Values:
    """What the changes add: a share that divides by two or four, a small factor and two small amounts."""
    word, percent, divisor = random.choice(PARTS[:2])
    part = random.choice([word, percent])
    return {
        "part": part,
        "Part": part.capitalize(),
        "d": Fraction(divisor),
        "f": Fraction(1, divisor),
        "p": Fraction(random.randint(2, 6)),
        "k": Fraction(random.randint(2, 7)),
    }


def _calculate(route: Sequence[str], values: Mapping[str, str | Fraction]) -> dict[str, Fraction]:
    known = {name: value for name, value in values.items() if isinstance(value, Fraction)}
    steps: dict[str, Fraction] = {}
    for target, left, sign, right in _CALCULATION.findall("".join(route)):
        a, b = known[left], known[right]
        known[target] = steps[target] = {"+": a + b, "-": a - b, "*": a * b, "/": a / b if b else Fraction(-1)}[sign]
    return steps


def _problem(question: str, routes: Sequence[Sequence[str]], values: Values) -> Problem:
    """Solutions are the routes with the operands of each sum and product in either order, one for each key."""
    paths: dict[str, str] = {}
    for route in routes:
        results = _calculate(route, values)
        known = values | results
        # The last calculation of a route is its answer.
        answer = _plain(list(results.values())[-1])
        lines = [_orders(line, known) for line in route]
        for chosen in itertools.product(*lines):
            text = "\n".join((*chosen, f"#### {answer}"))
            paths.setdefault("|".join(re.findall("<<(.*?)>>", text)), text)
    return Problem(_fill(question, values), tuple(paths.values()))


def _orders(line: str, known: Values) -> list[str]:
    """The line with its one calculation written out, and again with the operands swapped where that is the same."""
    match = _CALCULATION.search(line)
    if match is None:
        return [_fill(line, known)]
    target, left, sign, right = match.groups()
    orders = [(left, right), (right, left)] if sign in "+*" else [(left, right)]
    written = []
    for first, second in orders:
        expression = f"{_plain(known[first])}{sign}{_plain(known[second])}"
        result = _plain(known[target])
        calculation = f"{expression} = <<{expression}={result}>>{result}"
        written.append(_fill(line[: match.start()] + calculation + line[match.end() :], known))
    return written


def _connected(path: str) -> str:
    """The same steps, each with a word that says how it follows from the others."""
    *steps, answer = path.split("\n")
    openings = ["First", *["Then"] * (len(steps) - 2), "So"][-len(steps) :]
    return "\n".join((*(f"{word} {_inside(step)}" for word, step in zip(openings, steps, strict=True)), answer))


def _inside(sentence: str) -> str:
    return sentence if sentence.startswith(NAMES) else sentence[0].lower() + sentence[1:]


def _fill(template: str, values: Values) -> str:
    return re.sub(r"\{(\w+)\}", lambda match: _plain(values[match[1]]), template)


def _plain(value: str | Fraction) -> str:
    if isinstance(value, str):
        return value
    return str(value.numerator) if value.denominator == 1 else f"{float(value):g}"


if __name__ == "__main__":
    for row in examples():
        sys.stdout.write(json.dumps(row) + "\n")
