"""A round of SELF: answer, own feedback, refinement, and one's own verdict as the filter (arXiv 2310.00533)."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from synth.pipelines.engines import Completion, Message, Sampling
from synth.pipelines.runtime.answers.answer import GSM8K_MARKS
from synth.pipelines.runtime.answers.rules import AnswerRule, answer_rule, check_marks
from synth.pipelines.runtime.asking import Ask, gather_all, warmer_retries, whole_text
from synth.pipelines.runtime.common_options import (
    AnswerMarks,
    MaxTokens,
    PromptFile,
    Repairs,
    Schema,
    Temperature,
    Tries,
)
from synth.pipelines.runtime.declared import Option, shipped
from synth.pipelines.runtime.prompts import Prompt
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
from synth.pipelines.runtime.verdicts import REVIEW, Judgement, judgement_of
from synth.pipelines.self_evolution.leaks import trace_of_feedback
from synth.schemas.record import Record
from synth.schemas.records import SELF_PROMPT, SELF_REFINED

__all__ = ["RefineSelf"]

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class RefineSelf(RowStage):
    """Have a model judge and refine its own answers, and keep those that it then finds good (SELF).

    Writes `answers` refined answers for each prompt, `<id>/answer-0` and so on, with chats to train on.

    The model answers; judges its answer; refines it, always or, with `refine` `wrong`, only if it finds it wrong; and
    judges the refined answer: it is kept if that verdict is `correct`. Where nothing changes but white space, the first
    verdict stands and is not asked for again. Only the refined answer is a target of training. With `--no-filter`, the
    paper's ablation, all are written, with `kept` as it would be.

    The summary has the shares of answers that the model finds correct before and after, and of those that changed. If
    prompts have gold answers, it has the shares that are right, and of the kept ones, too: a model likes what it wrote.

    An answer is filtered as `made_worse` or `still_bad` by its verdicts; as `leaks_feedback`, if the refined one speaks
    of a review or has eight words in a row of it; and as `refused`, `empty_answer` or `truncated`, or for a judgement
    `no_verdict` or `no_reason`. A prompt is rejected as `no_prompt`, for the reason that all its answers
    share, or as `nothing_kept`.
    """

    name: ClassVar[str] = "refine self"
    input: ClassVar[Record] = SELF_PROMPT
    output: ClassVar[Record] = SELF_REFINED
    uses_engine: ClassVar[bool] = True
    commands: ClassVar[tuple[str, ...]] = (
        "synth refine self questions.jsonl refined/ --model Qwen/Qwen2.5-7B-Instruct --prompt solve",
        "synth refine self tasks.jsonl refined/ --model Qwen/Qwen2.5-7B-Instruct --refine wrong --answers 4",
    )

    prompt: Annotated[
        PromptFile, Option("Prompt file, or the name of a shipped one; `solve` suits problems.", metavar="FILE")
    ] = shipped("answer", FOLDER)
    judge_prompt: Annotated[Prompt, Option("Prompt file that asks for a judgement.", metavar="FILE")] = shipped(
        "judge", FOLDER
    )
    refine_prompt: Annotated[Prompt, Option("Prompt file that asks for a better answer.", metavar="FILE")] = shipped(
        "refine", FOLDER
    )
    answers: Annotated[int, Option("Answers to each prompt.", min=1)] = 1
    refine: Annotated[Literal["always", "wrong"], Option("Which answers to refine.")] = "always"
    filter: Annotated[bool, Option("Keep only answers with the final verdict `correct`.")] = True
    temperature: Temperature = 0.7
    judge_temperature: Annotated[float, Option("Temperature of judgements; at 0, retries use 1.", min=0)] = 0.0
    max_tokens: MaxTokens = 1024
    schema: Schema = False
    tries: Annotated[Tries, Option("Judgements to sample until one has a verdict.", min=1)] = 2
    repairs: Repairs = 0
    answer_marks: AnswerMarks = ("The answer is", *GSM8K_MARKS)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_marks(self.answer_marks)

    @property
    def means(self) -> Mapping[str, str]:
        return {
            **dict.fromkeys(("good_before", "good_after", "changed"), "judged"),
            **dict.fromkeys(("right_before", "right_after"), "with_gold"),
            "kept_right": "kept_with_gold",
        }

    async def process(self, row: Row, tools: Tools) -> AsyncIterator[Row | Rejected]:
        check_not_empty(row, "prompt")
        prompt = self.prompt.render(prompt=row["prompt"])
        sampled = await allow_empty(tools.llm.generate(prompt, self._writing, n=self.answers))
        chains = [Chain(self, row, tools, *one) for one in enumerate(sampled.completions)]
        made = await gather_all(chain.run() for chain in chains)
        filtered = [one for one in made if isinstance(one, Rejected)]
        for one in made:
            yield one
        if len(filtered) == len(made):
            raise nothing_kept(filtered)

    @cached_property
    def rule(self) -> AnswerRule:
        return answer_rule(False, self.answer_marks)

    @property
    def _writing(self) -> Sampling:
        return Sampling(temperature=self.temperature, max_tokens=self.max_tokens)

    async def judged(self, tools: Tools, prompt: str, answer: str, number: int) -> Judgement:
        """The model's judgement of an answer. Raises `Reject`."""
        asked = self.judge_prompt.render(prompt=prompt, answer=answer)
        ask = Ask(tools, asked, REVIEW if self.schema else None, self.repairs)
        sampling = Sampling(temperature=self.judge_temperature, max_tokens=self.max_tokens)
        tries = warmer_retries(sampling, self.tries)
        return await ask.first_readable(tries, judgement_of, first_sample=number * self.tries)

    async def refined(self, tools: Tools, prompt: str, answer: str, feedback: str, number: int) -> str:
        """A better answer; the same one if it differs in white space alone. Raises `Reject`."""
        asked = self.refine_prompt.render(prompt=prompt, answer=answer, feedback=feedback)
        (better,) = (await allow_empty(tools.llm.generate(asked, self._writing, first_sample=number))).completions
        text = written(better)
        if text.split() == answer.split():
            return answer
        if trace := trace_of_feedback(text, feedback, prompt, answer):
            raise Reject("leaks_feedback", f"the refined answer has: {trace}")
        return text


