"""Records of SELF (arXiv 2310.00533)."""

import pyarrow as pa

from synth.schemas.record import Column, Record
from synth.schemas.records.shared import ID, MESSAGES, MODEL, REASONING

__all__ = ["META_SKILL", "SELF_PROMPT", "SELF_REFINED", "STUDENT_ANSWER"]

_PROMPT = Column(
    "prompt",
    pa.string(),
    "The question or the task, with the `input` that belongs to it.",
    aliases=("instruction", "question", "query", "problem"),
    takes_input=True,
)
_ASKED = Column("prompt", pa.string(), "The question or the task, as the model is asked it.")
_FEEDBACK = Column("feedback", pa.string(), "What is said of the answer, step by step.")
_VERDICT = Column("verdict", pa.string(), "`correct` or `incorrect`: what the feedback ends with.")

STUDENT_ANSWER = Record(
    "student_answer",
    "An answer of the model that is to be trained: what `refine skills` reads.",
    (
        ID,
        _PROMPT,
        Column("response", pa.string(), "What the model answered.", aliases=("answer", "output")),
    ),
)

META_SKILL = Record(
    "meta_skill",
    "A chat that teaches a model to judge an answer, to refine it, or to answer (arXiv 2310.00533).",
    (
        ID,
        Column("skill", pa.string(), "`feedback`, `refine` or `answer`: what the chat teaches."),
        _ASKED,
        Column("answer", pa.string(), "What the model answered."),
        _FEEDBACK,
        _VERDICT,
        Column("refined", pa.string(), "A better answer."),
        Column("messages", MESSAGES, "The chat, with the prompts that `refine self` uses."),
        REASONING,
        MODEL,
    ),
)

SELF_PROMPT = Record(
    "self_prompt",
    "A question or a task, whose gold answer, if it has one, only counts: what `refine self` reads.",
    (
        ID,
        _PROMPT,
        Column(
            "gold",
            pa.string(),
            "Gold solution or bare gold answer. It decides nothing; the summary says how often it was met.",
            aliases=("answer", "solution"),
            optional=True,
            numeric=True,
        ),
    ),
)

SELF_REFINED = Record(
    "self_refined",
    "An answer that its own author refined and found good (arXiv 2310.00533).",
    (
        ID,
        Column("prompt_id", pa.string(), "Id of the prompt."),
        _ASKED,
        Column("answer", pa.string(), "What the model answered first."),
        _FEEDBACK,
        _VERDICT,
        Column("refined", pa.string(), "The refined answer; the first one where it was not refined or did not change."),
        Column("final_feedback", pa.string(), "What the model says of the refined answer."),
        Column("final_verdict", pa.string(), "`correct` or `incorrect`: what that ends with."),
        Column("kept", pa.bool_(), "Whether the final verdict is `correct`."),
        Column("messages", MESSAGES, "The prompt and the refined answer, to train on."),
        REASONING,
        MODEL,
    ),
)
