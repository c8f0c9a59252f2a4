"""Summarize the failures of a model as patterns (Self-Challenge, arXiv 2408.08978)."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

import pyarrow as pa

from synth.pipelines.challenge.naming import merge
from synth.pipelines.challenge.replies import patterns_form, read_patterns
from synth.pipelines.engines import Completion, Sampling
from synth.pipelines.retrieval.embedding import Embedder
from synth.pipelines.runtime.asking import Ask, gather_settled, warmer_retries
from synth.pipelines.runtime.common_options import MaxTokens, PromptFile, Repairs, Schema, Temperature, Tries
from synth.pipelines.runtime.declared import Only, Option, shipped
from synth.pipelines.runtime.stage import Reject, Rejected, Row, RowStage, Tools, check_not_empty, nothing_kept
from synth.schemas.record import Record
from synth.schemas.records import FAILURE, PATTERN

__all__ = ["SummarizeFailures"]

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class SummarizeFailures(RowStage):
    """Find the patterns of questions that a model fails on, from its failures.

    The model is shown the failures in batches, drawn at random, and names for each batch the patterns that it sees:
    what about the questions misleads, why, which failures show it, and how to write more. So it was done for the
    patterns that were published with the paper; the numbers and the prompt are ours.

    Patterns of different batches are one if their names are equal, up to case and punctuation, or, with an `embedder`,
    similar. The one with the most examples stays and gets those of the others, which are filtered as `merged`. Numbers
    of failures that do not exist are dropped (`unknown_examples`), and a pattern without any other is filtered as
    `no_support`. A failure that no pattern cites is rejected as `in_no_pattern`, and those of a batch without a
    readable reply as `unreadable`, `wrong_fields`, `truncated`, `refused` or `empty_answer`. A failure without
    a question or a right answer is rejected as `no_question` or `no_gold`, and not shown; its answer may be blank.

    All failures are held in memory.
    """

    name: ClassVar[str] = "challenge patterns"
    input: ClassVar[Record] = FAILURE
    output: ClassVar[Record] = PATTERN
    uses_engine: ClassVar[bool] = True
    gathers: ClassVar[bool] = True
    commands: ClassVar[tuple[str, ...]] = (
        "synth challenge patterns failures.jsonl patterns/ --model Qwen/Qwen2.5-7B-Instruct",
        "synth challenge patterns failures.jsonl patterns/ --model Qwen/Qwen2.5-7B-Instruct "
        "--embedder sentence-transformers/all-MiniLM-L6-v2",
    )

    prompt: PromptFile = shipped("patterns", FOLDER)
    batch: Annotated[int, Option("Failures to show at a time.", min=1)] = 20
    embedder: Annotated[
        Embedder | None,
        Option(
            "sentence-transformers model that compares names: a directory or a hub name.",
            metavar="MODEL",
            read=lambda name: Embedder.named(name, option="--embedder"),
        ),
    ] = None
    same: Annotated[
        float,
        Option("Cosine similarity from which two names mean the same, with --embedder.", min=0.1, max=1),
        Only("embedder", ...),
    ] = 0.8
    temperature: Temperature = 0.7
    max_tokens: MaxTokens = 4096
    tries: Tries = 3
    schema: Schema = True
    repairs: Repairs = 0

    def identity(self) -> dict[str, Any]:
        return {**super().identity(), "embedder": self.embedder.identity() if self.embedder else None}

    @property
    def means(self) -> Mapping[str, str]:
        return {"support": "patterns"}

    def prepare(self, table: pa.Table) -> Self:  # noqa: ARG002
        if self.embedder:
            # A model that cannot be loaded is reported before anything is asked.
            _ = self.embedder.dimensions
        return self

    async def process(self, row: Row, tools: Tools) -> AsyncIterator[Row | Rejected]:
        failures, unused = _readable(row["rows"])
        shuffled = tools.random("batches").sample(failures, len(failures))
        batches = [shuffled[start : start + self.batch] for start in range(0, len(shuffled), self.batch)]
        replies = await gather_settled(
            self._summary(f"{row['id']}/b{number}", batch, tools) for number, batch in enumerate(batches)
        )

        found: list[Row] = []
        filtered: list[Rejected] = []
        for batch, reply in zip(batches, replies, strict=True):
            if isinstance(reply, Reject):
                unused |= {one["id"]: Rejected.because(reply, one) for one in batch}
                continue
            patterns, said = reply
            cited = {example for pattern in patterns for example in pattern["examples"]}
            unused |= {
                one["id"]: Rejected(one, "in_no_pattern", "no pattern of its batch cites it", [said])
                for one in batch
                if one["id"] not in cited
            }
            found += (pattern for pattern in patterns if pattern["examples"])
            filtered += (
                Rejected(pattern, "no_support", "it cites no failure that exists", [said])
                for pattern in patterns
                if not pattern["examples"]
            )
        kept, merged = await asyncio.to_thread(merge, found, self.embedder, self.same) if found else ([], [])
        filtered += (
            Rejected(one.pattern, "merged", f"into {one.into['id']}, similarity {one.similarity:.2f}", ())
            for one in merged
        )

        for one in (*(unused[failure["id"]] for failure in row["rows"] if failure["id"] in unused), *filtered):
            yield one
        if not kept:
            raise nothing_kept([*unused.values()])
        for pattern in kept:
            tools.tally("patterns")
            tools.tally("support", pattern["support"])
            yield pattern

    async def _summary(self, batch_id: str, batch: Sequence[Row], tools: Tools) -> tuple[list[Row], str]:
        """The patterns that the model sees in a batch, and its whole reply."""

        def read(completion: Completion) -> tuple[list[Row], str]:
            patterns = [
                self._pattern(f"{batch_id}/p{place}", one, completion, batch, tools)
                for place, one in enumerate(read_patterns(completion))
            ]
            return patterns, completion.said

        ask = Ask(
            tools,
            self.prompt.render(failures=batch),
            patterns_form(len(batch)) if self.schema else None,
            self.repairs,
        )
        sampling = Sampling(temperature=self.temperature, max_tokens=self.max_tokens)
        return await ask.first_readable(warmer_retries(sampling, self.tries), read)

    def _pattern(
        self, pattern_id: str, given: Mapping[str, Any], completion: Completion, batch: Sequence[Row], tools: Tools
    ) -> Row:
        numbers = list(dict.fromkeys(given["examples"]))
        known = [batch[number - 1]["id"] for number in numbers if 1 <= number <= len(batch)]
        if len(known) < len(numbers):
            tools.tally("unknown_examples", len(numbers) - len(known))
        return {
            **given,
            "id": pattern_id,
            "examples": known,
            "support": len(known),
            "round": 0,
            "reasoning": completion.reasoning,
            "model": tools.model,
        }


def _readable(failures: Sequence[Row]) -> tuple[list[Row], dict[str, Rejected]]:
    """Those to show, and the others by id."""
    readable: list[Row] = []
    blank: dict[str, Rejected] = {}
    for one in failures:
        try:
            check_not_empty(one, "question", "gold")
            readable.append(one)
        except Reject as reject:
            blank[one["id"]] = Rejected.because(reject, one)
    return readable, blank
