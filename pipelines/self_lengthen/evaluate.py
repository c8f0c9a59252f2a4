"""Responses measured: do they keep the length that was asked for (LonGen), and are they good (arXiv 2410.23933)?"""

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar

from synth.pipelines.engines import Completion, Sampling
from synth.pipelines.runtime.asking import first_readable, warmer_retries
from synth.pipelines.runtime.common_options import MaxTokens, PromptFile, Schema, Tries
from synth.pipelines.runtime.declared import ByOption, Only, Option, shipped
from synth.pipelines.runtime.instructions import with_its_input
from synth.pipelines.runtime.stage import Reject, Row, RowStage, Tools
from synth.pipelines.self_lengthen import words
from synth.pipelines.self_lengthen.longen import CONSTANT, KINDS, bounds, kind_of, score
from synth.schemas.record import Record
from synth.schemas.records import CONSTRAINED_ANSWER, JUDGED, SCORED

__all__ = ["CRITERIA", "EvaluateLengths"]

FOLDER = Path(__file__).parent

CRITERIA = ("relevance", "accuracy", "coherence", "consistency", "clarity", "creativity", "engagement")
MARKS = range(1, 11)
LONGEST_ANALYSIS = 2000
_JUDGEMENT = ("analysis", *CRITERIA, "judge_reasoning")


@dataclass(frozen=True)
class EvaluateLengths(RowStage):
    """Measure whether responses are as long as was asked for (LonGen), and with `--judge`, how good they are.

    Each row with the words of its response and the score of their number; an empty response has 0 words.

    The bounds come from `constraint` alone and never from the instruction, which may write them in another way, or
    hold other numbers. Rejected: `no_constraint`, `no_number`, `unknown_type`.

    Means are reported over all rows and for each type, next to the score that texts of 4,000 words would get: on
    LonGen's own prompts 0.678, so that a score means little by itself.

    With `judge` it also has the marks of a judge, a model that is asked to ignore the length: seven criteria, marks
    from 1 to 10, an analysis before them (the published prompt speaks of six and lists seven). A reply without all
    marks is asked for again; after `tries` of them the row has none, and is counted as not judged, as it is where the
    engine gives no answer (`not_judged_prompt_too_long` and the like).
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

    judge: Annotated[bool, Option("Have the model --model mark the responses, too.")] = False
    prompt: Annotated[PromptFile, Only("judge", True)] = shipped("judge", FOLDER)
    schema: Annotated[Schema, Only("judge", True)] = True
    temperature: Annotated[
        float, Option("Of the judge; at 0, a further try is drawn at 1.", min=0), Only("judge", True)
    ] = 0.0
    max_tokens: Annotated[MaxTokens, Only("judge", True)] = 1024
    tries: Annotated[Tries, Only("judge", True)] = 3

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
        constraint = row["constraint"].strip()
        if not constraint:
            raise Reject("no_constraint", "it is empty")
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
        for name, amount in (
            ("scored", 1.0),
            (kind, 1.0),
            ("words", length),
            ("length_score", scored),
            (f"{kind}_score", scored),
            (f"constant_{CONSTANT}", baseline),
            (f"constant_{CONSTANT}_{kind}", baseline),
        ):
            tools.tally(name, amount)
        marks = await self._marks(row, tools) if self.judge else {}
        yield {**row, "type": kind, "words": length, "length_score": scored, **marks}

    async def _marks(self, row: Row, tools: Tools) -> dict[str, Any]:
        """The columns of the judge."""
        try:
            judgement = await self._judgement(row, tools)
        except Reject as reject:
            tools.tally(f"not_judged_{reject.reason}")
            judgement = {}
        else:
            tools.tally("judged")
            for criterion in CRITERIA:
                tools.tally(criterion, judgement[criterion])
        return {**dict.fromkeys(_JUDGEMENT), **judgement, "judge_model": tools.model}

    async def _judgement(self, row: Row, tools: Tools) -> dict[str, Any]:
        """The analysis, the marks and the reasoning before them, by the names of their columns."""
        prompt = self.prompt.render(instruction=with_its_input(row), response=row["response"], criteria=CRITERIA)
        sampling = Sampling(temperature=self.temperature, max_tokens=self.max_tokens)
        return await first_readable(tools, prompt, warmer_retries(sampling, self.tries), _judgement_in, self._form)

    @cached_property
    def _form(self) -> Mapping[str, Any] | None:
        """The JSON schema of a reply."""
        if not self.schema:
            return None
        mark = {"type": "integer", "minimum": MARKS[0], "maximum": MARKS[-1]}
        parts = {"analysis": {"type": "string", "maxLength": LONGEST_ANALYSIS}, **dict.fromkeys(CRITERIA, mark)}
        return {"type": "object", "properties": parts, "required": list(parts), "additionalProperties": False}


def _judgement_in(completion: Completion) -> dict[str, Any]:
    judgement = {} if completion.no_answer else _read(completion.text)
    if not judgement:
        raise _fault(completion)
    return {**judgement, "judge_reasoning": completion.reasoning}


def _read(reply: str) -> dict[str, Any]:
    """The analysis and the marks in a reply, whatever stands around its JSON object; empty if one is missing."""
    start = reply.find("{")
    try:
        found, _ = json.JSONDecoder(strict=False).raw_decode(reply, max(start, 0))
        given = {str(name).strip().lower(): value for name, value in found.items()}
        marks = {criterion: int(given[criterion]) for criterion in CRITERIA}
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        return {}
    if not all(mark in MARKS for mark in marks.values()):
        return {}
    return {"analysis": str(given.get("analysis") or ""), **marks}


def _fault(completion: Completion) -> Reject:
    if completion.cut:
        return Reject("truncated", completion.cut)
    if completion.no_answer:
        return Reject(*completion.no_answer)
    return Reject("unreadable", f"the reply is {completion.text!r:.300}")
