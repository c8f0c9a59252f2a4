"""Find how often each pattern misleads the model, and sharpen it by that (Self-Challenge, arXiv 2408.08978)."""

import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

import pyarrow as pa

from synth.pipelines.challenge.given import GivenRows, rows_given_by
from synth.pipelines.challenge.naming import same_name
from synth.pipelines.challenge.rates import FailureRate
from synth.pipelines.challenge.replies import MARK, SHARPER, read_mark, read_sharper
from synth.pipelines.engines import Sampling
from synth.pipelines.runtime.asking import Ask, gather_settled, warmer_retries
from synth.pipelines.runtime.common_options import MaxTokens, PromptFile, Repairs, Schema, Temperature, Tries
from synth.pipelines.runtime.declared import Only, Option, shipped
from synth.pipelines.runtime.prompts import Prompt
from synth.pipelines.runtime.stage import Reject, Row, RowStage, Tools, check_not_empty
from synth.schemas.errors import InputError
from synth.schemas.phrases import plural
from synth.schemas.record import Record
from synth.schemas.records import MARKED, PATTERN

__all__ = ["RefinePatterns"]

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class RefinePatterns(RowStage):
    """Give each pattern its failure rate, and have the model sharpen it by the marks of its questions.

    `questions` are those that `challenge questions` wrote, with `correct` filled, and `feedback` and `gold` where there
    is something to say. They belong to the pattern with their name. The mark alone says whether an answer is right: in
    the published benchmark answers that differ from `gold` are marked right, and some that equal it wrong. With
    `judge`, the model marks those that nobody has marked; it may be blind to its own errors, so this is off by default.

    A pattern gets the number of its marked answers, how many of them are wrong, their share and its 95 % interval. If
    `min_n` or more are marked and less than `min_rate` of them are wrong, it is rejected as `not_hard`. The model is
    shown the others with `shown` of the wrong and of the right answers, drawn at random, and writes a sharper
    description and suggestion. The name stays, so that later marks count, too. A pattern of which no question is marked
    stays as it is (`not_marked`); one that lacks a text is rejected as `no_name`, `no_description` or `no_suggestion`.
    """

    name: ClassVar[str] = "challenge refine"
    input: ClassVar[Record] = PATTERN
    output: ClassVar[Record] = PATTERN
    uses_engine: ClassVar[bool] = True
    commands: ClassVar[tuple[str, ...]] = (
        "synth challenge refine patterns/ sharper/ --questions marked.jsonl --model Qwen/Qwen2.5-7B-Instruct",
        "synth challenge refine patterns/ sharper/ --questions questions/ --judge --model Qwen/Qwen2.5-7B-Instruct",
    )

    questions: Annotated[
        GivenRows,
        Option("Questions with answers and marks.", metavar="INPUT", read=rows_given_by("--questions", MARKED)),
    ] = field(compare=False)
    prompt: PromptFile = shipped("refine", FOLDER)
    judge: Annotated[bool, Option("Let the model mark answers that nobody has marked.")] = False
    judge_prompt: Annotated[Prompt, Option("Prompt file of the judge.", metavar="FILE"), Only("judge", True)] = shipped(
        "judge", FOLDER
    )
    min_rate: Annotated[float, Option("Least share of wrong answers of a pattern that stays.", min=0, max=1)] = 0.3
    min_n: Annotated[int, Option("Marked answers from which --min-rate applies.", min=1)] = 10
    shown: Annotated[int, Option("Wrong answers and right ones to show at most, of each.", min=1)] = 8
    temperature: Temperature = 0.7
    max_tokens: MaxTokens = 2048
    tries: Tries = 3
    schema: Schema = True
    repairs: Repairs = 0

    def identity(self) -> dict[str, Any]:
        return {**super().identity(), "questions": self.questions.fingerprint}

    @property
    def means(self) -> Mapping[str, str]:
        return {"failure_rate": "marked"}

    def prepare(self, table: pa.Table) -> Self:
        """Raises `InputError` if two patterns have one name, or no question belongs to a pattern."""
        ids: dict[str, str] = {}
        for row in table.select(["id", "name"]).to_pylist():
            if (other := ids.setdefault(same_name(row["name"]), row["id"])) != row["id"]:
                raise InputError(
                    f"the patterns {other} and {row['id']} are both named {row['name']!r:.100}, and the pattern of a "
                    "question is known by its name: rename one of them, and its questions"
                )
        strays = [row for name, rows in self._by_pattern.items() if name not in ids for row in rows]
        if len(strays) == len(self.questions.rows):
            raise InputError(
                f"--questions: none of {plural(len(strays), 'question')} is of a pattern of the input; the first is of "
                f"{strays[0]['pattern']!r:.100}"
            )
        if strays:
            told = plural(len(strays), "question")
            logging.getLogger("synth").warning("%s left out: the input has no pattern of that name", told)
        return self

    @cached_property
    def _by_pattern(self) -> Mapping[str, Sequence[Row]]:
        found: dict[str, list[Row]] = {}
        for row in self.questions.rows:
            found.setdefault(same_name(row["pattern"]), []).append(row)
        return found

    async def process(self, row: Row, tools: Tools) -> AsyncIterator[Row]:
        check_not_empty(row, "name", "description", "suggestion")
        questions = self._by_pattern.get(same_name(row["name"]), ())
        settled = await gather_settled(self._with_mark(one, tools) for one in questions)
        judged = [one for one in settled if not isinstance(one, Reject)]
        if len(judged) < len(settled):
            tools.tally("not_judged", len(settled) - len(judged))
        wrong = [one for one in judged if one["correct"] is False]
        right = [one for one in judged if one["correct"] is True]
        if not wrong + right:
            tools.tally("not_marked")
            yield row
            return
        found = FailureRate(len(wrong), len(wrong) + len(right))
        tools.tally("failure_rate", found.failed)
        tools.tally("marked", found.marked)
        if found.marked >= self.min_n and found.rate < self.min_rate:
            raise Reject("not_hard", f"{found}; see --min-rate")
        low, high = found.interval
        number = (row["round"] or 0) + 1
        yield {
            **row,
            **await self._sharper(row, wrong, right, tools),
            "id": f"{row['id']}/r{number}",
            "round": number,
            "marked": found.marked,
            "failed": found.failed,
            "failure_rate": found.rate,
            "rate_low": low,
            "rate_high": high,
            "model": tools.model,
        }

    async def _with_mark(self, question: Row, tools: Tools) -> Row:
        """The question, with the judge's mark if it has none and the judge is asked. Raises `Reject`."""
        if question["correct"] is not None or not self.judge:
            return question
        ask = Ask(tools, self.judge_prompt.render(**question), MARK if self.schema else None, self.repairs)
        sampling = Sampling(temperature=0, max_tokens=self.max_tokens)
        correct, reason = await ask.first_readable(warmer_retries(sampling, self.tries), read_mark)
        tools.tally("judged")
        return {**question, "correct": correct, "feedback": reason}

    async def _sharper(self, pattern: Row, wrong: Sequence[Row], right: Sequence[Row], tools: Tools) -> dict[str, Any]:
        drawn = tools.random("shown")
        shown = {
            name: drawn.sample(rows, min(self.shown, len(rows))) for name, rows in (("wrong", wrong), ("right", right))
        }
        ask = Ask(tools, self.prompt.render(pattern=pattern, **shown), SHARPER if self.schema else None, self.repairs)
        sampling = Sampling(temperature=self.temperature, max_tokens=self.max_tokens)
        return await ask.first_readable(warmer_retries(sampling, self.tries), read_sharper)
