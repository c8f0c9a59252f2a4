from pathlib import Path
from typing import Any

import pytest

from synth.pipelines.runtime.options import Options
from synth.pipelines.runtime.runner import Run
from synth.pipelines.tables.join import Join, columns_read
from synth.schemas.errors import InputError, Stale, UsageError
from tests.pipelines.passing import passed
from tests.rows import Rows, write_rows

QUESTIONS: Rows = [{"id": name, "question": text} for name, text in (("a", "x"), ("b", "y"), ("c", "z"), ("d", None))]
SCORES: Rows = [
    {"id": "s1", "question": "z", "score": 3},
    {"id": "s2", "question": "x", "score": 1},
    {"id": "s3", "question": "x", "score": 2},
    {"id": "s4", "question": None, "score": 0},
]
ON = {"question": "question"}


def joined(folder: Path, **options: Any) -> Rows:
    stage = Join(str(write_rows(folder / "scores.jsonl", SCORES)), **{"on": ON, **options})
    found, _ = passed(stage, [write_rows(folder / "questions.jsonl", QUESTIONS)], folder / "out", fresh=True)
    return found


def test_rows_with_the_same_key_get_the_columns_of_the_other_dataset(tmp_path: Path) -> None:
    assert joined(tmp_path) == [
        {"id": "a/match-1", "question": "x", "score": 1},
        {"id": "a/match-2", "question": "x", "score": 2},
        {"id": "c", "question": "z", "score": 3},
    ]


def test_left_keeps_rows_without_a_match(tmp_path: Path) -> None:
    found = joined(tmp_path, how="left", take={"points": "score"})
    assert [(row["id"], row["points"]) for row in found] == [
        ("a/match-1", 1),
        ("a/match-2", 2),
        ("b", None),
        ("c", 3),
        ("d", None),
    ]


def test_semi_and_anti_only_choose_rows(tmp_path: Path) -> None:
    assert joined(tmp_path, how="semi") == [QUESTIONS[0], QUESTIONS[2]]
    assert joined(tmp_path, how="anti") == [QUESTIONS[1], QUESTIONS[3]]


def test_every_row_of_both_is_accounted_for(tmp_path: Path) -> None:
    source, other = write_rows(tmp_path / "q.jsonl", QUESTIONS), write_rows(tmp_path / "s.jsonl", SCORES)
    counts = Run(Join(str(other), on=ON), [str(source)], tmp_path / "out", Options()).execute().counts
    assert (counts.produced, counts.outputs, counts.reasons) == (2, 3, {"no_match": 2})
    assert counts.tallies["other_rows_without_match"] == 1


def test_keys_may_have_several_columns_and_other_names(tmp_path: Path) -> None:
    ours = write_rows(tmp_path / "ours.jsonl", [{"id": f"r-{i}", "a": i % 2, "b": i % 3} for i in range(6)])
    theirs = write_rows(tmp_path / "theirs.jsonl", [{"x": 1, "b": 2, "found": True}, {"x": 0, "b": 0, "found": False}])
    stage = Join(str(theirs), on=columns_read(("a=x", "b")))
    found, _ = passed(stage, [ours], tmp_path / "out")
    assert [(row["id"], row["found"]) for row in found] == [("r-0", False), ("r-5", True)]


def test_the_output_is_stale_when_the_other_dataset_changes(tmp_path: Path) -> None:
    source, other = write_rows(tmp_path / "q.jsonl", QUESTIONS), write_rows(tmp_path / "s.jsonl", SCORES)
    Run(Join(str(other), on=ON), [str(source)], tmp_path / "out", Options()).execute()
    assert Run(Join(str(other), on=ON), [str(source)], tmp_path / "out", Options()).execute().already_done
    write_rows(other, SCORES[:2])
    with pytest.raises(Stale):
        Run(Join(str(other), on=ON), [str(source)], tmp_path / "out", Options()).execute()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"on": {"questio": "question"}}, "--on questio: the input has no such column, only id, question"),
        ({"on": {"question": "q"}}, "--on q: .* has no such column, only id, question, score"),
        ({"on": {"id": "id"}}, "both datasets have a column question"),
        ({"take": {"score": "scor"}}, "--take scor"),
        ({"how": "semi", "take": {"score": "score"}}, "--take does not apply with --how semi"),
        ({"on": {"question": "score"}, "take": {"score": "score"}}, "--on question=score"),
    ],
)
def test_what_cannot_be_joined_is_a_usage_error(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        joined(tmp_path, **options)


def test_a_missing_other_dataset_is_named(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "q.jsonl", QUESTIONS)
    with pytest.raises(InputError, match="OTHER: nowhere does not exist"):
        Run(Join("nowhere", on=ON), [str(source)], tmp_path / "out", Options()).execute()
