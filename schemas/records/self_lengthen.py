"""Records of Self-Lengthen (arXiv 2410.23933)."""

from dataclasses import replace

import pyarrow as pa

from synth.schemas.record import Column, Record
from synth.schemas.records.shared import (
    COMPLETION_TOKENS,
    FINISH_REASON,
    ID,
    MESSAGES,
    MODEL,
    PROMPT_TOKENS,
    REASONING,
    SEGMENTS,
)

__all__ = [
    "ANSWERED",
    "CHAT",
    "CONSTRAINED",
    "CONSTRAINED_ANSWER",
    "DRAFTED",
    "EXTENDED",
    "EXTENDED_ANSWER",
    "JUDGED",
    "LEARNT_CHAT",
    "NEW_INSTRUCTION",
    "SCORED",
    "SEED_INSTRUCTION",
    "TRAINING_STEP",
    "UNANSWERED",
]

INSTRUCTION_TEXT = Column("instruction", pa.string(), "What is to be written.", aliases=("prompt", "query", "question"))
RESPONSE_TEXT = Column("response", pa.string(), "The text that was written for it.", aliases=("answer", "output"))
CONSTRAINT = Column("constraint", pa.string(), "The constraint, such as `around 3000 words`.")
CONSTRAINT_TYPE = Column("type", pa.string(), "Kind of the constraint: `about`, `range`, `above` or `below`.")
WORDS = Column("words", pa.int32(), "Words of the response.")
TRIES = Column("tries", pa.int32(), "Tries that it took.")

ANSWERED = Record(
    "answered",
    "An instruction with a response, in a row of any dataset. All its other columns go through.",
    (ID, INSTRUCTION_TEXT, RESPONSE_TEXT),
    open=True,
)

EXTENDED_ANSWER = Record(
    "extended_answer",
    "An instruction with a response, and the shorter text that it was made of, in a row of any dataset.",
    (ID, INSTRUCTION_TEXT, Column("initial", pa.string(), "The response before it was extended."), RESPONSE_TEXT),
    open=True,
)

CHAT = Record(
    "chat",
    "A training row: what the user asks, and what the assistant is to answer.",
    (ID, Column("messages", MESSAGES, "The turns, user and assistant.")),
)

LEARNT_CHAT = Record(
    "learnt_chat",
    "A chat to train on, or parts of it: what `self-lengthen train` reads.",
    (*CHAT.columns, SEGMENTS),
)

CONSTRAINED = Record(
    "constrained",
    "A row whose instruction says how long the response is to be. All its other columns go through.",
    (
        ID,
        Column("instruction", pa.string(), "The instruction with the constraint in it."),
        Column("original_instruction", pa.string(), "The instruction as it was."),
        CONSTRAINT,
        CONSTRAINT_TYPE,
        Column("low", pa.int32(), "Fewest words that keep the constraint."),
        Column("high", pa.int32(), "Most words that keep the constraint."),
        WORDS,
        Column("rewriter_model", pa.string(), "Model that wrote the constraint into the instruction."),
        Column("rewriter_reasoning", pa.string(), "What that model thought before; null where it did not."),
    ),
    open=True,
)

CONSTRAINED_ANSWER = Record(
    "constrained_answer",
    "A response to an instruction that says how long it is to be: what `evaluate` reads.",
    (
        ID,
        INSTRUCTION_TEXT,
        RESPONSE_TEXT,
        CONSTRAINT,
        Column("type", pa.string(), "`about`, `range`, `above` or `below`; or as the constraint reads.", optional=True),
    ),
    open=True,
)

_MEASURES = (
    ID,
    CONSTRAINT_TYPE,
    WORDS,
    Column("length_score", pa.float64(), "How well the length keeps the constraint, 0 to 1."),
)

SCORED = Record(
    "scored",
    "A response with the score of its length (LonGen). All its other columns go through.",
    _MEASURES,
    open=True,
)

