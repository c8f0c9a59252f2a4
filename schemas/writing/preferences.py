"""Preference data in the shapes that trainers read: pairs (DPO), labelled responses (KTO), ranked sets (RRHF)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, repeat
from typing import Any

import pyarrow as pa

from synth.schemas.dataset import Dataset
from synth.schemas.errors import InputError, UsageError
from synth.schemas.instructions import with_input
from synth.schemas.storable import is_list, is_text
from synth.schemas.writing.reasoning import FIELD, ReasoningForm, think_block
from synth.schemas.writing.shapes import (
    ALPACA,
    HISTORY,
    MESSAGES,
    PROMPTS,
    RESPONSES,
    ROWS_AT_ONCE,
    SYSTEMS,
    Exchange,
    chosen_columns,
    exchanges_of,
)

__all__ = ["PREFERENCES", "is_preference", "preferences"]

PREFERENCES = ("dpo", "kto", "ranked")
SIDES = ("chosen", "rejected")
COMPLETION, LABEL = "completion", "label"
TURN = [("role", pa.string()), ("content", pa.string())]
RANKED = pa.schema([("query", pa.string()), ("responses", pa.list_(pa.string())), ("scores", pa.list_(pa.float64()))])


def is_preference(dataset: Dataset, shape: str, *, response: str | None = None, columns: Sequence[str] = ()) -> bool:
    """Whether these columns of `dataset` are written in this shape as preference data.

    For `llama-factory` they are such if they have a label, or pairs and no other response.
    """
    if shape != "llama-factory":
        return shape in PREFERENCES
    schema = chosen_columns(dataset, columns).schema
    has_another = MESSAGES.column in schema.names or any(name in schema.names for name in RESPONSES)
    has_pairs = {*SIDES} <= {*schema.names} and not has_another
    return response is None and (_are_labelled(schema) or has_pairs)


def preferences(
    dataset: Dataset,
    shape: str,
    *,
    prompt: str | None = None,
    response: str | None = None,
    columns: Sequence[str] = (),
    reasoning: ReasoningForm | None = None,
) -> tuple[pa.Schema, Iterator[pa.Table]]:
    """The schema and rows of `dataset` in a shape for which `is_preference` holds.

    `dpo`: the chats `prompt`, `chosen` and `rejected`, as TRL reads them, and Axolotl's `chat_template.default` with
    `field_messages: prompt`. `kto`: `prompt`, `completion` and `label`, of labelled rows, or two of each pair.
    `ranked`: `query`, `responses` and `scores`, as the published trainer of RRHF reads them. `llama-factory`: the
    columns of Alpaca with `chosen` and `rejected`, or with `kto_tag`.

    The prompt is that of `shaped`. With `reasoning`, that of each response (in `chosen_reasoning` and
    `rejected_reasoning`, in `reasoning`, in `reasonings`) comes before it. Raises `InputError` for a column that is
    missing, has another type, or a null; `UsageError` if the shape has no field for reasoning, or a `response` is
    named, since the shapes have columns of their own for these.
    """
    if response is not None:
        raise UsageError(f"--response-column does not apply with --as {shape}, which takes several responses")
    if reasoning == "field" and shape not in ("dpo", "kto"):
        raise UsageError(f"--reasoning field does not go with --as {shape}, whose responses are text: use think")
    data = _Preferences(chosen_columns(dataset, columns), str(dataset), prompt, reasoning)
    if shape == "ranked":
        return RANKED, _tables(data.sets(), RANKED)
    if shape == "llama-factory":
        kind, write, named = pa.string(), _as_alpaca, ("output", "kto_tag")
        given = {"system": SYSTEMS, "history": (HISTORY,)}
        extra = [ALPACA.extra[name] for name in given if {*given[name]} & {*data.table.column_names}]
        asked = [*list(ALPACA.schema)[:2], *extra]
    else:
        kind = pa.list_(pa.struct([*TURN, *([(FIELD, pa.string())] if reasoning == "field" else [])]))
        write, named, asked = _as_chats, (COMPLETION, LABEL), [pa.field("prompt", kind)]
    if _are_labelled(data.table.schema) or shape == "kto":
        schema = pa.schema([*asked, (named[0], kind), (named[1], pa.bool_())])
        rows = ({**write(one, {named[0]: answer}), named[1]: label} for one, answer, label in data.labelled())
    else:
        schema = pa.schema([*asked, *((side, kind) for side in SIDES)])
        rows = (write(one, answers) for one, answers in data.pairs())
    return schema, _tables(rows, schema)


@dataclass(frozen=True)
class _Answer:
    """A response, and what is to stand before it in a field of its own."""

    text: str
    thought: str | None = None


@dataclass(frozen=True)
class _Preferences:
    """The rows of `table`; `path` is for messages. Raises `InputError`."""

    table: pa.Table
    path: str
    prompt: str | None
    reasoning: ReasoningForm | None

    def pairs(self) -> Iterator[tuple[Exchange, dict[str, _Answer]]]:
        """Each prompt with the chosen and the rejected response."""
        sides = (self._answers(side, f"{side}_reasoning") for side in SIDES)
        for (exchange, chosen), (_, rejected) in zip(*sides, strict=True):
            yield exchange, dict(zip(SIDES, (chosen, rejected), strict=True))

    def labelled(self) -> Iterator[tuple[Exchange, _Answer, bool]]:
        """Each response with its label: that of its row, or of its side of a pair."""
        if not _are_labelled(self.table.schema):
            for exchange, answers in self.pairs():
                for side, answer in answers.items():
                    yield exchange, answer, side == SIDES[0]
            return
        labels = self._values(LABEL)
        for number, ((exchange, answer), label) in enumerate(
            zip(self._answers(COMPLETION, "reasoning"), labels, strict=True), start=1
        ):
            if label is None:
                raise InputError(f"{LABEL} is null in row {number} of {self.path}")
            yield exchange, answer, label

    def sets(self) -> Iterator[dict[str, Any]]:
        """Each query with its responses and their scores."""
        kinds = {name: self._type(name) for name in ("responses", "scores")}
        texts, numbers = (kind.value_type if is_list(kind) else pa.null() for kind in kinds.values())
        if not is_text(texts) or not (pa.types.is_floating(numbers) or pa.types.is_integer(numbers)):
            raise InputError(
                f"{self.path} has no ranked sets: responses is {kinds['responses']} and scores is {kinds['scores']}, "
                "where lists of texts and of numbers are needed"
            )
        prompt = self.prompt or next((name for name in PROMPTS if name in self.table.column_names), PROMPTS[0])
        # Of an exchange only the prompt is used, so that it may be the response, too.
        exchanges = exchanges_of(self.table, self.path, prompt, prompt)
        columns = (self._values("responses"), self._values("scores"), self._thoughts("reasonings"))
        for number, (one, responses, scores, thoughts) in enumerate(zip(exchanges, *columns, strict=True), start=1):
            if one.system.strip() or one.history:
                raise InputError(
                    f"row {number} of {self.path} has a system prompt or a history, which --as ranked cannot say: "
                    "leave the column out by naming the others with --columns"
                )
            if not responses or len(responses) != len(scores or ()) or None in (*responses, *scores):
                raise InputError(f"row {number} of {self.path} has not a response for each score, and a score for each")
            said = [self._answer(*answer).text for answer in zip(responses, thoughts or repeat(None), strict=False)]
            yield {"query": with_input(one.instruction, one.given), "responses": said, "scores": scores}

    def _answers(self, name: str, thoughts: str) -> Iterator[tuple[Exchange, _Answer]]:
        """The rows with the responses in a column, and the thoughts in another one."""
        if not is_text(kind := self._type(name)):
            raise InputError(f"{name} in {self.path} is {kind}, where text is needed")
        exchanges = exchanges_of(self.table, self.path, self.prompt, name)
        for one, thought in zip(exchanges, self._thoughts(thoughts), strict=True):
            yield one, self._answer(one.response, thought)

    def _answer(self, text: str, thought: str | None) -> _Answer:
        if thought and self.reasoning == "think":
            return _Answer(think_block(thought, text))
        return _Answer(text, thought)

    def _thoughts(self, name: str) -> Iterator[Any]:
        """The values of a column of reasoning; nothing for each row if they are not asked for."""
        if self.reasoning is None:
            return iter([None] * self.table.num_rows)
        self._type(name)
        return self._values(name)

    def _type(self, name: str) -> pa.DataType:
        if name not in self.table.column_names:
            raise InputError(f"{self.path} has no column {name}, only {', '.join(self.table.column_names)}")
        return self.table.schema.field(name).type

    def _values(self, name: str) -> Iterator[Any]:
        for batch in self.table.select([name]).to_batches(max_chunksize=ROWS_AT_ONCE):
            yield from batch.column(0).to_pylist()


def _as_chats(exchange: Exchange, answers: Mapping[str, _Answer]) -> dict[str, Any]:
    """The prompt, and each answer as a turn that follows it."""
    *asked, last = MESSAGES.row(exchange)[MESSAGES.column]
    turns = {name: [{**last, "content": one.text, FIELD: one.thought}] for name, one in answers.items()}
    return {"prompt": asked, **turns}


def _as_alpaca(exchange: Exchange, answers: Mapping[str, _Answer]) -> dict[str, Any]:
    """The columns of the prompt, and each answer as text."""
    return {**ALPACA.row(exchange), **{name: one.text for name, one in answers.items()}}


def _are_labelled(schema: pa.Schema) -> bool:
    return COMPLETION in schema.names and LABEL in schema.names and pa.types.is_boolean(schema.field(LABEL).type)


def _tables(rows: Iterator[dict[str, Any]], schema: pa.Schema) -> Iterator[pa.Table]:
    while portion := list(islice(rows, ROWS_AT_ONCE)):
        yield pa.Table.from_pylist(portion, schema)
