"""Runs and judgements in TREC's format."""

from math import log2
from pathlib import Path

import ir_measures
import pytest

from synth.pipelines.retrieval.trec import MEASURES, measure, read_judgements, read_run, write_run
from synth.schemas.errors import InputError, UsageError

RUN = """\
q1 Q0 d3 1 9.5 tag
q1 Q0 d1 2 7.25 tag

q1 Q0 d9 3 1e-3 tag
q2 Q0 d1 1 -1 tag
q8 Q0 d1 1 4 tag
"""
JUDGEMENTS = "q1 0 d1 2\nq1 0 d9 1\nq1\t0\td4\t1\nq1 0 d3 0\nq2 0 d7 1\nq3 0 d1 1\n"


def refusal(path: Path, content: str | bytes) -> str:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError) as caught:
        (read_run if path.name == "run" else read_judgements)(path)
    return str(caught.value)


def test_the_measures_are_those_of_trec_and_unanswered_queries_count_nothing(tmp_path: Path) -> None:
    (tmp_path / "run").write_text(RUN)
    (tmp_path / "qrels").write_text(JUDGEMENTS)
    values = measure(read_run(tmp_path / "run"), read_judgements(tmp_path / "qrels"))
    gain, ideal = 2 / log2(3) + 1 / log2(4), 2 / log2(2) + 1 / log2(3) + 1 / log2(4)
    assert values == {
        "q1": pytest.approx({"nDCG@10": gain / ideal, "R@100": 2 / 3, "AP": (1 / 2 + 2 / 3) / 3}),
        "q2": dict.fromkeys(MEASURES, 0.0),
        "q3": dict.fromkeys(MEASURES, 0.0),
    }
    peer = ir_measures.calc_aggregate(
        [ir_measures.parse_measure(name) for name in MEASURES],
        ir_measures.read_trec_qrels(str(tmp_path / "qrels")),
        ir_measures.read_trec_run(str(tmp_path / "run")),
    )
    means = {name: sum(value[name] for value in values.values()) / 3 for name in MEASURES}
    assert means == pytest.approx({str(name): value for name, value in peer.items()})


def test_a_bad_line_is_named_with_its_number(tmp_path: Path) -> None:
    run, qrels = tmp_path / "run", tmp_path / "qrels"
    assert "run:2 has 3 columns instead of query, Q0, document, rank, score, tag" in refusal(
        run, "q Q0 d 1 2 t\nq Q0 d\n"
    )
    assert "run:1: the score 'high' is not a number" in refusal(run, "q Q0 d 1 high t\n")
    assert "run:1: the score 'nan' is not a number" in refusal(run, "q Q0 d 1 nan t\n")
    assert "run:3 repeats document d of query q" in refusal(run, "q Q0 d 1 2 t\nr Q0 d 1 2 t\nq Q0 d 2 1 t\n")
    assert "qrels:1: the relevance '1.5' is not a number" in refusal(qrels, "q 0 d 1.5\n")
    assert "qrels has no lines" in refusal(qrels, "\n\n")
    assert "qrels is not UTF-8 text" in refusal(qrels, b"q 0 \xff 1\n")
    with pytest.raises(InputError, match="nowhere cannot be read: No such file"):
        read_run(tmp_path / "nowhere")


def test_a_written_run_has_strictly_falling_scores_and_keeps_its_order(tmp_path: Path) -> None:
    path = tmp_path / "run"
    write_run(path, [("q", "a", 2.5), ("q", "b", 2.5), ("q", "c", 2.5), ("q", "d", 1.0), ("r", "a", 2.5)])
    lines = [line.split() for line in path.read_text().splitlines()]
    assert [(line[0], line[2], line[3]) for line in lines] == [
        ("q", "a", "1"),
        ("q", "b", "2"),
        ("q", "c", "3"),
        ("q", "d", "4"),
        ("r", "a", "1"),
    ]
    scores = [float(line[4]) for line in lines]
    assert scores[0] == scores[4] == 2.5
    assert scores[0] > scores[1] > scores[2] > 2.4999
    assert list(read_run(path)["q"].values()) == scores[:4]


def test_ids_that_the_format_cannot_hold_are_refused_and_nothing_is_left(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'a b' is empty or has white space"):
        write_run(tmp_path / "run", [("q", "a", 1.0), ("q", "a b", 0.5)])
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(UsageError, match=r"--run .* cannot be written"):
        write_run(tmp_path / "none" / "run", [])
