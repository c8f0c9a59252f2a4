"""Score responses by the requested length (LonGen) and, with a judge, by their quality (arXiv 2410.23933)."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

from synth.pipelines.engines import Completion, Sampling
from synth.pipelines.runtime.asking import Ask, Form, warmer_retries
from synth.pipelines.runtime.common_options import MaxTokens, PromptFile, Repairs, Schema, Tries
from synth.pipelines.runtime.declared import ByOption, Only, Option, shipped
from synth.pipelines.runtime.instructions import with_its_input
from synth.pipelines.runtime.stage import Reject, Row, RowStage, Tools, check_not_empty
from synth.pipelines.runtime.text.json_values import first_object
from synth.pipelines.self_lengthen import words
from synth.pipelines.self_lengthen.longen import CONSTANT, KINDS, bounds, kind_of, score
from synth.pipelines.self_lengthen.tries import fault_of
from synth.schemas.record import Record
from synth.schemas.records import CONSTRAINED_ANSWER, JUDGED, SCORED

__all__ = ["CRITERIA", "EvaluateLengths"]

FOLDER = Path(__file__).parent

CRITERIA = ("relevance", "accuracy", "coherence", "consistency", "clarity", "creativity", "engagement")
MARKS = range(1, 11)
MAX_ANALYSIS_LENGTH = 2000
_JUDGEMENT = ("analysis", *CRITERIA, "judge_reasoning")
_MARK = {"type": "integer", "minimum": MARKS[0], "maximum": MARKS[-1]}
_FIELDS = {"analysis": {"type": "string", "maxLength": MAX_ANALYSIS_LENGTH}, **dict.fromkeys(CRITERIA, _MARK)}
FORM = Form.of(_FIELDS)


@dataclass(frozen=True)
class EvaluateLengths(RowStage):
    """Measure whether responses have the requested length (LonGen), and with `--judge`, how good they are.

    Writes each row with the number of words of its response and the length score; an empty response has 0 words.

    Bounds come from `constraint` alone, never from the instruction, which may phrase them differently or contain other
    numbers. Rejected: `no_constraint`, `no_number`, `unknown_type`.

    Means are reported over all rows and for each type, next to the score that texts of 4,000 words would get: on
    LonGen's own prompts 0.678, so a score means little by itself.

    With `judge`, rows also have the marks of a judge, a model asked to ignore length: an analysis, then marks from 1 to
    10 for seven criteria (the published prompt announces six and lists seven). A reply without all marks is requested
    again; after `tries` replies, or if the engine gives no answer, the row has no marks and counts as not judged
    (`not_judged_unreadable`, `not_judged_prompt_too_long`, ...).
    """

    name: ClassVar[str] = "self-lengthen evaluate"
    version: ClassVar[int] = 2
    input: ClassVar[Record] = CONSTRAINED_ANSWER
    output = ByOption("judge", {False: SCORED, True: JUDGED})
    uses_engine = ByOption("judge", {False: False, True: True})
    commands: ClassVar[tuple[str, ...]] = (
        "synth self-lengthen evaluate answers/ scores/",
        "synth self-lengthen evaluate answers/ scores/ --judge --model Qwen/Qwen2.5-72B-Instruct",
    )

    judge: Annotated[bool, Option("Also have the model --model mark the responses.")] = False
    prompt: Annotated[PromptFile, Only("judge", True)] = shipped("judge", FOLDER)
    schema: Annotated[Schema, Only("judge", True)] = True
    temperature: Annotated[
        float, Option("Sampling temperature of the judge; at 0, retries use 1.", min=0), Only("judge", True)
    ] = 0.0
    max_tokens: Annotated[MaxTokens, Only("judge", True)] = 1024
    tries: Annotated[Tries, Only("judge", True)] = 3
    repairs: Annotated[Repairs, Only("judge", True)] = 0

    @property
    def means(self) -> Mapping[str, str]:
        baseline = f"constant_{CONSTANT}"
        return {
            "words": "scored",
            "length_score": "scored",
            **{f"{kind}_score": kind for kind in KINDS},
            baseline: "scored",
            **{f"{baseline}_{kind}": kind for kind in KINDS},
            **(dict.fromkeys(CRITERIA, "judged") if self.judge else {}),
        }

    async def process(self, row: Row, tools: Tools) -> AsyncIterator[Row]:
        check_not_empty(row, "constraint")
        constraint = row["constraint"].strip()
        kind = (row["type"] or "").strip().lower() or kind_of(constraint)
        if kind not in KINDS:
            raise Reject("unknown_type", f"{kind!r:.100} is none of {', '.join(KINDS)}")
        try:
            low, high = bounds(constraint, kind)
        except ValueError as error:
            raise Reject("no_number", str(error)) from error
        length = words.count(row["response"])
        scored = score(length, low, high)
        baseline = score(CONSTANT, low, high)
        tallies = {
            "scored": 1.0,
            kind: 1.0,
            "words": length,
            "length_score": scored,
            f"{kind}_score": scored,
            f"constant_{CONSTANT}": baseline,
            f"constant_{CONSTANT}_{kind}": baseline,
        }
        for name, amount in tallies.items():
            tools.tally(name, amount)
        marks = await self._marks(row, tools) if self.judge else {}
        yield {**row, "type": kind, "words": length, "length_score": scored, **marks}

    async def _marks(self, row: Row, tools: Tools) -> dict[str, Any]:
        """The judge's columns."""
        prompt = self.prompt.render(instruction=with_its_input(row), response=row["response"], criteria=CRITERIA)
        samplings = warmer_retries(Sampling(temperature=self.temperature, max_tokens=self.max_tokens), self.tries)
        try:
            ask = Ask(tools, prompt, FORM if self.schema else None, self.repairs)
            judgement = await ask.first_readable(samplings, _judgement)
        except Reject as reject:
            tools.tally(f"not_judged_{reject.reason}")
            judgement = {}
        else:
            tools.tally("judged")
            for criterion in CRITERIA:
                tools.tally(criterion, judgement[criterion])
        return {**dict.fromkeys(_JUDGEMENT), **judgement, "judge_model": tools.model}


def _judgement(completion: Completion) -> dict[str, Any]:
    judgement = {} if completion.no_answer else _read(completion.text)
    if not judgement:
        raise Reject(*(fault_of(completion, "truncated") or ("unreadable", "the reply has no object with all marks")))
    return {**judgement, "judge_reasoning": completion.reasoning}


def _read(reply: str) -> dict[str, Any]:
    """The analysis and the marks from the JSON object in a reply; empty if a mark is missing or out of range."""
    try:
        given = {name.strip().lower(): value for name, value in first_object(reply).items()}
        marks = {criterion: int(given[criterion]) for criterion in CRITERIA}
    except (ValueError, TypeError, KeyError, OverflowError):
        return {}
    if not all(mark in MARKS for mark in marks.values()):
        return {}
    return {"analysis": str(given.get("analysis") or ""), **marks}
