"""Chats as the tokens of a model with their labels, for trainers that read no parts of an answer.

TRL takes `labels` as they are, Axolotl and LLaMA-Factory (as `tokenized_path`) read the three columns.
"""

from collections.abc import Iterator

import pyarrow as pa

from synth.pipelines.engines.models import locate
from synth.pipelines.runtime.fine_tuning import IGNORED, Reader
from synth.pipelines.runtime.stage import Reject
from synth.schemas.errors import InputError

__all__ = ["tokenized"]

SCHEMA = pa.schema(
    [
        ("input_ids", pa.list_(pa.int32())),
        ("attention_mask", pa.list_(pa.int8())),
        ("labels", pa.list_(pa.int32())),
    ]
)


def tokenized(
    schema: pa.Schema, tables: Iterator[pa.Table], model: str, origin: str
) -> tuple[pa.Schema, Iterator[pa.Table]]:
    """Rows with `messages`, and `segments` if there are any, as tokens; labels are -100 where nothing is learnt.

    Learnt are the turns of the assistant with their ends, as `Reader` says. Nothing is cut to the model's context.
    Raises `UsageError` for a model that cannot be trained on chats, `InputError` for a row that cannot be read.
    """
    if "tools" in schema.names:
        raise InputError(f"{origin} has a column tools, which is not in the tokens: name the others with --columns")
    reader = Reader(locate(model, option="--tokenizer"), None, "--tokenizer")
    return SCHEMA, _tokenized(reader, tables, origin)


def _tokenized(reader: Reader, tables: Iterator[pa.Table], origin: str) -> Iterator[pa.Table]:
    number = 0
    for table in tables:
        rows = []
        for row in table.to_pylist():
            number += 1
            try:
                chat = reader.read(row["messages"] or [], row.get("segments"))
            except Reject as reject:
                raise InputError(
                    f"row {number} of {origin} cannot be tokenized ({reject}): leave it out with --where"
                ) from reject
            labels = [token if learnt else IGNORED for token, learnt in zip(chat.tokens, chat.mask, strict=True)]
            rows.append({"input_ids": chat.tokens, "attention_mask": [1] * len(labels), "labels": labels})
        yield pa.Table.from_pylist(rows, SCHEMA)
