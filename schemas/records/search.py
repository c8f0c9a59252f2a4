"""Records of Query of CC (arXiv 2401.14624)."""

import pyarrow as pa

from synth.schemas.record import Column, Record
from synth.schemas.records.shared import ID, REASONING

__all__ = ["DOCUMENT", "QUERY_POOL", "RETRIEVED", "SEARCH", "SEED"]

DOMAIN = Column("domain", pa.string(), "The domain that the query belongs to, such as `biology`.")

SEED = Record(
    "seed",
    "Something that belongs to a domain: what `query-of-cc bootstrap` reads. A pool of queries can be given again.",
    (
        ID,
        DOMAIN,
        Column(
            "kind",
            pa.string(),
            "`category`, `question`, `phrase`, `passage` or `thought`; guessed from the text if null.",
            optional=True,
        ),
        Column("text", pa.string(), "The seed.", aliases=("seed", "query", "question", "name")),
        Column("round", pa.int32(), "Round of a pool that gave it; null for what no pool has yet.", optional=True),
    ),
)

QUERY_POOL = Record(
    "query_pool",
    "A query for documents of a domain, with where it comes from (arXiv 2401.14624).",
    (
        ID,
        DOMAIN,
        Column("kind", pa.string(), "`seed`, `question` or `thought`."),
        Column("text", pa.string(), "The query."),
        Column(
            "parent_id", pa.string(), "Id of the seed or query that it was written for; null for a seed.", optional=True
        ),
        Column("round", pa.int32(), "Rounds between this query and the seed; 0 for a seed."),
        Column("model", pa.string(), "Model that wrote the query; null for a seed.", optional=True),
        REASONING,
    ),
)

SEARCH = Record(
    "search",
    "A query as `query-of-cc retrieve` reads it: of a pool, or of any other list.",
    (
        ID,
        Column("text", pa.string(), "The query.", aliases=("query", "question")),
        Column("domain", DOMAIN.type, DOMAIN.doc, optional=True),
    ),
)

DOCUMENT = Record(
    "document",
    "A document of a corpus: what `query-of-cc index` reads, and what stands in an index directory.",
    (
        ID,
        Column(
            "text",
            pa.string(),
            "The whole text.",
            aliases=("content", "document", "passage", "raw_content"),
            optional=True,
        ),
        Column("url", pa.string(), "Where it is from.", aliases=("source_url", "URL"), optional=True),
    ),
)

RETRIEVED = Record(
    "retrieved",
    "A document that queries found, once, with all of them (arXiv 2401.14624).",
    (
        ID,
        Column("text", pa.string(), "The whole text."),
        Column("url", pa.string(), "Where it is from; null where that is not known."),
        Column("domains", pa.list_(pa.string()), "Domains of the queries, in alphabetical order."),
        Column("queries", pa.list_(pa.string()), "Ids of the queries that found it, the best score first."),
        Column("scores", pa.list_(pa.float32()), "Score of each of these queries."),
        Column("best_score", pa.float32(), "The first of the scores."),
        Column("query", pa.string(), "Text of the first query."),
        Column("terms", pa.list_(pa.string()), "Words of the first query that occur in the text, the rarest first."),
    ),
)
