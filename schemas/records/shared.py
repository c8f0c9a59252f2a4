"""Columns and records that recipes share."""

import pyarrow as pa

from synth.schemas.record import Column, Record
from synth.schemas.segments import SEGMENTS_TYPE

__all__ = [
    "COMPLETION_TOKENS",
    "FINISH_REASON",
    "ID",
    "INPUT_TEXT",
    "MESSAGES",
    "MODEL",
    "PROMPT_TOKENS",
    "QUERY_TEXT",
    "REASONING",
    "ROW",
    "SEGMENTS",
]

ID = Column("id", pa.string(), "Unique name of the row; a path such as `gsm8k-17/evolve-2/path-5` tells its lineage.")
QUERY_TEXT = Column("query", pa.string(), "The question as the model is asked it.")
# Alpaca and Self-Instruct call it `input`, Dolly `context`.
INPUT_TEXT = Column(
    "input", pa.string(), "What belongs to the instruction of the row.", aliases=("context",), optional=True
)
MODEL = Column("model", pa.string(), "Model that wrote the text, as named on the command line.", optional=True)
REASONING = Column(
    "reasoning", pa.string(), "What the model thought before its answer; null where it did not.", optional=True
)
FINISH_REASON = Column(
    "finish_reason",
    pa.string(),
    "`stop`, `length` where the token limit cut the text, or `refused`; null where the engine does not say.",
    optional=True,
)
PROMPT_TOKENS = Column(
    "prompt_tokens", pa.int32(), "Tokens of the prompt that this text answers; null where unknown.", optional=True
)
COMPLETION_TOKENS = Column(
    "completion_tokens",
    pa.int32(),
    "Tokens that were generated for the text and its reasoning; null where unknown.",
    optional=True,
)
MESSAGES = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
# Of a chat; absent or null where all that the assistant says is learnt.
SEGMENTS = Column(
    "segments",
    SEGMENTS_TYPE,
    "The parts of the assistant's last turn in order, each with `loss`: 1 to learn it, 0 to leave it out.",
    optional=True,
)

ROW = Record(
    "row",
    "A row of any dataset: what `dedup` and `decontaminate` read and write. All its other columns go through.",
    (ID,),
    open=True,
)
