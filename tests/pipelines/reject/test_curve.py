from synth.pipelines.reject.curve import Curve
from tests.pipelines.scripted import process_tables, sampled

A, B, WRONG = "<<3+4=7>>\n#### 7", "<<4+3=7>>\n#### 7", "#### 8"


def test_means_over_the_first_k_samples_of_each_question() -> None:
    one = sampled("q-1", A, A, B, WRONG, A)
    other = sampled("q-2", WRONG, A, WRONG, "#### 7", WRONG)
    outcome = process_tables(Curve(), one + other)
    assert outcome.rows == [
        {"id": "k-1", "k": 1, "questions": 2, "correct_paths": 0.5, "distinct_paths": 0.5},
        {"id": "k-3", "k": 3, "questions": 2, "correct_paths": 2.0, "distinct_paths": 1.5},
        {"id": "k-5", "k": 5, "questions": 2, "correct_paths": 3.0, "distinct_paths": 2.0},
    ]


def test_the_samples_of_several_models_count_together() -> None:
    outcome = process_tables(Curve(), sampled("q", A, A, A), sampled("q", B, WRONG, A))
    assert [(row["k"], row["distinct_paths"]) for row in outcome.rows] == [(1, 2.0), (3, 2.0)]


def test_questions_without_gold_do_not_count() -> None:
    outcome = process_tables(Curve(), sampled("q-1", A), sampled("q-2", A, answer=""))
    assert [(row["questions"], row["correct_paths"]) for row in outcome.rows] == [(1, 1.0)]
    assert set(outcome.reasons.values()) == {"no_gold"}


def test_other_marks_can_be_read() -> None:
    paths = sampled("q", "<<3+4=7>>\nA: 7", "<<3+4=7>>\nA: 7/2", A, answer="A: 7")
    outcome = process_tables(Curve(answer_marks=("A:",)), paths)
    assert [(row["k"], row["correct_paths"]) for row in outcome.rows] == [(1, 1.0), (3, 1.0)]


def test_no_samples_give_no_curve() -> None:
    assert process_tables(Curve(), []).rows == []
    assert process_tables(Curve(), sampled("q", A, answer="")).rows == []
