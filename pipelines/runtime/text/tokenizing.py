"""Documents as token ids. Text is tokenized on all cores, a portion by each, and saved as it is made."""

import os
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, partial
from multiprocessing import parent_process
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from synth.pipelines.runtime.portions import pack, portions, unpack
from synth.pipelines.runtime.processes import in_processes
from synth.pipelines.runtime.text.tokens import BYTES_AT_A_TIME, ModelTokenizer
from synth.schemas.atomic import atomic
from synth.schemas.dataset import read_shard
from synth.schemas.shards import ShardWriter

__all__ = ["Documents", "tokenized"]

# What a process is given at a time is not more, nor 4 MB: some seconds of work.
ROWS_PER_PORTION = 1 << 14
SCHEMA = pa.schema([("tokens", pa.list_(pa.int32()))])


@dataclass(frozen=True)
class Documents:
    """Rows and the tokens of all, those of row r from `starts[r]` to `starts[r + 1]`. A row without text has none."""

    rows: pa.Table
    tokens: NDArray[np.int32]
    starts: NDArray[np.int64]

    def each(self) -> Iterator[tuple[str, int, int]]:
        """The id of each row, and where its tokens begin and end."""
        starts = self.starts.tolist()
        yield from zip(self.rows["id"].to_pylist(), starts, starts[1:], strict=False)


class _Portion(NamedTuple):
    """Texts to tokenize, packed; None where their tokens are saved at `path` already."""

    first: int
    rows: int
    path: Path
    texts: bytes | None


def tokenized(
    table: pa.Table, column: str, tokenizer: ModelTokenizer, end_token: int, folder: Path
) -> Iterator[Documents]:
    """All rows in order, each with the tokens of its text and the end token.

    Text that spells a special token is text. Tokens are saved in `folder`, and not made again. Raises `UsageError` if
    the tokenizer cannot be loaded.
    """
    file = folder / "tokenizer.json"
    with atomic(file) as temporary:
        temporary.write_text(tokenizer.backend.to_str())

    def work() -> Iterator[_Portion]:
        first = 0
        for texts in portions(table.select([column]), ROWS_PER_PORTION):
            path = folder / f"{first:012d}.arrow"
            yield _Portion(first, texts.num_rows, path, None if path.exists() else pack(texts))
            first += texts.num_rows

    for portion, _ in in_processes(partial(_tokenize, tokenizer=file, end_token=end_token), work()):
        tokens = read_shard(portion.path)["tokens"].combine_chunks()
        starts = tokens.offsets.to_numpy().astype(np.int64)
        yield Documents(table.slice(portion.first, portion.rows), tokens.values.to_numpy(), starts)


def _tokenize(portion: _Portion, *, tokenizer: Path, end_token: int) -> None:
    if portion.texts is None:
        return
    with ShardWriter(portion.path, SCHEMA) as writer:
        # A tokenizer takes some 100 times the memory of its text meanwhile.
        for texts in portions(unpack(portion.texts), max_bytes=BYTES_AT_A_TIME):
            tokens = _tokens(texts.column(0).to_pylist(), _loaded(tokenizer), end_token)
            writer.write(pa.table([tokens], schema=SCHEMA))
        writer.close()


def _tokens(texts: list[str | None], tokenizer: Any, end_token: int) -> pa.ListArray:
    written = [text if text and not text.isspace() else "" for text in texts]
    # An array of C's ints grows by lists in half the time that NumPy takes.
    flat, starts = array("i"), [0]
    for text, encoded in zip(written, tokenizer.encode_batch_fast(written, add_special_tokens=False), strict=True):
        if text:
            flat.fromlist(encoded.ids)
            flat.append(end_token)
        starts.append(len(flat))
    tokens = pa.Array.from_buffers(pa.int32(), len(flat), [None, pa.py_buffer(flat)])
    return pa.ListArray.from_arrays(pa.array(starts, pa.int32()), tokens)


@cache
def _loaded(file: Path) -> Any:
    from tokenizers import Tokenizer

    if parent_process():
        # There is a process for each core, so that it needs no threads.
        os.environ["TOKENIZERS_PARALLELISM"] = "false"
    tokenizer = Tokenizer.from_file(str(file))
    # Not saved in the file.
    tokenizer.encode_special_tokens = True
    return tokenizer
