import json
from pathlib import Path

import pytest

from synth.pipelines.case2code import functions
from synth.pipelines.case2code.functions import Functions
from tests.pipelines.scripted import Outcome, process_tables

DOUBLE, TWICE = "def double(n):\n    return 2 * n\n", "def twice(k):\n    return 2 * k\n"
SHARED = Path(__file__).parents[4] / "shared" / "data"


def run(*contents: str) -> Outcome:
    return process_tables(Functions(), [{"id": f"s-{i}", "content": content} for i, content in enumerate(contents)])


def filtered(outcome: Outcome) -> dict[str, tuple[str, str]]:
    return {one.row["id"]: (one.reason, one.detail) for one in outcome.filtered}


def test_the_id_of_a_function_extends_that_of_its_source() -> None:
    outcome = run(f"import os\n{DOUBLE}")
    assert outcome.rows == [{"id": "s-0/double", "source_id": "s-0", "code": DOUBLE, "func_name": "double"}]
    assert outcome.tallies == {"functions_seen": 1}


def test_the_first_of_duplicates_is_kept_and_named() -> None:
    outcome = run(DOUBLE, f"# again\n{DOUBLE}\n{TWICE}")
    assert [row["id"] for row in outcome.rows] == ["s-0/double"]
    assert filtered(outcome) == {
        "s-1/double": ("duplicate", "the same text as s-0/double"),
        "s-1/twice": (
            "near_duplicate",
            "the same but for names, docstring and annotations as s-0/double",
        ),
    }


def test_redefined_names_get_distinct_ids() -> None:
    outcome = run("def f(x):\n    return 1\n\ndef f(x):\n    return 2\n")
    assert [row["id"] for row in outcome.rows] == ["s-0/f", "s-0/f-2"]


def test_every_source_is_accounted_for() -> None:
    outcome = run("def f(x:\n", "x = 1\n", "def f():\n    return 1\ndef g(x):\n    return y\n", DOUBLE)
    assert outcome.reasons == {"s-0": "syntax_error", "s-1": "no_function", "s-2": "nothing_kept"}
    assert {one: reason for one, (reason, _) in filtered(outcome).items()} == {
        "s-2/f": "no_parameters",
        "s-2/g": "free_name",
    }


def test_results_do_not_depend_on_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    contents = [DOUBLE.replace("2", str(number % 7)) + "x" * (number % 2) * (number == 9) for number in range(12)]
    alone = run(*contents)
    monkeypatch.setattr(functions, "PORTION_BYTES", 120)
    together = run(*contents)
    assert alone.rows == together.rows
    assert filtered(alone) == filtered(together)
    assert alone.reasons == together.reasons
    assert len(alone.rows) == 7


def test_the_published_sample() -> None:
    path = SHARED / "case2code-functions.jsonl"
    if not path.exists():
        pytest.skip("the published sample functions are not at hand")
    outcome = process_tables(Functions(), [json.loads(line) for line in path.read_text().splitlines()])
    assert [row["func_name"] for row in outcome.rows] == [
        "count_score",
        "oddEven",
        "myAtoi",
        "filter_annotations_with_brackets",
    ]
    assert outcome.rows[-1]["code"].startswith("import re\n\n\ndef ")
    assert {one.row["func_name"]: f"{one.reason}: {one.detail}" for one in outcome.filtered} == {
        "n_natural": "free_name: n is defined nowhere",
        "validate_two": "free_name: basic_validation is defined nowhere",
        "r_c": "free_name: dr is defined nowhere",
        "_complete_combinations": "free_name: _handle_warning is defined nowhere",
        "change": "free_name: error is defined nowhere",
        "shuffle": "prints_or_reads: print in line 17",
    }
