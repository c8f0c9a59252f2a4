"""A prompt of the user's own over any dataset."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Self

import pyarrow as pa

from synth.pipelines.engines import Completion, Message, Sampling
from synth.pipelines.prompted.fields import Fields
from synth.pipelines.prompted.files import check_variables, own_prompt, with_columns
from synth.pipelines.prompted.variation import Variation
from synth.pipelines.runtime.asking import Ask, Form, gather_all, warmer_retries, whole_text
from synth.pipelines.runtime.common_options import MaxTokens, Repairs, Temperature, TopP, Tries
from synth.pipelines.runtime.declared import Option
from synth.pipelines.runtime.prompts import Prompt
from synth.pipelines.runtime.stage import Reject, Rejected, Row, RowStage, Tools, nothing_kept
from synth.schemas.answers import TRIES_APART
from synth.schemas.errors import UsageError
from synth.schemas.record import Record
from synth.schemas.records import ROW

__all__ = ["Map"]


@dataclass(frozen=True)
class Map(RowStage):
    """Ask a model something about each row, with a prompt of your own.

    The prompt is a Jinja2 template over the columns: `{{ question }}`, or `{{ row["a name"] }}`; a line `# system`,
    `# user` or `# assistant` stands above each message. The reply goes to the column `into`. With a JSON `schema`, the
    engine is constrained to it, and the properties of the object in the reply become columns instead.

    Output rows keep all columns. With `n` replies for each row, they are `ID/map-1`, `ID/map-2`, ...; with one, the row
    keeps its id. `vary` draws values for further columns, which the prompt can use, for each reply: `{"style":
    ["plain", "formal"], "difficulty": {"easy": 2, "hard": 1}}` (values, or values with weights).

    `chat` continues the chat in a column: its messages come after the system message of the prompt and before the
    others, and what was added to it, the reply included, is added to the column.

    Up to `tries` replies are sampled until one can be used; retries of temperature 0 sample at 1. A reply is filtered
    as `truncated`, `refused`, `empty_answer`, and with a schema as `unreadable` (no JSON object) or `wrong_fields`.
    """

    name: ClassVar[str] = "map"
    input: ClassVar[Record] = ROW
    output: ClassVar[Record] = ROW

    uses_engine: ClassVar[bool] = True
    commands: ClassVar[tuple[str, ...]] = (
        "synth map questions.jsonl answers/ --prompt answer.md --model Qwen/Qwen2.5-7B-Instruct",
        "synth map topics.jsonl tasks/ --prompt task.md --schema task.json --vary styles.json -n 4 --model tiny",
    )

    prompt: Annotated[Prompt | None, Option("The prompt file.", metavar="FILE", read=own_prompt("--prompt"))] = None
    schema: Annotated[
        Fields | None,
        Option("JSON schema of the reply, an object; its properties become columns.", metavar="FILE", read=Fields.load),
    ] = None
    into: Annotated[str, Option("The column for the reply.", metavar="NAME")] = "response"
    n: Annotated[int, Option("Replies for each row.", min=1, flag="-n", long="--replies")] = 1
    vary: Annotated[
        Variation | None, Option("Columns to draw at random, for each reply.", metavar="FILE", read=Variation.load)
    ] = None
    chat: Annotated[str | None, Option("Column of chats to continue by a turn.", metavar="NAME")] = None
    temperature: Temperature = 0.7
    top_p: TopP = 1.0
    max_tokens: MaxTokens = 1024
    tries: Tries = 3
    repairs: Repairs = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.prompt is None and self.chat is None:
            raise UsageError("--prompt is missing: the prompt file, over the columns of the input")
        if self.chat and self.schema:
            raise UsageError("--schema does not apply with --chat, whose next turn is text")

    @property
    def _varied(self) -> Collection[str]:
        return self.vary.columns if self.vary else ()

    @property
    def _reasoning(self) -> str:
        """The column for the reasoning before a reply; `synth export` looks for `reasoning`."""
        return "reasoning" if self.into == "response" else f"{self.into}_reasoning"

    def output_schema(self, inputs: pa.Schema) -> pa.Schema:
        added = [pa.field(name, pa.string()) for name in self._varied]
        if self.schema:
            added += self.schema.columns
        elif not self.chat:
            added.append(pa.field(self.into, pa.string()))
        added.append(pa.field(self._reasoning, pa.string()))
        return with_columns(inputs, added)

    def prepare(self, table: pa.Table) -> Self:
        if self.chat and self.chat not in table.column_names:
            raise UsageError(f"--chat {self.chat}: the input has no such column, only {', '.join(table.column_names)}")
        if self.prompt:
            check_variables(self.prompt, table, self._varied)
        return self

    async def process(self, row: Row, tools: Tools) -> AsyncIterator[Row | Rejected]:
        # Without variation all replies answer one prompt, so they are one request.
        groups = [[number] for number in range(self.n)] if self.vary else [list(range(self.n))]
        answered = await gather_all(self._ask(row, group, tools) for group in groups)
        outputs = [output for group in answered for output in group]
        filtered = [output for output in outputs if isinstance(output, Rejected)]
        if self.n > 1 or not filtered:
            for output in outputs:
                yield output
        if len(filtered) == len(outputs):
            raise nothing_kept(filtered)

    async def _ask(self, row: Row, numbers: Sequence[int], tools: Tools) -> list[Row | Rejected]:
        """The output rows of these replies, which share a prompt."""
        varied = self.vary.draw(tools.random("vary", numbers[0])) if self.vary else {}
        messages, turns = self._messages(row, varied)
        sampling = Sampling(temperature=self.temperature, top_p=self.top_p, max_tokens=self.max_tokens)
        ask = Ask(tools, messages, Form(self.schema.schema) if self.schema else None, self.repairs)
        first = await ask.samples(sampling, len(numbers), numbers[0])
        retries = warmer_retries(sampling, self.tries)[1:]

        def read(one: Completion) -> tuple[Completion, dict[str, Any]]:
            return one, self._read(one)

        async def output(number: int, completion: Completion) -> Row | Rejected:
            base = {**row, **varied, "id": row["id"] if self.n == 1 else f"{row['id']}/map-{number + 1}"}
            try:
                completion, values = await ask.repaired(completion, read, sampling, number)
            except Reject as fault:
                if not retries:
                    return Rejected.because(fault, base)
                # Far from the first samples of all replies: which samples a reply has does not depend on `n`.
                try:
                    completion, values = await ask.first_readable(
                        retries, read, first_sample=number + TRIES_APART, apart=TRIES_APART
                    )
                except Reject as again:
                    return Rejected.because(again, base)
            if self.chat:
                turn = Message(role="assistant", content=values[self.into])
                values = {self.chat: [*row[self.chat], *turns, turn]}
            return {**base, **values, self._reasoning: completion.reasoning}

        return await gather_all(
            output(number, completion) for number, completion in zip(numbers, first.completions, strict=True)
        )

    def _messages(self, row: Row, varied: Mapping[str, str]) -> tuple[str | tuple[Message, ...], list[Message]]:
        """What is asked, and the turns of it that come after those of the row's chat."""
        asked = self.prompt.render(**{"row": row, **row, **varied}) if self.prompt else ()
        if not self.chat:
            return asked, []
        if isinstance(asked, str):
            asked = (Message(role="user", content=asked),)
        system = [message for message in asked if message["role"] == "system"]
        turns = [message for message in asked if message["role"] != "system"]
        chat = [Message(role=turn["role"], content=turn["content"] or "") for turn in row[self.chat] or ()]
        messages = (*system, *chat, *turns)
        if not messages or messages[-1]["role"] != "user":
            raise Reject("no_user_turn", f"the last message is of {messages[-1]['role'] if messages else 'nobody'}")
        return messages, turns

    def _read(self, completion: Completion) -> dict[str, Any]:
        """The columns of a reply. Raises `Reject` if it cannot be used."""
        text = whole_text(completion)
        return self.schema.read(text) if self.schema else {self.into: text.strip()}
