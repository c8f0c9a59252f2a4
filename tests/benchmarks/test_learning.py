"""The experiments on what the data teaches: their worlds, their sets of training data, and what they report.

That they run from end to end takes hours: `make learn`.
"""

import json
import subprocess
from collections.abc import Callable
from functools import partial
from math import log2
from pathlib import Path
from xml.etree import ElementTree

import pytest
from datasets import load_from_disk

from benchmarks.learning import cases, domain, evolution, lengths, mistakes, report, rft, selection, skills, world
from benchmarks.learning.results import LOSSES, SHARES, Finding, Result, gap, line_fit, of_amounts, of_sets, table, tell
from synth.cli.report.frame import Chart
from synth.pipelines.runtime.answers.equations import equation_fault, find_equations
from tests.jails import why_not
from tiny_model.functions import training_functions
from tiny_model.train import build_tokenizer

RESULTS = [Result(arm, seed, rows, score) for arm, seed, rows, score in (
    ("alone", 0, 10, 0.25), ("alone", 1, 10, 0.5), ("k = 1", 0, 20, 0.75), ("k = 1", 1, 20, 0.75),
)]  # fmt: skip
SOLVED, LOSS = (Finding("measured", unit, RESULTS) for unit in (SHARES, LOSSES))


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
    assert table(SOLVED) == [
        ["alone", "10", "37.5%", "25.0%", "50.0%"],
        ["k = 1", "20", "75.0%", "75.0%", "75.0%"],
    ]
    assert table(LOSS)[0] == ["alone", "10", "0.375", "0.250", "0.500"]
    tell("Test", [SOLVED, LOSS], of_sets, tmp_path, tmp_path / "docs" / "chart.svg", ["so it is"])
    printed = capsys.readouterr().out
    assert "k = 1" in printed
    assert "so it is" in printed
    rows = [json.loads(line) for line in (tmp_path / "results.jsonl").read_text().splitlines()]
    assert rows[0] == {
        "experiment": "Test",
        "measure": "measured",
        "arm": "alone",
        "seed": 0,
        "rows": 10,
        "score": 0.25,
    }
    assert (tmp_path / "docs" / "chart.svg").read_text() == (tmp_path / "chart.svg").read_text()


def test_students_of_the_same_random_weights_are_compared() -> None:
    assert gap(SOLVED, "k = 1", "alone") == "measured, k = 1 less alone: +37.5% (+25.0% to +50.0% by seed)"
    assert gap(LOSS, "alone", "k = 1") == "measured, alone less k = 1: -0.375 (-0.500 to -0.250 by seed)"


@pytest.mark.parametrize(
    ("chart", "finding"), [(of_sets, SOLVED), (of_sets, LOSS), (partial(of_amounts, amounts_of="rows"), SOLVED)]
)
def test_a_chart_is_a_file_with_a_point_for_each_student(
    chart: Callable[[Finding], Chart], finding: Finding, tmp_path: Path
) -> None:
    tell("Test", [finding], chart, tmp_path, None)
    drawn = (tmp_path / "chart.svg").read_text()
    ElementTree.fromstring(drawn)
    assert "var(" not in drawn
    assert drawn.count("<title>") >= len(RESULTS)


def test_the_report_has_the_charts_and_tables_of_the_experiments_that_have_ended(tmp_path: Path) -> None:
    (tmp_path / "cases").mkdir()
    tell("Test", [SOLVED, LOSS], of_sets, tmp_path / "cases", None, ["so it is"])
    written = report.page(tmp_path)
    assert written.count("<svg") == 2
    assert written.count("<h2>") == 1
    for expected in ("Does the data teach?", "so it is", "k = 1", "37.5%"):
        assert expected in written


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


def documents() -> list[dict[str, str]]:
    """Forty documents of sixty different words, a quarter of them about one domain."""
    return [
        {
            "id": f"module.name_{n}",
            "domain": "text" if n % 4 else "files",
            "text": " ".join(f"{'word' if n % 4 else 'path'}_{n}_{place}" for place in range(60)),
        }
        for n in range(40)
    ]


def test_passages_have_equally_many_tokens_and_those_of_a_document_are_held_out_together() -> None:
    tokenizer = build_tokenizer([document["text"] for document in documents()])
    passages = list(domain.passages(documents(), tokenizer))
    lengths = [len(tokenizer(passage["text"])["input_ids"]) for passage in passages]
    assert set(lengths) <= set(range(domain.TOKENS - 3, domain.TOKENS + 4))
    assert passages[0]["text"] == documents()[0]["text"][: len(passages[0]["text"])]
    parts: dict[str, set[str]] = {}
    for passage in passages:
        parts.setdefault(passage["id"].partition("/")[0], set()).add(passage["part"])
        assert passage["messages"] == [{"role": "assistant", "content": passage["text"]}]
    assert all(len(found) == 1 for found in parts.values())
    assert {part for found in parts.values() for part in found} == {"held out", "pool"}
    (general,) = domain.passages([{"id": "a", "domain": "other", "text": "word " * domain.TOKENS}], tokenizer)
    assert general["part"] == "general"


