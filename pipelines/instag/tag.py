"""Open-set tagging: what each query asks for, in tags that a model chooses (InsTag, arXiv 2308.07074, section 3.1)."""

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar

from synth.pipelines.engines import Completion, Sampling
from synth.pipelines.instag.queries import queries_of
from synth.pipelines.instag.replies import TagReading, read_tags
from synth.pipelines.runtime.asking import first_readable, gather_settled, warmer_retries
from synth.pipelines.runtime.declared import Option, shipped
from synth.pipelines.runtime.stage import Reject, Row, RowStage, Tools, Unanswered
from synth.pipelines.runtime.usual_options import MaxTokens, PromptFile, Schema, Temperature, Tries
from synth.schemas.record import Record
from synth.schemas.records import ROW, TAGGED

__all__ = ["Tag"]

FOLDER = Path(__file__).parent

# Tags in order, each with its explanation where it has one.
Tags = Sequence[tuple[str, str | None]]

# What a schema allows, so that a weak model comes to an end. Queries of the paper have five tags or so.
MOST_TAGS = 20
LONGEST_EXPLANATION = 300


@dataclass(frozen=True)
class Tag(RowStage):
    """Tag what each instruction, or each user turn of a chat, asks for.

    Every query of a row gets its tags, each with an explanation, as `raw_tags`; all columns of the row stay.

    As in the paper a query is tagged on its own: what was said before it in a chat is not shown to the model. Queries
    are the user turns of a chat, or the one plain instruction, in the first of the columns `text` that has something in
    this row; without `text`, of those with a usual name (see `queries_of`). They are asked about at a time.

    With `schema` the engine holds the model to a JSON list of objects; replies are read with the same tolerance either
    way. Tags of more than `max_tag_chars` characters are left out and counted. `tries` replies are asked for until one
    has a tag; the paper names no temperature, and where it is 0 all but the first are drawn at 1.

    A query that gets no tag is counted (`untagged_queries`) if another of its row does. Else the row is rejected, with
    the reason of most of its queries: `unreadable` (no list and no object in the reply), `no_tags` (none in them),
    `truncated` (the reply was cut before one was whole), `refused`, `empty_answer`; or as `no_query`. It fails where
    the engine answers none of them. Reasoning is dropped: a row may have several queries, and a `reasoning` of its own.
    """

    name: ClassVar[str] = "instag tag"
    version: ClassVar[int] = 2
    input: ClassVar[Record] = ROW
    output: ClassVar[Record] = TAGGED

    uses_engine: ClassVar[bool] = True
    commands: ClassVar[tuple[str, ...]] = (
        "synth instag tag chats.jsonl tagged/ --model Qwen/Qwen2.5-7B-Instruct",
        "synth instag tag chats.jsonl tagged/ --model OFA-Sys/InsTagger --prompt tagger --no-schema",
    )

    prompt: Annotated[
        PromptFile,
        Option("A prompt file, or one that the recipe ships; `tagger` is for a tuned tagger.", metavar="FILE"),
    ] = shipped("tag", FOLDER)
    text: Annotated[
        tuple[str, ...],
        Option(
            "Column of the instructions or chats. Repeatable: the first that has something in a row.", metavar="NAME"
        ),
    ] = ()
    schema: Schema = True
    temperature: Annotated[Temperature, Option("Sampling temperature; at 0, a further try is drawn at 1.", min=0)] = 0.0
    max_tokens: MaxTokens = 512
    max_tag_chars: Annotated[int, Option("Longest tag, in characters; longer ones are left out.", min=1)] = 80
    tries: Tries = 3

    @property
    def means(self) -> Mapping[str, str]:
        return {"tags_per_query": "tagged_queries"}

    async def process(self, row: Row, tools: Tools) -> AsyncIterator[Row]:
        queries = queries_of(row, self.text)
        answers = await self._ask(queries, tools)
        raw_tags = [
            {"turn": turn, "tag": tag, "explanation": explanation}
            for turn, tags in enumerate(answers, start=1)
            if not isinstance(tags, Reject)
            for tag, explanation in tags
        ]
        faults = {turn: answer for turn, answer in enumerate(answers, start=1) if isinstance(answer, Reject)}
        if not raw_tags:
            raise _shared_fault(faults)
        if faults:
            tools.tally("untagged_queries", len(faults))
        tools.tally("tagged_queries", len(queries) - len(faults))
        tools.tally("tags_per_query", len(raw_tags))
        yield {**row, "raw_tags": raw_tags, "queries": len(queries) - len(faults)}

    async def _ask(self, queries: Sequence[str], tools: Tools) -> list[Tags | Reject]:
        """The tags of each query; where it has none, why."""
        return await gather_settled(self._tag(query, tools) for query in queries)

    async def _tag(self, query: str, tools: Tools) -> Tags:
        if not query.strip():
            raise Reject("no_query", "this turn is blank")
        prompt = self.prompt.render(query=query)
        sampling = Sampling(temperature=self.temperature, max_tokens=self.max_tokens)

        def read(completion: Completion) -> Tags:
            reading = read_tags("" if completion.silence else completion.text, self.max_tag_chars)
            for name, count in (("tags_too_long", reading.too_long), ("tags_without_text", reading.without_text)):
                if count:
                    tools.tally(name, count)
            if not reading.tags:
                raise _fault(reading, completion)
            return reading.tags

        return await first_readable(tools, prompt, warmer_retries(sampling, self.tries), read, self._form)

    @cached_property
    def _form(self) -> Mapping[str, Any] | None:
        """The JSON schema of a reply: the list that the prompt asks for."""
        if not self.schema:
            return None
        texts = {
            "tag": {"type": "string", "minLength": 1, "maxLength": self.max_tag_chars},
            "explanation": {"type": "string", "maxLength": LONGEST_EXPLANATION},
        }
        tag = {"type": "object", "properties": texts, "required": list(texts), "additionalProperties": False}
        return {"type": "array", "items": tag, "minItems": 1, "maxItems": MOST_TAGS}


def _fault(reading: TagReading, completion: Completion) -> Reject:
    if completion.silence:
        return Reject(*completion.silence)
    said = f"the reply is {completion.text!r:.300}"
    if completion.cut and any(opening in completion.text for opening in "[{"):
        return Reject("truncated", f"{completion.cut}: {said}")
    if not reading.is_json:
        return Reject("unreadable", said)
    left_out = f"{reading.too_long} too long, {reading.without_text} without text"
    return Reject("no_tags", f"{left_out}: {said}" if reading.too_long or reading.without_text else said)


def _shared_fault(faults: Mapping[int, Reject]) -> Reject:
    """The reason of most queries of a row, with the detail of the first that has it."""
    ((reason, _),) = Counter(fault.reason for fault in faults.values()).most_common(1)
    turn, fault = next((turn, fault) for turn, fault in faults.items() if fault.reason == reason)
    if len(faults) == 1:
        return fault
    kind = Unanswered if all(isinstance(one, Unanswered) for one in faults.values()) else Reject
    return kind(reason, f"query {turn} of {len(faults)}: {fault.detail}")
