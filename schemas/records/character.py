"""Records of Character-LLM (arXiv 2310.10158)."""

from dataclasses import replace

import pyarrow as pa

from synth.schemas.record import Column, Record
from synth.schemas.records.shared import ID, MESSAGES, MODEL, REASONING

__all__ = ["EXPERIENCE", "PERFORMANCE", "PLAYED", "PROFILE", "SCENE"]

NAME = Column("name", pa.string(), "The person whom the model is to become.")
PARAGRAPH = Column("profile", pa.string(), "The paragraph of the profile that it was made from.")
TYPE = Column("type", pa.string(), "What kind of scene: chat, debate, discussion, speech, or another one.")
LOCATION = Column("location", pa.string(), "Where the scene takes place.")
BACKGROUND = Column("background", pa.string(), "The situation in which the scene begins.")
PROTECTIVE = Column(
    "protective", pa.bool_(), "Whether somebody tries to get the person to say what the person cannot know."
)
SETTING = Column("setting", pa.string(), "Place, time and people, as the script tells them before its first turn.")
DIALOGUE = Column(
    "dialogue",
    pa.list_(pa.struct([("role", pa.string()), ("action", pa.string()), ("content", pa.string())])),
    "The turns: who, the action `speaking` or `thinking` (null where the script has none), and what.",
)

PROFILE = Record(
    "profile",
    "What is known about a person: what `character scenes` and `character protect` read.",
    (
        ID,
        Column(
            "name",
            pa.string(),
            "The person; null where the first line of the profile is `# Name`.",
            aliases=("title", "character"),
            optional=True,
        ),
        Column(
            "profile", pa.string(), "Paragraphs about the person, between blank lines.", aliases=("content", "text")
        ),
    ),
)

SCENE = Record(
    "scene",
    "A scene around a person, imagined from a paragraph of the profile (arXiv 2310.10158).",
    (ID, NAME, PARAGRAPH, TYPE, LOCATION, BACKGROUND, REASONING, MODEL),
)

PERFORMANCE = Record(
    "performance",
    "The script of a scene (arXiv 2310.10158). Protective ones have no type, location and background.",
    (
        ID,
        NAME,
        PARAGRAPH,
        PROTECTIVE,
        *(replace(column, optional=True) for column in (TYPE, LOCATION, BACKGROUND)),
        SETTING,
        DIALOGUE,
        Column("words", pa.int32(), "Words of the turns."),
        REASONING,
        MODEL,
    ),
)

PLAYED = Record(
    "played",
    "A script as `character convert` reads it. A row that does not say so is not protective.",
    (ID, NAME, *(replace(column, optional=True) for column in (PROTECTIVE, LOCATION, SETTING)), DIALOGUE),
    open=True,
)

EXPERIENCE = Record(
    "experience",
    "A training row: whom the model is to be in which situation, and what happened there (arXiv 2310.10158).",
    (
        ID,
        NAME,
        Column("prompt", pa.string(), "The person, the location and the situation."),
        Column("output", pa.string(), "The turns, each followed by the end-of-turn mark."),
        Column("source", pa.string(), "`scene` or `protective`."),
        Column("turns", pa.int32(), "Turns of the script."),
        Column("messages", MESSAGES, "The same as a chat: what the person says and thinks is the assistant's."),
    ),
)
