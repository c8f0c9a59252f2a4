"""Which calls are the same, and how replies are judged: the worked examples of ToolACE-R (arXiv 2504.01400)."""

import json

import pytest

from synth.pipelines.engines import Completion
from synth.pipelines.tools.calls import read_calls, written
from synth.pipelines.tools.measure import Measure
from synth.pipelines.tools.select import SelectTools
from synth.pipelines.tools.task import ToolTask
from synth.pipelines.tools.toolbox import Toolbox
from tests.pipelines.scripted import ScriptedTools, process, process_tables

TOOLS = json.dumps(
    [
        {
            "name": "weather",
            "parameters": {
                "type": "object",
                "properties": {
                    "city": {"type": "string"},
                    "days": {"type": "number", "default": 1},
                    "alerts": {"type": "boolean"},
                },
                "required": ["city"],
            },
        },
        {"name": "time", "parameters": {"type": "object", "properties": {"zone": {"type": "string"}}}},
    ]
)
ROW = {
    "id": "t",
    "tools": TOOLS,
    "turns": "How is the weather in Oslo for two days?",
    "calls": json.dumps([{"name": "weather", "arguments": {"city": "Oslo", "days": 2}}]),
}
RIGHT = '[{"name": "weather", "arguments": {"days": 2, "city": "Oslo"}}]'
WRONG = '[{"name": "weather", "arguments": {"city": "Oslo"}}]'
BOX = Toolbox.read(TOOLS)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("weather(city='a', days=2)", "weather(days=2, city='a')", True),  # the order of arguments
        ("weather(city='a', days=1)", "weather(city='a', days=1.0)", True),  # numbers by value
        ("weather(city='a', days='2')", "weather(city='a', days=2)", False),  # a text is no number
        ("weather(city='a', days=True)", "weather(city='a', days=1)", False),  # nor is a truth value
        ("weather(city='a')", "weather(city='a', days=1)", True),  # the default of an optional argument
        ("weather(city='a')", "weather(city='a', alerts=False)", False),  # which has no default
        ("weather(city='a')", "weather(city='A')", False),  # texts are exact
        ("weather(city='Malm\u00f6')", "weather(city='Malmo\u0308')", True),  # but for their Unicode form
        ("[time(zone='a'), weather(city='b')]", "[weather(city='b'), time(zone='a')]", True),  # the order of calls
        ("[time(), time()]", "[time()]", False),  # how often
        ("[weather(city='a')]", "[time(zone='a')]", False),
    ],
)
def test_calls_are_the_same_by_their_values(one: str, other: str, same: bool) -> None:
    ones, others = (read_calls(text, BOX.names) for text in (one, other))
    assert ones
    assert others
    assert BOX.same(ones, others) is BOX.same(others, ones) is same


def test_the_order_of_calls_matters_where_each_depends_on_the_last() -> None:
    ones, others = (read_calls(text, BOX.names) for text in ("[time(zone='a'), time()]", "[time(), time(zone='a')]"))
    assert BOX.same(ones, others)
    assert not BOX.same(ones, others, ordered=True)
    assert BOX.same(ones, ones, ordered=True)


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (RIGHT, "right"),
        (f"Let me look that up.\n{RIGHT}\nThat is all.", "right"),
        ("I call weather(city='Oslo', days=2) for you.", "right"),
        (WRONG, "wrong_call"),
        ("It is cold in Oslo.", "not_a_call"),
        ("<tool_call>weather in Oslo</tool_call>", "not_a_call"),
        ('[{"name": "forecast", "arguments": {"city": "Oslo"}}]', "unknown_tool"),
        ('[{"name": "weather", "arguments": {"town": "Oslo"}}]', "bad_arguments"),
        ('[{"name": "weather", "arguments": {"city": "Oslo", "days": "two"}}]', "bad_arguments"),
        ("weather('Oslo', 2)", "bad_arguments"),
        ("weather(city=__import__('os').getcwd())", "bad_arguments"),
    ],
)
def test_a_reply_has_a_reason(reply: str, reason: str) -> None:
    assert ToolTask.read(ROW).judge(Completion(reply, "stop", 9)).reason == reason


@pytest.mark.parametrize(
    ("reply", "reason"), [("I know that: it rains.", "right"), ("[]", "right"), (RIGHT, "wrong_call")]
)
def test_no_call_is_right_where_none_is_expected(reply: str, reason: str) -> None:
    task = ToolTask.read({**ROW, "calls": "[]"})
    assert task.judge(Completion(reply, "stop", 9)).reason == reason


@pytest.mark.parametrize(
    "reply",
    [
        f"I will call this:\n<tool_call>\n{RIGHT[1:-1]}\n</tool_call>\nSo {RIGHT} it is.",
        f"Here it is:\n```json\n{RIGHT}\n```\nI called weather(city='Oslo', days=2).",
        "The call is [weather(city='Oslo', days=2)], and nothing else.",
    ],
)
def test_a_call_in_prose_is_found_once(reply: str) -> None:
    assert len(read_calls(reply, BOX.names)) == 1


def measured(right: int, name: str) -> dict[str, object]:
    script = [WRONG] * (8 - right) + [RIGHT] * right
    ((row,), _, rejection) = process(Measure(), {**ROW, "id": name}, ScriptedTools(script))
    assert rejection is None
    return dict(row)


def test_a_model_that_is_right_in_none_three_and_all_of_eight_samples() -> None:
    rows = [measured(0, "none"), measured(3, "three"), measured(8, "all")]
    assert [row["difficulty"] for row in rows] == [0.0, 0.375, 1.0]

    outcome = process_tables(SelectTools(unchanged_share=0.6), rows)
    assert outcome.reasons == {"none": "out_of_reach"}
    lessons = {row["id"]: row for row in outcome.rows}
    assert list(lessons) == ["three/call", "three/corrected", "three/unchanged", "all/call", "all/unchanged"]
    # A wrong answer is followed by the right one, and a right one by itself.
    gold = written(read_calls(ROW["calls"], BOX.names))
    corrected = lessons["three/corrected"]
    assert (corrected["first"], corrected["target"], corrected["changed"]) == (WRONG, gold, True)
    for name in ("three/unchanged", "all/unchanged"):
        unchanged = lessons[name]
        assert (unchanged["first"], unchanged["target"], unchanged["changed"]) == (RIGHT, RIGHT, False)


def test_unchanged_rows_are_a_share_of_the_rows_with_a_first_answer() -> None:
    rows = [measured(3, f"task-{number}") for number in range(14)]
    outcome = process_tables(SelectTools(), rows)
    kinds = [row["kind"] for row in outcome.rows]
    # 6 of 20 are 0.3.
    assert (kinds.count("call"), kinds.count("corrected"), kinds.count("unchanged")) == (14, 14, 6)
    assert len(outcome.filtered) == 8
    assert {one.reason for one in outcome.filtered} == {"enough_unchanged"}
