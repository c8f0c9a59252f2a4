import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from synth.pipelines.engines import Answer, Sampling
from synth.pipelines.runtime.options import Options
from synth.pipelines.runtime.runner import Run
from synth.pipelines.runtime.stage import Reject, Row
from synth.pipelines.self_lengthen.evaluate import CRITERIA, EvaluateLengths
from synth.schemas.errors import InputError, UsageError
from tests.pipelines.passing import passed
from tests.pipelines.scripted import ScriptedTools, process
from tests.rows import write_rows

MARKS = dict(zip(CRITERIA, (9, 8, 7, 6, 5, 4, 10), strict=True))
JUDGEMENT = json.dumps({"analysis": "It is well made, but dry.", **MARKS})
JUDGE = EvaluateLengths(judge=True, schema=False)


def answered(words: int = 3000, **columns: Any) -> dict[str, Any]:
    return {
        "id": "a",
        "instruction": "Write of the sea, in around 3000 words.",
        "response": "sea " * words,
        "constraint": "around 3000 words",
        "type": "about",
        **columns,
    }


def scored(row: Row) -> tuple[Row, ScriptedTools]:
    tools = ScriptedTools([])
    (out,), _, _ = process(EvaluateLengths(), row, tools)
    return out, tools


def why(row: Row) -> str:
    _, _, reject = process(EvaluateLengths(), row, ScriptedTools([]))
    assert isinstance(reject, Reject)
    return reject.reason


def test_a_response_is_scored_by_its_words() -> None:
    assert scored(answered(3000))[0] == {**answered(3000), "words": 3000, "length_score": 1.0}
    assert scored(answered(1800))[0]["length_score"] == pytest.approx(0.5)
    assert scored(answered(0))[0]["length_score"] == 0


def test_beside_the_score_stands_what_4000_words_would_have_scored() -> None:
    _, tools = scored(answered(3000))
    assert tools.tallies["length_score"] == tools.tallies["about_score"] == 1
    assert tools.tallies["constant_4000"] == tools.tallies["constant_4000_about"] == pytest.approx(3 - 8000 / 3600)


def test_the_constraint_is_never_read_from_the_instruction() -> None:
    """In some of LonGen's prompts it is written in another way, or other numbers stand before it."""
    row = answered(3000, instruction="In 5 parts of 100 words, write a three-thousand-word text of 1984.")
    assert scored(row)[0]["length_score"] == 1


def test_the_type_may_be_missing_and_is_then_what_the_constraint_says() -> None:
    assert scored(answered(3000, type=None, constraint="more than 2500 words"))[0]["type"] == "above"
    assert scored(answered(3000, type=" About "))[0]["type"] == "about"


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"constraint": " "}, "no_constraint"),
        ({"constraint": "as long as it takes"}, "no_number"),
        ({"constraint": "around 3000 words", "type": "range"}, "no_number"),
        ({"type": "between"}, "unknown_type"),
    ],
)
def test_a_constraint_that_cannot_be_kept_is_rejected(columns: dict[str, Any], reason: str) -> None:
    assert why(answered(**columns)) == reason


def test_longen_itself_is_read_with_its_columns(tmp_path: Path) -> None:
    row = {"language": "en", "range": "2-4k", "type": "about", "constraint": "around 2000 words", "query": "Write."}
    source = write_rows(tmp_path / "longen.jsonl", [{**row, "response": "sea " * 2000}])
    (out,), _ = passed(EvaluateLengths(), [source], tmp_path / "out")
    assert out == {
        "id": "longen-0",
        "instruction": "Write.",
        "response": row.get("response", "sea " * 2000),
        **{name: row[name] for name in ("language", "range", "type", "constraint")},
        "words": 2000,
        "length_score": 1.0,
    }


def test_without_a_constraint_there_is_nothing_to_evaluate(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "in.jsonl", [{"query": "Write.", "response": "The sea."}])
    with pytest.raises(InputError, match=r"has no column constraint, .*--column constraint=NAME"):
        passed(EvaluateLengths(), [source], tmp_path / "out")


def test_a_session_is_not_a_flat_row_and_is_said_to_lack_its_columns(tmp_path: Path) -> None:
    """The published scripts write flat rows and read sessions."""
    session = {"session": [{"query": "Write.", "response": "The sea."}], "constraint": "about 3 words"}
    lacking = "no column instruction or prompt or query or question, and no column response or answer or output, only"
    with pytest.raises(InputError, match=lacking):
        passed(EvaluateLengths(), [write_rows(tmp_path / "in.jsonl", [session])], tmp_path / "out")


