"""Does a complex and diverse selection teach more than a random one (InsTag, arXiv 2308.07074, section 4)?

    python -m benchmarks.learning.selection --out DIR

Hypothesis: of a pool in which few skills have most of the rows, students of the rows that complexity-first diverse
sampling selects by their tags have a lower loss on held-out responses, averaged over the skills, than students of as
many random rows; the gain comes from the rare skills.

The pool is a mixture of all that the generators of the embedded model make, with the tags that follow from it
(`skills`), so that selection is measured without the faults of a tagger. The tags are normalized and the rows selected
by the recipe's own commands.

Held equal: number of rows, the students' random weights (by seed), batch, learning rate and its schedule, and steps.
Each seed has a random selection of its own. Students of the whole pool, for equally many steps, are the third set.
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from statistics import mean

from benchmarks.learning import world
from benchmarks.learning.results import LOSSES, Finding, gap, of_sets, tell
from benchmarks.learning.skills import SKILLS, held_out, mixture
from benchmarks.learning.steps import (
    Sets,
    add_training,
    beginners,
    chats,
    experiment,
    loss,
    rows,
    scored,
    synth,
    trained,
)

__all__ = ["datasets", "main"]

RAREST = SKILLS[-(len(SKILLS) // 2) :]


def main() -> None:
    arguments = experiment(__doc__, "selection")
    add_training(arguments, lessons=0, steps=300)
    arguments.add_argument("--pool", type=int, default=2400, help="rows to select from")
    arguments.add_argument("--selected", type=int, default=240, help="rows of each selection")
    arguments.add_argument("--held-out", type=int, default=24, help="rows of each skill to measure with")
    given = arguments.parse_args()
    mixed = mixture(given.pool)
    pool = world.write(given.out / "pool.jsonl", mixed)
    sets = datasets(pool, given.selected, given.seeds, given.out)
    measured = tests({row["query"] for row in mixed}, given.held_out, given.out)
    texts = [text for row in mixed for text in (row["query"], row["response"])]
    taught = beginners(texts, pool, given)
    students = trained({arm: [chats(one) for one in data] for arm, data in sets.items()}, taught, given)

    @cache
    def of_skill(model: Path, skill: str) -> float:
        return loss(model, measured[skill], given.out / "losses" / f"{measured[skill].name}-{model.name}")

    def finding(name: str, skills: Sequence[str]) -> Finding:
        results = scored(students, sets, lambda model: mean(of_skill(model, skill) for skill in skills))
        return Finding(f"mean loss over {name}", LOSSES, results)

    frequent = [skill for skill in SKILLS if skill not in RAREST]
    findings = [
        finding("all skills", SKILLS),
        finding("the more frequent half of the skills", frequent),
        finding("the rarer half of the skills", RAREST),
    ]
    told = [gap(one, "selected", "random") for one in findings]
    told += [_described(arm, data) for arm, data in sets.items()]
    tell("InsTag", findings, of_sets, given.out, given.chart, told)


def datasets(pool: Path, number: int, seeds: int, out: Path) -> Sets:
    """The sets that students learn from; there is a random one for each seed."""
    normalized, selected = out / "normalized", out / "selected"
    # In this world each story is always a word problem, so association rules would merge the tags of both.
    no_rules = ("--min-support", 1_000_000)
    synth("instag", "normalize", pool, normalized, "--embedder", "characters", "--alpha", 2, *no_rules)
    synth("instag", "select", normalized, selected, "-n", number)
    randoms = [out / f"random-{seed}" for seed in range(seeds)]
    for seed, random in enumerate(randoms):
        synth("sample", normalized, random, "-n", number, "--seed", seed)
    return {"selected": [selected], "random": randoms, "the whole pool": [normalized]}


def tests(seen: set[str], number: int, out: Path) -> dict[str, Path]:
    """Held-out rows of each skill, as chats."""
    measured = {}
    for skill in SKILLS:
        name = f"held-out-{skill}".replace(" ", "-")
        imported = out / name
        synth("import", world.write(out / f"{name}.jsonl", held_out(skill, number, seen)), imported)
        chatted = out / f"{name}-chats"
        synth("import", chats(imported), chatted)
        measured[skill] = chatted
    return measured


def _described(arm: str, data: Sequence[Path]) -> str:
    from datasets import load_from_disk

    skills = [load_from_disk(str(folder))["skill"] for folder in data]
    rare = mean(sum(skill in RAREST for skill in of) / len(of) for of in skills)
    fewest = mean(min(list(of).count(skill) for skill in SKILLS) for of in skills)
    return (
        f"{arm}: {rare:.0%} of {rows(data[0]):,} rows are of the rarer half of the skills; of one at least {fewest:g}"
    )


if __name__ == "__main__":
    main()
