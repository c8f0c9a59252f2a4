"""Scoring the responses of a set: by a judge, a reward model, their likelihood (arXiv 2304.05302, section 3.1)."""

from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from statistics import fmean
from typing import Annotated, Any, ClassVar, Literal, Self

import pyarrow as pa

from synth.pipelines.engines import Message, Sampling, Windows
from synth.pipelines.engines.reward import RewardModel
from synth.pipelines.rank.judging import SCALE, form_of, judgement_in, orders
from synth.pipelines.rank.ranking import ranks_of
from synth.pipelines.rank.sets import Collecting, Response, check_scores, check_several, columns_of, filled, usable
from synth.pipelines.runtime.asking import Ask, gather_all, warmer_retries
from synth.pipelines.runtime.common_options import MaxTokens, PromptFile, Repairs, Schema, Temperature, Tries
from synth.pipelines.runtime.conversation import asked_in
from synth.pipelines.runtime.declared import ByOption, Only, Option, shipped
from synth.pipelines.runtime.prompts import Prompt
from synth.pipelines.runtime.stage import Reject, Rejected, Row, Tools
from synth.schemas.errors import InputError, UsageError
from synth.schemas.record import Record
from synth.schemas.records import RANKED, UNRANKED

__all__ = ["ScoreResponses"]

FOLDER = Path(__file__).parent
# A response and what it answers are never cut apart.
WHOLE = Windows(max_tokens=1 << 30)
BY_JUDGE, BY_REWARD, BY_LIKELIHOOD = (Only("by", value) for value in ("judge", "reward", "likelihood"))


