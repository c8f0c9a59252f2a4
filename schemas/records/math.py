"""Records of AugGSM8K (arXiv 2310.05506) and rejection sampling (arXiv 2308.01825)."""

import pyarrow as pa

from synth.schemas.record import Column, Record
from synth.schemas.records.shared import (
    COMPLETION_TOKENS,
    FINISH_REASON,
    ID,
    MODEL,
    PROMPT_TOKENS,
    QUERY_TEXT,
    REASONING,
)

__all__ = ["CURVE", "EVOLVED", "PATH", "QUERY", "QUESTION", "RESPONSE", "SAMPLED", "SELECTED"]

ASKED_QUERY = Column(
    "query",
    pa.string(),
    "The question, with the `input` that belongs to it.",
    aliases=("question", "problem"),
    takes_input=True,
)

QUESTION = Record(
    "question",
    "A question with its gold solution: what `reject sample` reads.",
    (
        ID,
        Column(
            "question",
            pa.string(),
            "The question, with the `input` that belongs to it.",
            aliases=("query", "problem"),
            takes_input=True,
        ),
        Column(
            "answer",
            pa.string(),
            "Gold solution ending in `#### <answer>`, or the bare answer.",
            aliases=("response", "solution"),
            numeric=True,
        ),
    ),
)

QUERY = Record(
    "query",
    "A question that needs no gold answer: what `augment evolve` and `augment respond` read.",
    (ID, ASKED_QUERY),
)

EVOLVED = Record(
    "evolved",
    "An evolved question, one of five per seed (arXiv 2310.05506, section 3).",
    (
        ID,
        Column("parent_id", pa.string(), "Id of the question that was evolved."),
        Column("evolution_type", pa.int32(), "Number of the evolution, 1 to 5."),
        Column("evolution_name", pa.string(), "Name of the evolution."),
        QUERY_TEXT,
        Column("evolver_model", pa.string(), "Model that wrote the evolved question."),
        Column("round", pa.int32(), "How many evolutions lie between this query and the seed; 1 for a first one."),
        REASONING,
    ),
)

RESPONSE = Record(
    "response",
    "A kept response to a query, with the answer on which the samples agree.",
    (
        ID,
        Column("query_id", pa.string(), "Id of the query."),
        QUERY_TEXT,
        Column("response", pa.string(), "The reasoning path, trimmed after its answer line."),
        Column("answer", pa.string(), "Final answer of this response."),
        Column("agreement", pa.float64(), "Share of the query's samples that give this answer, 0 to 1."),
        Column("temperature", pa.float64(), "Sampling temperature."),
        Column("shots", pa.int32(), "Number of worked examples in the prompt."),
        REASONING,
        MODEL,
        FINISH_REASON,
        PROMPT_TOKENS,
        COMPLETION_TOKENS,
    ),
)

PATH = Record(
    "path",
    "One sampled reasoning path with the gold answer beside it, not yet judged (arXiv 2308.01825, section 3.2).",
    (
        ID,
        Column("query_id", pa.string(), "Id of the question."),
        QUERY_TEXT,
        Column("answer", pa.string(), "Gold solution or bare gold answer, as it was given."),
        Column("response", pa.string(), "The sampled path, as the model wrote it."),
        Column("sample", pa.int32(), "Sample index of the path under its question, from 0."),
        Column("temperature", pa.float64(), "Sampling temperature."),
        REASONING,
        MODEL,
        FINISH_REASON,
        PROMPT_TOKENS,
        COMPLETION_TOKENS,
    ),
)

SAMPLED = Record(
    "sampled",
    "A path with the gold answer of its question, from any source: what `reject select` and `reject curve` read.",
    (
        ID,
        Column(
            "query_id", pa.string(), "Id of the question; null for that of other rows with its text.", optional=True
        ),
        ASKED_QUERY,
        Column(
            "answer",
            pa.string(),
            "Gold solution or bare gold answer; null for that of other rows of the question.",
            optional=True,
            numeric=True,
        ),
        Column("response", pa.string(), "The sampled path."),
        Column("sample", pa.int32(), "Sample index of the path; null for its place under its question.", optional=True),
        Column("temperature", pa.float64(), "Sampling temperature.", optional=True),
        REASONING,
        MODEL,
        FINISH_REASON,
        PROMPT_TOKENS,
        COMPLETION_TOKENS,
    ),
)

SELECTED = Record(
    "selected",
    "A training row: the gold solution, or an accepted path with a calculation that no other kept path has.",
    (
        ID,
        Column("query_id", pa.string(), "Id of the question."),
        QUERY_TEXT,
        Column("response", pa.string(), "The solution."),
        Column("origin", pa.string(), "`gold` or `sampled`."),
        Column("key", pa.string(), "Its equations in order, joined by `|`, without spaces: what makes paths distinct."),
        Column("sample", pa.int32(), "Sample index of the path; null for gold."),
        Column("model", pa.string(), "Model that wrote the path; null for gold."),
        REASONING,
    ),
)

CURVE = Record(
    "curve",
    "What k samples a question give (arXiv 2308.01825, section 3.3): one row for each k.",
    (
        ID,
        Column("k", pa.int32(), "Samples of each question that are looked at, from the first."),
        Column("questions", pa.int64(), "Questions with a gold answer."),
        Column("correct_paths", pa.float64(), "Paths with the gold answer and no wrong equation, per question."),
        Column("distinct_paths", pa.float64(), "Different calculations among them, per question."),
    ),
)
