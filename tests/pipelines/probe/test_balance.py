"""`probe balance`: where classes come from, which rows are taken, and what cannot be balanced."""

import json
from pathlib import Path
from typing import Any

import pytest

from synth.pipelines.probe.balance import Balance
from synth.pipelines.runtime.options import Options
from synth.pipelines.runtime.runner import Run, Summary
from synth.schemas.errors import InputError, Stale, UsageError
from tests.command import synth, type_synth
from tests.pipelines.passing import passed, shards
from tests.rows import Rows, rows_of, write_rows

FEW = [{"id": f"few-{n}", "question": f"Is it {n} now?"} for n in range(5)]
MANY = [{"id": f"many-{n}", "question": f"Was it {n}?"} for n in range(20)]
WISHES = [{"id": place, "wish": f"Search for it, please, in {place}."} for place in ("books", "papers", "the news")]


def classed(*labels: int | None, criterion: str = "time") -> Rows:
    return [{"id": f"row-{n}", "question": f"What is {n}?", criterion: label} for n, label in enumerate(labels)]


def balanced(folder: Path, rows: Rows, criterion: str = "time", **options: Any) -> Summary:
    source = write_rows(folder / "rows.jsonl", rows)
    return Run(Balance(criterion, **options), [str(source)], folder / "out", Options(fresh=True)).execute()


def labels(rows: Rows) -> list[int]:
    return sorted(row["label"] for row in rows)


@pytest.mark.parametrize("criterion", ["intent", "knowledge", "time", "self"])
def test_classes_are_those_in_the_column_of_the_criterion(tmp_path: Path, criterion: str) -> None:
    rows = [{**row, "need_retrieve": True} for row in classed(0, 0, 1, 0, 1, criterion=criterion)]
    summary = balanced(tmp_path, rows, criterion)
    made = rows_of(tmp_path / "out")
    assert labels(made) == [0, 0, 1, 1]
    given = {row["id"]: row for row in rows}
    for row in made:
        assert row == {
            "id": row["id"],
            "question": given[row["id"]]["question"],
            "criterion": criterion,
            "label": given[row["id"]][criterion],
            "need_retrieve": True,
            "wish": None,
            "position": None,
        }
    assert (summary.counts.reasons, summary.remarks) == ({"not_taken": 1}, ("2 rows of each class",))


def test_no_more_are_taken_than_asked_for_and_a_lack_is_said(tmp_path: Path) -> None:
    assert balanced(tmp_path, classed(*[0, 1] * 9), n=4).remarks == ("4 rows of each class",)
    assert labels(rows_of(tmp_path / "out")) == [0] * 4 + [1] * 4
    assert balanced(tmp_path, classed(0, 1, 1), n=4).remarks == (
        "1 row of each class",
        "3 fewer than -n 4: a class has too few",
    )


def test_rows_and_their_order_follow_from_seed_and_ids(tmp_path: Path) -> None:
    rows = classed(*[0, 1] * 200, *[1] * 100)
    source = write_rows(tmp_path / "rows.jsonl", rows)
    turned = write_rows(tmp_path / "turned.jsonl", rows[::-1])
    first, _ = passed(Balance("time"), [source], tmp_path / "first")
    assert passed(Balance("time"), [turned], tmp_path / "turned-out")[0] == first
    other, _ = passed(Balance("time"), [source], tmp_path / "other", seed=1)
    assert {row["id"] for row in other} != {row["id"] for row in first}
    # Shuffled: the classes do not come one after the other.
    assert 60 < sum(row["label"] for row in first[:200]) < 140


def test_rows_without_a_class_or_a_question_are_rejected(tmp_path: Path) -> None:
    rows = [*classed(0, 1, None, 7, -1), {"id": "blank", "question": " ", "time": 0}]
    source = write_rows(tmp_path / "rows.jsonl", rows)
    made, rejected = passed(Balance("time"), [source], tmp_path / "out")
    assert labels(made) == [0, 1]
    assert [(row["id"], row["reason"], row["detail"]) for row in rejected] == [
        ("row-2", "no_class", "time is null, where 0 or 1 is needed"),
        ("row-3", "bad_class", "time is 7, where 0 or 1 is needed"),
        ("row-4", "bad_class", "time is -1, where 0 or 1 is needed"),
        ("blank", "no_question", "the question is blank"),
    ]


def test_a_question_in_both_classes_is_in_neither(tmp_path: Path) -> None:
    rows = classed(0, 1, 0, 1, 1)
    rows[0]["question"], rows[1]["question"], rows[4]["question"] = "Who  leads?", "who leads?", "Who leads?"
    made, rejected = passed(Balance("time"), [write_rows(tmp_path / "rows.jsonl", rows)], tmp_path / "out")
    assert sorted(row["id"] for row in made) == ["row-2", "row-3"]
    assert {row["id"]: row["detail"] for row in rejected} == {
        "row-0": "row-1 is the same question in the other class",
        "row-1": "row-0 is the same question in the other class",
        "row-4": "row-0 is the same question in the other class",
    }


