"""Records of Self-Challenge (arXiv 2408.08978)."""

import pyarrow as pa

from synth.schemas.record import Column, Record
from synth.schemas.records.shared import ID, MODEL, REASONING

__all__ = ["CHALLENGE", "FAILURE", "MARKED", "PATTERN"]

# The names in capitals are those of the published seed failures and of the published benchmark.
QUESTION_ASKED = Column("question", pa.string(), "The question as the model was asked it.", aliases=("Question",))
MODEL_ANSWER = Column(
    "answer", pa.string(), "What the model answered.", aliases=("GPT-4", "GPT-4 Answer", "response"), numeric=True
)
GOLD_NAMES = ("Gold", "Correct Answer")
PATTERN_NAME = Column("pattern", pa.string(), "Name of the pattern that the question follows.", aliases=("Pattern",))
DOMAIN = Column("domain", pa.string(), "The word that set the scene of the question.", aliases=("Domain",))
CORRECT = Column(
    "correct", pa.bool_(), "Whether the answer is right, as somebody has marked it; null if nobody has.", optional=True
)
FEEDBACK = Column("feedback", pa.string(), "What whoever marked the answer says of it.", optional=True)

FAILURE = Record(
    "failure",
    "A question that a model answered wrongly: what `challenge patterns` reads.",
    (ID, QUESTION_ASKED, MODEL_ANSWER, Column("gold", pa.string(), "A right answer.", GOLD_NAMES, numeric=True)),
)

PATTERN = Record(
    "pattern",
    "A kind of question that misleads a model. Only `challenge refine` knows its rate.",
    (
        ID,
        Column("name", pa.string(), "A short name, which questions and marks refer to."),
        Column("description", pa.string(), "What about such questions misleads the model, and why."),
        Column("suggestion", pa.string(), "How to write more of them."),
        Column("examples", pa.list_(pa.string()), "Ids of the failures that show it.", optional=True),
        Column("support", pa.int32(), "How many failures show it.", optional=True),
        Column("round", pa.int32(), "How often it was refined.", optional=True),
        Column("marked", pa.int32(), "Answers to its questions that are marked right or wrong.", optional=True),
        Column("failed", pa.int32(), "Those that are marked wrong.", optional=True),
        Column("failure_rate", pa.float64(), "`failed` / `marked`, 0 to 1.", optional=True),
        Column("rate_low", pa.float64(), "The lower end of the rate's 95 % interval (Wilson), 0 to 1.", optional=True),
        Column("rate_high", pa.float64(), "The upper end of the rate's 95 % interval, 0 to 1.", optional=True),
        REASONING,
        MODEL,
    ),
)

CHALLENGE = Record(
    "challenge",
    "A new question of a pattern with the model's answer, to be marked. Nobody has marked it yet.",
    (
        ID,
        QUESTION_ASKED,
        PATTERN_NAME,
        DOMAIN,
        MODEL_ANSWER,
        CORRECT,
        FEEDBACK,
        Column("gold", pa.string(), "A right answer, which may be that there is none; null until somebody gives it."),
        REASONING,
        MODEL,
    ),
)

MARKED = Record(
    "marked",
    "A question of a pattern with an answer that may be marked: what `challenge refine` reads with `--questions`.",
    (
        ID,
        QUESTION_ASKED,
        PATTERN_NAME,
        MODEL_ANSWER,
        CORRECT,
        FEEDBACK,
        Column("gold", pa.string(), "A right answer, which may be that there is none.", GOLD_NAMES, True, True),
    ),
)
