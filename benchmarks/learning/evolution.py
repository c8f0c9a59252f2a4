"""Does accuracy grow with the logarithm of the number of evolved questions (MuggleMath, arXiv 2310.05506, section 4)?

    python -m benchmarks.learning.evolution --out DIR

Hypothesis: the share of held-out questions that a student solves is linear in the logarithm of the number of evolved
questions that it learns from, besides the seed data.

The embedded model evolves the seed questions and answers what it wrote; one response for each question is kept, from
those on whose answer the samples agree. A larger set contains the smaller ones. Held-out questions are of the kinds of
the seed data, as in the paper's main table; of the five changes only the first makes questions of these kinds.

Held equal: seed data, the students' random weights (by seed), batch, learning rate and its schedule, and the steps.
"""

from functools import partial
from pathlib import Path
from statistics import mean

from benchmarks.learning import world
from benchmarks.learning.results import line_fit, of_amounts, tell
from benchmarks.learning.steps import add_mathematics, compare, experiment, rows, synth

__all__ = ["datasets", "main"]

# Sizes double up to the number of evolved questions that there are.
SMALLEST = 32


def main() -> None:
    arguments = experiment(__doc__, "evolution")
    add_mathematics(arguments)
    given = arguments.parse_args()
    seed_rows = world.seeds(given.questions)
    seeds = world.write(given.out / "seed.jsonl", seed_rows)
    held_out = world.write(given.out / "held-out.jsonl", world.held_out(given.held_out, seed_rows))
    evolved, augmented = given.out / "evolved", given.out / "augmented"
    # As in `make demo`: the teacher often gets the form wrong, and strays at higher temperatures.
    synth("augment", "evolve", seeds, evolved, "--model", given.teacher, "--tries", 3)
    agreeing = ("--keep", "agreement", "--temperature", 0.7)
    synth("augment", "respond", evolved, augmented, "--model", given.teacher, *agreeing)
    sets = {f"{amount:,} evolved": data for amount, data in datasets(seeds, augmented, given.out)}
    solved = compare(sets, held_out, world.variations(), given)
    counted = [result._replace(rows=result.rows - given.questions) for result in solved.results]
    points = [(result.rows, result.score) for result in counted if result.rows]
    means = [(amount, mean(y for x, y in points if x == amount)) for amount in sorted({x for x, _ in points})]
    fitted = {"students": points, "means": means} if len(means) > 1 else {}
    told = [f"{what}, {line_fit(of).described}" for what, of in fitted.items()]
    solved = solved._replace(results=counted)
    tell("Evolution", [solved], partial(of_amounts, amounts_of="evolved questions"), given.out, given.chart, told)


def datasets(seeds: Path, augmented: Path, out: Path) -> list[tuple[int, Path]]:
    """The seed data with ever more evolved questions, whose number is the first of each pair."""
    one_each, solutions = out / "one-each", out / "solutions"
    first = "id IN (SELECT min(id) FROM rows GROUP BY query_id)"
    synth("filter", augmented, one_each, "--where", first)
    synth("columns", seeds, solutions, "--rename", "query=question", "--rename", "response=answer")
    sets = [(0, solutions)]
    while (amount := SMALLEST << (len(sets) - 1)) <= rows(one_each):
        part, mixed = out / f"evolved-{amount}", out / f"with-{amount}"
        synth("sample", one_each, part, "-n", amount)
        synth("mix", solutions, part, mixed)
        sets.append((amount, mixed))
    return sets


if __name__ == "__main__":
    main()
