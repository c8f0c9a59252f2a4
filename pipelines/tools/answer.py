"""Answering by adaptive refinement: a model revises its calls until two answers in a row agree."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from synth.pipelines.engines import Completion, Sampling
from synth.pipelines.runtime.common_options import MaxTokens, PromptFile, Temperature
from synth.pipelines.runtime.declared import Only, Option, shipped
from synth.pipelines.runtime.prompts import Prompt
from synth.pipelines.runtime.stage import Reject, Row, RowStage, Tools
from synth.pipelines.tools.calls import ToolCall, read_calls, written
from synth.pipelines.tools.options import Native, Ordered
from synth.pipelines.tools.task import RIGHT, ToolTask, check_chat, check_text
from synth.schemas.record import Record
from synth.schemas.records import TOOL_ANSWER, TOOL_QUESTION

__all__ = ["AnswerTools"]

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class AnswerTools(RowStage):
    """Answer each task with calls that the model revises until two answers in a row agree (ToolACE-R).

    The inference of the paper (arXiv 2504.01400): the model sees its last answer and answers again, up to `rounds`
    times. Answers agree if their calls are the same, or their texts if no calls can be read from either.

    Writes the last answer and whether it `agreed` with the one before it. Where the right calls are known, `labels` has
    the reason of each answer, so that first and last ones can be compared; the tallies `right_first` and `right_last`
    count them.

    A row is rejected as `bad_tools`, `bad_calls`, `no_question`, or for an answer that is not whole: `truncated`,
    `refused`, `empty_answer`.
    """

    name: ClassVar[str] = "refine tools answer"
    input: ClassVar[Record] = TOOL_QUESTION
    output: ClassVar[Record] = TOOL_ANSWER
    uses_engine: ClassVar[bool] = True
    commands: ClassVar[tuple[str, ...]] = (
        "synth refine tools answer tool-tasks.jsonl tool-answers/ --model Qwen/Qwen2.5-7B-Instruct",
        "synth refine tools answer tool-tasks.jsonl one-revision/ --model Qwen/Qwen2.5-7B-Instruct --rounds 1",
    )

    prompt: Annotated[PromptFile, Only("native", False)] = shipped("call", FOLDER)
    refine_prompt: Annotated[Prompt, Option("Text file with the request to revise an answer.", metavar="FILE")] = (
        shipped("refine", FOLDER)
    )
    native: Native = False
    rounds: Annotated[int, Option("Revisions, at most.", min=1)] = 5
    ordered: Ordered = False
    temperature: Temperature = 0.0
    max_tokens: MaxTokens = 512

    def __post_init__(self) -> None:
        super().__post_init__()
        check_chat(self.prompt)
        check_text(self.refine_prompt)

    async def process(self, row: Row, tools: Tools) -> AsyncIterator[Row]:
        task = ToolTask.read(row)
        replies = [await self._ask(task, tools)]
        agreed = False
        while not agreed and len(replies) <= self.rounds:
            calls = _calls(replies[-1], task)
            request = self.refine_prompt.render(first=written(calls) if calls else replies[-1].text)
            replies.append(await self._ask(task.requested(str(request)), tools))
            agreed = self._agree(task, *replies[-2:])
        labels = None if task.calls is None else [task.judge(one, ordered=self.ordered).reason for one in replies]
        if labels:
            tools.tally("right_first", labels[0] == RIGHT)
            tools.tally("right_last", labels[-1] == RIGHT)
        tools.tally("agreed", agreed)
        calls = _calls(replies[-1], task)
        yield {
            **{name: row[name] for name in TOOL_QUESTION.names},
            "response": replies[-1].text,
            "made": None if calls is None else written(calls),
            "rounds": len(replies) - 1,
            "agreed": agreed,
            "labels": labels,
            "reasoning": replies[-1].reasoning,
            "model": tools.model,
        }

    async def _ask(self, task: ToolTask, tools: Tools) -> Completion:
        sampling = Sampling(temperature=self.temperature, max_tokens=self.max_tokens)
        prompt = task.asked_natively() if self.native else task.asked(self.prompt)
        offered = task.toolbox.specified if self.native else ()
        (reply,) = (await tools.llm.generate(prompt, sampling, tools=offered)).completions
        if reply.cut:
            raise Reject("truncated", reply.cut)
        return reply

    def _agree(self, task: ToolTask, before: Completion, now: Completion) -> bool:
        ones, twos = _calls(before, task), _calls(now, task)
        if ones is None or twos is None:
            return ones == twos and before.text.strip() == now.text.strip()
        return task.toolbox.same(ones, twos, ordered=self.ordered)


def _calls(reply: Completion, task: ToolTask) -> tuple[ToolCall, ...] | None:
    try:
        return read_calls(reply.text, task.toolbox.names)
    except Reject:
        return None
