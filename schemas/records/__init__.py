"""Record types: the columns of each stage's input and output. Their names follow the papers."""

from synth.schemas.record import Record
from synth.schemas.records import (
    challenge,
    character,
    code,
    instag,
    math,
    miniplm,
    packing,
    pretraining,
    probe,
    ranking,
    search,
    self_correction,
    self_evolution,
    self_lengthen,
    shared,
    skills,
    tools,
)
from synth.schemas.records.challenge import *  # noqa: F403
from synth.schemas.records.character import *  # noqa: F403
from synth.schemas.records.code import *  # noqa: F403
from synth.schemas.records.instag import *  # noqa: F403
from synth.schemas.records.math import *  # noqa: F403
from synth.schemas.records.miniplm import *  # noqa: F403
from synth.schemas.records.packing import *  # noqa: F403
from synth.schemas.records.pretraining import *  # noqa: F403
from synth.schemas.records.probe import *  # noqa: F403
from synth.schemas.records.ranking import *  # noqa: F403
from synth.schemas.records.search import *  # noqa: F403
from synth.schemas.records.self_correction import *  # noqa: F403
from synth.schemas.records.self_evolution import *  # noqa: F403
from synth.schemas.records.self_lengthen import *  # noqa: F403
from synth.schemas.records.shared import *  # noqa: F403
from synth.schemas.records.skills import *  # noqa: F403
from synth.schemas.records.tools import *  # noqa: F403

# In the order of declaration.
RECORDS: tuple[Record, ...] = tuple(
    value
    for module in (
        math,
        code,
        search,
        shared,
        instag,
        self_lengthen,
        miniplm,
        pretraining,
        packing,
        skills,
        character,
        ranking,
        probe,
        challenge,
        self_correction,
        self_evolution,
        tools,
    )
    for value in vars(module).values()
    if isinstance(value, Record)
)
