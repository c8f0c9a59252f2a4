"""Responses to evolved questions, which have no gold answer (MuggleMath, arXiv 2310.05506, section 3)."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal

from synth.pipelines.engines import Completion, Sampling
from synth.pipelines.runtime.answers.answer import GSM8K_MARKS, Hashes, majority
from synth.pipelines.runtime.answers.equations import equation_fault, find_equations
from synth.pipelines.runtime.answers.golds import worked_examples
from synth.pipelines.runtime.answers.rules import check_marks
from synth.pipelines.runtime.declared import Option, shipped
from synth.pipelines.runtime.stage import Reject, Rejected, Row, RowStage, Tools, even_if_silent, nothing_kept
from synth.pipelines.runtime.usual_options import AnswerMarks, MaxTokens, PlainEquations, PromptFile
from synth.schemas.errors import UsageError
from synth.schemas.record import Record
from synth.schemas.records import QUERY, RESPONSE

__all__ = ["Keep", "Respond"]

FOLDER = Path(__file__).parent

Keep = Literal["agreement", "equations", "either", "both"]


@dataclass(frozen=True)
class Respond(RowStage):
    """Answer each question several times; keep responses that agree, or whose equations all check.

    `n` responses to each question at each temperature, `<id>/path-<sample>`; those that something speaks for stay.

    `keep` says what must speak for a response that has a readable answer:
    `agreement`: its answer is the majority's, with a share of at least `threshold` in all samples of the question;
    `equations`: it has equations and all of them check (one without equations is not spoken for by them, though
    rejection sampling, which has gold answers, lets it pass);
    `either` of the two, or `both`. The paper removes responses that are clearly wrong and does not say how.

    Answers are read after `answer_marks`, as `Hashes` reads them: a number or a time, by all of its line.

    A question is rejected as `no_agreement` if no two of its samples give the same answer (or its only sample gives
    none), and as `nothing_kept` if all its responses are filtered: for `no_answer`, `low_agreement` or
    `wrong_equation`. A sample that says nothing is filtered as `refused`, `empty_answer`, or `truncated`, where it was
    cut while it reasoned; it counts as one that agrees with no other. Each temperature takes `num_shots` of the worked
    examples `shots` (question, answer) at random.
    """

    name: ClassVar[str] = "augment respond"
    version: ClassVar[int] = 2
    advice: ClassVar[Mapping[str, str]] = MappingProxyType(
        {"no_answer": "--answer-mark TEXT names what stands before answers (`#### ` if not given)"}
    )
    input: ClassVar[Record] = QUERY
    output: ClassVar[Record] = RESPONSE

    uses_engine: ClassVar[bool] = True
    commands: ClassVar[tuple[str, ...]] = (
        "synth augment respond evolved/ responses/ --model Qwen/Qwen2.5-7B-Instruct",
        "synth augment respond evolved/ responses/ --model Qwen/Qwen2.5-7B --shots train.jsonl --num-shots 4",
    )

    prompt: PromptFile = shipped("respond", FOLDER)
    n: Annotated[
        int, Option("Samples for each question at each temperature.", min=1, flag="-n", long="--responses")
    ] = 4
    temperatures: Annotated[
        tuple[float, ...], Option("Sampling temperature. Repeatable.", min=0, long="--temperature")
    ] = (0.7, 1.0)
    max_tokens: MaxTokens = 512
    shots: Annotated[
        tuple[tuple[str, str], ...],
        Option(
            "Worked examples (question, answer) to draw from.",
            metavar="INPUT",
            read=lambda spec: tuple(worked_examples(spec)),
        ),
    ] = ()
    num_shots: Annotated[int, Option("Worked examples in each prompt.", min=0)] = 0
    keep: Annotated[Keep, Option("What must speak for a response.")] = "either"
    threshold: Annotated[float, Option("Share of the samples that the answer kept must have.", min=0, max=1)] = 0.5
    answer_marks: AnswerMarks = GSM8K_MARKS
    plain_equations: PlainEquations = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_marks(self.answer_marks)
        if not self.temperatures:
            raise UsageError("no --temperature is given to draw samples at")
        if self.num_shots > len(self.shots):
            raise UsageError(f"--num-shots {self.num_shots} is more than the {len(self.shots)} examples of --shots")

    async def process(self, row: Row, tools: Tools) -> AsyncIterator[Row | Rejected]:
        drawn = await self._draw(row, tools)
        silent = [Rejected(response, *completion.silence) for response, completion in drawn if completion.silence]
        for one in silent:
            yield one
        if len(silent) == len(drawn):
            raise nothing_kept(silent)
        responses = [response for response, completion in drawn if not completion.silence]
        answers = [self._answers.find_value(response["response"]) for response in responses]
        most = majority(answer for answer in answers if answer)
        needed = min(2, len(drawn))
        if most is None or most.votes < needed:
            for response, answer in zip(responses, answers, strict=True):
                if answer is None:
                    yield Rejected(response, "no_answer", "no final answer can be read")
                else:
                    yield Rejected(response, "no_agreement", "no other sample gives its answer")
            raise Reject("no_agreement", f"no answer is given by {needed} of {len(drawn)} samples")
        kept = 0
        for response, answer in zip(responses, answers, strict=True):
            if answer is None:
                yield Rejected(response, "no_answer", "no final answer can be read")
                continue
            share = sum(other is not None and other.value == answer.value for other in answers) / len(drawn)
            trimmed = response["response"][: answer.end].strip()
            judged = {**response, "response": trimmed, "answer": answer.text, "agreement": share}
            agrees = answer.value == most.answer.value and share >= self.threshold
            fault = self._fault(trimmed, agrees, share)
            if fault:
                yield Rejected(judged, *fault)
            else:
                kept += 1
                yield judged
        if not kept:
            raise Reject("nothing_kept", f"all {len(drawn)} responses were filtered")

    @cached_property
    def _answers(self) -> Hashes:
        return Hashes(self.answer_marks)

    async def _draw(self, row: Row, tools: Tools) -> list[tuple[dict[str, Any], Completion]]:
        """All responses to a question, not yet judged; equal temperatures draw different samples."""
        drawn: list[tuple[dict[str, Any], Completion]] = []
        for turn, temperature in enumerate(self.temperatures):
            shots = tools.random("shots", turn).sample(self.shots, self.num_shots)
            prompt = self.prompt.render(
                query=row["query"], shots=[{"question": question, "answer": answer} for question, answer in shots]
            )
            sampling = Sampling(temperature=temperature, max_tokens=self.max_tokens)
            answer = await even_if_silent(tools.llm.generate(prompt, sampling, n=self.n, first_sample=turn * self.n))
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
                drawn.append((response, completion))
        return drawn

    def _fault(self, response: str, agrees: bool, share: float) -> tuple[str, str] | None:
        """Reason and detail why nothing that `keep` asks for speaks for a response."""
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
