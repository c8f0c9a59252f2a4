"""Every stage that asks a model, each with an input row and what a model answers."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from synth.pipelines.augment.evolve import EVOLUTIONS, Evolve
from synth.pipelines.augment.respond import Respond
from synth.pipelines.case2code.evaluate import EvaluateFunctions
from synth.pipelines.case2code.inputs import Inputs
from synth.pipelines.challenge.patterns import SummarizeFailures
from synth.pipelines.character.perform import Perform
from synth.pipelines.character.protect import Protect
from synth.pipelines.character.scenes import Scenes
from synth.pipelines.dstc.pairs import Pairs
from synth.pipelines.instag.tag import Tag
from synth.pipelines.probe.known import ProbeSelf
from synth.pipelines.probe.label import LabelNeeds
from synth.pipelines.prompted.judge import Judge
from synth.pipelines.prompted.map import Map
from synth.pipelines.rank.sample import SampleResponses
from synth.pipelines.rank.score import ScoreResponses
from synth.pipelines.reject.sample import SamplePaths
from synth.pipelines.runtime.prompts import Prompt
from synth.pipelines.runtime.stage import RowStage
from synth.pipelines.self_correction.correct import Correct
from synth.pipelines.self_evolution.evolve import RefineSelf
from synth.pipelines.self_evolution.skills import Skills
from synth.pipelines.self_lengthen.constrain import Constrain
from synth.pipelines.self_lengthen.draft import DraftResponses
from synth.pipelines.self_lengthen.evaluate import CRITERIA, EvaluateLengths
from synth.pipelines.self_lengthen.extend import Extend
from synth.pipelines.self_lengthen.instruct import Instruct
from synth.pipelines.tools.answer import AnswerTools
from synth.pipelines.tools.measure import Measure
from tests.jails import why_not
from tests.pipelines.challenge.made import failures, found, pattern, question, questions, refine
from tests.pipelines.character import acting
from tests.pipelines.query_of_cc.talking import attentive, small
from tests.pipelines.self_lengthen.writing import prose

__all__ = ["CASES", "Case", "Says", "each_stage", "solutions"]

Says = Callable[[str, int], str]


@dataclass(frozen=True)
class Case:
    """A stage, one input row, and what a model answers to a prompt as the sample of a seed."""

    stage: RowStage
    row: Mapping[str, Any]
    says: Says
    # Columns of its output that hold reasoning.
    reasoning: tuple[str, ...] = ("reasoning",)
    # A row that it gives without any answer, with the tally or the label that says so.
    without_answer: str | None = None
    runs_programs: bool = False
    # Input rows after the first, where the stage looks at all of them.
    further_rows: tuple[Mapping[str, Any], ...] = ()

    @property
    def rows(self) -> list[Mapping[str, Any]]:
        return [self.row, *self.further_rows]


def evolutions(_: str, seed: int) -> str:
    return "\n".join(f"{i}. **{name}**: What is {seed}+{i}?" for i, name in enumerate(EVOLUTIONS, 1))


def solutions(_: str, seed: int) -> str:
    return ("2+3=<<2+3=5>>5\n#### 5", "3+2=<<3+2=5>>5\n#### 5", "#### 7", "I cannot tell.")[seed % 4]


def verified(asked: str, seed: int) -> str:
    if "[begin of the answer]" in asked:
        return f"I count again.\nVerdict: {'correct' if 'The answer is 5.' in asked else 'incorrect'}"
    return ("The answer is 7.", "2+3 is 5.\nThe answer is 5.", "I cannot tell.")[seed % 3]


def reviewed(asked: str, seed: int) -> str:
    if "[begin of the review]" in asked:
        return f"2+3 is 5, as {seed} fingers show."
    return f"It is {seed}." if "[begin of the answer]" not in asked else "It holds.\nVerdict: correct\nAnswer: It is 5."


def programs(asked: str, seed: int) -> str:
    tests = ("assert solution(3) == 3", "assert solution(-3) == 3", "assert solution(0) == 0")
    codes = ("abs(x)", "x", "x + 1", "x +")
    text = tests[seed % 3] if "Write a test" in asked else f"def solution(x):\n    return {codes[seed % 4]}"
    return f"```python\n{text}\n```"


def shouts(_: str, seed: int) -> str:
    body = ("word.upper()", "word", "word +", "word.title()", None)[seed % 5]
    return f"```python\ndef shout(word):\n    return {body}\n```" if body else "I cannot tell."


def of_patterns(asked: str, _: int) -> str:
    if asked.startswith("write: "):
        return json.dumps({"questions": [f"How many {word} are in it?" for word in ("kings", "leaves")]})
    return json.dumps({"description": "It counts.", "suggestion": "Count."}) if "sharpen" in asked else "Nine."


def instructions(asked: str, seed: int) -> str:
    return "Yes." if asked.startswith("Suited?") else prose(1, 1, about=seed)


TOOL_ROW = {
    "tools": [{"name": "weather", "parameters": {"city": {"type": "string"}, "days": {"type": "integer"}}}],
    "messages": "How will it be in Oslo for two days?",
    "calls": [{"name": "weather", "arguments": {"city": "Oslo", "days": 2}}],
}
CASES = {
    "augment evolve": Case(Evolve(), {"query": "What is 2+3?"}, evolutions),
    "augment respond": Case(Respond(), {"query": "What is 2+3?"}, solutions),
    "reject sample": Case(SamplePaths(n=8), {"question": "What is 2+3?", "answer": "#### 5"}, solutions),
    "refine skills": Case(Skills(), {"prompt": "What is 2+3?", "response": "It is 6."}, reviewed),
    "refine self": Case(RefineSelf(answers=2), {"prompt": "What is 2+3?"}, reviewed),
    "refine correct": Case(Correct(n=6, verify="model"), {"question": "What is 2+3?", "answer": "#### 5"}, verified),
    "query-of-cc bootstrap": Case(small(rounds=2), {"domain": "cooking", "text": "soup"}, attentive),
    "instag tag": Case(
        Tag(prompt=Prompt("# user\n{{ query }}", "bare")),
        {"instruction": "Translate this."},
        lambda *_: '[{"tag": "translation", "explanation": "It says so."}]',
        reasoning=(),
    ),
    "case2code inputs": Case(
        Inputs(),
        {"source_id": "s", "code": "def shout(word):\n    return word.upper()\n", "func_name": "shout"},
        lambda _, seed: f"```python\nexamples = [dict(word='a'), dict(word='{seed}'), dict(x=1)]\n```",
    ),
    "case2code evaluate": Case(
        EvaluateFunctions(n=5, temperature=0.5, seconds=2.0),
        {
            "prompt": "Which function is it?",
            "output": "",
            "code": "def shout(word):\n    return word.upper()\n",
            "func_name": "shout",
            "example_inputs": ["dict(word='a')", "dict(word='bc')"],
            "example_outputs": [{"return": "'A'", "error": None}, {"return": "'BC'", "error": None}],
            "shown": [0],
        },
        shouts,
        reasoning=("reasonings",),
        without_answer="labels",
        runs_programs=True,
    ),
    "dstc": Case(
        Pairs(n_code=4, n_tests=3, min_tests=1, seconds=2.0),
        {"instruction": "Give what is left without the sign."},
        programs,
        reasoning=("chosen_reasoning", "rejected_reasoning"),
        runs_programs=True,
    ),
    "character scenes": Case(
        Scenes(prompt=acting.SCENES, requests=2),
        {"profile": "# Ada Lane\n\nShe keeps bees."},
        lambda _, seed: acting.scenes(2, f"Place {seed}"),
    ),
    "character perform": Case(
        Perform(prompt=acting.SCRIPT),
        {column: acting.SCENE[column] for column in ("name", "profile", "type", "location", "background")},
        lambda *_: acting.script(),
    ),
    "character protect": Case(
        Protect(prompt=acting.SCRIPT),
        {"profile": "# Ada Lane\n\nShe keeps bees."},
        lambda *_: acting.script(),
    ),
    "rank sample": Case(
        SampleResponses(),
        {"query": "How wide is it?"},
        lambda _, seed: f"It is {seed} wide.",
        reasoning=("reasonings",),
    ),
    "rank score": Case(
        ScoreResponses(),
        {"query": "How wide is it?", "responses": ["Very.", "Who knows."]},
        lambda *_: '{"reason": "The other one evades it.", "1": 4, "2": 7}',
        reasoning=(),
    ),
    "challenge patterns": Case(SummarizeFailures(schema=False), failures(1)[0], lambda *_: found(("counting", [1]))),
    "challenge questions": Case(questions(schema=False), pattern(), of_patterns),
    "challenge refine": Case(refine(question(1, False), question(2, True), schema=False), pattern(), of_patterns),
    "map": Case(Map(Prompt("# user\n{{ topic }}", "bare")), {"topic": "the sea"}, lambda *_: "It is wide."),
    "judge": Case(
        Judge(Prompt("Is it wide? {{ topic }}", "rubric"), votes=2),
        {"topic": "the sea"},
        lambda *_: '{"reason": "It is.", "score": 4}',
        reasoning=(),
    ),
    "probe self": Case(
        ProbeSelf(n=4),
        {"question": "What is a lure?", "answers": ["decoy"]},
        lambda _, seed: "It is a decoy." if seed % 2 else "It is a trap.",
        reasoning=(),
    ),
    "probe label": Case(
        LabelNeeds(),
        {"question": "Who is the mayor?", "self": 0},
        lambda *_: '{"reason": "It changes.", "intent": "no", "knowledge": "yes", "time": "yes"}',
        reasoning=(),
    ),
    "refine tools": Case(
        Measure(n=4), TOOL_ROW, lambda _, seed: f"[weather(city='Oslo', days={seed % 3})]", reasoning=("reasonings",)
    ),
    "refine tools answer": Case(
        AnswerTools(), TOOL_ROW, lambda asked, _: f"weather(city='Oslo', days={2 + asked.count('so far')})"
    ),
    "self-lengthen instruct": Case(
        Instruct(judge_prompt=Prompt("# user\nSuited? {{ instruction }}", "judge"), n=6, tries=2),
        {"instruction": "Write about the sea.", "language": "en"},
        instructions,
        further_rows=({"instruction": "Tell the story of a bridge.", "language": "en"},),
    ),
    "self-lengthen draft": Case(
        DraftResponses(tries=3),
        {"instruction": "Write about the sea."},
        lambda _, seed: prose(2, about=seed) if seed % 3 else "It ends in the",
    ),
    "self-lengthen extend": Case(
        Extend(tries=2, rounds=2),
        {"instruction": "Write about the sea.", "response": prose(3, about="draft")},
        lambda _, seed: prose(6, about=seed),
    ),
    "self-lengthen constrain": Case(
        Constrain(
            prompt=Prompt("# user\n{{ instruction }} ({{ constraint }})", "bare"), min_words=20, max_words=200, base=20
        ),
        {"instruction": "Write about the sea.", "response": prose(5)},
        lambda asked, seed: asked if seed % 2 else "Write about the sea.",
        reasoning=("rewriter_reasoning",),
    ),
    "self-lengthen evaluate": Case(
        EvaluateLengths(judge=True),
        {"instruction": "Write.", "response": prose(5), "constraint": "around 100 words", "type": "about"},
        lambda *_: json.dumps({"analysis": "It is dry.", **dict.fromkeys(CRITERIA, 7)}),
        reasoning=("judge_reasoning",),
        without_answer="tallies",
    ),
}

NO_JAIL = why_not("bwrap")
each_stage = pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.skipif(bool(NO_JAIL and case.runs_programs), reason=f"no jail: {NO_JAIL}"))
        for name, case in CASES.items()
    ],
)
