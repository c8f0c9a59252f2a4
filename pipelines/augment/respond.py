"""Responses to evolved questions, which have no gold answer (MuggleMath, arXiv 2310.05506, section 3)."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal

from synth.pipelines.engines import Completion, Sampling
from synth.pipelines.runtime.answers.answer import GSM8K_MARKS, MarkedAnswers, majority
from synth.pipelines.runtime.answers.equations import equation_fault, find_equations
from synth.pipelines.runtime.answers.golds import worked_examples
from synth.pipelines.runtime.answers.rules import check_marks
from synth.pipelines.runtime.common_options import AnswerMarks, MaxTokens, PlainEquations, PromptFile
from synth.pipelines.runtime.declared import Option, shipped
from synth.pipelines.runtime.stage import Reject, Rejected, Row, RowStage, Tools, allow_empty, nothing_kept
from synth.schemas.errors import UsageError
from synth.schemas.record import Record
from synth.schemas.records import QUERY, RESPONSE

__all__ = ["Keep", "Respond"]

FOLDER = Path(__file__).parent

Keep = Literal["agreement", "equations", "either", "both"]


@dataclass(frozen=True)
class Respond(RowStage):
    """Answer each question several times; keep responses that agree or whose equations are all correct.

    Draws `n` responses per question and temperature, `<id>/path-<sample>`. Each prompt has `num_shots` worked examples
    (question, answer), sampled from `shots` once per question and temperature.

    `keep` is the condition that a response with a readable answer must meet:
    `agreement`: its answer is the majority answer, given by a share of at least `threshold` of the question's samples;
    `equations`: it contains equations, and all of them are correct (rejection sampling, which has gold answers, also
    accepts a response without equations);
    `either` of the two, or `both`. The paper removes clearly wrong responses and does not say how.

    An answer is the number or the time on the line after one of `answer_marks`; the whole line is parsed.

    A question is rejected as `no_agreement` if no two samples give the same answer (or its only sample gives none), and
    as `nothing_kept` if all its responses are filtered: `no_answer`, `low_agreement`, `wrong_equation`. A sample
    without a response is filtered as `refused`, `empty_answer` or, if it was cut while reasoning, `truncated`; it
    counts as disagreeing with every other sample.
    """

    name: ClassVar[str] = "augment respond"
    version: ClassVar[int] = 2
    advice: ClassVar[Mapping[str, str]] = MappingProxyType(
        {"no_answer": "--answer-mark TEXT sets the text before answers (default `#### `)"}
    )
    input: ClassVar[Record] = QUERY
    output: ClassVar[Record] = RESPONSE
    uses_engine: ClassVar[bool] = True
    commands: ClassVar[tuple[str, ...]] = (
        "synth augment respond evolved/ responses/ --model Qwen/Qwen2.5-7B-Instruct",
        "synth augment respond evolved/ responses/ --model Qwen/Qwen2.5-7B --shots train.jsonl --num-shots 4",
    )

    prompt: PromptFile = shipped("respond", FOLDER)
    n: Annotated[int, Option("Samples per question and temperature.", min=1, flag="-n", long="--responses")] = 4
    temperatures: Annotated[
        tuple[float, ...], Option("Sampling temperature. Repeatable.", min=0, long="--temperature")
    ] = (0.7, 1.0)
    max_tokens: MaxTokens = 512
    shots: Annotated[
        tuple[tuple[str, str], ...],
        Option("Worked examples to sample from.", metavar="INPUT", read=lambda spec: tuple(worked_examples(spec))),
    ] = ()
    num_shots: Annotated[int, Option("Worked examples in each prompt.", min=0)] = 0
    keep: Annotated[Keep, Option("Condition that a response must meet.")] = "either"
    threshold: Annotated[float, Option("Share of the samples that must give the majority answer.", min=0, max=1)] = 0.5
    answer_marks: AnswerMarks = GSM8K_MARKS
    plain_equations: PlainEquations = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_marks(self.answer_marks)
        if not self.temperatures:
            raise UsageError("--temperature needs at least one value")
        if self.num_shots > len(self.shots):
            raise UsageError(f"--num-shots {self.num_shots} exceeds the {len(self.shots)} examples of --shots")

    async def process(self, row: Row, tools: Tools) -> AsyncIterator[Row | Rejected]:
        samples = await self._sample(row, tools)
        said = {response["id"]: completion.said for response, completion in samples}

        def filtered(response: Row, reason: str, detail: str) -> Rejected:
            return Rejected(response, reason, detail, [said[response["id"]]])

        empty = [filtered(response, *completion.no_answer) for response, completion in samples if completion.no_answer]
        for rejected in empty:
            yield rejected
        if len(empty) == len(samples):
            raise nothing_kept(empty)
        responses = [response for response, completion in samples if not completion.no_answer]
        answers = [self._answers.find_value(response["response"]) for response in responses]
        top = majority(answer for answer in answers if answer)
        needed = min(2, len(samples))
        agreed = top.answer.value if top and top.votes >= needed else None
        kept = 0
        for response, answer in zip(responses, answers, strict=True):
            if answer is None:
                yield filtered(response, "no_answer", "no final answer can be read")
                continue
            if agreed is None:
                yield filtered(response, "no_agreement", "no other sample gives its answer")
                continue
            share = sum(other is not None and other.value == answer.value for other in answers) / len(samples)
            trimmed = response["response"][: answer.end].strip()
            judged = {**response, "response": trimmed, "answer": answer.text, "agreement": share}
            agrees = answer.value == agreed and share >= self.threshold
            fault = self._fault(trimmed, agrees, share)
            if fault:
                yield filtered(judged, *fault)
            else:
                kept += 1
                yield judged
        if agreed is None:
            raise Reject("no_agreement", f"no answer is given by {needed} of {len(samples)} samples", [*said.values()])
        if not kept:
            raise Reject("nothing_kept", f"all {len(samples)} responses were filtered", [*said.values()])

    @cached_property
    def _answers(self) -> MarkedAnswers:
        return MarkedAnswers(self.answer_marks)

    async def _sample(self, row: Row, tools: Tools) -> list[tuple[dict[str, Any], Completion]]:
        """All responses to a question, unfiltered; equal temperatures give different samples."""
        samples: list[tuple[dict[str, Any], Completion]] = []
        for turn, temperature in enumerate(self.temperatures):
            shots = tools.random("shots", turn).sample(self.shots, self.num_shots)
            prompt = self.prompt.render(
                query=row["query"], shots=[{"question": question, "answer": answer} for question, answer in shots]
            )
            sampling = Sampling(temperature=temperature, max_tokens=self.max_tokens)
            answer = await allow_empty(tools.llm.generate(prompt, sampling, n=self.n, first_sample=turn * self.n))
            for sample, completion in enumerate(answer.completions, start=turn * self.n):
                response = {
                    "id": f"{row['id']}/path-{sample}",
                    "query_id": row["id"],
                    "query": row["query"],
                    "response": completion.text,
                    "temperature": temperature,
                    "shots": self.num_shots,
                    "reasoning": completion.reasoning,
                    "model": tools.model,
                    "finish_reason": completion.finish_reason,
                    "prompt_tokens": answer.prompt_tokens,
                    "completion_tokens": completion.tokens,
                }
                samples.append((response, completion))
        return samples

    def _fault(self, response: str, agrees: bool, share: float) -> tuple[str, str] | None:
        """Reason and detail if a response does not meet the condition `keep`."""
        faults = []
        if self.keep != "equations" and not agrees:
            faults.append(("low_agreement", f"{share:.0%} of the samples give its answer"))
        if self.keep != "agreement":
            equations = find_equations(response, plain=self.plain_equations)
            wrong = next(filter(None, map(equation_fault, equations)), None if equations else "it has no equations")
            if wrong:
                faults.append(("wrong_equation", wrong))
        if not faults or (self.keep == "either" and len(faults) == 1):
            return None
        reason = faults[0][0]
        return reason, "; ".join(detail for _, detail in faults)