@dataclass(frozen=True)
class ScoreResponses(Collecting):
    """Score and rank the responses to each query, with a judge, a reward model, their likelihood, or given scores.

    Rows keep their ids and columns; responses keep their order. `scores` are higher for better ones, `ranks` begin
    with 1. Responses are read as by `rank sample`, without white space at both ends; blank ones are filtered as
    `empty_response`, repeated ones as `repeated_response`, and with `stop_turns` a response ends before a turn that the
    model wrote for somebody else.

    `judge`: the model sees all responses at once, in random order, and gives each an integer from 1 to 10. With
    `rounds`, the scores are means; every second round has the reverse order of the one before. `reward`: a reward
    model's only output for each conversation, as it is. `likelihood`: the mean log-probability of a response's tokens
    after the query and a blank, p in the paper, which the model itself gives. `given`: `scores` of the input; 2 and 1
    for `chosen` and `rejected`, as the paper has them.

    A set is rejected as `too_few_responses` (of two), `all_equal` or `not_finite`; as `no_scores`, `no_tokens`,
    `no_query` or `unequal_lengths`; and if a round of the judge has no usable reply, as `unreadable`, `wrong_fields`,
    `truncated`, `refused` or `empty_answer`.
    """

    name: ClassVar[str] = "rank score"
    input: ClassVar[Record] = UNRANKED
    output: ClassVar[Record] = RANKED
    uses_engine = ByOption("by", {"judge": True, "reward": False, "likelihood": True, "given": False})
    commands: ClassVar[tuple[str, ...]] = (
        "synth rank score sets/ ranked/ --by judge --rounds 2 --model Qwen/Qwen2.5-72B-Instruct",
        "synth rank score sets/ ranked/ --by reward --reward-model Skywork/Skywork-Reward-V2-Qwen3-8B",
    )

    by: Annotated[Literal["judge", "reward", "likelihood", "given"], Option("What gives the scores.")] = "judge"
    stop_turns: Annotated[bool, Option("End a response before a line that begins with `Human:` or `Assistant:`.")] = (
        False
    )
    rubric: Annotated[
        Prompt,
        Option("Text file that says what a good response is; `helpful` is the shipped one.", metavar="FILE"),
        BY_JUDGE,
    ] = shipped("helpful", FOLDER)
    rounds: Annotated[int, Option("Times to ask the judge, each in another order.", min=1), BY_JUDGE] = 1
    prompt: Annotated[PromptFile, BY_JUDGE] = shipped("judge", FOLDER)
    schema: Annotated[Schema, BY_JUDGE] = True
    temperature: Annotated[
        Temperature, Option("Sampling temperature of the judge; at 0, retries use 1.", min=0), BY_JUDGE
    ] = 0.0
    max_tokens: Annotated[MaxTokens, BY_JUDGE] = 1024
    tries: Annotated[Tries, BY_JUDGE] = 3
    repairs: Annotated[Repairs, BY_JUDGE] = 0
    # Not compared as an option: it is identified by its weights.
    reward_model: Annotated[
        str | None, Option("The reward model: a directory or a hub name.", metavar="MODEL"), BY_REWARD
    ] = field(default=None, compare=False)
    context: Annotated[
        Prompt,
        Option("Text file with what comes before a response; `plain` is the query.", metavar="FILE"),
        BY_LIKELIHOOD,
    ] = shipped("plain", FOLDER)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.by == "reward" and self.reward_model is None:
            raise UsageError("--by reward needs --reward-model: the model that gives the scores")
        for flag, text in (("--rubric", self.rubric), ("--context", self.context)):
            if text.is_chat:
                raise UsageError(f"{flag} {text.origin} is a chat, but must be plain text")

    @cached_property
    def scorer(self) -> RewardModel | None:
        return RewardModel(self.reward_model) if self.reward_model else None

    @property
    def means(self) -> Mapping[str, str]:
        return {"best_score": "sets", "worst_score": "sets", "responses": "sets"}

    def prepare(self, table: pa.Table) -> Self:
        if table["responses"].null_count == len(table) and not self.further(table):
            raise InputError(
                f"the input has no responses, only {', '.join(filled(table))}: name their column with "
                "--column responses=NAME, or one for each source with --response NAME"
            )
        return super().prepare(table)

    async def process(self, row: Row, tools: Tools) -> AsyncIterator[Row | Rejected]:
        collected = self.collected(row)
        kept, faults = usable(collected, stop_turns=self.stop_turns)
        for number, fault in faults.items():
            filtered = {"id": f"{row['id']}/response-{number + 1}", "query": row["query"]}
            yield Rejected({**filtered, **columns_of([collected[number]])}, *fault)
        responses = list(kept.values())
        check_several(responses)
        scored = await self._scored(asked_in(row, "query"), responses, tools)
        scores = check_scores(scored.pop("scores"))
        for name, amount in (("best_score", max(scores)), ("worst_score", min(scores)), ("responses", len(scores))):
            tools.tally(name, amount)
        tools.tally("sets")
        ranking = {"scores": scores, "ranks": ranks_of(scores), "scorer": None, "score_reasons": None, **scored}
        yield {**row, **columns_of(responses), **ranking}

    async def _scored(self, asked: Sequence[Message], responses: Sequence[Response], tools: Tools) -> dict[str, Any]:
        """The `scores`, and those of `scorer` and `score_reasons` that there are."""
        match self.by:
            case "judge":
                scores, reasons = await self._judged(asked, responses, tools)
                return {"scores": scores, "scorer": tools.model, "score_reasons": reasons}
            case "reward":
                chats = [(*asked, Message(role="assistant", content=one.text)) for one in responses]
                return {"scores": await gather_all(map(tools.score, chats)), "scorer": self.reward_model}
            case "likelihood":
                return {"scores": await self._likelihoods(asked, responses, tools), "scorer": tools.model}
            case "given":
                if all(one.score is None for one in responses):
                    raise Reject("no_scores", "there are none in the column scores")
                return {"scores": [one.score for one in responses]}

    async def _judged(
        self, asked: Sequence[Message], responses: Sequence[Response], tools: Tools
    ) -> tuple[list[float], list[str]]:
        """The mean scores of the responses, and the reason of each round."""
        *system, query = [message["content"] for message in asked]
        sampling = Sampling(temperature=self.temperature, max_tokens=self.max_tokens)
        form = form_of(len(responses)) if self.schema else None

        def ask(number: int, order: list[int]) -> Coroutine[Any, Any, tuple[str, list[int]]]:
            prompt = self.prompt.render(
                rubric=self.rubric.render(),
                system="".join(system),
                query=query,
                responses=[responses[place].text for place in order],
                low=SCALE[0],
                high=SCALE[-1],
            )
            return Ask(tools, prompt, form, self.repairs).first_readable(
                warmer_retries(sampling, self.tries),
                partial(judgement_in, order=order),
                first_sample=number * self.tries,
            )

        rounds = enumerate(orders(len(responses), self.rounds, tools.random("orders")))
        reasons, scores = zip(*await gather_all(ask(*one) for one in rounds), strict=True)
        return [fmean(of_one) for of_one in zip(*scores, strict=True)], list(reasons)

    async def _likelihoods(self, asked: Sequence[Message], responses: Sequence[Response], tools: Tools) -> list[float]:
        """The mean log-probability of the tokens of each response, in nats, given what comes before it.

        That is what they add to the text before: it is exact unless a token holds the end of the one and the beginning
        of the other.
        """
        *system, query = [message["content"] for message in asked]
        before = self.context.render(query=query, system="".join(system))
        assert isinstance(before, str), "it was checked that it is no chat"
        before = before.rstrip()
        alone, *both = await gather_all(
            tools.llm.score_text(text, WHOLE) for text in (before, *(f"{before} {one.text}" for one in responses))
        )
        lengths = [one.tokens - alone.tokens for one in both]
        if min(lengths) < 1:
            raise Reject("no_tokens", "one of the responses adds no token to what comes before it")
        return [(alone.nll - one.nll) / length for one, length in zip(both, lengths, strict=True)]
