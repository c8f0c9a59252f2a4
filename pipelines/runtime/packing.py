"""What stages that pack the tokens of documents share: how they are tokenized."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, ClassVar

import pyarrow as pa

from synth.pipelines.runtime.declared import Option
from synth.pipelines.runtime.stage import Output, TableStage
from synth.pipelines.runtime.text.columns import text_column
from synth.pipelines.runtime.text.tokenizing import Documents, tokenized
from synth.pipelines.runtime.text.tokens import ModelTokenizer
from synth.schemas.record import Record
from synth.schemas.records import ROW

__all__ = ["PackedDocuments"]


@dataclass(frozen=True)
class PackedDocuments(TableStage):
    """The base of these stages."""

    input: ClassVar[Record] = ROW

    tokenizer: Annotated[
        str, Option("The model whose tokens to use: a directory, a hub name, or `tiny`.", metavar="MODEL")
    ]
    text: Annotated[
        str | None, Option("Column with the documents; required if several columns contain text.", metavar="NAME")
    ] = None
    end_token: Annotated[
        str | None, Option("The token after each document.", metavar="TOKEN", default="the end token of the tokenizer")
    ] = None

    @cached_property
    def _tokenizer(self) -> ModelTokenizer:
        return ModelTokenizer(self.tokenizer, "--tokenizer")

    def identity(self) -> dict[str, Any]:
        return {**super().identity(), "tokenizer": self._tokenizer.identity}

    def documents(self, table: pa.Table, output: Output) -> Iterator[Documents]:
        """All rows in order, each with the tokens of its text and the end token. Raises as `tokenized`."""
        column, end_token = text_column(table.schema, self.text), self._tokenizer.end_token(self.end_token)
        return tokenized(table, column, self._tokenizer, end_token, output.work)
