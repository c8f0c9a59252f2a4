"""Write new questions that follow the patterns, and have the model answer them (Self-Challenge, arXiv 2408.08978)."""

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar

from synth.pipelines.challenge.given import GivenRows, rows_given_by
from synth.pipelines.challenge.replies import questions_form, read_questions
from synth.pipelines.engines import Completion, Sampling
from synth.pipelines.runtime.asking import Ask, gather_settled, warmer_retries, whole_text
from synth.pipelines.runtime.common_options import MaxTokens, Repairs, Schema, Temperature, Tries
from synth.pipelines.runtime.declared import Option, names, shipped
from synth.pipelines.runtime.prompts import Prompt
from synth.pipelines.runtime.stage import Reject, Rejected, Row, RowStage, Tools, check_not_empty, nothing_kept
from synth.pipelines.runtime.text.near import NearDuplicates
from synth.schemas.errors import UsageError
from synth.schemas.record import Record
from synth.schemas.records import CHALLENGE, FAILURE, PATTERN

__all__ = ["ChallengeQuestions"]

FOLDER = Path(__file__).parent
# Failures that a prompt shows as examples of their pattern.
SHOWN = 3


@dataclass(frozen=True)
class ChallengeQuestions(RowStage):
    """Write new questions for each pattern and domain, and have the model answer them.

    For each pattern and each of `domains` the model writes `per` questions, which follow the pattern in a scene of the
    domain. Those that nearly repeat one of the `failures` are filtered as `near_seed`, those that nearly repeat an
    earlier one of their pattern as `near_duplicate`: their sets of five-word shingles have a Jaccard similarity of at
    least `threshold`. The same model then answers the others at temperature 0.

    `correct`, `feedback` and `gold` stay null: they are for a person, or whatever else marks the answers. In the paper
    people do, because a model that judges its own answers is blind where it errs.

    A question without an answer is filtered as `refused`, `empty_answer` or `truncated`. A pattern without questions is
    rejected for the reason that they share, or as `nothing_kept`, and one that lacks a text as `no_name`,
    `no_description` or `no_suggestion`. Patterns are independent: remove duplicates across them with
    `synth dedup --text question`.
    """

    name: ClassVar[str] = "challenge questions"
    input: ClassVar[Record] = PATTERN
    output: ClassVar[Record] = CHALLENGE
    uses_engine: ClassVar[bool] = True
    commands: ClassVar[tuple[str, ...]] = (
        "synth challenge questions patterns/ questions/ --failures failures.jsonl --domains history,cooking "
        "--model Qwen/Qwen2.5-7B-Instruct",
        "synth challenge questions patterns/ questions/ --failures failures.jsonl --domains chess --per 10 "
        "--model Qwen/Qwen2.5-7B-Instruct",
    )

    failures: Annotated[
        GivenRows,
        Option("The failures that the patterns are of.", metavar="INPUT", read=rows_given_by("--failures", FAILURE)),
    ] = field(compare=False)
    domains: Annotated[
        tuple[str, ...],
        Option("Domains, such as titles of an encyclopedia. Repeatable.", metavar="WORD,...", read=names),
    ]
    questions_prompt: Annotated[Prompt, Option("Prompt file that asks for questions.", metavar="FILE")] = shipped(
        "questions", FOLDER
    )
    answer_prompt: Annotated[Prompt, Option("Prompt file that asks for an answer.", metavar="FILE")] = shipped(
        "answer", FOLDER
    )
    per: Annotated[int, Option("Questions for each pattern and domain.", min=1)] = 3
    threshold: Annotated[float, Option("Minimum Jaccard similarity of near duplicates.", min=0.1, max=1)] = 0.7
    temperature: Annotated[Temperature, Option("Sampling temperature of questions.", min=0)] = 1.0
    max_tokens: MaxTokens = 2048
    tries: Tries = 3
    schema: Schema = True
    repairs: Repairs = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.domains:
            raise UsageError("--domains names no domain: give one or more words, separated by commas")
        if twice := [name for name, times in Counter(self.domains).items() if times > 1]:
            raise UsageError(f"--domains names {twice[0]} twice: --per N asks for more questions of each domain")

    def identity(self) -> dict[str, Any]:
        return {**super().identity(), "failures": self.failures.fingerprint}

    @cached_property
    def _questions_of_failures(self) -> Mapping[str, str]:
        return {row["id"]: row["question"] for row in self.failures.rows}

    async def process(self, row: Row, tools: Tools) -> AsyncIterator[Row | Rejected]:
        check_not_empty(row, "name", "description", "suggestion")
        written, filtered = await self._written(row, tools)
        asked, repeated = self._distinct(written)
        filtered += repeated
        answers = await gather_settled(self._answer(one["question"], tools) for one in asked)
        rows: list[Row] = []
        for one, answer in zip(asked, answers, strict=True):
            if isinstance(answer, Reject):
                filtered.append(Rejected.because(answer, one))
            else:
                rows.append({**one, "answer": answer.text, "reasoning": answer.reasoning})
        for rejected in filtered:
            yield rejected
        if not rows:
            raise nothing_kept(filtered)
        for one in rows:
            yield one

    async def _written(self, pattern: Row, tools: Tools) -> tuple[list[tuple[Row, str]], list[Rejected]]:
        """The questions for all domains, each with the reply that it stands in, and the domains that have none."""
        replies = await gather_settled(self._questions(pattern, domain, tools) for domain in self.domains)
        written: list[tuple[Row, str]] = []
        without: list[Rejected] = []
        for number, (domain, reply) in enumerate(zip(self.domains, replies, strict=True)):
            texts, said = ([""], "") if isinstance(reply, Reject) else reply
            if len(texts) > self.per:
                tools.tally("surplus_questions", len(texts) - self.per)
            rows: list[Row] = [
                {
                    "id": f"{pattern['id']}/d{number}/q{place}",
                    "question": text,
                    "pattern": pattern["name"],
                    "domain": domain,
                    "model": tools.model,
                }
                for place, text in enumerate(texts[: self.per])
            ]
            if isinstance(reply, Reject):
                without.append(Rejected.because(reply, rows[0]))
            else:
                written += ((one, said) for one in rows)
        return written, without

    async def _questions(self, pattern: Row, domain: str, tools: Tools) -> tuple[list[str], str]:
        """The questions for a domain, and the whole reply."""

        def read(completion: Completion) -> tuple[list[str], str]:
            return read_questions(completion), completion.said

        known = self._questions_of_failures
        examples = [known[one] for one in pattern["examples"] or () if one in known]
        prompt = self.questions_prompt.render(pattern=pattern, examples=examples[:SHOWN], domain=domain, n=self.per)
        ask = Ask(tools, prompt, questions_form(self.per) if self.schema else None, self.repairs)
        sampling = Sampling(temperature=self.temperature, max_tokens=self.max_tokens)
        return await ask.first_readable(warmer_retries(sampling, self.tries), read)

    def _distinct(self, written: Sequence[tuple[Row, str]]) -> tuple[list[Row], list[Rejected]]:
        """The questions that repeat neither a failure nor an earlier question, and those that do."""
        near = NearDuplicates(self.threshold)
        for failure, question in self._questions_of_failures.items():
            near.seen(failure, question)
        new: list[Row] = []
        repeated: list[Rejected] = []
        for one, said in written:
            if similar := near.seen(one["id"], one["question"]):
                reason = "near_seed" if similar in self._questions_of_failures else "near_duplicate"
                repeated.append(Rejected(one, reason, f"of {similar}", [said]))
            else:
                new.append(one)
        return new, repeated

    async def _answer(self, question: str, tools: Tools) -> Completion:
        """The model's answer. Raises `Reject`: `refused`, `empty_answer`, `truncated`."""
        sampling = Sampling(temperature=0, max_tokens=self.max_tokens)
        (answer,) = (await Ask(tools, self.answer_prompt.render(question=question)).samples(sampling)).completions
        whole_text(answer)
        return answer
