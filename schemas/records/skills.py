"""Records of Skill-It (arXiv 2307.14430)."""

import pyarrow as pa

from synth.schemas.record import Column, Record
from synth.schemas.records.shared import ID

__all__ = ["PAIR_LOSS", "SKILL_GRAPH", "SKILL_LOSS", "SKILL_WEIGHT"]

EDGES = pa.list_(pa.struct([("skill", pa.string()), ("weight", pa.float64())]))

SKILL_GRAPH = Record(
    "skill_graph",
    "A skill to train on. Each other column is the name of a skill that is evaluated: how much this one helps it.",
    (ID, Column("skill", pa.string(), "Name of the skill, and of the dataset that has it.")),
    open=True,
)

PAIR_LOSS = Record(
    "pair_loss",
    "The loss on a skill of a model that was trained on it, alone or together with another skill.",
    (
        ID,
        Column("skill", pa.string(), "The skill that is evaluated."),
        Column("trained_with", pa.string(), "The other skill in the training; null if it was alone.", optional=True),
        Column("loss", pa.float64(), "The loss after training."),
    ),
)

SKILL_LOSS = Record(
    "skill_loss",
    "The loss on a skill at a step of a training: what `mix skill-it --losses` reads.",
    (
        ID,
        Column("step", pa.int64(), "The step at which the model was evaluated."),
        Column("skill", pa.string(), "The skill that is evaluated."),
        Column("loss", pa.float64(), "The loss."),
    ),
)

SKILL_WEIGHT = Record(
    "skill_weight",
    "A skill and its share of the next mixture (arXiv 2307.14430).",
    (
        ID,
        Column("skill", pa.string(), "Name of the skill, and of the dataset that has it."),
        Column("weight", pa.float64(), "Its share of the mixture; those of all skills add up to 1."),
        Column("edges", EDGES, "The skills that it helps, and how much."),
    ),
)
