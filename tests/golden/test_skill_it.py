"""The worked vectors of Skill-It (arXiv 2307.14430): graphs and losses of the released runs, and small ones by hand."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from synth.pipelines.runtime.options import Options
from synth.pipelines.runtime.runner import Run
from synth.pipelines.skill_it.schedules import SCHEDULES
from synth.pipelines.skill_it.skill_it import SkillIt, proportions
from synth.pipelines.tables.mix import Mix
from tests.rows import rows_of, write_rows

LEGO = [[1, 0, 0, 0, 0], [0.5, 1, 0.5, 0.5, 0], [0, 0, 1, 0, 0], [0, 0, 0, 1, 0], [0, 0, 0, 0, 1]]
ADDITION = [[1, 0, 0], [0.5, 1, 0], [0, 0, 1]]


def shares(folder: Path, graph: list[list[float]], losses: list[list[float]] = [], **options: Any) -> list[float]:  # noqa: B006
    """The mixture for a graph and the losses at each evaluation, of skills a, b, c and so on."""
    skills = "abcdefgh"
    rows = [{"skill": skill, **dict(zip(skills, row, strict=False))} for skill, row in zip(skills, graph, strict=False)]
    source = write_rows(folder / "graph.jsonl", rows)
    if losses:
        history = [
            {"step": 50 * step, "skill": skill, "loss": loss}
            for step, row in enumerate(losses, start=1)
            for skill, loss in zip(skills, row, strict=False)
        ]
        options["losses"] = str(write_rows(folder / "losses.jsonl", history))
    Run(SkillIt(**options), [str(source)], folder / "mixture", Options(fresh=True)).execute()
    return [row["weight"] for row in rows_of(folder / "mixture")]


def test_the_first_mixture_of_lego(tmp_path: Path) -> None:
    found = shares(tmp_path, LEGO, preset="lego")
    assert found == pytest.approx([0.163479, 0.346085, 0.163479, 0.163479, 0.163479], abs=5e-7)
    assert sum(found) == pytest.approx(1)


def test_the_samples_of_a_round_add_up(tmp_path: Path) -> None:
    """1,000 steps of 32: the largest remainders get what rounding down leaves, where the published code loses two."""
    weights = tuple(shares(tmp_path, LEGO, preset="lego"))
    counts = Mix(weights=weights, take=32_000)._wanted(dict.fromkeys("abcde", 100_000))
    assert counts == [5232, 11075, 5231, 5231, 5231]
    assert sum(int(32_000 * weight) for weight in weights) == 31_998


def test_the_losses_of_the_last_three_evaluations_of_lego_add_up(tmp_path: Path) -> None:
    evaluations = [
        [9.0, 9.0, 9.0, 9.0, 9.0],
        [2.0, 1.8, 1.5, 1.6, 1.9],
        [1.9, 1.7, 1.4, 1.6, 1.8],
        [1.8, 1.6, 1.3, 1.5, 1.8],
    ]
    found = shares(tmp_path, LEGO, evaluations, preset="lego")
    assert found == pytest.approx([0.031760, 0.905238, 0.015002, 0.019263, 0.028737], abs=5e-7)


def test_whether_losses_are_added_or_averaged_matters_as_much_as_eta(tmp_path: Path) -> None:
    graph = [[1, 0.5], [0, 1]]
    evaluations = [[1.2, 0.6], [1.0, 0.5], [0.8, 0.4]]
    assert shares(tmp_path, graph, eta=0.5) == pytest.approx([0.562177, 0.437823], abs=5e-7)
    assert shares(tmp_path, graph, evaluations, eta=0.5) == pytest.approx([0.754915, 0.245085], abs=5e-7)
    averaged = shares(tmp_path, graph, evaluations, eta=0.5, target=("a", "b"))
    assert averaged == pytest.approx([0.592667, 0.407333], abs=5e-7)


def test_only_the_losses_on_targets_count(tmp_path: Path) -> None:
    graph = [[1, 0.5], [0, 1]]
    assert shares(tmp_path, graph, eta=0.8, target=("b",)) == pytest.approx([0.401312, 0.598688], abs=5e-7)
    later = shares(tmp_path, graph, [[7.0, 2.0]], eta=0.8, target=("b",))
    assert later == pytest.approx([0.310026, 0.689974], abs=5e-7)


def test_addition_with_and_without_its_lone_skill_set_apart(tmp_path: Path) -> None:
    assert shares(tmp_path, ADDITION, preset="addition") == pytest.approx([0.327732, 0.344535, 0.327732], abs=5e-7)
    apart = shares(tmp_path, ADDITION, preset="addition", lone_apart=True)
    assert apart == pytest.approx([0.325002, 0.341665, 0.333333], abs=5e-7)


def test_an_exact_one_between_skills_of_a_learnt_graph_stays_one(tmp_path: Path) -> None:
    """The published code halves it, as it has to for graphs of zeros and ones only."""
    whole = shares(tmp_path, [[1, 1.0], [0, 1]], eta=0.5)
    assert whole == pytest.approx([np.e / (np.e + np.exp(0.5)), np.exp(0.5) / (np.e + np.exp(0.5))])
    assert whole[0] > shares(tmp_path, [[1, 0.5], [0, 1]], eta=0.5)[0]


def test_a_prior_changes_the_shares_and_not_the_losses_before_training() -> None:
    """The published code takes the prior for the losses, too."""
    graph = np.array([[1, 0.5], [0, 1]])
    found = proportions(graph, np.ones(2), 0.5, np.array([3.0, 1.0]))
    even = proportions(graph, np.ones(2), 0.5, np.ones(2))
    assert found[0] / found[1] == pytest.approx(3 * even[0] / even[1])


def test_setting_lone_skills_apart_again_and_again_changes_nothing(tmp_path: Path) -> None:
    """The published code writes the shares into its prior, so that they compound from round to round."""
    evaluations = [[1.0, 1.0, 1.0]]
    rounds = [shares(tmp_path, ADDITION, evaluations, preset="addition", lone_apart=True) for _ in range(3)]
    assert rounds[0] == rounds[1] == rounds[2]


@pytest.mark.parametrize(
    ("name", "eta", "steps", "update_every", "evaluate_every"),
    [
        ("lego", 0.5, 6000, 1000, 50),
        ("lego-target", 0.5, 6000, 500, 50),
        ("addition", 0.1, 6000, 1200, 50),
        ("addition-target", 0.1, 6000, 1200, 100),
        ("spanish-qg", 0.8, 600, 100, 100),
        ("stance-detection", 0.5, 600, 100, 100),
        ("natural-instructions", 0.2, 5000, None, 500),
        ("natural-instructions-ood", 0.2, 5000, 500, 500),
    ],
)
def test_the_released_schedules(
    name: str, eta: float, steps: int, update_every: int | None, evaluate_every: int
) -> None:
    schedule = SCHEDULES[name]
    assert (schedule.eta, schedule.steps, schedule.update_every) == (eta, steps, update_every)
    assert (schedule.window, schedule.evaluate_every) == (3, evaluate_every)
