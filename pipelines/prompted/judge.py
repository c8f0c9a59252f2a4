"""A score for each row by a rubric of the user's own."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from statistics import fmean
from typing import Annotated, Any, ClassVar, Self

import pyarrow as pa

from synth.pipelines.engines import Completion, Sampling
from synth.pipelines.prompted.fields import Fields
from synth.pipelines.prompted.files import check_variables, own_prompt, whole_text, with_columns
from synth.pipelines.runtime.asking import first_readable, gather_settled, warmer_retries
from synth.pipelines.runtime.common_options import MaxTokens, PromptFile, Schema, Temperature, Tries
from synth.pipelines.runtime.declared import Option, shipped
from synth.pipelines.runtime.prompts import Prompt
from synth.pipelines.runtime.stage import Reject, Rejected, Row, RowStage, Tools, nothing_kept
from synth.schemas.errors import UsageError
from synth.schemas.record import Record
from synth.schemas.records import ROW
from synth.schemas.sql import matching

__all__ = ["Judge"]

FOLDER = Path(__file__).parent
LONGEST_REASON = 1000


@dataclass(frozen=True)
class Judge(RowStage):
    """Score each row by a rubric of your own, with a model as the judge.

    The rubric is a Jinja2 template over the columns that says what to look for and shows what is judged:
    `Is the answer correct? Question: {{ question }} Answer: {{ answer }}`. The prompt around it asks for a reason and
    an integer on the `scale`.

    Rows keep their ids and columns and get `score`, the mean of `votes` samples, `score_votes`, and `score_reason`,
    the reason of the vote closest to the mean; `into` replaces `score` in these names. With `keep`, a condition in SQL
    over the score and its votes, other rows are rejected as `not_kept`; with `--until N` the run ends when N rows
    are kept.

    Each vote samples up to `tries` replies. Votes that cannot be read are counted (`votes_lost`); a row without any is
    rejected as `unreadable`, `wrong_fields`, `truncated`, `refused` or `empty_answer`.
    """

    name: ClassVar[str] = "judge"
    input: ClassVar[Record] = ROW
    output: ClassVar[Record] = ROW

    uses_engine: ClassVar[bool] = True
    commands: ClassVar[tuple[str, ...]] = (
        "synth judge answers/ judged/ --rubric correct.md --model Qwen/Qwen2.5-7B-Instruct",
        "synth judge answers/ good/ --rubric style.md --scale 1-10 --keep 'score >= 8' --until 1000 --model tiny",
    )

    rubric: Annotated[Prompt, Option("The rubric file.", metavar="FILE", read=own_prompt("--rubric"))]
    prompt: PromptFile = shipped("judge", FOLDER)
    scale: Annotated[str, Option("Lowest and highest score.", metavar="LOW-HIGH")] = "1-5"
    votes: Annotated[int, Option("Samples to average.", min=1)] = 1
    keep: Annotated[
        str | None, Option("A condition on `score` and `score_votes` that kept rows meet.", metavar="SQL")
    ] = None
    into: Annotated[str, Option("The column for the score.", metavar="NAME")] = "score"
    schema: Schema = True
    temperature: Temperature = 0.7
    max_tokens: MaxTokens = 512
    tries: Tries = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rubric.is_chat:
            raise UsageError(f"--rubric {self.rubric.origin}: a rubric has no messages; --prompt sets those around it")
        low, _ = self._bounds
        if self.keep:
            # So that an error in it is reported before anything runs.
            self._is_kept(float(low), (low,))

    @cached_property
    def _bounds(self) -> tuple[int, int]:
        low, _, high = self.scale.partition("-")
        if not (low.isdecimal() and high.isdecimal() and int(low) < int(high)):
            raise UsageError(f"--scale {self.scale}: expected the lowest and the highest score, such as 1-5")
        return int(low), int(high)

    @property
    def _columns(self) -> list[pa.Field]:
        types = {"": pa.float64(), "_votes": pa.list_(pa.int64()), "_reason": pa.string()}
        return [pa.field(self.into + suffix, kind) for suffix, kind in types.items()]

    @property
    def means(self) -> Mapping[str, str]:
        return {"score": "judged"}

    def output_schema(self, inputs: pa.Schema) -> pa.Schema:
        return with_columns(inputs, self._columns)

    def prepare(self, table: pa.Table) -> Self:
        check_variables(self.rubric, table)
        return self

    async def process(self, row: Row, tools: Tools) -> AsyncIterator[Row]:
        low, high = self._bounds
        rubric = self.rubric.render(**{"row": row, **row})
        prompt = self.prompt.render(rubric=rubric, low=low, high=high)
        sampling = Sampling(temperature=self.temperature, max_tokens=self.max_tokens)
        tries = warmer_retries(sampling, self.tries)
        found = await gather_settled(
            first_readable(tools, prompt, tries, self._read, self._form, first_sample=vote * self.tries)
            for vote in range(self.votes)
        )
        votes = [vote for vote in found if not isinstance(vote, Reject)]
        if not votes:
            raise nothing_kept([Rejected.because(vote, row) for vote in found if isinstance(vote, Reject)])
        if len(votes) < len(found):
            tools.tally("votes_lost", len(found) - len(votes))
        scores = [int(vote["score"]) for vote in votes]
        mean = fmean(scores)
        reason = min(votes, key=lambda vote: abs(vote["score"] - mean))["reason"]
        tools.tally("judged")
        tools.tally("score", mean)
        if self.keep and not self._is_kept(mean, tuple(scores)):
            raise Reject("not_kept", f"{self.into} {mean:g}: {reason}")
        yield {**row, **dict(zip((one.name for one in self._columns), (mean, scores, reason), strict=True))}

    def _read(self, completion: Completion) -> dict[str, Any]:
        return self._fields.read(whole_text(completion))

    @cached_property
    def _fields(self) -> Fields:
        low, high = self._bounds
        properties = {
            "reason": {"type": "string", "maxLength": LONGEST_REASON},
            "score": {"type": "integer", "minimum": low, "maximum": high},
        }
        return Fields({"type": "object", "properties": properties, "required": list(properties)})

    @property
    def _form(self) -> Mapping[str, Any] | None:
        return {**self._fields.schema, "additionalProperties": False} if self.schema else None

    def _is_kept(self, score: float, votes: tuple[int, ...]) -> bool:
        return _meets(self.keep or "true", self.into, score, votes)


# Few scores differ, and a query takes milliseconds.
@lru_cache(1 << 14)
def _meets(condition: str, name: str, score: float, votes: tuple[int, ...]) -> bool:
    row = pa.table({name: [score], f"{name}_votes": pa.array([list(votes)], pa.list_(pa.int64()))})
    return bool(matching(row, condition, "--keep")[0].as_py())
