import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth.pipelines.runtime.mixtures import Mixture
from synth.pipelines.runtime.options import Options
from synth.pipelines.runtime.runner import Run, Summary
from synth.pipelines.skill_it.skill_it import SkillIt, proportions
from synth.schemas.errors import Stale, SynthError
from tests.rows import Rows, rows_of, write_rows

GRAPH: Rows = [{"skill": "read", "read": 1, "write": 0.5}, {"skill": "write", "read": 0, "write": 1}]
LOSSES: Rows = [
    {"step": step, "skill": skill, "loss": loss}
    for step, losses in ((0, (3, 3)), (50, (2, 1)), (100, (1, 2)))
    for skill, loss in zip(("read", "write"), losses, strict=True)
]


def weighed(folder: Path, rows: Rows, losses: Rows | None = None, **options: Any) -> tuple[Rows, Summary]:
    source = write_rows(folder / "graph.jsonl", rows)
    if losses:
        options["losses"] = str(write_rows(folder / "losses.jsonl", losses))
    stage = SkillIt(**{"eta": 0.5, **options})
    summary = Run(stage, [str(source)], folder / "mixture", Options(fresh=True)).execute()
    return rows_of(folder / "mixture"), summary


def weights(folder: Path, *arguments: Any, **options: Any) -> dict[str, float]:
    return {row["skill"]: row["weight"] for row in weighed(folder, *arguments, **options)[0]}


@given(st.data())
def test_shares_add_up_to_one_and_follow_the_skills(data: st.DataObject) -> None:
    import numpy as np

    k, m = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 6))
    numbers = st.floats(-3, 3, width=32)
    graph = np.array(data.draw(st.lists(st.lists(numbers, min_size=m, max_size=m), min_size=k, max_size=k)))
    losses = np.array(data.draw(st.lists(st.floats(0, 500, width=32), min_size=m, max_size=m)))
    prior = np.array(data.draw(st.lists(st.floats(0.125, 9, width=32), min_size=k, max_size=k)))
    order = np.array(data.draw(st.permutations(range(k))))
    shares = proportions(graph, losses, 0.5, prior)
    assert shares.sum() == pytest.approx(1)
    assert (shares >= 0).all()
    assert proportions(graph[order], losses, 0.5, prior[order]) == pytest.approx(shares[order])


def test_the_mixture_is_a_file_that_mix_reads(tmp_path: Path) -> None:
    rows, _ = weighed(tmp_path, GRAPH, preset="spanish-qg", eta=None)
    mixture = Mixture.read(tmp_path / "mixture" / "mixture.json", "--weights")
    assert mixture.weights == {row["skill"]: row["weight"] for row in rows}
    facts = json.loads((tmp_path / "mixture" / "mixture.json").read_text())
    assert (facts["eta"], facts["window"], facts["steps"]) == (0.8, 3, [])
    assert facts["training"] == {"steps": 600, "update_every": 100, "evaluations": 6, "batch_size": 4}
    assert [row["edges"] for row in rows] == [
        [{"skill": "read", "weight": 1.0}, {"skill": "write", "weight": 0.5}],
        [{"skill": "write", "weight": 1.0}],
    ]


def test_numbers_of_csv_files_are_numbers_and_the_preset_says_what_to_train(tmp_path: Path) -> None:
    (tmp_path / "graph.csv").write_text("skill,read,write\nread,1,0.5\nwrite,0,1\n")
    summary = Run(SkillIt(preset="lego"), [str(tmp_path / "graph.csv")], tmp_path / "out", Options()).execute()
    assert [row["weight"] for row in rows_of(tmp_path / "out")] == pytest.approx([0.562177, 0.437823], abs=1e-6)
    assert summary.remarks == (
        "read    56.22%",
        "write   43.78%",
        "lego: train 1,000 of 6,000 steps on it, in batches of 32; evaluate every 50 steps",
    )


