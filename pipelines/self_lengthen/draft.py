"""Write first responses to instructions, retrying until they are fit for training (arXiv 2410.23933, section 3)."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from synth.pipelines.runtime.asking import gather_all
from synth.pipelines.runtime.common_options import PromptFile, Tries
from synth.pipelines.runtime.declared import Option, shipped
from synth.pipelines.runtime.instructions import with_its_input
from synth.pipelines.runtime.stage import Rejected, Row, Tools, allow_empty, check_not_empty
from synth.pipelines.self_lengthen import language, quality, words
from synth.pipelines.self_lengthen.tries import Writing, fault_of, until_kept
from synth.schemas.record import Record
from synth.schemas.records import DRAFTED, UNANSWERED

__all__ = ["DraftResponses"]

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class DraftResponses(Writing):
    """Write first responses to instructions, and retry each until it is fit for training.

    The Generator: writes `n` responses to each instruction, `<id>/r0`, `<id>/r1`, ..., with up to `tries` tries each.

    A try is filtered as `<id>/r0/t3`, and the next sample drawn, if it fails the quality rules, hits the token
    limit (`cut`), or gives no text (`refused`, `empty_answer`). Without `check`, as for evaluating a model, the first
    answer is accepted as it is; if it gives no text, the response is empty and counts 0 words.

    An instruction is rejected as `no_instruction` if it is empty; if no response is accepted, for the reason that all
    tries share, or as `nothing_kept`.
    """

    name: ClassVar[str] = "self-lengthen draft"
    version: ClassVar[int] = 2
    input: ClassVar[Record] = UNANSWERED
    output: ClassVar[Record] = DRAFTED
    texts: ClassVar[str] = "responses"
    uses_engine: ClassVar[bool] = True
    commands: ClassVar[tuple[str, ...]] = (
        "synth self-lengthen draft instructions/ drafts/ --model Qwen/Qwen2.5-7B-Instruct",
        "synth self-lengthen draft test.jsonl answers/ --model trained/model -n 1 --no-check",
    )

    prompt: PromptFile = shipped("draft", FOLDER)
    n: Annotated[int, Option("Responses to each instruction.", min=1, flag="-n", long="--responses")] = 2
    tries: Tries = 20
    check: Annotated[bool, Option("Filter responses that are unfit for training; turn off for evaluation.")] = True

    async def process(self, row: Row, tools: Tools) -> AsyncIterator[Row | Rejected]:
        check_not_empty(row, "instruction")
        tried = await gather_all(self._respond(row, tools, number) for number in range(self.n))
        outputs = [one for tries in tried for one in tries]
        for one in self.outcome(outputs, tools):
            yield one

    async def _respond(self, row: Row, tools: Tools, number: int) -> list[Row | Rejected]:
        """The tries for one response; only the last may be accepted."""
        prompt = self.prompt.render(instruction=with_its_input(row), language=language.of(row["instruction"]))

        async def draw(attempt: int) -> Row | Rejected:
            sample = number * self.tries + attempt
            answer = await allow_empty(tools.llm.generate(prompt, self.sampling, first_sample=sample))
            (completion,) = answer.completions
            text = "" if completion.no_answer else completion.text.strip()
            response = {
                **row,
                "id": f"{row['id']}/r{number}",
                "instruction_id": row["id"],
                "response": text,
                "words": words.count(text),
                "language": language.of(text),
                "tries": attempt + 1,
                "reasoning": completion.reasoning,
                "model": tools.model,
                "finish_reason": completion.finish_reason,
                "prompt_tokens": answer.prompt_tokens,
                "completion_tokens": completion.tokens,
            }
            fault = (fault_of(completion) or quality.refusal(text)) if self.check else None
            return Rejected({**response, "id": f"{row['id']}/r{number}/t{attempt}"}, *fault) if fault else response

        return await until_kept(draw, self.tries)
