"""Records of UAR (arXiv 2406.12534)."""

import pyarrow as pa

from synth.schemas.record import Column, Record
from synth.schemas.records.shared import ID, MODEL

__all__ = ["CLASSED", "NEED", "PROBED", "QUIZ", "REQUEST", "SELF_KNOWN", "WISH"]

NAMES_OF_QUESTIONS = ("query", "instruction", "prompt")
QUESTION_TEXT = Column(
    "question",
    pa.string(),
    "The question, with the `input` that belongs to it.",
    aliases=NAMES_OF_QUESTIONS,
    takes_input=True,
)
SELF = Column("self", pa.int64(), "0: the model does not know the answer; 1: it does.", optional=True)
INTENT = Column("intent", pa.int64(), "0: it asks for a search; 1: it does not.", optional=True)
KNOWLEDGE = Column("knowledge", pa.int64(), "0: the reply needs no knowledge of the world; 1: it does.", optional=True)
TIME = Column("time", pa.int64(), "0: the answer changes with time; 1: it does not.", optional=True)
NEED_RETRIEVE = Column(
    "need_retrieve", pa.bool_(), "Whether to retrieve; null if that depends on an unknown class.", optional=True
)

QUIZ = Record(
    "quiz",
    "A question with the answers that count as right: what `probe self` reads.",
    (
        ID,
        QUESTION_TEXT,
        Column(
            "answer",
            pa.string(),
            "Accepted answers: a text, a number, a list of them, or an object with `value` and `aliases` (TriviaQA).",
            aliases=("answers", "answer_ground_truth"),
            json=True,
        ),
    ),
)

SELF_KNOWN = Record(
    "self_known",
    "A question, and whether a model knows the answer: by how many of its samples are right (arXiv 2406.12534).",
    (
        ID,
        QUESTION_TEXT,
        Column("answers", pa.list_(pa.string()), "The accepted answers."),
        SELF,
        Column("right", pa.int32(), "How many samples are right."),
        Column("samples", pa.int32(), "How many samples there are."),
        Column("replies", pa.list_(pa.string()), "The samples."),
        Column("temperature", pa.float64(), "Sampling temperature, on which the class depends."),
        MODEL,
    ),
)

REQUEST = Record(
    "request",
    "What `probe label` reads: a question, and whether the model knows the answer, if `probe self` has found that.",
    (
        ID,
        Column("question", pa.string(), "The question.", aliases=NAMES_OF_QUESTIONS),
        SELF,
    ),
    open=True,
)

NEED = Record(
    "need",
    "A question with its classes and the decision whether to retrieve. All its other columns go through.",
    (
        ID,
        INTENT,
        KNOWLEDGE,
        TIME,
        NEED_RETRIEVE,
        Column(
            "decided_by", pa.string(), "The criterion that decides it; null if none does, so that nothing is retrieved."
        ),
        Column("agreement", pa.float64(), "Share of the judge's votes for the class of which they agree least."),
        Column("label_reason", pa.string(), "The reason of the first vote for these classes; null if there is none."),
    ),
    open=True,
)

CLASSED = Record(
    "classed",
    "A question with its classes, or without any: what `probe balance` reads.",
    (ID, QUESTION_TEXT, INTENT, KNOWLEDGE, TIME, SELF, NEED_RETRIEVE),
)

WISH = Record(
    "wish",
    "A wish for a search, such as `Look this up first.`: what `probe balance --intents` reads.",
    (ID, Column("wish", pa.string(), "The wish.", aliases=("intent", "text", "instruction", "response"))),
)

PROBED = Record(
    "probed",
    "A question with its class by one criterion: what a classifier is trained or tested on (arXiv 2406.12534).",
    (
        ID,
        Column("question", pa.string(), "The question, with the wish if it has one."),
        Column("criterion", pa.string(), "`intent`, `knowledge`, `time` or `self`."),
        Column("label", pa.int64(), "The class. 0 is the positive one; see the column named by the criterion."),
        NEED_RETRIEVE,
        Column("wish", pa.string(), "The wish for a search that was added, if any.", optional=True),
        Column("position", pa.string(), "Where the wish is: `before` or `after`.", optional=True),
    ),
)
