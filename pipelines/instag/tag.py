"""Open-set tagging: a model tags the intentions of each query (InsTag, arXiv 2308.07074, section 3.1)."""

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, ClassVar

from synth.pipelines.engines import Completion, Sampling
from synth.pipelines.instag.queries import queries_of
from synth.pipelines.instag.replies import TagReading, read_tags
from synth.pipelines.runtime.asking import Ask, Form, gather_settled, warmer_retries
from synth.pipelines.runtime.common_options import MaxTokens, PromptFile, Repairs, Schema, Temperature, Tries
from synth.pipelines.runtime.declared import Option, shipped
from synth.pipelines.runtime.stage import Reject, Row, RowStage, Tools, Unanswered
from synth.schemas.record import Record
from synth.schemas.records import ROW, TAGGED

__all__ = ["Tag"]

FOLDER = Path(__file__).parent

# Tags in order, each with its explanation or None.
Tags = Sequence[tuple[str, str | None]]

# Limits in the schema, so that weak models stop. Queries of the paper have about five tags.
MOST_TAGS = 20
LONGEST_EXPLANATION = 300


@dataclass(frozen=True)
class Tag(RowStage):
    """Tag the intentions of each instruction, or of each user turn of a chat.

    Adds `raw_tags`, the tags of every query with their explanations; all columns of the row are kept.

    As in the paper, each query is tagged alone: the model does not see earlier turns. Queries are the user turns of a
    chat, or one plain instruction, in the first non-empty column of `text`, or else of the usual names (see
    `queries_of`). The queries of a row are sent concurrently.

    With `schema`, the engine constrains replies to a JSON list of objects; the parser is equally tolerant either way.
    Tags longer than `max_tag_chars` characters are dropped and counted. Up to `tries` replies are sampled until one has
    a tag. The paper gives no temperature; if it is 0, retries sample at 1.

    A query without tags is counted (`untagged_queries`) if another query of its row has some. Otherwise the row is
    rejected with the most common reason of its queries: `unreadable` (no list or object in the reply), `no_tags` (none
    inside), `truncated` (cut before the first complete tag), `refused`, `empty_answer`, `no_query`. It fails if the
    engine answers none of them. Reasoning is dropped: a row may have several queries, and a `reasoning` column.
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
        Option("Prompt file, or one of the recipe; `tagger` is for a fine-tuned tagger.", metavar="FILE"),
    ] = shipped("tag", FOLDER)
    text: Annotated[
        tuple[str, ...],
        Option("Column of the instructions or chats. Repeatable: the first non-empty one of a row.", metavar="NAME"),
    ] = ()
    schema: Schema = True
    temperature: Annotated[Temperature, Option("Sampling temperature; at 0, retries sample at 1.", min=0)] = 0.0
    max_tokens: MaxTokens = 512
    max_tag_chars: Annotated[int, Option("Longest tag, in characters; longer ones are dropped.", min=1)] = 80
    tries: Tries = 3
    repairs: Repairs = 0

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
        """The tags of each query, or why it has none."""
        return await gather_settled(self._tag(query, tools) for query in queries)

    async def _tag(self, query: str, tools: Tools) -> Tags:
        if not query.strip():
            raise Reject("no_query", "this turn is blank")
        prompt = self.prompt.render(query=query)
        sampling = Sampling(temperature=self.temperature, max_tokens=self.max_tokens)

        def read(completion: Completion) -> Tags:
            reading = read_tags("" if completion.no_answer else completion.text, self.max_tag_chars)
            for name, count in (("tags_too_long", reading.too_long), ("tags_without_text", reading.without_text)):
                if count:
                    tools.tally(name, count)
            if not reading.tags:
                raise _fault(reading, completion)
            return reading.tags

        ask = Ask(tools, prompt, self._form, self.repairs)
        return await ask.first_readable(warmer_retries(sampling, self.tries), read)

    @cached_property
    def _form(self) -> Form | None:
        """The list that the prompt asks for."""
        if not self.schema:
            return None
        texts = {
            "tag": {"type": "string", "minLength": 1, "maxLength": self.max_tag_chars},
            "explanation": {"type": "string", "maxLength": LONGEST_EXPLANATION},
        }
        return Form({"type": "array", "items": Form.of(texts).schema, "minItems": 1, "maxItems": MOST_TAGS})


def _fault(reading: TagReading, completion: Completion) -> Reject:
    if completion.no_answer:
        return Reject(*completion.no_answer)
    if completion.cut and any(opening in completion.text for opening in "[{"):
        return Reject("truncated", completion.cut)
    if not reading.is_json:
        return Reject("unreadable", "the reply has no list of tags in JSON")
    left_out = f"the tags are left out: {reading.too_long} too long, {reading.without_text} without text"
    return Reject("no_tags", left_out if reading.too_long or reading.without_text else "the reply names no tag")


def _shared_fault(faults: Mapping[int, Reject]) -> Reject:
    """The reason of most queries of a row, with the detail of the first that has it."""
    ((reason, _),) = Counter(fault.reason for fault in faults.values()).most_common(1)
    turn, fault = next((turn, fault) for turn, fault in faults.items() if fault.reason == reason)
    if len(faults) == 1:
        return fault
    kind = Unanswered if all(isinstance(one, Unanswered) for one in faults.values()) else Reject
    return kind(reason, f"query {turn} of {len(faults)}: {fault.detail}")
