"""`synth reject select` over 100 paths for each question of a GSM8K file, beside the algorithm as it was published.

usage: select_paths.py GSM8K_TRAIN.jsonl

The paths are made from the gold solutions by a seeded law, so that their lengths are those of real ones:

- A question has 1 + floor(Exp(mean `--ways`)) ways to calculate. The first is the gold's; in every other one each
  equation is left alone, turned around (a+b into b+a), put in parentheses or multiplied by one, so that all values stay
  right. Two ways of a short solution may be the same.
- The share of correct paths of a question is Beta(3, 2): 60 of 100 on average, as for the models of the paper. A
  correct path takes way k with weight 1/k and begins each line with one of five openings: texts differ and repeat.
- Of the other paths 70 % give another number, 20 % hold a wrong equation and the right number, 10 % have no answer.

The plain algorithm (arXiv 2308.01825, section 3.2) does the first questions only, computing every distance anew: with
the textbook's Levenshtein in Python, and with RapidFuzz's. It must keep the very paths that synth keeps. Its seconds
are those of the algorithm; synth's are from exec to exit, reading and writing included.
"""

import re
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby, islice
from operator import itemgetter
from pathlib import Path
from random import Random
from typing import Any

from contest import SYNTH, call_apart, multiple, parser, print_table, run_apart, say, scratch, write_dataset

EQUATION = re.compile(r"<<([^<>=]+)=([^<>=]+)>>")
PAIR = re.compile(r"([\d.]+)([+*])([\d.]+)")
ANSWER = re.compile(r"#### (-?[0-9.,]+)")
OPENINGS = ("", "First, ", "Then ", "So we see: ", "Now ")
QUESTIONS_IN_BATCH = 64

Row = dict[str, Any]
Distance = Callable[[str, str], int]


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("solutions", type=Path)
    arguments.add_argument("--questions", type=int, default=7_473)
    arguments.add_argument("--paths", type=int, default=100, help="paths for each question")
    arguments.add_argument("--ways", type=float, default=6.0, help="mean number of further ways to calculate")
    arguments.add_argument("--plain-questions", type=int, default=10, help="how many the plain algorithm does")
    arguments.add_argument("--seed", type=int, default=0)
    given = arguments.parse_args()
    if not given.solutions.is_file():
        arguments.error(f"there is no file {given.solutions}: name questions with gold solutions, as GSM8K's")
    with scratch() as folder:
        made, selected = folder / "paths", folder / "selected"
        say("making the paths")
        law = (given.solutions, given.questions, given.paths, given.ways, given.seed)
        questions, _ = call_apart(write_paths, made, *law)
        say("synth reject select")
        outcome = run_apart([SYNTH, "reject", "select", str(made), str(selected)])
        if outcome.fault:
            raise SystemExit(outcome.fault)
        kept, _ = call_apart(kept_by_synth, selected)
        ours = outcome.seconds / questions
        table = [line("synth reject select", questions, len(kept), outcome.seconds, outcome.peak, ours)]
        for name, distance in (("plain, RapidFuzz", rapid), ("plain, Python", textbook)):
            say(name)
            (plainly, seconds), peak = call_apart(select_plainly, made, given.plain_questions, distance)
            if plainly != kept[: len(plainly)]:
                raise SystemExit(f"{name}: keeps other paths than synth does")
            table.append(line(name, given.plain_questions, len(plainly), seconds, peak, ours))
    columns = ["what", "questions", "kept", "seconds", "ms/question", "times synth's", "peak MiB"]
    print_table(f"Selecting among {given.paths} paths for each question", columns, table)


def line(name: str, questions: int, kept: int, seconds: float, peak: float, ours: float) -> list[str]:
    each = seconds / questions
    shown = [f"{questions:,}", f"{kept:,}", f"{seconds:.1f}", f"{1e3 * each:,.2f}", multiple(each / ours)]
    return [name, *shown, f"{peak:,.0f}"]


# The paths.


def write_paths(folder: Path, solutions: Path, questions: int, paths: int, ways: float, seed: int) -> int:
    """The number of questions for which paths were made."""
    import orjson
    import pyarrow as pa

    from synth.schemas.records import PATH

    with solutions.open("rb") as lines:
        golds = [orjson.loads(line) for line in islice(lines, questions)]

    def batches() -> Iterator[Any]:
        for start in range(0, len(golds), QUESTIONS_IN_BATCH):
            rows = [
                row
                for index in range(start, min(start + QUESTIONS_IN_BATCH, len(golds)))
                for row in _rows(f"gsm8k-{index}", golds[index], paths, ways, Random(f"{seed}/{index}"))
            ]
            yield pa.RecordBatch.from_pylist(rows, schema=PATH.schema)

    write_dataset(folder, PATH.schema, [batches()])
    return len(golds)


