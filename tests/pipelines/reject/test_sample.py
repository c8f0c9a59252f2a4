import json
from pathlib import Path
from typing import Any

import pytest

from synth.pipelines.engines import Answer, Completion, Request
from synth.pipelines.engines.echo import EchoEngine
from synth.pipelines.reject.curve import Curve
from synth.pipelines.reject.sample import FOLDER, SamplePaths
from synth.pipelines.runtime.options import Options
from synth.pipelines.runtime.prompts import Prompt
from synth.pipelines.runtime.runner import Run
from synth.schemas.dataset import Dataset
from synth.schemas.errors import UsageError
from tests.pipelines.scripted import ScriptedTools, process, process_tables

QUESTION: dict[str, Any] = {"id": "q-1", "question": "What is 3 and 4?", "answer": "3+4=<<3+4=7>>7\n#### 7"}
SEVEN, OTHER_SEVEN, EIGHT = "<<3+4=7>>\n#### 7", "<<4+3=7>>\n#### 7", "<<4+4=8>>\n#### 8"


def test_the_defaults_are_those_of_the_paper() -> None:
    tools = ScriptedTools([SEVEN] * 100)
    rows, _, _ = process(SamplePaths(), QUESTION, tools)
    ((prompt, sampling, samples),) = tools.requests
    assert samples == range(100)
    assert (sampling.temperature, sampling.max_tokens, sampling.top_p) == (0.7, 256, 1.0)
    assert isinstance(prompt, str)
    assert prompt.endswith("### Instruction:\nWhat is 3 and 4?\n\n### Response:")
    assert len(rows) == 100


def test_a_path_is_kept_as_the_model_wrote_it() -> None:
    tools = ScriptedTools([SEVEN, ("#### 7\nand so", "length")])
    rows, _, _ = process(SamplePaths(n=2), QUESTION, tools)
    assert rows[1] == {
        "id": "q-1/path-1",
        "query_id": "q-1",
        "query": "What is 3 and 4?",
        "answer": QUESTION["answer"],
        "response": "#### 7\nand so",
        "sample": 1,
        "temperature": 0.7,
        "reasoning": None,
        "model": "scripted",
        "finish_reason": "length",
        "prompt_tokens": 11,
        "completion_tokens": 4,
    }
    assert tools.tallies == {"correct_paths": 2, "distinct_paths": 2}


@pytest.mark.parametrize("answer", [None, "", "He has some.\nI do not know how many.", "He has some.\n#### "])
def test_a_question_without_gold_is_rejected_before_anything_is_generated(answer: str | None) -> None:
    tools = ScriptedTools([])
    rows, _, reject = process(SamplePaths(), {**QUESTION, "answer": answer}, tools)
    assert reject is not None
    assert reject.reason == "no_gold"
    assert rows == []
    assert tools.requests == []


def test_sampling_stops_when_enough_calculations_are_found() -> None:
    tools = ScriptedTools([SEVEN, EIGHT, SEVEN, OTHER_SEVEN, "#### 7", EIGHT])
    rows, _, _ = process(SamplePaths(n=2, until_distinct=2), QUESTION, tools)
    assert [samples for _, _, samples in tools.requests] == [range(2), range(2, 4)]
    assert [row["sample"] for row in rows] == [0, 1, 2, 3]
    assert tools.tallies == {"correct_paths": 3, "distinct_paths": 2}


def test_a_fraction_is_not_taken_for_its_first_digits_when_drawing() -> None:
    question = {**QUESTION, "answer": "#### 7/2"}
    tools = ScriptedTools(["<<7/2=3.5>>\n#### 7", "<<7/3=2.3333>>\n#### 7/3", "<<14/4=3.5>>\n#### 3.5", EIGHT])
    rows, _, _ = process(SamplePaths(n=1, until_distinct=1), question, tools)
    assert len(rows) == 3
    assert tools.tallies == {"correct_paths": 1, "distinct_paths": 1}


