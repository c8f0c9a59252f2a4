"""Counts over the GSM8K training set. The test set's counts are known too, but that file is not at hand."""

import json
from collections import Counter
from pathlib import Path

import pytest

from synth.pipelines.runtime.answers.answer import extract_answer
from synth.pipelines.runtime.answers.equations import calculation_key, equation_fault, find_equations
from synth.pipelines.runtime.answers.prose import plain_equations

TRAIN = Path(__file__).parents[2].parent / "shared" / "data" / "gsm8k-train.jsonl"

pytestmark = pytest.mark.skipif(not TRAIN.is_file(), reason="the GSM8K training set is not beside the repository")


@pytest.fixture(scope="module")
def solutions() -> list[str]:
    with TRAIN.open(encoding="utf-8") as lines:
        return [json.loads(line)["answer"] for line in lines]


@pytest.fixture(scope="module")
def equations(solutions: list[str]) -> list[list[str]]:
    return [find_equations(solution) for solution in solutions]


def test_every_solution_has_an_answer(solutions: list[str]) -> None:
    answers = [extract_answer(solution) for solution in solutions]
    assert len(answers) == 7473
    values = [answer.value for answer in answers if answer]
    assert len(values) == 7473
    assert all(value.is_integer() for value in values)
    assert [row for row, value in enumerate(values) if value < 0] == [5715, 5844, 6189]
    with_commas = [row for row, answer in enumerate(answers) if answer and "," in answer.text]
    assert len(with_commas) == 79
    assert with_commas[:3] == [345, 367, 462]


def test_the_answer_line_is_the_last(solutions: list[str]) -> None:
    for solution in solutions:
        answer = extract_answer(solution)
        assert answer is not None
        assert solution[answer.end :].strip() == ""


def test_equations_are_all_found_and_all_check(equations: list[list[str]]) -> None:
    per_row = Counter(map(len, equations))
    assert [per_row[count] for count in range(10)] == [95, 404, 2175, 2137, 1424, 785, 287, 123, 40, 3]
    assert sum(map(len, equations)) == 23_716
    assert [row for row, found in enumerate(equations) if not found][:5] == [29, 109, 135, 150, 193]
    assert [fault for found in equations for fault in map(equation_fault, found) if fault] == []
    assert not any(equation.count("=") > 1 for found in equations for equation in found)


def test_distinct_keys(equations: list[list[str]]) -> None:
    assert len({calculation_key(found) for found in equations}) == 7280


def test_what_is_read_from_prose_agrees_with_the_annotations(solutions: list[str]) -> None:
    """Without annotations most equations are still found; those few that fail are slips of the solutions' authors or
    roundings, so that reading prose hardly ever turns a correct path away."""
    without = [plain_equations(extract_and_strip(solution)) for solution in solutions]
    assert sum(map(len, without)) > 0.75 * 23_716
    assert sum(any(map(equation_fault, found)) for found in without) < 0.007 * 7473


def extract_and_strip(solution: str) -> str:
    kept, _, rest = solution.partition("<<")
    return kept + extract_and_strip(rest.partition(">>")[2]) if rest else kept