def test_the_last_evaluations_count_whatever_their_order(tmp_path: Path) -> None:
    last_two = weights(tmp_path, GRAPH, LOSSES, window=2)
    assert weights(tmp_path, GRAPH, LOSSES[::-1], window=2) == last_two
    assert weights(tmp_path, GRAPH, LOSSES[2:], window=9) == last_two
    assert weights(tmp_path, GRAPH, LOSSES) != last_two
    assert json.loads((tmp_path / "mixture" / "mixture.json").read_text())["steps"] == [0, 50, 100]


def test_other_losses_make_a_mixture_stale_and_another_place_of_them_does_not(tmp_path: Path) -> None:
    source = str(write_rows(tmp_path / "graph.jsonl", GRAPH))

    def run(file: str, losses: Rows) -> Summary:
        path = str(write_rows(tmp_path / file, losses))
        return Run(SkillIt(eta=0.5, losses=path), [source], tmp_path / "out", Options()).execute()

    run("losses.jsonl", LOSSES)
    assert run("moved/losses.jsonl", LOSSES).already_done
    with pytest.raises(Stale, match="losses was"):
        run("losses.jsonl", LOSSES[2:])


def test_a_mixture_starts_from_the_prior_and_not_from_the_one_before(tmp_path: Path) -> None:
    even = weights(tmp_path, GRAPH)
    prior = weights(tmp_path, GRAPH, prior=Mixture({"write": 3.0, "read": 1.0}))
    assert prior["write"] / prior["read"] == pytest.approx(3 * even["write"] / even["read"])
    rows, summary = weighed(tmp_path, GRAPH, prior=Mixture({"write": 1.0, "read": 0.0}))
    assert [row["weight"] for row in rows] == [0.0, 1.0]
    assert "a skill has no share at all" in summary.remarks


def test_skills_that_are_evaluated_need_not_be_those_that_are_trained(tmp_path: Path) -> None:
    graph = [{"skill": "grammar", "essays": 0.3, "letters": -0.2}, {"skill": "spelling", "essays": 0.1, "letters": 0.4}]
    losses = [{"step": 1, "skill": "essays", "loss": 2.0}, {"step": 1, "skill": "letters", "loss": 0.5}]
    found = weights(tmp_path, graph, losses, eta=1.0)
    assert found["grammar"] / found["spelling"] == pytest.approx(
        2.718281828 ** (0.3 * 2 - 0.2 * 0.5 - 0.1 * 2 - 0.4 * 0.5)
    )
    # Losses on the others may be missing, if only a target counts.
    targeted = weights(tmp_path, graph, losses[:1], eta=1.0, target=("essays",))
    assert targeted["grammar"] / targeted["spelling"] == pytest.approx(2.718281828 ** (0.2 * 2))


PAIRS: Rows = [
    {"skill": "read", "loss": 1.0},
    {"skill": "read", "loss": 2.0},
    {"skill": "write", "trained_with": None, "loss": 2.0},
    {"skill": "write", "trained_with": "read", "loss": 1.9},
    {"skill": "write", "trained_with": "read", "loss": 2.0},
    {"skill": "read", "trained_with": "write", "loss": 1.5},
]


def test_the_graph_is_filled_from_losses_of_pairs(tmp_path: Path) -> None:
    rows, summary = weighed(tmp_path, PAIRS, graph="losses")
    # 1.95 with reading is less than 2 alone; 1.5 with writing is no less than the 1.5 on average alone.
    assert {row["skill"]: {edge["skill"]: edge["weight"] for edge in row["edges"]} for row in rows} == {
        "read": {"read": 1.0, "write": 0.5},
        "write": {"write": 1.0},
    }
    assert summary.counts.produced == len(PAIRS)
    assert summary.counts.tallies == {"edges": 1, "possible_edges": 2, "trained_pairs": 2}
    assert {row["skill"]: row["weight"] for row in rows} == weights(tmp_path, GRAPH)


def test_pairs_that_were_not_trained_have_no_edge_and_are_counted(tmp_path: Path) -> None:
    rows, summary = weighed(tmp_path, [*PAIRS, {"skill": "sing", "loss": 3.0}], graph="losses")
    assert [row["skill"] for row in rows] == ["read", "write", "sing"]
    assert "4 of 6 pairs were not trained, and have no edge" in summary.remarks


