"""Records of RRHF (arXiv 2304.05302): the responses to a query, their scores, and pairs of them."""

from dataclasses import replace

import pyarrow as pa

from synth.schemas.record import Column, Record
from synth.schemas.records.shared import ID

__all__ = ["OPEN_SET", "PAIR", "RANKED", "RESPONSE_SET", "SCORED_SET", "UNRANKED"]

QUERY = Column(
    "query", pa.string(), "What the responses answer.", aliases=("prompt", "question", "instruction", "problem")
)
RESPONSES = Column("responses", pa.list_(pa.string()), "The responses, whatever their source.")
SOURCES = Column(
    "sources",
    pa.list_(pa.string()),
    "Where each response is from: the model that wrote it, or the column that it was read from.",
)
REASONINGS = Column(
    "reasonings", pa.list_(pa.string()), "What the model thought before each response; null where it did not."
)
SCORES = Column("scores", pa.list_(pa.float64()), "The score of each response; higher is better.")
SYSTEM = Column(
    "system",
    pa.string(),
    "The system prompt of the query; null without one.",
    aliases=("system_prompt",),
    optional=True,
)

_SET = (ID, QUERY, RESPONSES, SOURCES, REASONINGS)
_GIVEN = (ID, QUERY, *(replace(column, optional=True) for column in (RESPONSES, SOURCES, REASONINGS)))

OPEN_SET = Record(
    "open_set",
    "A query, and the responses that it has already: what `rank sample` reads. All its other columns go through.",
    _GIVEN,
    open=True,
)

RESPONSE_SET = Record(
    "response_set",
    "A query with responses of several sources (arXiv 2304.05302, section 3.1). All its other columns go through.",
    _SET,
    open=True,
)

UNRANKED = Record(
    "unranked",
    "A query with responses, made here or elsewhere: what `rank score` reads. All its other columns go through.",
    (*_GIVEN, replace(SCORES, optional=True)),
    open=True,
)

RANKED = Record(
    "ranked",
    "A query with its responses and their scores (arXiv 2304.05302, section 3.1). All its other columns go through.",
    (
        *_SET,
        SCORES,
        Column("ranks", pa.list_(pa.int32()), "The rank of each response, 1 for the best; equal scores share a rank."),
        Column("scorer", pa.string(), "The model that gave the scores; null if they were given."),
        Column("score_reasons", pa.list_(pa.string()), "What the judge said, once for each round; null without one."),
    ),
    open=True,
)

SCORED_SET = Record(
    "scored_set",
    "A query with responses and scores, made here or elsewhere: what `rank pairs` reads.",
    (
        ID,
        replace(QUERY, takes_input=True),
        SYSTEM,
        RESPONSES,
        SCORES,
        *(replace(column, optional=True) for column in (SOURCES, REASONINGS)),
    ),
)

PAIR = Record(
    "pair",
    "A response and a worse one to the same prompt, as for DPO.",
    (
        ID,
        Column("query_id", pa.string(), "Id of the set that both are from."),
        Column("prompt", pa.string(), "The query, with the `input` that belongs to it."),
        SYSTEM,
        Column("chosen", pa.string(), "The response with the higher score."),
        Column("rejected", pa.string(), "The response with the lower score."),
        Column("margin", pa.float64(), "By how much the score of `chosen` is higher."),
        Column("chosen_score", pa.float64(), "The score of `chosen`."),
        Column("rejected_score", pa.float64(), "The score of `rejected`."),
        Column("chosen_source", pa.string(), "Where `chosen` is from; null if unknown."),
        Column("rejected_source", pa.string(), "Where `rejected` is from; null if unknown."),
        Column("chosen_reasoning", pa.string(), "What the model thought before `chosen`; null where it did not."),
        Column("rejected_reasoning", pa.string(), "What the model thought before `rejected`; null where it did not."),
    ),
)
