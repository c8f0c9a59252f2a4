"""Records of packing: sequences of tokens, and what a training takes of them."""

import pyarrow as pa

from synth.schemas.record import Column, Record
from synth.schemas.records.shared import ID

__all__ = ["BUCKET", "PIECE", "PLANNED_BUCKET", "SEQUENCE"]

EXPONENT = Column(
    "bucket",
    pa.int32(),
    "The binary logarithm of the tokens to predict in each sequence; null for tails of any length.",
    optional=True,
)

PIECE = Record(
    "piece",
    "A sequence of tokens of one document, cut by its length (arXiv 2405.13226).",
    (
        ID,
        EXPONENT,
        Column(
            "tokens", pa.list_(pa.int32()), "The ids of its 2^bucket + 1 tokens: one more than there are to predict."
        ),
        Column("document", pa.string(), "Id of the document."),
        Column("start", pa.int32(), "Where it begins in the document, in tokens."),
    ),
)

BUCKET = Record(
    "bucket",
    "A bucket of sequences of one length, as `pack buckets` lists them; the id is the name of its folder.",
    (ID, EXPONENT, Column("sequences", pa.int64(), "How many there are.")),
)

PLANNED_BUCKET = Record(
    "planned_bucket",
    "What a training takes of a bucket in each of its cycles (arXiv 2405.13226).",
    (
        ID,
        EXPONENT,
        Column("sequences", pa.int64(), "How many there are."),
        Column("sequences_per_batch", pa.int64(), "How many have the tokens of a batch."),
        Column("batches_per_cycle", pa.int64(), "Batches in a cycle."),
        Column("sequences_per_cycle", pa.int64(), "Sequences in a cycle."),
        Column("odds", pa.float64(), "How much likelier a batch is drawn from it than from a bucket with odds of 1."),
        Column("weight", pa.float64(), "Batches times odds: how likely a batch is drawn from it."),
    ),
)

SEQUENCE = Record(
    "sequence",
    "A sequence of tokens of several texts, joined and cut at one length.",
    (
        ID,
        Column("tokens", pa.list_(pa.int32()), "The ids of its tokens; an end token follows each text."),
        Column("documents", pa.list_(pa.string()), "Ids of the texts, in order."),
        Column(
            "starts",
            pa.list_(pa.int32()),
            "Where in it each text begins, in tokens; 0 for one that goes on from the sequence before.",
        ),
    ),
)
