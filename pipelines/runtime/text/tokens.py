"""A model's tokenizer, and the number of tokens of each row's texts, without the template of a chat."""

import json
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from synth.pipelines.engines.models import locate, revision_of
from synth.pipelines.runtime.declared import Option
from synth.pipelines.runtime.portions import portions
from synth.pipelines.runtime.text.columns import text_columns, texts_of
from synth.schemas.atomic import atomic
from synth.schemas.errors import InputError, UsageError
from synth.schemas.phrases import first_line
from synth.schemas.quiet import without_bars

__all__ = ["BYTES_AT_A_TIME", "TOKENIZER_OPTION", "ModelTokenizer", "TokenCounter", "TokenCounts"]

TOKENIZER_OPTION = Option("The model whose tokens count: a directory, a hub name, or `tiny`.", metavar="MODEL")

# Rows whose counts are saved together, and the bytes that are tokenized at a time: each takes some 100 bytes meanwhile.
ROWS_PER_FILE = 1 << 16
BYTES_AT_A_TIME = 1 << 20
_FILE, _SETTINGS = "tokenizer.json", "tokenizer_config.json"

# Tokens of each row.
TokenCounts = NDArray[np.uint32]


class ModelTokenizer:
    """The tokenizer of `model`: a model directory, a hub name, or `tiny`, as given with `flag`.

    `identity` tells it from other tokenizers, wherever it is.
    """

    def __init__(self, model: str, flag: str) -> None:
        """Raises `UsageError` for a name that is no model's."""
        self._model, self._flag = model, flag
        self._location = locate(model, option=flag)
        self.identity = revision_of(self._location, option=flag)

    @cached_property
    def backend(self) -> Any:
        """The tokenizer, as one of the library `tokenizers`; it cuts no text off.

        Raises `UsageError` if it cannot be loaded.
        """
        tokenizer = self._read(_loaded)
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return tokenizer

    def end_token(self, named: str | None) -> int:
        """The id of the token after a text: of the one that `--end-token` has `named`, or else of the model's own.

        Raises `UsageError` if there is no such token, or if that cannot be read.
        """
        token = named or self._read(_end_token)
        number: int | None = self.backend.token_to_id(token) if token else None
        if number is None and named:
            raise UsageError(f"--end-token {named}: there is no such token in the vocabulary of {self._flag}")
        if number is None:
            raise UsageError(f"{self._flag} {self._model} does not say which token ends a text: add --end-token TOKEN")
        return number

    def count(self, text: str) -> int:
        """The number of tokens of a text. Raises `UsageError` if the tokenizer cannot be loaded."""
        return len(self.backend.encode(text, add_special_tokens=False))

    def beginning(self, text: str, most: int) -> tuple[str, int]:
        """The text up to the end of its token number `most`, and the number of tokens of the whole text.

        Where that token ends within a character, which several tokens make up, it is the text before the character.
        Raises `UsageError` if the tokenizer cannot be loaded.
        """
        encoded = self.backend.encode(text, add_special_tokens=False)
        if len(encoded) <= most:
            return text, len(encoded)
        offsets = encoded.offsets
        while most and offsets[most][0] < offsets[most - 1][1]:
            most -= 1
        return text[: offsets[most - 1][1] if most else 0], len(encoded)

    def _read(self, read: Callable[[str], Any]) -> Any:
        if find_spec("transformers") is None:
            raise UsageError(
                f"{self._flag} needs transformers, which is not installed: pip install '.[cpu]' (or '.[gpu]')"
            )
        try:
            return read(self._location)
        # A tokenizer's files are read by several libraries, whose errors share no base class.
        except Exception as error:
            raise UsageError(
                f"{self._flag} {self._model}: its tokenizer cannot be loaded: {first_line(error)}"
            ) from error


class TokenCounter(ModelTokenizer):
    """Counts tokens, on all cores."""

    def of_rows(self, table: pa.Table, named: Sequence[str], folder: Path) -> NDArray[np.int64]:
        """The tokens of all rows: of the columns `named`, or else of that with the document's text.

        Raises `InputError` if there is no such column or no text in any row, `UsageError` as `counts` does.
        """
        columns = text_columns(table.schema, named)
        tokens = np.concatenate([*self.counts(table, columns, folder)]).astype(np.int64)
        if not tokens.any():
            raise InputError(f"no row has any text in {' or '.join(columns)}: name its column with --text NAME")
        return tokens

    def counts(self, table: pa.Table, columns: Sequence[str], folder: Path) -> Iterator[TokenCounts]:
        """The tokens in these columns of each row, in portions of the table.

        They are saved in `folder`, and not counted again. Raises `UsageError` if the tokenizer cannot be loaded.
        """
        folder.mkdir(exist_ok=True)
        for start in range(0, table.num_rows, ROWS_PER_FILE):
            path = folder / f"{start:09d}.npy"
            if not path.exists():
                counted = [
                    self._count(texts_of(rows, columns))
                    for rows in portions(table.slice(start, ROWS_PER_FILE).select(columns), max_bytes=BYTES_AT_A_TIME)
                ]
                with atomic(path) as temporary, temporary.open("wb") as file:
                    np.save(file, np.concatenate(counted))
            yield np.load(path)

    def _count(self, rows: Sequence[Sequence[str]]) -> TokenCounts:
        encoded = self.backend.encode_batch_fast(list(chain.from_iterable(rows)), add_special_tokens=False)
        totals = np.cumsum([0, *map(len, encoded)])
        ends = np.cumsum([0, *map(len, rows)])
        return np.diff(totals[ends]).astype(np.uint32)


def _loaded(location: str) -> Any:
    """The tokenizer in a folder, or of a hub name, as one of the library `tokenizers`."""
    from tokenizers import Tokenizer

    if (Path(location) / _FILE).is_file():
        return Tokenizer.from_file(str(Path(location) / _FILE))
    return _of_transformers(location).backend_tokenizer


def _end_token(location: str) -> str | None:
    settings = Path(location) / _SETTINGS
    named = json.loads(settings.read_text()).get("eos_token") if settings.is_file() else None
    if named is None:
        # Some classes of transformers have one of their own.
        named = _of_transformers(location).eos_token
    # With its properties, as older versions of transformers save it.
    token: str | None = named["content"] if isinstance(named, dict) else named
    return token


def _of_transformers(location: str) -> Any:
    without_bars()
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(location, use_fast=True)
