"""Columns and rows of more than one recipe."""

import pyarrow as pa

from schemas.record import Column, Record

__all__ = ["COMPLETION_TOKENS", "FINISH_REASON", "ID", "MESSAGES", "MODEL", "PROMPT_TOKENS", "QUERY_TEXT", "ROW"]

ID = Column("id", pa.string(), "Unique name of the row; a path such as `gsm8k-17/evolve-2/path-5` tells its lineage.")
QUERY_TEXT = Column("query", pa.string(), "The question as the model is asked it.")
MODEL = Column("model", pa.string(), "Model that wrote the text, as named on the command line.")
FINISH_REASON = Column("finish_reason", pa.string(), "`stop`, or `length` where the token limit cut the text.")
PROMPT_TOKENS = Column("prompt_tokens", pa.int32(), "Tokens of the prompt that this text answered.")
COMPLETION_TOKENS = Column("completion_tokens", pa.int32(), "Tokens of the text.")
MESSAGES = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))

ROW = Record(
    "row",
    "A row of any dataset: what `dedup` and `decontaminate` read and write. All its other columns go through.",
    (ID,),
    open=True,
)
