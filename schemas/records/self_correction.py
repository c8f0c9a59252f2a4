"""Records of intrinsic self-correction (arXiv 2401.07301)."""

from dataclasses import replace

import pyarrow as pa

from synth.schemas.record import Column, Record
from synth.schemas.records.math import QUESTION
from synth.schemas.records.shared import FINISH_REASON, ID, MESSAGES, MODEL, REASONING, SEGMENTS

__all__ = ["CHOICE_QUESTION", "CORRECTED"]

_, _QUESTION, _ANSWER = QUESTION.columns

CHOICE_QUESTION = Record(
    "choice_question",
    "A question with its gold answer, and its options if it has any: what `refine correct` reads.",
    (
        ID,
        replace(_QUESTION, aliases=(*_QUESTION.aliases, "question_stem")),
        replace(
            _ANSWER,
            doc="Gold solution, the bare answer, or the label or the text of the right option.",
            aliases=(*_ANSWER.aliases, "answerKey"),
        ),
        Column(
            "choices",
            pa.string(),
            "The options: texts, or labels and texts as CommonsenseQA, OpenBookQA and ARC have them.",
            aliases=("options",),
            optional=True,
            json=True,
        ),
    ),
)

CORRECTED = Record(
    "corrected",
    "An answer, its verification and, if it is wrong, its correction in one turn (arXiv 2401.07301).",
    (
        ID,
        Column("question_id", pa.string(), "Id of the question."),
        Column("question", pa.string(), "The question with its options, as the user asks it."),
        Column("answer", pa.string(), "The gold answer, as it was given."),
        Column("case", pa.string(), "`good`: the first answer is right; `bad`: it is wrong, and corrected."),
        Column("first", pa.string(), "The answer that the model gave, up to its answer line."),
        Column("verdict", pa.string(), "The verification: what is said of the first answer."),
        Column("final", pa.string(), "The corrected answer; null in a good case."),
        Column("sample", pa.int32(), "Sample index of the first answer."),
        Column("corrected_by", pa.int32(), "Sample index of the corrected answer; null for the gold solution."),
        Column("messages", MESSAGES, "The question, and all of the answer as one turn of the assistant."),
        SEGMENTS,
        REASONING,
        MODEL,
        FINISH_REASON,
    ),
)
