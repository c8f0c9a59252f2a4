"""First responses to instructions, each drawn again until it is fit to be trained on (arXiv 2410.23933, section 3)."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from synth.pipelines.runtime.asking import gather_all
from synth.pipelines.runtime.common_options import PromptFile, Tries
from synth.pipelines.runtime.declared import Option, shipped
from synth.pipelines.runtime.instructions import with_its_input
from synth.pipelines.runtime.stage import Reject, Rejected, Row, Tools, allow_empty, nothing_kept
from synth.pipelines.self_lengthen import language, quality, words
from synth.pipelines.self_lengthen.tries import Writing, fault_of, until_kept
from synth.schemas.record import Record
from synth.schemas.records import DRAFTED, UNANSWERED

__all__ = ["DraftResponses"]

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class DraftResponses(Writing):
    """Write first responses to instructions, each tried again until it is fit to be trained on.

    The Generator: `n` responses to each instruction, `<id>/r0` and on, each with up to `tries` tries of its own.

    A try that `quality` refuses, that the token limit ended (`cut`), or that says nothing (`refused`, `empty_answer`),
    is filtered as `<id>/r0/t3`, and the next sample is drawn. Without `check` the first answer is taken as it is, as
    a model is to be evaluated: where it says nothing the response is empty, and counts as one of 0 words.

    An instruction is rejected as `no_instruction` if it is empty, and for the reason that all its tries share, or as
    `nothing_kept`, if none of its responses came to be.
    """

    name: ClassVar[str] = "self-lengthen draft"
    version: ClassVar[int] = 2
    input: ClassVar[Record] = UNANSWERED
    output: ClassVar[Record] = DRAFTED

    uses_engine: ClassVar[bool] = True
    commands: ClassVar[tuple[str, ...]] = (
        "synth self-lengthen draft instructions/ drafts/ --model Qwen/Qwen2.5-7B-Instruct",
        "synth self-lengthen draft test.jsonl answers/ --model trained/model -n 1 --no-check",
    )

    prompt: PromptFile = shipped("draft", FOLDER)
    n: Annotated[int, Option("Responses to each instruction.", min=1, flag="-n", long="--responses")] = 2
    tries: Tries = 20
    check: Annotated[bool, Option("Refuse what is unfit for training; not for evaluation.")] = True

    @property
    def means(self) -> dict[str, str]:
        return {"words": "responses"}

    async def process(self, row: Row, tools: Tools) -> AsyncIterator[Row | Rejected]:
        if not row["instruction"].strip():
            raise Reject("no_instruction", "it is empty")
        tried = await gather_all(self._respond(row, tools, number) for number in range(self.n))
        refused = [one for tries in tried for one in tries if isinstance(one, Rejected)]
        for one in refused:
            yield one
        if len(refused) == sum(map(len, tried)):
            raise nothing_kept(refused)
        for tries in tried:
            if not isinstance(response := tries[-1], Rejected):
                tools.tally("responses")
                tools.tally("words", response["words"])
                yield response

    async def _respond(self, row: Row, tools: Tools, number: int) -> list[Row | Rejected]:
        """The tries at one response, of which the last may be it."""
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