def _rows(question: str, gold: Row, paths: int, ways: float, random: Random) -> Iterator[Row]:
    *lines, answer = gold["answer"].splitlines()
    calculations = [lines, *(_another_way(lines, random) for _ in range(int(random.expovariate(1 / ways))))]
    weights = [1 / rank for rank in range(1, len(calculations) + 1)]
    share = random.betavariate(3, 2)
    for sample in range(paths):
        (way,) = random.choices(calculations, weights)
        path = [random.choice(OPENINGS) + line for line in way]
        response = "\n".join([*path, answer]) if random.random() < share else _spoilt(path, answer, random)
        yield {
            "id": f"{question}/path-{sample}",
            "query_id": question,
            "query": gold["question"],
            "answer": gold["answer"],
            "response": response,
            "sample": sample,
            "temperature": 0.7,
            "model": "a law",
            "finish_reason": "stop",
            "prompt_tokens": 80,
            "completion_tokens": len(response) // 4,
        }


def _another_way(lines: list[str], random: Random) -> list[str]:
    def rewritten(equation: re.Match[str]) -> str:
        left, right = equation.groups()
        turned = PAIR.sub(r"\3\2\1", left) if PAIR.fullmatch(left) else left
        return f"<<{random.choice([left, turned, f'({left})', f'({left})*1'])}={right}>>"

    return [EQUATION.sub(rewritten, line) for line in lines]


def _spoilt(path: list[str], answer: str, random: Random) -> str:
    fault = random.random()
    if fault < 0.1:
        return "\n".join(path)
    if fault < 0.3:
        wrong = [EQUATION.sub(r"<<\1=\g<2>1>>", line) for line in path]
        if wrong != path:
            return "\n".join([*wrong, answer])
    return "\n".join([*path, f"#### {random.randint(1, 10**6)}"])


def kept_by_synth(folder: Path) -> list[str]:
    from synth.schemas.dataset import Dataset

    return [row["id"] for row in Dataset.open(folder).rows() if row["origin"] == "sampled"]


# The published algorithm, as plainly as it can be written.


def select_plainly(folder: Path, questions: int, distance: Distance) -> tuple[list[str], float]:
    """The ids of the paths that are kept of the first questions, in order, and the seconds that choosing them took."""
    from synth.schemas.dataset import Dataset

    groups = groupby(Dataset.open(folder).rows(), itemgetter("query_id"))
    chosen = [list(rows) for _, rows in islice(groups, questions)]
    started = time.perf_counter()
    kept = [row["id"] for rows in chosen for row in keep(rows, distance)]
    return kept, time.perf_counter() - started


def keep(rows: Iterable[Row], distance: Distance) -> list[Row]:
    kept: dict[str, Row] = {}
    for row in rows:
        text = row["response"]
        equations = re.findall("<<([^>]*)>>", text)
        if number(text) is None or number(text) != number(row["answer"]) or not all(map(holds, equations)):
            continue
        key = "|".join(equations).replace(" ", "")
        rival = kept.setdefault(key, row)["response"]
        others = [other["response"] for other in kept.values() if other["response"] != rival]
        if sum(distance(text, other) for other in others) > sum(distance(rival, other) for other in others):
            kept[key] = row
    return list(kept.values())


def number(solution: str) -> float | None:
    found = ANSWER.search(solution)
    return float(found[1].replace(",", "")) if found else None


def holds(equation: str) -> bool:
    # What is calculated here was written above: for a model's own text `eval` will not do.
    left, right = equation.split("=")[:2]
    return abs(eval(left) - float(right)) < 1e-3


def textbook(one: str, other: str) -> int:
    before = list(range(len(other) + 1))
    for row, left in enumerate(one, start=1):
        after = [row]
        for column, right in enumerate(other, start=1):
            after.append(min(before[column] + 1, after[-1] + 1, before[column - 1] + (left != right)))
        before = after
    return before[-1]


def rapid(one: str, other: str) -> int:
    from rapidfuzz.distance import Levenshtein

    return Levenshtein.distance(one, other)


if __name__ == "__main__":
    main()
