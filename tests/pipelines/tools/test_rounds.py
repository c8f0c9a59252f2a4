"""Measuring, selecting and answering, with a model that says what it is told to."""

import json
from math import inf
from pathlib import Path
from typing import Any

import pytest

from synth.pipelines.engines import Request
from synth.pipelines.runtime.declared import build
from synth.pipelines.runtime.options import Options
from synth.pipelines.runtime.prompts import Prompt
from synth.pipelines.runtime.runner import Run
from synth.pipelines.tools.answer import AnswerTools
from synth.pipelines.tools.measure import Measure
from synth.pipelines.tools.select import SelectTools
from synth.schemas.errors import EngineFailed, UsageError
from tests.pipelines.mortal import Mortal
from tests.pipelines.scripted import ScriptedTools, process, process_tables
from tests.rows import rejected_of, rows_of, write_rows

TOOLS = [{"name": "find", "description": "It finds.", "parameters": {"type": "object", "properties": {"x": {}}}}]
ROW = {"id": "t", "tools": json.dumps(TOOLS), "turns": "Find 1.", "calls": '[{"name": "find", "arguments": {"x": 1}}]'}
RIGHT, WRONG = "[find(x=1)]", "[find(x=2)]"
AS_JSON = '[{"name": "find", "arguments": {"x": %d}}]'


def measured(*replies: str | tuple[str, str], **columns: str) -> dict[str, Any]:
    ((row,), _, _) = process(Measure(n=len(replies)), {**ROW, **columns}, ScriptedTools(replies))
    return dict(row)


class Talker(Mortal):
    """Finds one more than it is shown, up to `last`."""

    def __init__(self, last: int, answers: float = inf) -> None:
        super().__init__(answers)
        self._last = last
        self.offered: list[bool] = []

    def says(self, request: Request, seed: int) -> str:  # noqa: ARG002
        self.offered.append(bool(request.tools))
        shown = request.prompt[-1]["content"].partition("so far")[2]  # type: ignore[index]
        number = next((at for at in range(9, 0, -1) if f'"x": {at}' in shown), 0)
        return f"find(x={min(number + 1, self._last)})"


def run(stage: Any, folder: Path, engine: Mortal, *rows: Any) -> list[dict[str, Any]]:
    write_rows(folder / "in.jsonl", rows or [{**ROW, "tools": TOOLS}])
    Run(stage, [str(folder / "in.jsonl")], folder / "out", Options(), engine=engine).execute()
    return rows_of(folder / "out")


def test_a_sample_without_a_whole_reply_counts_as_one_that_is_not_right() -> None:
    row = measured(RIGHT, (WRONG, "length"), ("", "stop"), RIGHT)
    assert (row["difficulty"], row["labels"]) == (0.5, ["right", "truncated", "empty_answer", "right"])


def test_a_task_without_a_whole_reply_is_rejected() -> None:
    rows, _, rejection = process(Measure(n=2), ROW, ScriptedTools([(RIGHT, "length")] * 2))
    assert not rows
    assert rejection is not None
    assert rejection.reason == "truncated"


def test_the_prompt_has_the_tools_and_the_whole_conversation() -> None:
    turns = [
        {"role": "system", "content": "Be quick."},
        {"role": "user", "content": "Find something."},
        {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "find", "arguments": {"x": 0}}}]},
        {"role": "tool", "content": "nothing"},
        {"role": "user", "content": "Find 1."},
    ]
    tools = ScriptedTools([RIGHT])
    process(Measure(n=1), {**ROW, "turns": json.dumps(turns)}, tools)
    ((prompt, _, _),) = tools.requests
    assert [message["role"] for message in prompt] == ["system", "user", "assistant", "user"]  # type: ignore[index]
    system, _, made, last = (message["content"] for message in prompt)  # type: ignore[index]
    assert json.dumps(TOOLS[0]) in system
    assert "Be quick." in system
    assert made == AS_JSON % 0
    assert last == "The functions returned:\nnothing\n\nFind 1."


def test_tools_go_to_the_models_own_template_instead_of_the_prompt() -> None:
    tools = ScriptedTools([RIGHT])
    process(Measure(n=1, native=True), ROW, tools)
    assert tools.requests[0][0] == ({"role": "user", "content": "Find 1."},)
    schema = {"additionalProperties": False, "type": "object", "properties": {"x": {}}}
    described = {"name": "find", "description": "It finds.", "parameters": schema}
    assert tools.offered == [({"type": "function", "function": described},)]


def test_the_first_wrong_sample_that_says_something_is_corrected() -> None:
    row = measured(("", "stop"), "I do not know.", RIGHT, WRONG)
    lessons = {lesson["kind"]: lesson for lesson in process_tables(SelectTools(), [row]).rows}
    assert lessons["corrected"]["first"] == "I do not know."
    assert lessons["corrected"]["target"] == AS_JSON % 1