JUDGED = Record(
    "judged",
    "A response with the score of its length and a judge's marks, 1 to 10. All its other columns go through.",
    (
        *_MEASURES,
        Column("analysis", pa.string(), "What the judge says before the marks."),
        Column("relevance", pa.int32(), "Whether it does what the instruction asks."),
        Column("accuracy", pa.int32(), "Whether what it says is true."),
        Column("coherence", pa.int32(), "Whether its parts follow from one another."),
        Column("consistency", pa.int32(), "Whether it keeps to its facts, style and tone."),
        Column("clarity", pa.int32(), "Whether it is easy to follow."),
        Column("creativity", pa.int32(), "Whether it has ideas of its own."),
        Column("engagement", pa.int32(), "Whether one reads on."),
        Column("judge_model", pa.string(), "Model that gave the marks."),
        Column("judge_reasoning", pa.string(), "What that model thought before; null where it did not."),
    ),
    open=True,
)

SEED_INSTRUCTION = Record(
    "seed_instruction",
    "An instruction that others are to be written after: what `self-lengthen instruct` reads.",
    (
        ID,
        replace(INSTRUCTION_TEXT, takes_input=True),
        Column("language", pa.string(), "`en`, `zh` or any other name; detected if null.", optional=True),
    ),
)

NEW_INSTRUCTION = Record(
    "new_instruction",
    "An instruction that a model wrote, fit for a long text in its own judgement (arXiv 2410.23933).",
    (
        ID,
        Column("instruction", pa.string(), "What is to be written."),
        Column("language", pa.string(), "Language of the seed that it goes back to, as that names it or as detected."),
        Column("words", pa.int32(), "Words of the instruction."),
        Column("examples", pa.list_(pa.string()), "Ids of the two instructions that it was written after."),
        TRIES,
        REASONING,
        MODEL,
    ),
)

UNANSWERED = Record(
    "unanswered",
    "An instruction, in a row of any dataset. All its other columns go through.",
    (ID, INSTRUCTION_TEXT),
    open=True,
)

_MEASURED_RESPONSE = (
    WORDS,
    Column("language", pa.string(), "Language of the response: `en`, `zh` or `other`."),
)

DRAFTED = Record(
    "drafted",
    "A first response to an instruction (arXiv 2410.23933). All other columns of the instruction go through.",
    (
        ID,
        Column("instruction_id", pa.string(), "Id of the instruction."),
        Column("response", pa.string(), "The response."),
        *_MEASURED_RESPONSE,
        TRIES,
        REASONING,
        MODEL,
        FINISH_REASON,
        PROMPT_TOKENS,
        COMPLETION_TOKENS,
    ),
    open=True,
)

EXTENDED = Record(
    "extended",
    "A response that was made longer (arXiv 2410.23933). All other columns of the draft go through.",
    (
        ID,
        Column("draft_id", pa.string(), "Id of the response that it was made of."),
        Column("initial", pa.string(), "That response."),
        Column("initial_words", pa.int32(), "Words of that response."),
        Column("response", pa.string(), "The longer response."),
        *_MEASURED_RESPONSE,
        Column("rounds", pa.int32(), "Rounds that made it longer."),
        TRIES,
        Column(
            "reasoning", pa.string(), "What the model thought before it wrote the last part; null where it did not."
        ),
        MODEL,
        FINISH_REASON,
        Column("prompt_tokens", pa.int32(), "Tokens of all prompts of the last try; null where unknown."),
        Column("completion_tokens", pa.int32(), "Tokens that the last try generated; null where unknown."),
    ),
    open=True,
)

TRAINING_STEP = Record(
    "training_step",
    "A step of a training. The model that came out of it stands in `model/` beside these rows.",
    (
        Column("step", pa.int32(), "Number of the step, from 1."),
        Column("epoch", pa.float32(), "How often every chat has been learnt from, after it."),
        Column("loss", pa.float32(), "Mean cross-entropy of the tokens learnt, in nats, before it."),
        Column("learning_rate", pa.float32(), "How far it went along the gradient."),
        Column("grad_norm", pa.float32(), "Norm of the gradient, before it was cut to 1."),
    ),
)
