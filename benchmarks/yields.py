"""What the steps of `make demo` yielded, beside the bars: `yields.py examples/out`."""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from synth.pipelines.query_of_cc.ranking import hits_by_query
from synth.schemas.dataset import Dataset

Row = Mapping[str, Any]


def main(out: Path) -> None:
    for what, bar, rows in (
        ("questions with two or more distinct accepted paths", 75, questions(out)),
        ("functions with a complete sample", 60, functions(out)),
        ("queries whose first hit is of their own domain", 80, queries(out)),
        ("rows with valid tags", 95, tagged(out)),
        ("texts extended by 1.2 or more", 60, extended(out)),
    ):
        met = list(rows)
        share = f"{sum(met) / len(met):6.1%} of {len(met)}" if met else "  left out"
        print(f"{what:52} {share:14} (bar {bar} %)")


def questions(out: Path) -> Iterator[bool]:
    """`reject select` counts its questions; the first ones stand for those that meet the bar."""
    tallies = record(out / "accepted")["counts"]["tallies"]
    for number in range(int(tallies["questions"])):
        yield number < tallies["questions_with_2_distinct"]


def functions(out: Path) -> Iterator[bool]:
    """Functions of the input that became a task: calls, their results, and the function itself."""
    if (out / "tasks").is_dir():
        tasks = {row["id"] for row in rows_of(out / "tasks")}
        for number in range(record(out / "calls")["input_rows"]):
            yield number < len(tasks)


def queries(out: Path) -> Iterator[bool]:
    """Queries about a domain whose best document is labelled with it. Distractors are labelled `other`."""
    domains = {row["id"]: row["domain"] for row in rows_of(out / "docstrings.jsonl")}
    first: dict[str, str] = {}
    for query, document, _ in hits_by_query(out / "retrieved"):
        first.setdefault(query, document)
    for query in rows_of(Path(record(out / "retrieved")["inputs"][0])):
        yield query["id"] in first and domains[first[query["id"]]] == query["domain"]


def tagged(out: Path) -> Iterator[bool]:
    run = record(out / "tagged")
    for number in range(run["input_rows"]):
        yield number < run["counts"]["outputs"]


def extended(out: Path) -> Iterator[bool]:
    """Every response that was to be extended, whether or not an extension was kept."""
    ratios: dict[str, float] = {}
    for row in rows_of(out / "extended"):
        ratios[row["draft_id"]] = max(ratios.get(row["draft_id"], 0.0), row["words"] / row["initial_words"])
    for number in range(record(out / "extended")["input_rows"]):
        yield number < sum(ratio >= 1.2 for ratio in ratios.values())


def record(folder: Path) -> dict[str, Any]:
    return Dataset.open(folder).run or {}


def rows_of(path: Path) -> Iterator[Row]:
    if path.is_dir():
        yield from Dataset.open(path).rows()
        return
    import json

    with path.open() as file:
        yield from map(json.loads, file)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
