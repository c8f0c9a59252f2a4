"""Record types: what each column of a stage's input and output is called, holds and means.

Column names follow the papers (see each recipe's module).
"""

from schemas.record import Record
from schemas.records.code import (
    COMPOSED,
    EVALUATED,
    EXECUTED,
    FUNCTION,
    INPUTS,
    INSTRUCTION,
    LABELLED,
    PREFERENCE,
    PROGRAM,
)
from schemas.records.instag import NORMALIZED, TAGGED, VOCABULARY
from schemas.records.math import CURVE, EVOLVED, PATH, QUERY, QUESTION, RESPONSE, SELECTED
from schemas.records.search import DOCUMENT, QUERY_POOL, RETRIEVED, SEARCH, SEED
from schemas.records.shared import ROW

__all__ = [
    "COMPOSED",
    "CURVE",
    "DOCUMENT",
    "EVALUATED",
    "EVOLVED",
    "EXECUTED",
    "FUNCTION",
    "INPUTS",
    "INSTRUCTION",
    "LABELLED",
    "NORMALIZED",
    "PATH",
    "PREFERENCE",
    "PROGRAM",
    "QUERY",
    "QUERY_POOL",
    "QUESTION",
    "RECORDS",
    "RESPONSE",
    "RETRIEVED",
    "ROW",
    "SEARCH",
    "SEED",
    "SELECTED",
    "TAGGED",
    "VOCABULARY",
]

RECORDS: tuple[Record, ...] = (
    QUESTION,
    QUERY,
    EVOLVED,
    RESPONSE,
    PATH,
    SELECTED,
    CURVE,
    PROGRAM,
    FUNCTION,
    INPUTS,
    EXECUTED,
    COMPOSED,
    EVALUATED,
    INSTRUCTION,
    PREFERENCE,
    LABELLED,
    SEED,
    QUERY_POOL,
    SEARCH,
    DOCUMENT,
    RETRIEVED,
    ROW,
    TAGGED,
    NORMALIZED,
    VOCABULARY,
)
