"""Meta-skills: a stronger model shows how to judge and how to refine a student's answers (arXiv 2310.00533)."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from synth.pipelines.engines import Completion, Message, Sampling
from synth.pipelines.runtime.asking import Ask, Form, warmer_retries
from synth.pipelines.runtime.common_options import MaxTokens, PromptFile, Repairs, Schema, Temperature, Tries
from synth.pipelines.runtime.declared import Option, shipped
from synth.pipelines.runtime.prompts import Prompt
from synth.pipelines.runtime.stage import Reject, Row, RowStage, Tools, check_not_empty
from synth.pipelines.runtime.verdicts import REVIEW, TEXT, judgement_of
from synth.pipelines.self_evolution.leaks import trace_of_feedback
from synth.schemas.errors import UsageError
from synth.schemas.record import Record
from synth.schemas.records import META_SKILL, STUDENT_ANSWER

__all__ = ["Skills"]

FOLDER = Path(__file__).parent

LABEL = Form.of(
    {**REVIEW.schema["properties"], "answer": TEXT},
    "Reply with a JSON object: `review`, `verdict` (correct or incorrect) and `answer`, the complete answer.",
)
_ANSWER = re.compile(r"^[\s*_#>-]*(?:\d[.)]\s*)?[*_]*(?:better |new )?answer[\s*_]*:[\s*_]*", re.IGNORECASE)


@dataclass(frozen=True)
class Skills(RowStage):
    """Have a stronger model judge and refine a student's answers, and make chats of both skills (SELF).

    Writes two chats for each answer of the model that is to be trained: `<id>/feedback` and `<id>/refine`.

    In one reply the model writes feedback on the answer, a verdict, and a better answer. The chats use the prompts of
    `refine self`, so that the student learns to do what it will be asked there: to end its feedback with the verdict,
    and to write an answer that stands alone. With `with_answers`, `<id>/answer` is a third chat, the better answer to
    the prompt alone. (The paper says that its first phase has no such pairs; reviewers found that it does.)

    A row is rejected as `no_prompt` or `no_response`; and, if none of `tries` replies is usable, for the fault of the
    last: `refused`, `empty_answer`, `truncated`, `no_verdict`, `no_reason`, `no_refined`, or as `leaks_feedback`, if
    the better answer speaks of a review or has eight words in a row of it.
    """

    name: ClassVar[str] = "refine skills"
    input: ClassVar[Record] = STUDENT_ANSWER
    output: ClassVar[Record] = META_SKILL
    uses_engine: ClassVar[bool] = True
    commands: ClassVar[tuple[str, ...]] = (
        "synth refine skills answers/ skills/ --model Qwen/Qwen2.5-72B-Instruct",
        "synth refine skills answers/ skills/ --model Qwen/Qwen2.5-72B-Instruct --with-answers",
    )

    prompt: PromptFile = shipped("label", FOLDER)
    judge_prompt: Annotated[Prompt, Option("Prompt file that `refine self` judges with.", metavar="FILE")] = shipped(
        "judge", FOLDER
    )
    refine_prompt: Annotated[Prompt, Option("Prompt file that `refine self` refines with.", metavar="FILE")] = shipped(
        "refine", FOLDER
    )
    with_answers: Annotated[bool, Option("Also write a chat of the prompt and the better answer.")] = False
    temperature: Temperature = 0.7
    max_tokens: MaxTokens = 2048
    schema: Schema = False
    tries: Tries = 2
    repairs: Repairs = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        for flag, prompt in (("--judge-prompt", self.judge_prompt), ("--refine-prompt", self.refine_prompt)):
            if not prompt.is_chat:
                raise UsageError(f"{flag} {prompt.origin} is plain text, but must be a chat for the student to learn")

    async def process(self, row: Row, tools: Tools) -> AsyncIterator[Row]:
        check_not_empty(row, "prompt", "response")
        prompt, answer = row["prompt"], row["response"]

        def read(completion: Completion) -> Row:
            judgement = judgement_of(completion)
            refined = _ANSWER.sub("", judgement.after, count=1).strip()
            if not refined:
                raise Reject("no_refined", "no answer follows the verdict")
            if trace := trace_of_feedback(refined, judgement.text, prompt, answer):
                raise Reject("leaks_feedback", f"the better answer has: {trace}")
            return {
                "feedback": judgement.text,
                "verdict": judgement.verdict,
                "refined": refined,
                "reasoning": completion.reasoning,
            }

        sampling = Sampling(temperature=self.temperature, max_tokens=self.max_tokens)
        ask = Ask(tools, self.prompt.render(prompt=prompt, answer=answer), LABEL if self.schema else None, self.repairs)
        label = await ask.first_readable(warmer_retries(sampling, self.tries), read)
        tools.tally("labelled")
        tools.tally("correct", label["verdict"] == "correct")
        feedback = f"{label['feedback']}\n\nVerdict: {label['verdict']}"
        judging = self.judge_prompt.render(prompt=prompt, answer=answer)
        refining = self.refine_prompt.render(prompt=prompt, answer=answer, feedback=label["feedback"])
        chats = {"feedback": (judging, feedback), "refine": (refining, label["refined"])}
        if self.with_answers:
            chats["answer"] = ((Message(role="user", content=prompt),), label["refined"])
        for skill, (asked, said) in chats.items():
            assert not isinstance(asked, str), "prompts that are no chats are refused"
            yield {
                "id": f"{row['id']}/{skill}",
                "skill": skill,
                "prompt": prompt,
                "answer": answer,
                **label,
                "messages": [*asked, Message(role="assistant", content=said)],
                "model": tools.model,
            }

    @property
    def means(self) -> dict[str, str]:
        return {"correct": "labelled"}