class Chain:
    """One answer to a prompt, and what becomes of it."""

    def __init__(self, stage: RefineSelf, row: Row, tools: Tools, number: int, first: Completion) -> None:
        self._stage = stage
        self._tools = tools
        self._number = number
        self._first = first
        self._gold = stage.rule.gold(row["gold"]) if row["gold"] else None
        self._row: dict[str, Any] = {
            **dict.fromkeys(SELF_REFINED.names),
            "id": f"{row['id']}/answer-{number}",
            "prompt_id": row["id"],
            "prompt": row["prompt"],
            "answer": first.text,
            "reasoning": first.reasoning,
            "model": tools.model,
        }

    async def run(self) -> Row | Rejected:
        try:
            await self._go()
        except Reject as reject:
            return Rejected.because(reject, self._row)
        row = self._row
        fault = None if row["kept"] else ("made_worse" if row["verdict"] == "correct" else "still_bad")
        if fault and self._stage.filter:
            return Rejected(row, fault, row["final_feedback"][:160])
        turns = (("user", row["prompt"]), ("assistant", row["refined"]))
        return row | {"messages": [Message(role=role, content=content) for role, content in turns]}

    async def _go(self) -> None:
        stage, tools, row, prompt = self._stage, self._tools, self._row, self._row["prompt"]
        answer = row["answer"] = written(self._first, said=True)
        before = after = await stage.judged(tools, prompt, answer, self._number)
        row |= {"feedback": before.text, "verdict": before.verdict}
        refined = answer
        if stage.refine == "always" or not before.is_right:
            refined = await stage.refined(tools, prompt, answer, before.text, self._number)
        row["refined"] = refined
        if refined != answer:
            after = await stage.judged(tools, prompt, refined, self._number)
        row |= {"final_feedback": after.text, "final_verdict": after.verdict, "kept": after.is_right}
        self._count(before.is_right, after.is_right, refined != answer)

    def _count(self, good_before: bool, good_after: bool, changed: bool) -> None:
        """Add to the tallies; with a gold answer, also what is true of both answers."""
        tallies = {"judged": True, "good_before": good_before, "good_after": good_after, "changed": changed}
        if self._gold:
            right = [self._is_right(self._row[name]) for name in ("answer", "refined")]
            tallies |= {"with_gold": True, "right_before": right[0], "right_after": right[1]}
            tallies |= {"right_to_wrong": right[0] > right[1], "wrong_to_right": right[0] < right[1]}
            tallies |= {"kept_with_gold": good_after, "kept_right": good_after and right[1]}
        for name, holds in tallies.items():
            self._tools.tally(name, holds)

    def _is_right(self, text: str) -> bool:
        found = self._stage.rule.find(text)
        return bool(found and self._gold and self._stage.rule.same(found, self._gold))


def written(completion: Completion, *, said: bool = False) -> str:
    """The text of an answer. Raises `Reject` if there is none or if it is cut; it is about this one of several."""
    try:
        return whole_text(completion).strip()
    except Reject as reject:
        raise Reject(reject.reason, reject.detail, [completion.said] if said else None) from None
