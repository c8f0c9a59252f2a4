"""The experiments on what the data teaches: their worlds, their sets of training data, and what they report.

That they run from end to end takes hours: `make learn`.
"""

import json
from math import log2
from pathlib import Path
from xml.etree import ElementTree

import pytest
from datasets import load_from_disk

from benchmarks.learning import evolution, mistakes, rft, world
from benchmarks.learning.results import Result, line_fit, of_amounts, of_sets, table, tell
from synth.pipelines.runtime.answers.equations import equation_fault, find_equations

RESULTS = [Result(arm, seed, rows, score) for arm, seed, rows, score in (
    ("alone", 0, 10, 0.25), ("alone", 1, 10, 0.5), ("k = 1", 0, 20, 0.75), ("k = 1", 1, 20, 0.75),
)]  # fmt: skip


def test_held_out_questions_are_none_of_the_seed_questions() -> None:
    seeds = world.seeds(40)
    held_out = world.held_out(40, seeds)
    assert seeds == world.seeds(50)[:40]
    assert not {row["question"] for row in seeds} & {row["question"] for row in held_out}
    assert len({row["id"] for row in (*seeds, *held_out)}) == 80


def test_a_file_that_has_the_rows_already_is_left_alone(tmp_path: Path) -> None:
    file = world.write(tmp_path / "new" / "rows.jsonl", [{"a": 1}])
    file.chmod(0o444)
    before = file.stat().st_mtime_ns
    assert world.write(file, [{"a": 1}]).stat().st_mtime_ns == before
    assert [json.loads(line) for line in file.read_text().splitlines()] == [{"a": 1}]


def path(sample: int, question: str, equation: str) -> dict[str, object]:
    left, _, right = equation.partition("=")
    names = {"id": f"{question}/path-{sample}", "query_id": question, "query": f"{question}?", "sample": sample}
    return {**names, "answer": "2+4 = <<2+4=6>>6\n#### 6", "response": f"{left} = <<{equation}>>{right}\n#### {right}"}


def test_sets_of_paths_grow_with_k_and_duplicates_are_as_many_as_the_largest_set(tmp_path: Path) -> None:
    samples = tmp_path / "samples.jsonl"
    equations = ["1+5=6", "1+5=6", "5+1=6", "1+6=7", "3+3=6", "2*3=6", "3*2=6", "1*6=6"]
    paths = [path(sample, "many", equation) for sample, equation in enumerate(equations)]
    samples.write_text("".join(json.dumps(row) + "\n" for row in [*paths, path(0, "one", "3+3=6")]))
    sets = {name: load_from_disk(str(folder)) for name, folder in rft.datasets(samples, tmp_path).items()}
    assert {name: len(rows) for name, rows in sets.items()} == {
        "solutions alone": 2,
        "k = 1": 4,
        "k = 4": 7,
        "k = 16": 9,
        "as many duplicates": 9,
    }
    assert sets["k = 4"]["id"][:5] == ["many/gold", *(f"many/path-{sample}" for sample in (0, 2, 4, 5))]
    assert [(query, sets["as many duplicates"]["query"].count(query)) for query in ("many?", "one?")] == [
        ("many?", 7),
        ("one?", 2),
    ]
    assert set(sets["as many duplicates"]["response"]) == {"2+4 = <<2+4=6>>6\n#### 6"}


def test_sets_of_evolved_questions_contain_the_smaller_ones(tmp_path: Path) -> None:
    seeds = world.write(tmp_path / "seed.jsonl", world.seeds(3))
    responses = [
        {"id": f"q{n}/answer-{k}", "query_id": f"q{n}", "query": f"{n}?", "response": f"{n}!"}
        for n in range(70)
        for k in range(2)
    ]
    augmented = world.write(tmp_path / "augmented.jsonl", responses)
    sets = {amount: load_from_disk(str(folder)) for amount, folder in evolution.datasets(seeds, augmented, tmp_path)}
    assert {amount: len(rows) for amount, rows in sets.items()} == {0: 3, 32: 35, 64: 67}
    assert set(sets[32]["query"]) < set(sets[64]["query"])
    assert {"query", "response"} <= set(sets[0].column_names)


def test_a_straight_line_is_fitted_over_the_logarithm() -> None:
    exact = line_fit([(n, 0.1 + 0.05 * log2(n)) for n in (2, 8, 32)])
    assert exact == pytest.approx((0.1, 0.05, 1.0))
    assert exact.described == "log-linear fit: +5.0 points for each doubling, R² = 1.00"
    assert line_fit([(2, 0.0), (2, 1.0), (4, 0.5)]).r2 == pytest.approx(0.0)


def test_the_table_has_the_spread_of_the_students(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert table(RESULTS) == [
        ["alone", "10", "37.5%", "25.0%", "50.0%"],
        ["k = 1", "20", "75.0%", "75.0%", "75.0%"],
    ]
    tell("Test", "solved", RESULTS, tmp_path, tmp_path / "docs" / "chart.svg", of_sets(RESULTS), ["so it is"])
    printed = capsys.readouterr().out
    assert "k = 1" in printed
    assert "so it is" in printed
    rows = [json.loads(line) for line in (tmp_path / "results.jsonl").read_text().splitlines()]
    assert rows[0] == {"experiment": "Test", "measure": "solved", "arm": "alone", "seed": 0, "rows": 10, "score": 0.25}
    assert (tmp_path / "docs" / "chart.svg").read_text() == (tmp_path / "chart.svg").read_text()


@pytest.mark.parametrize("chart", [of_sets(RESULTS), of_amounts(RESULTS, "rows")])
def test_a_chart_is_a_file_with_a_point_for_each_student(chart: dict[str, object], tmp_path: Path) -> None:
    tell("Test", "solved", RESULTS, tmp_path, None, chart)
    drawn = (tmp_path / "chart.svg").read_text()
    ElementTree.fromstring(drawn)
    assert "var(" not in drawn
    assert drawn.count("<title>") >= len(RESULTS)


def test_calculations_are_right_and_in_the_form_of_solutions() -> None:
    for row in world.calculations(50):
        (equation,) = find_equations(row["response"])
        assert equation_fault(equation) is None
        assert row["query"].removesuffix("?") in row["response"]


def test_mistakes_are_told_apart() -> None:
    asked = {"query": "2 boxes of 3 and 4 more?", "answer": "2*3 = <<2*3=6>>6\n6+4 = <<6+4=10>>10\n#### 10"}
    replies = ["<<2*3=7>>\n<<7+4=11>>", "<<5*3=15>>\n<<15+4=19>>", "<<2+3=5>>", "I do not know."]
    laid_out, read, right = mistakes.shares([{**asked, "response": reply} for reply in replies])
    assert (laid_out, read, right) == (0.5, 0.5, 0.8)
