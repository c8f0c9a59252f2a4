"""Records of ClusterClip (arXiv 2402.14526), in-context pre-training (arXiv 2310.10638) and TPT (arXiv 2509.20186)."""

import pyarrow as pa

from synth.schemas.record import Column, Record
from synth.schemas.records.shared import FINISH_REASON, ID, MODEL

__all__ = ["CLUSTER", "DRAWN", "NEIGHBORED", "THOUGHT", "WEIGHTED"]

CLUSTER_NUMBER = Column("cluster", pa.int32(), "The cluster of the document, from 0.")
SIMILARITY = Column(
    "similarity",
    pa.float32(),
    "Cosine of the document and the centroid of its cluster; null where the clusters were given.",
    optional=True,
)

DRAWN = Record(
    "drawn",
    "A document as often as it is drawn, in the order of training (arXiv 2402.14526). Its other columns go through.",
    (
        ID,
        CLUSTER_NUMBER,
        SIMILARITY,
        Column("repeat", pa.int32(), "How often it has been drawn up to here: 1 where it comes first."),
    ),
    open=True,
)

WEIGHTED = Record(
    "weighted",
    "A document with the number of times that it is drawn (arXiv 2402.14526). Its other columns go through.",
    (ID, CLUSTER_NUMBER, SIMILARITY, Column("draws", pa.int32(), "How often it is drawn.")),
    open=True,
)

CLUSTER = Record(
    "cluster",
    "A cluster of documents, before and after sampling: rows of `clusters/` in an output of `select clusterclip`.",
    (
        CLUSTER_NUMBER,
        Column("documents", pa.int64(), "Documents in it."),
        Column("tokens", pa.int64(), "Their tokens; null without a tokenizer.", optional=True),
        Column("drawn", pa.int64(), "How often any of them was drawn."),
        Column("drawn_tokens", pa.int64(), "The tokens of these draws; null without a tokenizer.", optional=True),
        Column(
            "used_up_at",
            pa.int64(),
            "The draw, from 1, after which its documents had been drawn as often as allowed; null if never.",
            optional=True,
        ),
        Column("nearest", pa.list_(pa.string()), "Ids of the documents nearest to its centroid, up to five."),
    ),
)

NEIGHBORED = Record(
    "neighbored",
    "A document among its nearest neighbours (arXiv 2310.10638). Its other columns go through.",
    (
        ID,
        Column(
            "run", pa.int32(), "The run that it is in, from 0: each document but the first is a neighbour of the last."
        ),
        Column("position", pa.int64(), "Its place in the order of all runs, from 0, before contexts are shuffled."),
        Column(
            "previous_similarity",
            pa.float32(),
            "Cosine of the document and the one before it; null for the first of a run.",
            optional=True,
        ),
        Column(
            "context",
            pa.int64(),
            "The context that its first token is in, by the order of all runs; null without --context-tokens.",
            optional=True,
        ),
    ),
    open=True,
)

THOUGHT = Record(
    "thought",
    "A document and what a model thought about it (arXiv 2509.20186). Other columns of the document go through.",
    (
        ID,
        Column("text", pa.string(), "What to train on: the whole document, and the thought."),
        Column("document", pa.string(), "The document."),
        Column("thought", pa.string(), "The thought, without its tags."),
        Column("document_tokens", pa.int32(), "Tokens of the whole document."),
        Column("cut", pa.bool_(), "Whether the model read only the beginning of the document."),
        Column("thought_tokens", pa.int32(), "Tokens of the thought, counted as those of the document are."),
        FINISH_REASON,
        MODEL,
    ),
    open=True,
)