def test_retrieved_and_random_sets_are_equally_large_and_nothing_that_is_held_out_can_be_found(tmp_path: Path) -> None:
    tokenizer = build_tokenizer([document["text"] for document in documents()])
    general = {"id": "general", "domain": "other", "text": " ".join(f"general_{place}" for place in range(60))}
    corpus = world.write(tmp_path / "passages.jsonl", domain.passages([*documents(), general], tokenizer))
    asked = world.write(tmp_path / "asked.jsonl", [{"id": "q", "text": "path", "domain": "files"}])
    sets, tests = domain.datasets(corpus, "files", asked, 2, tmp_path)
    (retrieved,), randoms, (labelled,) = (
        [load_from_disk(str(folder)) for folder in folders] for folders in sets.values()
    )
    held_out = {name: load_from_disk(str(folder)) for name, folder in tests.items()}
    assert [len(rows) for rows in randoms] == [len(retrieved)] * 2
    assert randoms[0]["id"] != randoms[1]["id"]
    assert 0 < len(retrieved) < len(labelled)
    assert set(retrieved["domain"]) == set(labelled["domain"]) == {"files"}
    assert {part for rows in (retrieved, *randoms, labelled) for part in rows["part"]} == {"pool"}
    assert set(held_out["the domain"]["domain"]) == {"files"}
    assert set(held_out["other domains"]["domain"]) == {"text"}
    assert {part for rows in held_out.values() for part in rows["part"]} == {"held out"}


def test_few_skills_have_most_of_the_mixture_and_held_out_instructions_are_none_of_it() -> None:
    rows = skills.mixture(300)
    counts = [sum(row["skill"] == skill for row in rows) for skill in skills.SKILLS]
    assert counts == sorted(counts, reverse=True)
    assert counts[-1] >= 2
    assert sum(counts[:6]) > len(rows) / 2
    assert len({row["id"] for row in rows}) == len(rows) == pytest.approx(300, abs=len(skills.SKILLS))
    seen = {row["query"] for row in rows}
    rarest = skills.held_out(skills.SKILLS[-1], 5, seen)
    assert {row["skill"] for row in rarest} == {skills.SKILLS[-1]}
    assert not seen & {row["query"] for row in rarest}


def test_a_selection_by_tags_has_more_of_the_rare_skills_than_random_rows(tmp_path: Path) -> None:
    pool = world.write(tmp_path / "pool.jsonl", skills.mixture(600))
    sets = {
        name: [list(load_from_disk(str(folder))["skill"]) for folder in folders]
        for name, folders in selection.datasets(pool, 60, 2, tmp_path).items()
    }
    assert {name: {len(of) for of in parts} for name, parts in sets.items()} == {
        "selected": {60},
        "random": {60},
        "the whole pool": {597},
    }
    rare = {name: sum(skill in selection.RAREST for skill in parts[0]) for name, parts in sets.items()}
    assert rare["selected"] > rare["random"]


@pytest.mark.skipif(bool(why_not("bwrap")), reason=f"no bwrap jail: {why_not('bwrap')}")
def test_held_out_functions_are_asked_for_in_words_and_by_results_and_none_is_learnt_from(tmp_path: Path) -> None:
    sets = {name: load_from_disk(str(folder)) for name, folder in cases.datasets(4, 6, tmp_path).items()}
    tests = {name: load_from_disk(str(folder)) for name, folder in cases.measured(5, tmp_path).items()}
    alone, both = sets["descriptions"], sets["descriptions and tasks"]
    assert set(alone["query"]) < set(both["query"])
    assert len(both) > len(alone) == 4
    in_words, by_results = tests["a description"], tests["results"]
    assert list(in_words["code"]) == list(by_results["code"])
    assert all(code not in response for code in in_words["code"] for response in both["response"])
    assert all(name in prompt for name, prompt in zip(in_words["func_name"], in_words["prompt"], strict=True))
    assert all(
        len(shown) <= 3 < len(row) for shown, row in zip(by_results["shown"], by_results["example_inputs"], strict=True)
    )


def test_a_description_has_the_signature_of_the_function() -> None:
    function = next(function for function in training_functions("any") if function.name == "clamp")
    assert cases.described(function).startswith(f"Write clamp({', '.join(function.parameters)}). ")


def test_a_round_goes_on_with_the_models_that_the_round_before_has_trained(tmp_path: Path) -> None:
    steps = {}
    for number in lengths.ROUNDS:
        make, *words = lengths.round_command(number, 7, tmp_path, "tiny", 5)
        steps[number] = subprocess.run([make, "-n", *words], check=True, capture_output=True, text=True).stdout
    assert "-n 5 --seed 71" in steps[1]
    assert "-n 5 --seed 73" in steps[3]
    assert (
        f"self-lengthen draft {tmp_path}/lengthen-1/instructions {tmp_path}/lengthen-1/drafts --model tiny" in steps[1]
    )
    assert f"{tmp_path}/lengthen-2/drafts --model {tmp_path}/lengthen-1/generator" in steps[2]
    assert f"{tmp_path}/lengthen-3/extended --model {tmp_path}/lengthen-2/extender" in steps[3]
    assert [steps[number].count("self-lengthen train") for number in lengths.ROUNDS] == [2, 2, 0]


def test_a_text_keeps_to_the_season_of_its_instruction() -> None:
    asked = "Describe the garden of Ada in spring."
    assert lengths.keeps_season(asked, "The garden is green. Offspring of the winterer play.")
    assert lengths.keeps_season(asked, "In spring the garden is green.")
    assert not lengths.keeps_season(asked, "In spring all is well, and in winter, too.")
