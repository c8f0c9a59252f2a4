"""Record types: what each column of a stage's input and output is called, holds and means.

Column names follow the papers (see each recipe's module).
"""

from synth.schemas.record import Record
from synth.schemas.records import code, instag, math, search, self_lengthen, shared
from synth.schemas.records.code import (
    CALLS,
    CASES,
    COMPOSED,
    EVALUATED,
    EXECUTED,
    FUNCTION,
    INPUTS,
    INSTRUCTION,
    LABELLED,
    PREFERENCE,
    PROGRAM,
    RAW_FUNCTION,
    TEST,
)
from synth.schemas.records.instag import NORMALIZED, TAGGED, VOCABULARY
from synth.schemas.records.math import CURVE, EVOLVED, PATH, QUERY, QUESTION, RESPONSE, SAMPLED, SELECTED
from synth.schemas.records.search import DOCUMENT, QUERY_POOL, RETRIEVED, SEARCH, SEED
from synth.schemas.records.self_lengthen import (
    ANSWERED,
    CHAT,
    CONSTRAINED,
    CONSTRAINED_ANSWER,
    DRAFTED,
    EXTENDED,
    EXTENDED_ANSWER,
    JUDGED,
    NEW_INSTRUCTION,
    SCORED,
    SEED_INSTRUCTION,
    TRAINING_STEP,
    UNANSWERED,
)
from synth.schemas.records.shared import ROW

__all__ = [
    "ANSWERED",
    "CALLS",
    "CASES",
    "CHAT",
    "COMPOSED",
    "CONSTRAINED",
    "CONSTRAINED_ANSWER",
    "CURVE",
    "DOCUMENT",
    "DRAFTED",
    "EVALUATED",
    "EVOLVED",
    "EXECUTED",
    "EXTENDED",
    "EXTENDED_ANSWER",
    "FUNCTION",
    "INPUTS",
    "INSTRUCTION",
    "JUDGED",
    "LABELLED",
    "NEW_INSTRUCTION",
    "NORMALIZED",
    "PATH",
    "PREFERENCE",
    "PROGRAM",
    "QUERY",
    "QUERY_POOL",
    "QUESTION",
    "RAW_FUNCTION",
    "RECORDS",
    "RESPONSE",
    "RETRIEVED",
    "ROW",
    "SAMPLED",
    "SCORED",
    "SEARCH",
    "SEED",
    "SEED_INSTRUCTION",
    "SELECTED",
    "TAGGED",
    "TEST",
    "TRAINING_STEP",
    "UNANSWERED",
    "VOCABULARY",
]

# In the order of their declaration.
RECORDS: tuple[Record, ...] = tuple(
    value
    for module in (math, code, search, shared, instag, self_lengthen)
    for value in vars(module).values()
    if isinstance(value, Record)
)