def test_a_lesson_ends_with_the_target_and_shows_the_first_answer_as_the_users() -> None:
    outcome = process_tables(SelectTools(), [measured(WRONG, RIGHT)])
    for lesson in outcome.rows:
        *asked, last = lesson["messages"]
        assert last == {"role": "assistant", "content": lesson["target"]}
        assert [turn["role"] for turn in asked] == ["system", "user"]
        assert lesson["first"] is None or lesson["first"] in asked[-1]["content"]
        (user, answer) = json.loads(lesson["chat"])
        assert user["content"] == asked[-1]["content"]
        assert answer["tool_calls"][0]["function"] == json.loads(lesson["target"])[0]
        assert json.loads(lesson["functions"])[0]["function"]["name"] == "find"


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("labels", ["wrong_call", "wrong_call"], "bad_samples"),
        ("attempts", ["[]"], "bad_samples"),
        ("labels", [None, "right"], "bad_samples"),
        ("responses", [None, RIGHT], "bad_samples"),
        ("attempts", [None, None], "bad_calls"),
        ("tools", "none", "bad_tools"),
    ],
)
def test_samples_from_elsewhere_that_make_no_sense_are_rejected(column: str, value: Any, reason: str) -> None:
    outcome = process_tables(SelectTools(), [{**measured(WRONG, RIGHT), column: value}])
    assert outcome.reasons == {"t": reason}


def test_where_nothing_is_to_be_called_the_models_own_words_may_stay() -> None:
    outcome = process_tables(SelectTools(), [measured("It is known.", WRONG, calls="[]")])
    lessons = {lesson["kind"]: lesson for lesson in outcome.rows}
    assert (lessons["corrected"]["first"], lessons["corrected"]["target"]) == (AS_JSON % 2, "[]")
    assert lessons["unchanged"]["first"] == lessons["unchanged"]["target"] == "It is known."
    assert json.loads(lessons["unchanged"]["chat"])[-1] == {"role": "assistant", "content": "It is known."}


@pytest.mark.parametrize(
    ("between", "kept", "reasons"),
    [
        ((0.0, 1.0), {"half", "all"}, {"none": "out_of_reach"}),
        ((0.0, 0.5), {"half"}, {"none": "out_of_reach", "all": "too_easy"}),
        ((0.5, 1.0), {"all"}, {"none": "out_of_reach", "half": "out_of_reach"}),
    ],
)
def test_tasks_between_the_bounds_are_selected(
    between: tuple[float, float], kept: set[str], reasons: dict[str, str]
) -> None:
    rows = [measured(WRONG, WRONG, id="none"), measured(RIGHT, WRONG, id="half"), measured(RIGHT, RIGHT, id="all")]
    outcome = process_tables(SelectTools(between=between), rows)
    assert {row["task_id"] for row in outcome.rows} == kept
    assert outcome.reasons == reasons


def test_bounds_are_typed_as_two_numbers() -> None:
    assert build(SelectTools, {"between": "0,0.5"}).between == (0.0, 0.5)
    with pytest.raises(UsageError, match=r"--between 0\.5: expected LOW,HIGH"):
        build(SelectTools, {"between": "0.5"})


@pytest.mark.parametrize("between", [(0.5,), (0.5, 0.5), (0.6, 0.5), (0.0, 0.5, 1.0), (-1.0, 1.0)])
def test_bounds_that_hold_nothing_are_refused(between: tuple[float, ...]) -> None:
    with pytest.raises(UsageError, match="--between"):
        SelectTools(between=between)


def test_prompts_of_the_wrong_kind_are_refused() -> None:
    with pytest.raises(UsageError, match="--prompt mine is plain text"):
        Measure(prompt=Prompt("{{ tools }}", "mine"))
    with pytest.raises(UsageError, match="--refine-prompt mine is a chat"):
        AnswerTools(refine_prompt=Prompt("# user\n{{ first }}", "mine"))


def test_a_model_revises_its_answer_until_two_in_a_row_agree(tmp_path: Path) -> None:
    (row,) = run(AnswerTools(), tmp_path, Talker(last=3))
    assert (row["rounds"], row["agreed"], json.loads(row["made"])) == (3, True, json.loads(AS_JSON % 3))
    assert row["labels"] == ["right", "wrong_call", "wrong_call", "wrong_call"]


def test_revisions_end_at_their_limit(tmp_path: Path) -> None:
    (row,) = run(AnswerTools(rounds=2), tmp_path, Talker(last=9))
    assert (row["rounds"], row["agreed"], json.loads(row["made"])) == (2, False, json.loads(AS_JSON % 3))


def test_answers_need_no_right_calls(tmp_path: Path) -> None:
    (row,) = run(AnswerTools(), tmp_path, Talker(last=1), {"tools": TOOLS, "messages": "Find 1."})
    assert (row["rounds"], row["labels"]) == (1, None)


@pytest.mark.parametrize("native", [False, True])
def test_a_run_that_breaks_off_between_revisions_asks_nothing_twice(native: bool, tmp_path: Path) -> None:
    stage = AnswerTools(native=native)
    whole = run(stage, tmp_path / "whole", unbroken := Talker(last=3))
    with pytest.raises(EngineFailed):
        run(stage, tmp_path, Talker(last=3, answers=2))
    rest = Talker(last=3)
    assert run(stage, tmp_path, rest) == whole
    assert (len(unbroken.asked), len(rest.asked)) == (4, 2)
    assert unbroken.offered == [native] * 4


def test_bad_rows_are_rejected_and_the_others_measured(tmp_path: Path) -> None:
    good = {"tools": TOOLS, "messages": "Find 1.", "calls": [{"name": "find", "arguments": {"x": 1}}]}
    bad = [{**good, "tools": "no tools"}, {**good, "calls": "find it"}, {**good, "messages": []}]
    assert len(run(Measure(n=1), tmp_path, Talker(last=1), good, *bad)) == 1
    assert [row["reason"] for row in rejected_of(tmp_path / "out")] == ["bad_tools", "bad_calls", "no_question"]