def test_the_run_tells_the_means_of_each_type_and_of_the_baseline(tmp_path: Path) -> None:
    rows = [
        answered(3000, id="a"),
        answered(9000, id="b"),
        answered(3000, id="c", constraint="2000-2500 words", type=None),
    ]
    source = write_rows(tmp_path / "in.jsonl", rows)
    record = Run(EvaluateLengths(), [str(source)], tmp_path / "out", Options()).execute().record
    assert record["means"] == {
        "words": 5000,
        "length_score": pytest.approx((1 + 0 + 0.6) / 3, abs=1e-6),
        "about_score": 0.5,
        "range_score": pytest.approx(0.6),
        "constant_4000": pytest.approx((2 * (3 - 8000 / 3600) + 0) / 3, abs=1e-6),
        "constant_4000_about": pytest.approx(3 - 8000 / 3600, abs=1e-6),
        "constant_4000_range": 0,
    }


def test_a_megabyte_is_scored_too() -> None:
    assert scored(answered(response="海" * 1_000_000))[0]["words"] == 1_000_000


def test_the_judge_gives_seven_marks_and_says_why() -> None:
    tools = ScriptedTools([JUDGEMENT])
    (row,), _, _ = process(JUDGE, answered(), tools)
    assert row == {
        **answered(),
        "words": 3000,
        "length_score": 1.0,
        "analysis": "It is well made, but dry.",
        **MARKS,
        "judge_model": "scripted",
        "judge_reasoning": None,
    }
    assert {name: tools.tallies[name] for name in CRITERIA} == MARKS
    assert tools.tallies["judged"] == 1


def test_the_judge_is_shown_the_text_and_all_criteria_and_told_not_to_mind_the_length() -> None:
    tools = ScriptedTools([JUDGEMENT])
    process(JUDGE, answered(response="The sea is wide."), tools)
    prompt, sampling, _ = tools.requests[0]
    assert not isinstance(prompt, str)
    system, user = prompt
    assert all(f"- {criterion}:" in system["content"] for criterion in CRITERIA)
    assert "seven" in system["content"]
    assert "How long the text is does not count" in system["content"]
    assert "The sea is wide." in user["content"]
    assert sampling.temperature == 0


@pytest.mark.parametrize(
    "reply",
    [
        "It is good.",
        "",
        JUDGEMENT[:-20],
        json.dumps({"analysis": "", **MARKS, "clarity": 11}),
        json.dumps({"analysis": "", **MARKS, "clarity": None}),
        json.dumps({name: mark for name, mark in MARKS.items() if name != "engagement"}),
        "[" * 100_000,
        "{" * 100_000,
    ],
)
def test_a_reply_without_all_marks_is_asked_for_again(reply: str) -> None:
    tools = ScriptedTools([reply, f"My marks:\n```json\n{JUDGEMENT}\n```"])
    (row,), _, _ = process(JUDGE, answered(), tools)
    assert row["engagement"] == 10
    assert [(sampling.temperature, list(samples)) for _, sampling, samples in tools.requests] == [(0, [0]), (1, [1])]


def test_marks_may_be_written_as_text_and_the_analysis_over_several_lines() -> None:
    reply = (
        '{"Analysis": "Good.\nBut dry.", ' + ", ".join(f'"{name.title()}": "{MARKS[name]}"' for name in CRITERIA) + "}"
    )
    (row,), _, _ = process(JUDGE, answered(), ScriptedTools([reply]))
    assert (row["analysis"], row["clarity"]) == ("Good.\nBut dry.", 5)


@pytest.mark.parametrize(
    ("reply", "reason"), [("no marks", "unreadable"), (("{", "length"), "truncated")], ids=["unreadable", "truncated"]
)
def test_a_row_that_cannot_be_judged_keeps_its_length_score(reply: str | tuple[str, str], reason: str) -> None:
    tools = ScriptedTools([reply] * 3)
    (row,), _, _ = process(JUDGE, answered(), tools)
    assert row["length_score"] == 1
    assert {row[name] for name in ("analysis", *CRITERIA)} == {None}
    assert tools.tallies[f"not_judged_{reason}"] == 1
    assert "judged" not in tools.tallies


class Engine(ScriptedTools):
    """Notes the schema that it is asked to hold; without a script every prompt is too long for it."""

    forms: ClassVar[list[Mapping[str, Any] | None]] = []

    async def generate(self, prompt: Any, sampling: Sampling, *, schema: Any = None, **samples: int) -> Answer:
        self.forms.append(schema)
        if not self._script:
            raise Reject("prompt_too_long")
        return await super().generate(prompt, sampling, **samples)


def test_a_text_that_is_too_long_for_the_judge_is_not_judged() -> None:
    tools = Engine([])
    (row,), _, _ = process(JUDGE, answered(), tools)
    assert row["words"] == 3000
    assert tools.tallies["not_judged_prompt_too_long"] == 1


def test_the_engine_is_held_to_an_object_with_the_analysis_first() -> None:
    Engine.forms.clear()
    process(EvaluateLengths(judge=True), answered(), Engine([JUDGEMENT]))
    (form,) = Engine.forms
    assert form is not None
    assert list(form["properties"]) == form["required"] == ["analysis", *CRITERIA]


def test_no_tries_are_refused() -> None:
    with pytest.raises(UsageError, match="--tries 0"):
        EvaluateLengths(judge=True, tries=0)