@pytest.mark.parametrize(
    ("graph", "said"),
    [
        (
            [[1, 0.2], [0, 15]],
            "the largest share is 992 times the smallest: a smaller --eta makes them more equal",
        ),
        ([[1, 0], [0, 1]], "the graph has 0% of all edges, and so gives hardly any order of the skills"),
        ([[1, 0.5], [0.5, 1]], "the graph has 100% of all edges, and so gives hardly any order of the skills"),
    ],
)
def test_a_graph_that_makes_no_good_mixture_is_warned_of(tmp_path: Path, graph: list[list[float]], said: str) -> None:
    rows = [{"skill": skill, "a": row[0], "b": row[1]} for skill, row in zip("ab", graph, strict=True)]
    _, summary = weighed(tmp_path, rows)
    assert said in summary.remarks


def test_skills_without_edges_are_set_apart_from_those_that_have_some(tmp_path: Path) -> None:
    graph = [
        {"skill": "a", "a": 1, "b": 0.5, "c": 0},
        {"skill": "b", "a": 0, "b": 1, "c": 0},
        {"skill": "c", "a": 0, "b": 0, "c": 1},
    ]
    losses = [{"step": 1, "skill": name, "loss": 9.0 if name == "c" else 1.0} for name in "abc"]
    apart = weights(tmp_path, graph, losses, lone_apart=True)
    assert apart["c"] == pytest.approx(1 / 3)
    assert apart["a"] + apart["b"] == pytest.approx(2 / 3)
    alone = weights(tmp_path, [{"skill": name, "x": 0} for name in "abc"], eta=1.0, lone_apart=True)
    assert alone == pytest.approx(dict.fromkeys("abc", 1 / 3))


@pytest.mark.parametrize(
    ("graph", "options", "message"),
    [
        (GRAPH, {"eta": None}, "--eta is missing"),
        (GRAPH, {"eta": None, "preset": "natural-instructions", "losses": "x"}, "to the end: leave out --losses"),
        (GRAPH, {"preset": "moon"}, "--preset moon: must be one of lego"),
        (GRAPH, {"target": ("sing",)}, "--target sing: the graph evaluates read, write"),
        (GRAPH, {"prior": Mixture({"read": 1.0})}, "--prior: there is no weight of write"),
        ([*GRAPH, GRAPH[0]], {}, "GRAPH: the skill read has several rows"),
        (
            [{"skill": "read", "read": "much"}],
            {},
            "GRAPH: read has 'much' in the column read, where a number is needed",
        ),
        ([{"skill": "a", "a": 1}, {"skill": "b"}], {}, "GRAPH: b has None in the column a"),
        ([{"skill": "read"}], {}, "GRAPH has no column with weights"),
        (PAIRS[3:], {"graph": "losses"}, "there is no loss of write trained alone, to compare that with read with"),
        ([{"skill": "a", "trained_with": "a", "loss": 1.0}], {"graph": "losses"}, "a is trained with itself"),
    ],
)
def test_what_gives_no_mixture_is_refused(tmp_path: Path, graph: Rows, options: dict[str, Any], message: str) -> None:
    with pytest.raises(SynthError, match=message):
        weighed(tmp_path, graph, **options)


@pytest.mark.parametrize(
    ("losses", "message"),
    [
        ([*LOSSES, {"step": 150, "skill": "sing", "loss": 1}], "--losses: sing is none of the skills"),
        ([*LOSSES, LOSSES[0]], "--losses: there are several losses of read at step 0"),
        (LOSSES[:-1], "--losses: there is no loss of write at step 100"),
    ],
)
def test_losses_that_do_not_fit_are_refused(tmp_path: Path, losses: Rows, message: str) -> None:
    with pytest.raises(SynthError, match=message):
        weighed(tmp_path, GRAPH, losses)


def test_losses_that_are_not_there_are_named_with_their_option(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "graph.jsonl", GRAPH)
    with pytest.raises(SynthError, match=r"--losses: nowhere\.jsonl does not exist"):
        Run(SkillIt(eta=0.5, losses="nowhere.jsonl"), [str(source)], tmp_path / "out", Options()).execute()