def test_other_marks_can_be_read() -> None:
    tools = ScriptedTools(["<<3+4=7>>\nThe answer is 7."])
    process(SamplePaths(n=1, answer_marks=("The answer is",)), QUESTION, tools)
    assert tools.tallies == {"correct_paths": 1, "distinct_paths": 1}


@pytest.mark.parametrize(
    "options", [{"answer_marks": ("A:", "")}, {"answer_marks": (" ",)}, {"answer_marks": ("A:",), "boxed": True}]
)
def test_invalid_marks_are_usage_errors(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="--answer-mark"):
        SamplePaths(**options)


def test_sampling_stops_at_max_samples() -> None:
    tools = ScriptedTools([SEVEN] * 5)
    rows, _, _ = process(SamplePaths(n=2, until_distinct=2, max_samples=5), QUESTION, tools)
    assert [samples for _, _, samples in tools.requests] == [range(2), range(2, 4), range(4, 5)]
    assert len(rows) == 5


def test_a_batch_larger_than_max_samples_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="--max-samples 5; lower -n"):
        SamplePaths(n=6, until_distinct=2, max_samples=5)


def test_a_chat_prompt_can_replace_the_raw_one() -> None:
    tools = ScriptedTools([SEVEN])
    process(SamplePaths(n=1, prompt=Prompt.load("chat", FOLDER)), QUESTION, tools)
    ((prompt, _, _),) = tools.requests
    assert isinstance(prompt, tuple)
    assert [message["role"] for message in prompt] == ["system", "user"]


def test_an_empty_sample_is_filtered_with_a_reason_and_keeps_its_index() -> None:
    tools = ScriptedTools([("", "length"), SEVEN, " \n", ("#### 7", "refused"), EIGHT])
    rows, rejected, reject = process(SamplePaths(n=5), QUESTION, tools)
    assert reject is None
    assert [(row["id"], row["sample"]) for row in rows] == [("q-1/path-1", 1), ("q-1/path-4", 4)]
    assert [(one.row["sample"], one.reason) for one in rejected] == [
        (0, "truncated"),
        (2, "empty_answer"),
        (3, "refused"),
    ]
    assert tools.tallies == {"correct_paths": 1, "distinct_paths": 1}
    # Of the first three samples one is correct, and two have said nothing.
    curve = process_tables(Curve(), rows)
    assert [(row["k"], row["correct_paths"]) for row in curve.rows] == [(1, 0), (3, 1), (5, 1)]


def test_a_question_is_rejected_if_all_its_samples_are_empty() -> None:
    _, rejected, reject = process(SamplePaths(n=2), QUESTION, ScriptedTools([("", "length")] * 2))
    assert [one.reason for one in rejected] == ["truncated"] * 2
    assert reject is not None
    assert (reject.reason, "--max-tokens" in reject.detail) == ("truncated", True)
    _, _, reject = process(SamplePaths(n=2), QUESTION, ScriptedTools([("", "length"), ("", "refused")]))
    assert reject is not None
    assert (reject.reason, reject.detail) == ("nothing_kept", "1 truncated, 1 refused")


class Moody(EchoEngine):
    """Answers batches of two samples; the second batch is blank."""

    def __init__(self) -> None:
        super().__init__()
        self.texts = iter([SEVEN, EIGHT, "", "", OTHER_SEVEN, EIGHT])

    async def answer(self, request: Request) -> Answer:
        return Answer(tuple(Completion(next(self.texts), "stop", 5) for _ in range(request.n)), 11)


def test_sampling_continues_after_a_batch_of_empty_samples(tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text(json.dumps(QUESTION) + "\n")
    stage = SamplePaths(n=2, until_distinct=2)
    counts = Run(stage, [str(tmp_path / "in.jsonl")], tmp_path / "out", Options(), engine=Moody()).execute().counts
    assert (counts.produced, counts.outputs, counts.output_reasons) == (1, 4, {"empty_answer": 2})
    assert Dataset.open(tmp_path / "out").table["sample"].to_pylist() == [0, 1, 4, 5]
