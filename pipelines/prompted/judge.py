"""A score for each row by a rubric of the user's own."""

from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from statistics import fmean
from typing import Annotated, Any, ClassVar, Self

import pyarrow as pa

from synth.pipelines.engines import Completion, Sampling
from synth.pipelines.engines.reward import RewardModel
from synth.pipelines.prompted.fields import Fields
from synth.pipelines.prompted.files import check_variables, own_prompt, with_columns
from synth.pipelines.runtime.asking import REASON, Ask, Form, warmer_retries, whole_text
from synth.pipelines.runtime.common_options import MaxTokens, PromptFile, Repairs, Schema, Temperature, Tries
from synth.pipelines.runtime.conversation import check_conversations, conversation_in
from synth.pipelines.runtime.declared import ByOption, Only, Option, shipped
from synth.pipelines.runtime.prompts import Prompt
from synth.pipelines.runtime.stage import Reject, Row, RowStage, Tools
from synth.schemas.errors import UsageError
from synth.schemas.record import Record
from synth.schemas.records import ROW
from synth.schemas.sql import matching

__all__ = ["Judge"]

FOLDER = Path(__file__).parent
BY_RUBRIC = Only("reward_model", None)


@dataclass(frozen=True)
class Judge(RowStage):
    """Score each row by a rubric of your own with a model as the judge, or with a reward model.

    The rubric is a Jinja2 template over the columns that says what to look for and shows what is judged:
    `Is the answer correct? Question: {{ question }} Answer: {{ answer }}`. The prompt around it asks for a reason and
    an integer on the `scale`.

    Rows keep their ids and columns and get `score`, the mean of `votes` samples, `score_votes`, and `score_reason`,
    the reason of the vote closest to the mean; `into` replaces `score` in these names. With `keep`, a condition in SQL
    over the score and its votes, other rows are rejected as `not_kept`; with `--until N` the run ends when N rows
    are kept.

    Each vote samples up to `tries` replies. Votes that cannot be read are counted (`votes_lost`); a row without any is
    rejected as `unreadable`, `wrong_fields`, `truncated`, `refused` or `empty_answer`.

    A `reward_model` scores each row instead, without a rubric: the chat in `messages`, or else the question (`query`,
    `question`, `instruction`, `prompt`) with its response (`response`, `answer`, `output`). `score` is the model's
    only output, as it is. A row without a response is rejected as `no_response`.
    """

    name: ClassVar[str] = "judge"
    input: ClassVar[Record] = ROW
    output: ClassVar[Record] = ROW

    # With any reward model, there is no other.
    uses_engine = ByOption("reward_model", defaultdict(bool, {None: True}))
    commands: ClassVar[tuple[str, ...]] = (
        "synth judge answers/ good/ --rubric style.md --scale 1-10 --keep 'score >= 8' --until 1000 --model tiny",
        "synth judge answers/ good/ --reward-model Skywork/Skywork-Reward-V2-Qwen3-8B --keep 'score >= 10'",
    )

    rubric: Annotated[
        Prompt | None, Option("The rubric file.", metavar="FILE", read=own_prompt("--rubric")), BY_RUBRIC
    ] = None
    # Not compared as an option: it is identified by its weights.
    reward_model: Annotated[
        str | None,
        Option("A model that scores without a rubric: a directory or a hub name.", metavar="MODEL"),
    ] = field(default=None, compare=False)
    prompt: Annotated[PromptFile, BY_RUBRIC] = shipped("judge", FOLDER)
    scale: Annotated[str, Option("Lowest and highest score.", metavar="LOW-HIGH"), BY_RUBRIC] = "1-5"
    votes: Annotated[int, Option("Samples to average.", min=1), BY_RUBRIC] = 1
    keep: Annotated[
        str | None, Option("A condition on `score` and `score_votes` that kept rows meet.", metavar="SQL")
    ] = None
    into: Annotated[str, Option("The column for the score.", metavar="NAME")] = "score"
    schema: Annotated[Schema, BY_RUBRIC] = True
    temperature: Annotated[Temperature, BY_RUBRIC] = 0.7
    max_tokens: Annotated[MaxTokens, BY_RUBRIC] = 512
    tries: Annotated[Tries, BY_RUBRIC] = 3
    repairs: Annotated[Repairs, BY_RUBRIC] = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rubric is None and self.reward_model is None:
            raise UsageError("--rubric is missing: the rubric file (or name a --reward-model, which needs none)")
        if self.rubric and self.rubric.is_chat:
            raise UsageError(f"--rubric {self.rubric.origin}: a rubric has no messages; --prompt sets those around it")
        low, _ = self._bounds
        if self.keep:
            # So that an error in it is reported before anything runs.
            self._is_kept(float(low), None if self.reward_model else (low,))

    @cached_property
    def _bounds(self) -> tuple[int, int]:
        low, _, high = self.scale.partition("-")
        if not (low.isdecimal() and high.isdecimal() and int(low) < int(high)):
            raise UsageError(f"--scale {self.scale}: expected the lowest and the highest score, such as 1-5")
        return int(low), int(high)

    @property
    def _columns(self) -> list[pa.Field]:
        types = {"": pa.float64()}
        if self.rubric:
            types |= {"_votes": pa.list_(pa.int64()), "_reason": pa.string()}
        return [pa.field(self.into + suffix, kind) for suffix, kind in types.items()]

    @property
    def means(self) -> Mapping[str, str]:
        return {"score": "judged"}

    def output_schema(self, inputs: pa.Schema) -> pa.Schema:
        return with_columns(inputs, self._columns)

    @cached_property
    def scorer(self) -> RewardModel | None:
        return RewardModel(self.reward_model) if self.reward_model else None

    def prepare(self, table: pa.Table) -> Self:
        if self.rubric:
            check_variables(self.rubric, table)
        else:
            check_conversations(table.schema)
        return self

    async def process(self, row: Row, tools: Tools) -> AsyncIterator[Row]:
        votes: tuple[int, ...] | None = None
        if self.rubric:
            score, votes, reason = await self._judged(row, self.rubric, tools)
            values: tuple[Any, ...] = score, votes, reason
            told = f"{self.into} {score:g}: {reason}"
        else:
            score = await tools.score(conversation_in(row))
            values, told = (score,), f"{self.into} {score:g}"
        tools.tally("judged")
        tools.tally("score", score)
        if self.keep and not self._is_kept(score, votes):
            raise Reject("not_kept", told)
        yield {**row, **dict(zip((one.name for one in self._columns), values, strict=True))}

    async def _judged(self, row: Row, template: Prompt, tools: Tools) -> tuple[float, tuple[int, ...], str]:
        """The mean of the votes by a rubric, the votes, and the reason of the one closest to the mean."""
        low, high = self._bounds
        rubric = template.render(**{"row": row, **row})
        prompt = self.prompt.render(rubric=rubric, low=low, high=high)
        sampling = Sampling(temperature=self.temperature, max_tokens=self.max_tokens)
        tries = warmer_retries(sampling, self.tries)
        ask = Ask(tools, prompt, self._form, self.repairs)
        votes = await ask.votes(self.votes, tries, self._read)
        scores = tuple(int(vote["score"]) for vote in votes)
        mean = fmean(scores)
        return mean, scores, min(votes, key=lambda vote: abs(vote["score"] - mean))["reason"]

    def _read(self, completion: Completion) -> dict[str, Any]:
        return self._fields.read(whole_text(completion))

    @cached_property
    def _fields(self) -> Fields:
        low, high = self._bounds
        properties = {
            "reason": REASON,
            "score": {"type": "integer", "minimum": low, "maximum": high},
        }
        return Fields({"type": "object", "properties": properties, "required": list(properties)})

    @property
    def _form(self) -> Form | None:
        return Form({**self._fields.schema, "additionalProperties": False}) if self.schema else None

    def _is_kept(self, score: float, votes: tuple[int, ...] | None) -> bool:
        return _meets(self.keep or "true", self.into, score, votes)


# Few scores differ, and a query takes milliseconds.
@lru_cache(1 << 14)
def _meets(condition: str, name: str, score: float, votes: tuple[int, ...] | None) -> bool:
    row = pa.table({name: [score]})
    if votes:
        row = row.append_column(f"{name}_votes", pa.array([list(votes)], pa.list_(pa.int64())))
    return bool(matching(row, condition, "--keep")[0].as_py())
