"""The rows of a dataset in the shapes that trainers read: chats, or Alpaca instructions.

Chats may have parts that are not to be learnt (`segments`). Of the shapes, only `MASKED` ones can say so; the column is
left beside the chats for what writes them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import pyarrow as pa

from synth.schemas.dataset import Dataset
from synth.schemas.errors import InputError
from synth.schemas.features import class_names, with_only_features
from synth.schemas.instructions import INSTANCES, NAMES, with_input
from synth.schemas.plain import plain_values, text_of_plain
from synth.schemas.records.shared import SEGMENTS
from synth.schemas.segments import NOT_LEARNT
from synth.schemas.storable import repeated_names
from synth.schemas.writing.tool_chats import is_tool_chats, tool_chats

__all__ = [
    "ALPACA",
    "HISTORY",
    "MASKED",
    "MESSAGES",
    "PROMPTS",
    "RESPONSES",
    "ROWS_AT_ONCE",
    "SHAPE_NAMES",
    "SHAREGPT",
    "SYSTEMS",
    "ChatShape",
    "Exchange",
    "chosen_columns",
    "exchanges_of",
    "one_row_per_instance",
    "shaped",
]

PROMPTS = ("query", "question", "instruction", "prompt")
RESPONSES = ("response", "answer", "output")
# Other columns of a prompt: the system prompt, and the previous turns.
SYSTEMS = ("system", "system_prompt")
HISTORY = "history"
ROWS_AT_ONCE = 16_384


@dataclass(frozen=True)
class Exchange:
    """A prompt and its response; `history` has earlier pairs of both."""

    instruction: str
    given: str
    response: str
    system: str = ""
    history: Sequence[Sequence[str]] = ()

    def turns(self) -> Iterator[tuple[str, str]]:
        """Role and text of each turn."""
        if self.system.strip():
            yield "system", self.system
        for asked, answered in (*self.history, (with_input(self.instruction, self.given), self.response)):
            yield "user", asked
            yield "assistant", answered


@dataclass(frozen=True)
class ChatShape:
    """Rows with a column of turns: its name, the fields for role and content, and the names of the two roles."""

    column: str
    role: str
    content: str
    user: str
    assistant: str

    @property
    def schema(self) -> pa.Schema:
        return pa.schema([(self.column, pa.list_(pa.struct([(self.role, pa.string()), (self.content, pa.string())])))])

    def row(self, exchange: Exchange) -> dict[str, Any]:
        names = {"user": self.user, "assistant": self.assistant}
        return {
            self.column: [{self.role: names.get(role, role), self.content: text} for role, text in exchange.turns()]
        }

    def is_in(self, schema: pa.Schema) -> bool:
        """Whether rows of this schema already have this shape."""
        kind = schema.field(self.column).type if self.column in schema.names else pa.null()
        if not (pa.types.is_list(kind) and pa.types.is_struct(kind.value_type)):
            return False
        return {self.role, self.content} <= {*kind.value_type.names}


class AlpacaShape:
    """Rows with an instruction, its input and the output, and `system` and `history` if the dataset has them."""

    schema = pa.schema([("instruction", pa.string()), ("input", pa.string()), ("output", pa.string())])
    extra: ClassVar = {
        "system": pa.field("system", pa.string()),
        "history": pa.field("history", pa.list_(pa.list_(pa.string()))),
    }

    def row(self, exchange: Exchange) -> dict[str, Any]:
        return {
            "instruction": exchange.instruction,
            "input": exchange.given,
            "output": exchange.response,
            "system": exchange.system,
            "history": exchange.history,
        }


MESSAGES = ChatShape("messages", "role", "content", "user", "assistant")
SHAREGPT = ChatShape("conversations", "from", "value", "human", "gpt")
ALPACA = AlpacaShape()
SHAPES: dict[str, ChatShape | AlpacaShape] = {"messages": MESSAGES, "sharegpt": SHAREGPT, "alpaca": ALPACA}
MASKED = ("axolotl", "tokens")
TOOL_CALLS = "tool-calls"
SHAPE_NAMES = ("rows", *SHAPES, TOOL_CALLS, "llama-factory", *MASKED)
# The column of a chat's tools, next to its turns.
TOOLS = "tools"


def shaped(
    dataset: Dataset,
    shape: str,
    *,
    prompt: str | None = None,
    response: str | None = None,
    columns: Sequence[str] = (),
) -> tuple[pa.Schema, Iterator[pa.Table]]:
    """The schema and rows of `dataset` in a shape (one of `SHAPE_NAMES`), in tables of `ROWS_AT_ONCE` rows.

    Only the `columns` are used, if any are given. `prompt` and `response` name the columns to use, by default the first
    existing one of `PROMPTS` and `RESPONSES`. Columns `input`, `system` and `history` belong to the prompt. Rows that
    are already chats, with a column `messages` (`conversations` for `sharegpt`), are kept. `tool-calls` is for chats
    whose tools and calls are apart. `llama-factory` is that in its own layout for such rows, `messages` for other
    chats, otherwise `alpaca`; shapes in `MASKED` are `messages`, with the column `segments` if there is one. Raises
    `InputError` if a column is missing, not text, or has a null, and for segments that are not to be learnt where the
    shape cannot say so.
    """
    table = chosen_columns(dataset, columns)
    if shape == "rows":
        return table.schema, _portions(table)
    if SEGMENTS.name in table.column_names:
        _check_segments(table, shape, str(dataset))
    named = bool(prompt or response)
    if shape == TOOL_CALLS or (shape == "llama-factory" and not named and is_tool_chats(table.schema)):
        return tool_chats(table, str(dataset), sharegpt=shape != TOOL_CALLS)
    if shape == "llama-factory":
        made = MESSAGES if MESSAGES.is_in(table.schema) and not named else ALPACA
    else:
        made = MESSAGES if shape in MASKED else SHAPES[shape]
    if named or not (isinstance(made, ChatShape) and made.is_in(table.schema)):
        return _Exchanges(one_row_per_instance(table), str(dataset), prompt, response).shaped(made)
    beside = (TOOLS, SEGMENTS.name) if shape in MASKED else (TOOLS,)
    chats = table.select([name for name in (made.column, *beside) if name in table.column_names])
    system = next((name for name in SYSTEMS if name in table.column_names), None)
    if system is None:
        return chats.schema, _portions(chats)
    return chats.schema, _with_system(table, chats, system, made, str(dataset))


def chosen_columns(dataset: Dataset, columns: Sequence[str]) -> pa.Table:
    """The rows with only these columns, if any are named. Raises `InputError` for one that does not exist."""
    table = dataset.table
    for name in columns:
        if name not in table.column_names:
            raise InputError(f"--columns {name}: {dataset} has no such column, only {', '.join(table.column_names)}")
    chosen = with_only_features(table.select(list(columns)) if columns else table)
    if repeated := repeated_names(chosen.schema):
        raise InputError(f"{dataset} has several columns named {', '.join(repeated)}, which no file can tell apart")
    return chosen


def _check_segments(table: pa.Table, shape: str, path: str) -> None:
    """Raises `InputError` if an export would lose what is not to be learnt."""
    import pyarrow.compute as pc

    kind = table.schema.field(SEGMENTS.name).type
    if pa.types.is_null(kind):
        return
    advice = "leave the column out by naming the others with --columns"
    parts = kind.value_type.names if pa.types.is_list(kind) and pa.types.is_struct(kind.value_type) else []
    if not {"text", "loss"} <= {*parts}:
        raise InputError(f"{SEGMENTS.name} in {path} is {kind}, where a list of text and loss is needed: {advice}")
    losses = pc.struct_field(pc.list_flatten(table[SEGMENTS.name]), "loss")
    if not pc.any(pc.equal(losses, NOT_LEARNT)).as_py():
        return
    if shape not in MASKED:
        raise InputError(
            f"{SEGMENTS.name} in {path} has parts that are not to be learnt, which --as {shape} cannot say: use --as "
            f"{' or '.join(MASKED)}, or to learn them too, {advice}"
        )
    if not MESSAGES.is_in(table.schema):
        raise InputError(f"{SEGMENTS.name} in {path} are parts of a chat, and there is no column {MESSAGES.column}")


def _portions(table: pa.Table) -> Iterator[pa.Table]:
    return (table.slice(start, ROWS_AT_ONCE) for start in range(0, table.num_rows, ROWS_AT_ONCE))


def _with_system(table: pa.Table, chats: pa.Table, system: str, shape: ChatShape, path: str) -> Iterator[pa.Table]:
    """Chats with the text of the column `system` as first turn, unless they have it already."""
    column, role, content = shape.column, shape.role, shape.content
    for start in range(0, table.num_rows, ROWS_AT_ONCE):
        rows = chats.slice(start, ROWS_AT_ONCE).to_pylist()
        for number, text in enumerate(table[system].slice(start, ROWS_AT_ONCE).to_pylist()):
            turns = rows[number][column] or []
            first = turns[0] if turns and turns[0][role] == "system" else None
            if first and text and first[content] != text:
                raise InputError(
                    f"{column} begins with a system prompt other than {system} in row {start + number + 1} of {path}: "
                    f"leave one of them out with --columns"
                )
            if not first and text:
                rows[number][column] = [{role: "system", content: text}, *turns]
        yield pa.Table.from_pylist(rows, chats.schema)


def one_row_per_instance(table: pa.Table) -> pa.Table:
    """Self-Instruct rows, each with several `instances` of input and output, as one row per instance."""
    import pyarrow.compute as pc

    if INSTANCES not in table.column_names or any(name in table.column_names for name in (*RESPONSES, *NAMES)):
        return table
    instances = table[INSTANCES].combine_chunks()
    kind = instances.type
    if not (pa.types.is_list(kind) and pa.types.is_struct(kind.value_type) and "output" in kind.value_type.names):
        return table
    rows = table.drop_columns([INSTANCES]).take(pc.list_parent_indices(instances))
    for name, values in zip(kind.value_type.names, instances.flatten().flatten(), strict=True):
        if name in (*NAMES, "output"):
            rows = rows.append_column(name, values)
    return rows


class _Exchanges:
    """The rows of `table` as exchanges; `path` is for error messages."""

    def __init__(self, table: pa.Table, path: str, prompt: str | None, response: str | None) -> None:
        self._table = table
        self._path = path
        self._classes = class_names(table.schema)
        self._prompt = self._text_column(prompt, PROMPTS, "prompt")
        self._response = self._text_column(response, RESPONSES, "response")
        self._input = next(filter(None, map(self._prompt_part, NAMES)), None)
        self._system = next(filter(None, map(self._prompt_part, SYSTEMS)), None)
        self._history = self._prompt_part(HISTORY)

    def shaped(self, shape: ChatShape | AlpacaShape) -> tuple[pa.Schema, Iterator[pa.Table]]:
        schema = shape.schema
        if isinstance(shape, AlpacaShape):
            for name, column in (("system", self._system), ("history", self._history)):
                schema = schema.append(shape.extra[name]) if column else schema
        return schema, self._tables(shape, schema)

    def _tables(self, shape: ChatShape | AlpacaShape, schema: pa.Schema) -> Iterator[pa.Table]:
        for start in range(0, self._table.num_rows, ROWS_AT_ONCE):
            yield pa.Table.from_pylist([shape.row(exchange) for exchange in self.exchanges(start)], schema)

    def exchanges(self, start: int) -> Iterator[Exchange]:
        """The rows from `start`, as many as are written at once."""
        part = self._table.slice(start, ROWS_AT_ONCE)
        prompts, responses = (self._texts(part, start, name) for name in (self._prompt, self._response))
        inputs, systems = (self._texts(part, start, name, optional=True) for name in (self._input, self._system))
        histories = part[self._history].to_pylist() if self._history else [None] * len(part)
        for row, history in enumerate(histories, start):
            if history and any(pair is None or len(pair) != 2 or None in pair for pair in history):
                raise InputError(f"{self._history} is not a list of pairs of texts in {self._place(row)}")
        for asked, given, answered, system, history in zip(prompts, inputs, responses, systems, histories, strict=True):
            yield Exchange(asked, given, answered, system, history or ())

    def _texts(self, part: pa.Table, start: int, name: str | None, *, optional: bool = False) -> list[str]:
        """The values of a column as text, classes by name; missing or null values of an `optional` column are empty."""
        if name is None:
            return [""] * len(part)
        values = plain_values(
            part, name, lambda row: self._place(start + row), advice="it cannot be the text of a prompt or response"
        )
        if name in self._classes:
            classes = dict(enumerate(self._classes[name]))
            # -1 means no class.
            values = [None if value == -1 else classes.get(value, value) for value in values]
        if None in values and not optional:
            raise InputError(f"{name} is null in {self._place(start + values.index(None))}")
        return ["" if value is None else text_of_plain(value) for value in values]

    def _place(self, row: int) -> str:
        return f"row {row + 1} of {self._path}"

    def _text_column(self, requested: str | None, usual: Sequence[str], role: str) -> str:
        names = self._table.column_names
        found = next((name for name in ([requested] if requested else usual) if name in names), None)
        if found is None:
            missing = f"no column {requested}" if requested else f"none of the columns {', '.join(usual)}"
            raise InputError(f"{self._path} has {missing}, only {', '.join(names)}: name one with --{role}-column")
        kind = self._table.schema.field(found).type
        if pa.types.is_nested(kind):
            raise InputError(
                f"{found} in {self._path} is {kind}, where text is needed: name another with --{role}-column"
            )
        return found

    def _prompt_part(self, name: str) -> str | None:
        """A column that belongs to the prompt, if it exists and is not null. Raises `InputError` for a wrong type."""
        if name not in self._table.column_names or name in (self._prompt, self._response):
            return None
        kind = self._table.schema.field(name).type
        if pa.types.is_null(kind):
            return None
        fits = _is_history(kind) if name == HISTORY else not pa.types.is_nested(kind)
        if not fits and self._table[name].null_count < self._table.num_rows:
            wanted = "a list of pairs of texts" if name == HISTORY else "text"
            raise InputError(
                f"{name} in {self._path} belongs to the prompt and is {kind}, where {wanted} is needed: "
                "leave it out by naming the others with --columns"
            )
        return name if fits else None


def exchanges_of(table: pa.Table, path: str, prompt: str | None, response: str) -> Iterator[Exchange]:
    """Each row of `table` with the response in one of its columns; `path` is for messages. Raises `InputError`."""
    rows = _Exchanges(table, path, prompt, response)
    for start in range(0, table.num_rows, ROWS_AT_ONCE):
        yield from rows.exchanges(start)


def _is_history(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_list(kind) and pa.types.is_list(kind.value_type) and pa.types.is_string(kind.value_type.value_type)
    )
