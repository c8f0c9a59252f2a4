"""Records of InsTag (arXiv 2308.07074)."""

import pyarrow as pa

from synth.schemas.record import Column, Record
from synth.schemas.records.shared import ID

__all__ = ["NORMALIZED", "TAGGED", "VOCABULARY"]

RAW_TAGS = pa.list_(pa.struct([("turn", pa.int32()), ("tag", pa.string()), ("explanation", pa.string())]))

TAGGED = Record(
    "tagged",
    "A row of any dataset with the tags that a model gave its queries. All its other columns go through.",
    (
        ID,
        Column(
            "raw_tags", RAW_TAGS, "The tags as they were given, with the user turn, from 1, and what speaks for each."
        ),
        Column("queries", pa.int32(), "User turns that have tags; 1 for a plain instruction."),
    ),
    open=True,
)

NORMALIZED = Record(
    "normalized",
    "A row of any dataset with its tags under their canonical names. All its other columns go through.",
    (
        ID,
        Column("tags", pa.list_(pa.string()), "The tags of all its queries, each once, in the order of occurrence."),
        Column("tags_per_query", pa.float32(), "How many different tags a query of the row has, on average."),
    ),
    open=True,
)

VOCABULARY = Record(
    "vocabulary",
    "What `instag normalize` made of a form in which a tag was given: rows of the tag table, for review.",
    (
        Column("form", pa.string(), "The tag as it was given."),
        Column("count", pa.int64(), "Queries that have this form."),
        Column(
            "step",
            pa.string(),
            "`frequency`, `rule`, `semantic`, `association` or `override`: the last step that gave it another tag, or "
            "dropped it; null if it stayed itself.",
        ),
        Column("tag", pa.string(), "Its tag, one of the forms; null if it was dropped."),
        Column("tag_count", pa.int64(), "Queries that have this tag in any form."),
        Column(
            "examples",
            pa.list_(pa.struct([("id", pa.string()), ("explanation", pa.string())])),
            "Up to three rows with this form, and what spoke for it.",
        ),
    ),
)
