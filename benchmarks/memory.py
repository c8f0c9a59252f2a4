"""Whether memory stays flat: peak MiB of `synth reject sample` as its input grows, and as it is cut into shards.

The engine is `echo`, one sample a question; each run is a process of its own, and so is the making of its input. What
is resident counts the pages of the input that are mapped, which the system takes back when it needs them; what is the
process's own (RssAnon, looked at 50 times a second) does not. Beside it stands a Python that imports Arrow and the
runner and does nothing.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from contest import SYNTH, call_apart, parser, print_table, run_watched, say, scratch, write_dataset

SMALL, MIDDLE, LARGE = 10_000, 100_000, 1_000_000
SHARDS = 100


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--largest", type=int, default=LARGE, help="rows of the largest input")
    given = arguments.parse_args()
    cases = [(rows, 1) for rows in (SMALL, MIDDLE, LARGE) if rows <= given.largest]
    cases.append((given.largest, SHARDS))
    _, idle = call_apart(import_all)
    table = [["importing alone", *"---", f"{idle:,.0f}", *"--"]]
    first = 0.0
    for rows, shards in cases:
        say(f"{rows:,} rows in {shards} shards")
        with scratch() as folder:
            call_apart(write_questions, folder / "questions", rows, shards)
            command = [SYNTH, "reject", "sample", str(folder / "questions"), str(folder / "out")]
            outcome, own = run_watched([*command, "--engine", "echo", "-n", "1"])
        first = first or own
        shown = [f"{rows:,}", f"{shards}", f"{rows / outcome.seconds:,.0f}", f"{outcome.peak:,.0f}", f"{own:,.0f}"]
        table.append(["reject sample", *shown, f"{own / first:.2f}"])
    columns = ["what", "rows", "shards", "rows/s", "peak resident", "peak own", "of the first"]
    print_table("Peak memory, MiB", columns, table)


def import_all() -> None:
    import synth.pipelines.reject.sample
    import synth.pipelines.runtime.runner  # noqa: F401


def write_questions(folder: Path, rows: int, shards: int) -> None:
    """Questions with gold answers, `rows` of them in all."""
    each = rows // shards
    write_dataset(
        folder, _questions(range(1)).schema, [_batches(shard * each, (shard + 1) * each) for shard in range(shards)]
    )


def _batches(start: int, stop: int) -> Iterator[Any]:
    for first in range(start, stop, 4096):
        yield _questions(range(first, min(first + 4096, stop)))


def _questions(numbers: range) -> Any:
    import pyarrow as pa

    asked = "There are {0} trays with {1} buns on each of them, and {2} buns are sold. How many buns are left?"
    made = [(number % 89 + 2, number % 83 + 3, number % 5) for number in numbers]
    return pa.record_batch(
        [
            [f"question-{number}" for number in numbers],
            [asked.format(*given) for given in made],
            [f"{a}*{b} = <<{a}*{b}={a * b}>>{a * b} buns are made.\n#### {a * b - c}" for a, b, c in made],
        ],
        names=["id", "question", "answer"],
    )


if __name__ == "__main__":
    main()
