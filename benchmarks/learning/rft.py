"""Do more distinct paths for the same questions teach more (RFT, arXiv 2308.01825, sections 3.3 and 3.4)?

    python -m benchmarks.learning.rft --out DIR

Hypothesis: students that learn from up to k = 1, 4, 16 distinct accepted paths for each question, besides its own
solution, solve more held-out questions than students that learn from the solutions alone, and as many duplicates of the
solutions do not do the same.

The embedded model samples the paths, `reject select` keeps the correct and distinct ones, and a set has the first k of
them for each question. The duplicates repeat each solution as often as its question has rows in the largest set.

Held equal: questions, the students' random weights (by seed), batch, learning rate and its schedule, and the number of
steps, so that all students see equally many solutions: those of a small set more often. In the paper epochs are equal
instead, and a larger set is also trained on for longer. Students that begin with random weights learn nothing in three
epochs of the seed data alone, so that any larger set would win that comparison.
"""

from pathlib import Path

from benchmarks.learning import world
from benchmarks.learning.results import gap, of_sets, tell
from benchmarks.learning.steps import add_mathematics, compare, experiment, synth

__all__ = ["datasets", "main"]

K = (1, 4, 16)
# The first k paths of each question, in the order in which they were sampled, and its own solution.
FIRST = (
    "origin = 'gold' OR id IN (SELECT id FROM rows WHERE origin = 'sampled' "
    "QUALIFY row_number() OVER (PARTITION BY query_id ORDER BY sample) <= {k})"
)


def main() -> None:
    arguments = experiment(__doc__, "rft")
    add_mathematics(arguments)
    arguments.add_argument("--samples", type=int, default=64, help="that the teacher draws for each question")
    given = arguments.parse_args()
    rows = world.seeds(given.questions)
    seeds = world.write(given.out / "seed.jsonl", rows)
    held_out = world.write(given.out / "held-out.jsonl", world.held_out(given.held_out, rows))
    samples = given.out / "samples"
    drawing = ("-n", given.samples, "--temperature", 1.0, "--prompt", "chat")
    synth("reject", "sample", seeds, samples, "--model", given.teacher, *drawing)
    sets = datasets(samples, given.out)
    solved = compare(sets, held_out, world.texts(rows), given)
    tell("RFT", [solved], of_sets, given.out, given.chart, [gap(solved, f"k = {K[-1]}", "as many duplicates")])


def datasets(samples: Path, out: Path) -> dict[str, Path]:
    """The sets that students are trained on: the solutions alone, with up to k paths, and as many duplicates."""
    accepted, alone, places = out / "accepted", out / "seed", out / "places"
    with_paths = {f"k = {k}": out / f"k-{k}" for k in K}
    synth("reject", "select", samples, accepted)
    synth("filter", accepted, alone, "--where", "origin = 'gold'")
    for k, out_k in zip(K, with_paths.values(), strict=True):
        synth("filter", accepted, out_k, "--where", FIRST.format(k=k))
    synth("columns", out / f"k-{K[-1]}", places, "--keep", "query_id")
    synth("join", places, alone, out / "duplicates", "--on", "query_id", "--take", "query,response")
    return {"solutions alone": alone, **with_paths, "as many duplicates": out / "duplicates"}


if __name__ == "__main__":
    main()
