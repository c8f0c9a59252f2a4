"""`synth rank pairs` makes preference pairs of ranked sets."""

from pathlib import Path
from typing import Any

import pytest

from synth.pipelines.rank.pairs import PairResponses
from synth.schemas.errors import InputError, UsageError
from tests.command import synth
from tests.pipelines.rank.judges import ran
from tests.rows import Rows, rejected_of, rows_of, write_rows

SET: dict[str, Any] = {
    "id": "a",
    "query": "Name a bird.",
    "responses": ["Bird", "A wren.", "No"],
    "scores": [0.2, 0.9, -0.5],
    "sources": ["small", "large", None],
    "reasonings": [None, "One that sings.", None],
    "system": "Be brief.",
}


def ids(folder: Path) -> list[str]:
    return [row["id"] for row in rows_of(folder / "out")]


def test_a_pair_has_both_responses_and_all_that_is_known_of_them(tmp_path: Path) -> None:
    summary = ran(tmp_path, PairResponses(pairs="best-worst"), [SET])
    assert rows_of(tmp_path / "out") == [
        {
            "id": "a/pair-2-3",
            "query_id": "a",
            "prompt": "Name a bird.",
            "system": "Be brief.",
            "chosen": "A wren.",
            "rejected": "No",
            "margin": 1.4,
            "chosen_score": 0.9,
            "rejected_score": -0.5,
            "chosen_source": "large",
            "rejected_source": None,
            "chosen_reasoning": "One that sings.",
            "rejected_reasoning": None,
        }
    ]
    assert summary.record["means"] == {"margin": 1.4}


def test_the_pairs_are_those_that_are_asked_for(tmp_path: Path) -> None:
    ran(tmp_path, PairResponses(), [SET])
    assert ids(tmp_path) == ["a/pair-1-3", "a/pair-2-1", "a/pair-2-3"]
    ran(tmp_path, PairResponses(pairs="adjacent"), [SET])
    assert ids(tmp_path) == ["a/pair-2-1", "a/pair-1-3"]
    rows = [SET, {**SET, "id": "b", "scores": [1, 2, 3]}, {**SET, "id": "c", "query": " "}]
    summary = ran(tmp_path, PairResponses(min_margin=1.5), rows)
    assert ids(tmp_path) == ["b/pair-3-1"]
    assert summary.counts.reasons == {"no_pair": 1, "no_query": 1}
    assert rejected_of(tmp_path / "out")[0]["detail"] == "the largest margin is 1.4"


def test_a_response_keeps_its_number_when_others_are_filtered(tmp_path: Path) -> None:
    ran(tmp_path, PairResponses(), [{**SET, "responses": ["", "A wren.", "No"]}])
    assert ids(tmp_path) == ["a/pair-2-3"]
    assert [row["reason"] for row in rejected_of(tmp_path / "out")] == ["empty_response"]


def test_the_input_of_an_instruction_is_part_of_the_prompt(tmp_path: Path) -> None:
    rows: Rows = [{"instruction": "Put into Welsh.", "input": "Good night", "responses": ["a", "b"], "scores": [1, 2]}]
    ran(tmp_path, PairResponses(), rows)
    assert rows_of(tmp_path / "out")[0]["prompt"] == "Put into Welsh.\n\nGood night"


def test_scores_that_are_missing_are_named_and_a_negative_margin_is_refused(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "in.jsonl", [{"query": "Name a bird.", "responses": ["a", "b"]}])
    with pytest.raises(InputError, match=r"no column scores, .*--column scores=NAME"):
        synth("rank", "pairs", source, tmp_path / "out")
    with pytest.raises(UsageError, match="--min-margin -1: must be at least 0"):
        PairResponses(min_margin=-1)
