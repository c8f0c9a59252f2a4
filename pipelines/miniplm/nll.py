"""Score texts under a model (arXiv 2410.17215: once under the teacher, once under the reference model)."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from math import log
from typing import Annotated, ClassVar, Self

import pyarrow as pa

from synth.pipelines.engines import Windows
from synth.pipelines.runtime.declared import Option
from synth.pipelines.runtime.stage import Reject, Row, RowStage, Tools
from synth.pipelines.runtime.text.columns import text_column
from synth.schemas.errors import UsageError
from synth.schemas.record import Record
from synth.schemas.records import ROW

__all__ = ["ScoreTexts"]

# Of the columns, by what follows the name of the first one. Sums are float32: the model is not more exact.
TYPES = {
    "": pa.float32(),
    "_tokens": pa.int32(),
    "_mean": pa.float32(),
    "_bytes": pa.int64(),
    "_bits_per_byte": pa.float32(),
    "_model": pa.string(),
    "_tokenizer": pa.string(),
    "_dtype": pa.string(),
}
BY_TOKEN = {"_by_token": pa.list_(pa.float32())}


@dataclass(frozen=True)
class ScoreTexts(RowStage):
    """Score each text by its negative log-likelihood under a model.

    Nothing is generated. Rows keep their ids and columns and get `nll`, the sum in nats over the tokens that have a
    score; `nll_tokens`, their number; `nll_mean`, the mean; `nll_bytes`, the length of the text in UTF-8;
    `nll_bits_per_byte`, which alone compares models with different tokenizers; `nll_model`; `nll_tokenizer`, a
    fingerprint; and `nll_dtype`, the type of the model's numbers, null for a server. `--into` replaces `nll` in these
    names, so that one dataset can have the scores of several models.

    A text longer than `max_tokens` is cut into windows, which are scored each by itself. The first token of a window
    has no score, unless the tokenizer has a BOS token to put before it. `--skip-after` leaves out the tokens after a
    given one, such as the first of each document in a text of several.

    Rejected: `no_text`, and `too_short` without a token that has a score.
    """

    name: ClassVar[str] = "score nll"
    input: ClassVar[Record] = ROW
    output: ClassVar[Record] = ROW
    keeps_ids: ClassVar[bool] = True
    uses_engine: ClassVar[bool] = True
    commands: ClassVar[tuple[str, ...]] = (
        "synth score nll corpus/ scored/ --model Qwen/Qwen1.5-1.8B",
        "synth score nll scored/ both/ --model reference-104m --into reference",
    )

    text: Annotated[
        str | None, Option("Column of the text; required if several columns contain text.", metavar="NAME")
    ] = None
    into: Annotated[str, Option("The column for the sum, and how the others begin.", metavar="NAME")] = "nll"
    max_tokens: Annotated[int, Option("Longest window, in tokens, the BOS token included.", min=2)] = 1024
    bos: Annotated[bool, Option("Put the tokenizer's BOS token before each window, if it puts one before a text.")] = (
        True
    )
    skip_after: Annotated[
        str | None, Option("Leave out the tokens that follow this one, such as an end of text.", metavar="TOKEN")
    ] = None
    keep_tokens: Annotated[bool, Option("Add `nll_by_token`: the score of each token, null for those without.")] = False

    @cached_property
    def _windows(self) -> Windows:
        return Windows(self.max_tokens, self.bos, self.skip_after, self.keep_tokens)

    @cached_property
    def _columns(self) -> list[pa.Field]:
        types = {**TYPES, **(BY_TOKEN if self.keep_tokens else {})}
        return [pa.field(self.into + suffix, kind) for suffix, kind in types.items()]

    def output_schema(self, inputs: pa.Schema) -> pa.Schema:
        if taken := [one.name for one in self._columns if one.name in inputs.names]:
            raise UsageError(f"the input has a column {taken[0]} already: choose other names with --into, or rename it")
        return pa.schema([*inputs, *self._columns], metadata=inputs.metadata)

    @property
    def means(self) -> Mapping[str, str]:
        return {"nats_per_token": "tokens", "bits_per_byte": "bytes"}

    def prepare(self, table: pa.Table) -> Self:
        return replace(self, text=text_column(table.schema, self.text))

    async def process(self, row: Row, tools: Tools) -> AsyncIterator[Row]:
        text = row[self.text or ""]
        if not text:
            raise Reject("no_text", f"{self.text} is {'null' if text is None else 'empty'}")
        scores = await tools.llm.score_text(text, self._windows)
        if not scores.tokens:
            raise Reject("too_short", "no token of the text has a score, because none precedes it")
        size = len(text.encode())
        bits = scores.nll / log(2)
        tools.tally("nats_per_token", scores.nll)
        tools.tally("tokens", scores.tokens)
        tools.tally("bits_per_byte", bits)
        tools.tally("bytes", size)
        values = {
            "": scores.nll,
            "_tokens": scores.tokens,
            "_mean": scores.nll / scores.tokens,
            "_bytes": size,
            "_bits_per_byte": bits / size,
            "_model": tools.model,
            "_tokenizer": scores.tokenizer,
            "_dtype": scores.dtype,
            **({"_by_token": scores.each} if self.keep_tokens else {}),
        }
        yield {**row, **{self.into + suffix: value for suffix, value in values.items()}}
