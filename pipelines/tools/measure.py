"""How well the current model does each task: the share of its samples that make the right calls."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from synth.pipelines.engines import Sampling
from synth.pipelines.runtime.common_options import MaxTokens, PromptFile, Temperature, TopP
from synth.pipelines.runtime.declared import Only, Option, shipped
from synth.pipelines.runtime.stage import Reject, Rejected, Row, RowStage, Tools, allow_empty, nothing_kept
from synth.pipelines.tools.calls import written
from synth.pipelines.tools.options import Native, Ordered
from synth.pipelines.tools.task import RIGHT, ToolTask, check_chat
from synth.schemas.record import Record
from synth.schemas.records import TOOL_SAMPLES, TOOL_TASK

__all__ = ["Measure"]

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Measure(RowStage):
    """Sample calls for each task, and measure which share of them is right (ToolACE-R).

    The first step of a round (arXiv 2504.01400): `difficulty` is the share of `n` samples whose calls equal the right
    ones, for the model as it is now. `refine tools select` makes training rows of it.

    Replies are parsed and calls compared by name and arguments, in any order, or with `ordered` in that of the right
    ones. Each sample has a reason: `right`, `wrong_call`, `not_a_call`, `unknown_tool`, `bad_arguments`, or
    `truncated`, `refused`, `empty_answer`. If no call is right, a sample that makes none is right.

    The tools stand in the prompt, which asks for calls as JSON. With `native` they are given to the model's own chat
    template, or to the server, and the prompt is not used. The paper gives neither `n` nor a temperature: these are
    ours.

    A row is rejected as `bad_tools`, `bad_calls` or `no_question`, and for the reason of its samples if none has a
    whole reply.
    """

    name: ClassVar[str] = "refine tools"
    input: ClassVar[Record] = TOOL_TASK
    output: ClassVar[Record] = TOOL_SAMPLES
    uses_engine: ClassVar[bool] = True
    commands: ClassVar[tuple[str, ...]] = (
        "synth refine tools tool-tasks.jsonl tool-samples/ --model Qwen/Qwen2.5-7B-Instruct",
        "synth refine tools tool-tasks.jsonl native/ --model Qwen/Qwen2.5-7B-Instruct --native -n 4",
    )

    prompt: Annotated[PromptFile, Only("native", False)] = shipped("call", FOLDER)
    native: Native = False
    n: Annotated[int, Option("Samples of each task.", min=1, flag="-n", long="--samples")] = 8
    ordered: Ordered = False
    temperature: Temperature = 1.0
    top_p: TopP = 1.0
    max_tokens: MaxTokens = 512

    def __post_init__(self) -> None:
        super().__post_init__()
        check_chat(self.prompt)

    @property
    def means(self) -> Mapping[str, str]:
        return {"right_samples": "measured_tasks"}

    async def process(self, row: Row, tools: Tools) -> AsyncIterator[Row]:
        task = ToolTask.read(row)
        if task.calls is None:
            raise Reject("bad_calls", "the right calls are missing")
        sampling = Sampling(temperature=self.temperature, top_p=self.top_p, max_tokens=self.max_tokens)
        prompt = task.asked_natively() if self.native else task.asked(self.prompt)
        offered = task.toolbox.specified if self.native else ()
        answer = await allow_empty(tools.llm.generate(prompt, sampling, n=self.n, tools=offered))
        replies = answer.completions
        verdicts = [task.judge(reply, ordered=self.ordered) for reply in replies]
        if all(reply.no_answer or reply.cut for reply in replies):
            raise nothing_kept([Rejected({}, verdict.reason, verdict.detail) for verdict in verdicts])
        right = sum(verdict.reason == RIGHT for verdict in verdicts)
        tools.tally("measured_tasks")
        tools.tally("right_samples", right)
        tools.tally("reachable_tasks", right > 0)
        yield {
            "id": row["id"],
            "tools": row["tools"],
            "turns": row["turns"],
            "calls": row["calls"],
            "difficulty": right / self.n,
            "responses": [reply.text for reply in replies],
            "attempts": [None if one.calls is None else written(one.calls) for one in verdicts],
            "labels": [verdict.reason for verdict in verdicts],
            "details": [verdict.detail for verdict in verdicts],
            "reasonings": [reply.reasoning for reply in replies],
            "model": tools.model,
        }
