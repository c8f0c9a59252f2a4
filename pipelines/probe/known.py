"""What a model knows: questions that it answers right every time (arXiv 2406.12534, self-aware data)."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, ClassVar

from synth.pipelines.engines import Sampling
from synth.pipelines.probe.matching import Match, accepted_answers, looking_for
from synth.pipelines.runtime.answers.answer import GSM8K_MARKS
from synth.pipelines.runtime.answers.rules import AnswerRule, answer_rule, check_marks
from synth.pipelines.runtime.common_options import AnswerMarks, Boxed, MaxTokens, PromptFile, Temperature
from synth.pipelines.runtime.declared import Only, Option, shipped
from synth.pipelines.runtime.stage import (
    Reject,
    Rejected,
    Row,
    RowStage,
    Tools,
    allow_empty,
    check_not_empty,
    nothing_kept,
)
from synth.schemas.errors import UsageError
from synth.schemas.record import Record
from synth.schemas.records import QUIZ, SELF_KNOWN

__all__ = ["ProbeSelf"]

FOLDER = Path(__file__).parent
FINAL = Only("match", "final")


@dataclass(frozen=True)
class ProbeSelf(RowStage):
    """Find which questions a model can answer itself, by sampling answers.

    As in the paper, the model answers each question `n` times, and knows it (`self` is 1) only if every answer is
    right; with `min_right`, if that many are. `right` says how many are. The class holds for this model, prompt and
    temperature only.

    An answer is right if it contains an accepted one. The published code looks for it in lower case and within words
    (`--match substring`), where "1" is in "2011"; here, its words must follow one another. `--match final` compares
    the final answers of mathematical problems, as `reject sample` does.

    Blank and refused samples are not right; reasoning is dropped. Rejected: `no_question` (blank), `no_answers` (no
    accepted answer to look for), `undecided` (samples that were cut while reasoning would decide), and questions whose
    samples are all blank, refused or cut.
    """

    name: ClassVar[str] = "probe self"
    input: ClassVar[Record] = QUIZ
    output: ClassVar[Record] = SELF_KNOWN
    uses_engine: ClassVar[bool] = True
    advice: ClassVar[Mapping[str, str]] = {
        "no_answers": "--column answer=NAME reads another column",
        "undecided": "--max-tokens leaves more room for reasoning",
    }
    commands: ClassVar[tuple[str, ...]] = (
        "synth probe self trivia.jsonl known/ --model Qwen/Qwen2.5-7B-Instruct",
        "synth probe self problems.jsonl solved/ --model Qwen/Qwen2.5-7B-Instruct --match final --prompt solve",
    )

    prompt: Annotated[
        PromptFile, Option("Prompt file, or one of the recipe; `solve` is for `--match final`.", metavar="FILE")
    ] = shipped("ask", FOLDER)
    n: Annotated[int, Option("Samples per question.", min=1, flag="-n", long="--samples")] = 10
    min_right: Annotated[
        int | None, Option("Right samples of a question that the model knows.", min=1, default="all of -n")
    ] = None
    match: Annotated[
        Match, Option("How answers are found: as whole words, anywhere, or as the final answer of a solution.")
    ] = "word"
    boxed: Annotated[Boxed, FINAL] = False
    answer_marks: Annotated[AnswerMarks, FINAL] = GSM8K_MARKS
    temperature: Temperature = 0.7
    max_tokens: MaxTokens = 256

    def __post_init__(self) -> None:
        super().__post_init__()
        check_marks(self.answer_marks, boxed=self.boxed)
        if self._needed > self.n:
            raise UsageError(f"--min-right {self._needed} is more than -n {self.n}")

    @property
    def _needed(self) -> int:
        return self.n if self.min_right is None else self.min_right

    @property
    def means(self) -> Mapping[str, str]:
        return {"known": "questions", "right": "samples"}

    @cached_property
    def rule(self) -> AnswerRule:
        return answer_rule(self.boxed, self.answer_marks)

    async def process(self, row: Row, tools: Tools) -> AsyncIterator[Row]:
        check_not_empty(row, "question")
        answers = accepted_answers(row["answer"])
        is_right = looking_for(answers, self.match, self.rule)
        if is_right is None:
            raise Reject("no_answers", f"there is no answer to look for in {row['answer']:.200}")
        prompt = self.prompt.render(question=row["question"])
        sampling = Sampling(temperature=self.temperature, max_tokens=self.max_tokens)
        replies = (await allow_empty(tools.llm.generate(prompt, sampling, n=self.n))).completions
        faults = [reply.no_answer for reply in replies if reply.no_answer]
        if len(faults) == self.n:
            raise nothing_kept([Rejected(row, *fault) for fault in faults])
        right = sum(is_right(reply.text) for reply in replies if not reply.no_answer)
        cut = sum(reason == "truncated" for reason, _ in faults)
        if right < self._needed <= right + cut:
            raise Reject("undecided", f"{right} of {self.n} samples are right, and {cut} cut while reasoning")
        known = right >= self._needed
        for name, amount in {"questions": 1, "known": known, "samples": self.n, "right": right}.items():
            tools.tally(name, amount)
        yield {
            "id": row["id"],
            "question": row["question"],
            "answers": answers,
            "self": int(known),
            "right": right,
            "samples": self.n,
            "replies": [reply.text for reply in replies],
            "temperature": self.temperature,
            "model": tools.model,
        }