def test_negative_datasets_are_the_other_class_whatever_their_other_columns_are(tmp_path: Path) -> None:
    few = write_rows(tmp_path / "few.jsonl", [{**row, "answer": ["Ada"]} for row in FEW])
    many = write_rows(tmp_path / "many.jsonl", [{**row, "answer": {"value": "Ada"}} for row in MANY])
    more = write_rows(tmp_path / "more.jsonl", [{"id": "few-0", "query": "Who else?"}])
    # The negative ones are read after the input.
    synth("probe", "balance", few, tmp_path / "out", "--criterion", "time", "--negative", many, "--negative", more)
    rows = rows_of(tmp_path / "out")
    assert labels(rows) == [0] * 5 + [1] * 5
    assert {row["id"] for row in rows if row["label"] == 0} == {f"few-{n}/source-1" for n in range(5)}
    assert all(row["id"].endswith(("/source-2", "/source-3")) for row in rows if row["label"] == 1)


def test_an_input_that_becomes_negative_is_another_run(tmp_path: Path) -> None:
    few, more = write_rows(tmp_path / "few.jsonl", classed(0, 1)), write_rows(tmp_path / "more.jsonl", FEW)
    passed(Balance("time"), [few, more], tmp_path / "out")
    with pytest.raises(Stale, match="negative"):
        passed(Balance("time", negative=(str(more),)), [few, more], tmp_path / "out")


def test_wishes_are_added_to_half_of_the_questions_with_their_inputs(tmp_path: Path) -> None:
    wishes = write_rows(tmp_path / "wishes.jsonl", WISHES)
    rows = [{"instruction": f"Sum up text {n}.", "input": f"It is {n}.", "need_retrieve": False} for n in range(61)]
    summary = balanced(tmp_path, rows, "intent", intents=str(wishes))
    made = rows_of(tmp_path / "out")
    assert labels(made) == [0] * 30 + [1] * 30
    assert summary.counts.reasons == {"not_taken": 1}
    texts = {f"Sum up text {n}.\n\nIt is {n}." for n in range(61)}
    for row in made:
        assert row["question"].replace(row["wish"] or "", "").strip() in texts
        assert row["need_retrieve"] is (row["label"] == 0)
    # Each wish comes in both places.
    assert len({(row["wish"], row["position"]) for row in made if row["wish"]}) == 6


def test_other_wishes_are_another_run(tmp_path: Path) -> None:
    wishes, rows = tmp_path / "wishes.jsonl", write_rows(tmp_path / "rows.jsonl", MANY)
    write_rows(wishes, WISHES)
    passed(Balance("intent", intents=str(wishes)), [rows], tmp_path / "out")
    before = shards(tmp_path / "out")
    moved = wishes.rename(tmp_path / "moved.jsonl")
    passed(Balance("intent", intents=str(moved)), [rows], tmp_path / "out")
    assert shards(tmp_path / "out") == before
    write_rows(moved, WISHES[:2])
    with pytest.raises(Stale, match="intents"):
        passed(Balance("intent", intents=str(moved)), [rows], tmp_path / "out")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (MANY, "no row has a class in a column time: let `synth probe label` find it, .* --negative$"),
        (classed(0, 0, None), "2 are of class 0 by time and 0 of class 1: a balanced set needs both"),
        (classed(1), "0 are of class 0 by time and 1 of class 1"),
        ([{"text": "Who?", "time": 0}], "has no column question or query or instruction or prompt"),
        ([{"question": "Who?", "time": "late"}], "time is the text 'late' .* --column time=NAME"),
    ],
)
def test_what_cannot_be_balanced_is_refused(tmp_path: Path, rows: Rows, message: str) -> None:
    with pytest.raises((InputError, UsageError), match=message):
        balanced(tmp_path, rows)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("wishes", [[], [{"wish": " "}], [{"number": 3}]])
def test_unusable_wishes_are_refused(tmp_path: Path, wishes: Rows) -> None:
    file = write_rows(tmp_path / "wishes.jsonl", wishes)
    with pytest.raises(InputError, match="wish"):
        balanced(tmp_path, MANY, "intent", intents=str(file))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "--criterion is missing: the criterion"),
        (("--criterion", "mood"), "--criterion mood: must be one of intent, knowledge, time, self"),
        (("--criterion", "time", "--intents", "wishes.jsonl"), "--intents makes questions for --criterion intent"),
        (("--criterion", "intent", "--intents", "gone.jsonl"), "--intents: gone.jsonl"),
        (("--criterion", "intent", "--intents", "wishes.jsonl", "--negative", "rows.jsonl"), "leave one of them out"),
        (("--criterion", "time", "--negative", "gone.jsonl"), "gone.jsonl"),
    ],
)
def test_options_that_do_not_fit_are_refused(tmp_path: Path, words: tuple[str, ...], message: str) -> None:
    write_rows(tmp_path / "rows.jsonl", MANY)
    write_rows(tmp_path / "wishes.jsonl", WISHES)
    done = type_synth("probe", "balance", "rows.jsonl", "out", *words, folder=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_the_set_loads_as_what_a_classifier_is_trained_on(tmp_path: Path) -> None:
    balanced(tmp_path, classed(0, 1, 1, 0))
    exported = tmp_path / "set.jsonl"
    synth("export", tmp_path / "out", exported, "--columns", "question,label")
    assert [set(json.loads(line)) for line in exported.read_text().splitlines()] == [{"question", "label"}] * 4
