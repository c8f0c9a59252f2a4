"""Records of ToolACE-R (arXiv 2504.01400)."""

import pyarrow as pa

from synth.schemas.record import Column, Record
from synth.schemas.records.shared import ID, MESSAGES, MODEL, REASONING

__all__ = ["TOOL_ANSWER", "TOOL_LESSON", "TOOL_QUESTION", "TOOL_SAMPLES", "TOOL_TASK"]

TOOLS = Column(
    "tools",
    pa.string(),
    "The tools as JSON: a list of objects with `name`, `description` and `parameters`, a JSON schema.",
    aliases=("functions", "function"),
    json=True,
)
TURNS = Column(
    "turns",
    pa.string(),
    "The conversation up to the calls, as JSON: turns with `role`, `content` and `tool_calls`; or the user's words.",
    aliases=("messages", "conversations", "query", "question", "instruction"),
    json=True,
)
GOLD_CALLS = Column(
    "calls",
    pa.string(),
    "The right calls as JSON: a list of objects with `name` and `arguments`, empty if nothing is to be called.",
    aliases=("answers", "tool_calls"),
    json=True,
)
KNOWN_CALLS = Column(GOLD_CALLS.name, GOLD_CALLS.type, GOLD_CALLS.doc, GOLD_CALLS.aliases, optional=True, json=True)
DIFFICULTY = Column("difficulty", pa.float64(), "Share of the samples whose calls are right, 0 to 1; low is hard.")

TOOL_TASK = Record(
    "tool_task", "A request to answer with calls: what `refine tools` reads.", (ID, TOOLS, TURNS, GOLD_CALLS)
)

TOOL_QUESTION = Record(
    "tool_question",
    "A request to answer with calls, the right ones known or not: what `refine tools answer` reads.",
    (ID, TOOLS, TURNS, KNOWN_CALLS),
)

TOOL_SAMPLES = Record(
    "tool_samples",
    "A task with a model's samples, compared with the right calls (arXiv 2504.01400).",
    (
        ID,
        TOOLS,
        TURNS,
        GOLD_CALLS,
        DIFFICULTY,
        Column("responses", pa.list_(pa.string()), "The samples, as the model wrote them."),
        Column("attempts", pa.list_(pa.string()), "The calls of each sample as JSON; null if they cannot be read."),
        Column(
            "labels",
            pa.list_(pa.string()),
            "Of each sample: `right`, `wrong_call`, `not_a_call`, `unknown_tool`, `bad_arguments`, or no whole reply.",
        ),
        Column("details", pa.list_(pa.string()), "Of each sample what is wrong; empty if nothing is."),
        Column("reasonings", pa.list_(pa.string()), "What the model thought before each; null where it did not."),
        MODEL,
    ),
)

TOOL_LESSON = Record(
    "tool_lesson",
    "A training row: the right calls, or an answer that is revised (arXiv 2504.01400).",
    (
        ID,
        Column("task_id", pa.string(), "Id of the task."),
        Column("kind", pa.string(), "`call`, `corrected` (a wrong first answer) or `unchanged` (a right one)."),
        Column("messages", MESSAGES, "The chat, with the tools and the first answer in it, and `target` as its end."),
        Column("first", pa.string(), "The model's first answer: its calls as JSON, or its text; null for `call`."),
        Column("target", pa.string(), "The answer to learn: calls as JSON. If `unchanged`, it is `first`."),
        Column("changed", pa.bool_(), "Whether `target` differs from `first`; null for `call`."),
        DIFFICULTY,
        Column(
            "chat", pa.string(), "The chat as JSON with calls apart, as `export --as tool-calls` writes it.", json=True
        ),
        Column("functions", pa.string(), "The tools as JSON, in the layout of OpenAI's API.", json=True),
    ),
)

TOOL_ANSWER = Record(
    "tool_answer",
    "A task with a model's answer, revised until two in a row agree (arXiv 2504.01400).",
    (
        ID,
        TOOLS,
        TURNS,
        KNOWN_CALLS,
        Column("response", pa.string(), "The last answer."),
        Column("made", pa.string(), "Its calls as JSON; null if they cannot be read.", json=True),
        Column("rounds", pa.int32(), "Revisions."),
        Column("agreed", pa.bool_(), "Whether the last two answers make the same calls."),
        Column("labels", pa.list_(pa.string()), "Of each answer: `right`, or what is wrong; null without right calls."),
        REASONING,
        MODEL,
    ),
)
