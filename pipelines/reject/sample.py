"""Sampling reasoning paths: many solutions per question (arXiv 2308.01825, section 3.2)."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, ClassVar

from synth.pipelines.engines import Sampling
from synth.pipelines.reject.selection import judge
from synth.pipelines.runtime.answers.answer import GSM8K_MARKS
from synth.pipelines.runtime.answers.rules import ADVICE, AnswerRule, answer_rule, check_marks
from synth.pipelines.runtime.common_options import (
    AnswerMarks,
    Boxed,
    MaxTokens,
    PlainEquations,
    PromptFile,
    Temperature,
)
from synth.pipelines.runtime.declared import Option, shipped
from synth.pipelines.runtime.stage import Reject, Rejected, Row, RowStage, Tools, allow_empty, nothing_kept
from synth.schemas.errors import UsageError
from synth.schemas.record import Record
from synth.schemas.records import PATH, QUESTION

__all__ = ["SamplePaths"]

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class SamplePaths(RowStage):
    """Sample solutions of questions with known answers.

    Writes `n` paths for each question that has a gold answer, as the model wrote them; `reject select` filters them.

    The defaults are the paper's: 100 samples at temperature 0.7, at most 256 new tokens, no nucleus sampling. The paper
    also truncates prompts on the left to 256 tokens; here a prompt too long for the model rejects its question.

    With `until_distinct` (not in the paper), batches of `n` samples are drawn until that many paths are correct with
    different calculations, or `max_samples` are drawn. `boxed`, `answer_marks` and `plain_equations` set how paths are
    judged for this and for the tallies `correct_paths` and `distinct_paths`; they do not change a path.

    An empty sample is filtered as `refused`, `empty_answer` or, if it was cut while reasoning, `truncated`; a question
    whose samples are all empty is rejected. Samples keep their indices, so that `reject curve` counts a filtered one
    among the first k samples.
    """

    name: ClassVar[str] = "reject sample"
    version: ClassVar[int] = 2
    advice: ClassVar[Mapping[str, str]] = ADVICE
    accepted: ClassVar[str | None] = "distinct_paths"
    input: ClassVar[Record] = QUESTION
    output: ClassVar[Record] = PATH
    uses_engine: ClassVar[bool] = True
    commands: ClassVar[tuple[str, ...]] = (
        "synth reject sample questions.jsonl samples/ --model Qwen/Qwen2.5-7B -n 100",
        "synth reject sample questions.jsonl samples/ --model tiny --prompt chat -n 8 --until-distinct 4",
    )

    prompt: Annotated[
        PromptFile, Option("Prompt file, or the name of a shipped one; `chat` suits chat models.", metavar="FILE")
    ] = shipped("alpaca", FOLDER)
    n: Annotated[int, Option("Paths per question.", min=1, flag="-n", long="--paths")] = 100
    temperature: Temperature = 0.7
    max_tokens: MaxTokens = 256
    until_distinct: Annotated[
        int | None, Option("Draw batches of -n until N paths are correct and distinct.", min=1, metavar="N")
    ] = None
    max_samples: Annotated[int, Option("Maximum number of paths per question with --until-distinct.", min=1)] = 100
    boxed: Boxed = False
    answer_marks: AnswerMarks = GSM8K_MARKS
    plain_equations: PlainEquations = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_marks(self.answer_marks, boxed=self.boxed)
        if self.until_distinct is not None and self.max_samples < self.n:
            raise UsageError(
                f"--until-distinct draws batches of {self.n} samples, more than --max-samples {self.max_samples}; "
                "lower -n"
            )

    @cached_property
    def answers(self) -> AnswerRule:
        return answer_rule(self.boxed, self.answer_marks)

    async def process(self, row: Row, tools: Tools) -> AsyncIterator[Row | Rejected]:
        gold = self.answers.gold(row["answer"])
        if gold is None:
            raise Reject("no_gold", f"no final answer can be read from {row['answer']!r:.200}")
        prompt = self.prompt.render(question=row["question"])
        sampling = Sampling(temperature=self.temperature, max_tokens=self.max_tokens)
        keys: set[str] = set()
        empty: list[Rejected] = []
        drawn = correct = 0
        while drawn == 0 or self._wants_more(drawn, len(keys)):
            count = self.n if self.until_distinct is None else min(self.n, self.max_samples - drawn)
            answer = await allow_empty(tools.llm.generate(prompt, sampling, n=count, first_sample=drawn))
            for sample, completion in enumerate(answer.completions, start=drawn):
                path = {
                    "id": f"{row['id']}/path-{sample}",
                    "query_id": row["id"],
                    "query": row["question"],
                    "answer": row["answer"],
                    "response": completion.text,
                    "sample": sample,
                    "temperature": self.temperature,
                    "reasoning": completion.reasoning,
                    "model": tools.model,
                    "finish_reason": completion.finish_reason,
                    "prompt_tokens": answer.prompt_tokens,
                    "completion_tokens": completion.tokens,
                }
                if completion.no_answer:
                    empty.append(Rejected(path, *completion.no_answer, [completion.said]))
                    yield empty[-1]
                    continue
                judged = judge(completion.text, gold, self.answers, plain_equations=self.plain_equations)
                if not judged.reason:
                    correct += 1
                    keys.add(judged.key)
                yield path
            drawn += count
        if len(empty) == drawn:
            raise nothing_kept(empty)
        tools.tally("correct_paths", correct)
        tools.tally("distinct_paths", len(keys))

    def _wants_more(self, drawn: int, distinct: int) -> bool:
        return self.until_distinct is not None and distinct < self.until_distinct and drawn < self.max_samples
