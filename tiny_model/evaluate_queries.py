"""Measures how the model does at Query of CC and InsTag, with the recipes' own commands.

Of the seeds in `examples/`: how many questions and thoughts are kept of those asked for, and for how many the first
document that BM25 finds among the docstrings is of their own domain. Of instructions that it was not trained on: how
many replies hold tags, without a schema and in the first try, and how many of the tags are those that it learnt.
"""

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

from synth.pipelines.case2code.compose import Compose
from synth.pipelines.query_of_cc.bootstrap import Bootstrap
from synth.pipelines.query_of_cc.ranking import hits_by_query
from synth.schemas.dataset import Dataset
from tiny_model import EXAMPLES
from tiny_model.commands import run, written
from tiny_model.evaluate_functions import held_out
from tiny_model.problems import examples
from tiny_model.questions import example_seeds
from tiny_model.tags import Label, problem_labels, question_labels, task_labels, text_labels
from tiny_model.texts import example_instructions

__all__ = ["expected_tags", "measure_queries", "measure_tags"]

FUNCTIONS_PER_KIND = 2


def measure_queries(engine: Sequence[str]) -> dict[str, float]:
    """Shares after one round of queries. `engine` are the options that name a model."""
    seeds = list(example_seeds())
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        given, grown = written(folder / "seeds.jsonl", seeds), folder / "queries"
        run("query-of-cc bootstrap", given, grown, options=["--rounds", "1", *engine])
        queries = [row for row in _rows(grown) if row["kind"] != "seed"]
        found = _first_domains(queries, folder) if queries else {}
    asked = len(seeds) * Bootstrap().questions_per_seed
    questions, thoughts = ([row for row in queries if row["kind"] == kind] for kind in ("question", "thought"))
    return {
        "questions kept, of those asked for": len(questions) / asked,
        "thoughts kept, of those asked for": len(thoughts) / max(1, len(questions)),
        "questions whose first hit is of their domain": _share(
            found.get(row["id"]) == row["domain"] for row in questions
        ),
        "thoughts whose first hit is of their domain": _share(
            found.get(row["id"]) == row["domain"] for row in thoughts
        ),
    }


def measure_tags(engine: Sequence[str]) -> dict[str, float]:
    """Shares of instructions of all recipes, and of their tags. `engine` are the options that name a model."""
    expected = dict(enumerate(expected_tags()))
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        rows = ({"id": str(number), "instruction": text} for number, (text, _) in expected.items())
        run(
            "instag tag",
            written(folder / "instructions.jsonl", rows),
            folder / "tagged",
            options=["--no-schema", "--tries", "1", *engine],
        )
        tagged = {int(row["id"]): {one["tag"] for one in row["raw_tags"]} for row in _rows(folder / "tagged")}
    wanted = [tag in tagged.get(number, ()) for number, (_, labels) in expected.items() for tag, _ in labels]
    learnt = [tag in dict(expected[number][1]) for number, tags in tagged.items() for tag in tags]
    return {
        "instructions with tags": len(tagged) / len(expected),
        "expected tags found": _share(wanted),
        "tags that are expected": _share(learnt),
    }


def expected_tags() -> Iterator[tuple[str, list[Label]]]:
    """Instructions that are not trained on, with the tags that follow from what they say."""
    for row in examples():
        yield row["question"], problem_labels(row["id"].rpartition("-")[0], row["question"])
    for row in example_instructions():
        yield row["instruction"], text_labels(row["instruction"])
    random = Random("evaluate")
    for _, function in held_out(FUNCTIONS_PER_KIND):
        task = function.task(random, Compose())
        yield task, task_labels(task)
    for row in example_seeds():
        if row["kind"] in ("question", "passage"):
            yield row["text"], question_labels(row["domain"], row["text"])


def _first_domains(queries: Sequence[dict[str, Any]], folder: Path) -> dict[str, str]:
    """The domain of the first document that each query finds among the docstrings of the standard library."""
    listed = subprocess.run(
        [sys.executable, EXAMPLES.with_name("docstrings.py")], check=True, stdout=subprocess.PIPE, encoding="utf-8"
    )
    documents = [json.loads(line) for line in listed.stdout.splitlines()]
    run("query-of-cc index", written(folder / "docstrings.jsonl", documents), folder / "index")
    asked = written(folder / "queries.jsonl", queries)
    run("query-of-cc retrieve", asked, folder / "index", folder / "found", options=["--top-k", "1"])
    domains = {row["id"]: row["domain"] for row in documents}
    return {query: domains[document] for query, document, _ in hits_by_query(folder / "found")}


def _rows(dataset: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = Dataset.open(dataset).table.to_pylist()
    return rows


def _share(claims: Iterable[bool]) -> float:
    held = list(claims)
    return sum(held) / max(1, len(held))
