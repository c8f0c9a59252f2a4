"""Tags as points: vectors of a sentence-transformers model, or the characters that they are made of."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from synth.pipelines.engines.models import cached_snapshot
from synth.pipelines.instag.normalize.nearness import DenseTags, Points, Sparse
from synth.pipelines.retrieval.embedding import Embedder
from synth.schemas.errors import UsageError

__all__ = ["Characters", "Model", "embedder_named"]

OPTION = "--embedder"
CHARACTERS = "characters"
# PhraseBERT, the paper's, under the name that its authors gave it on the hub.
PAPER = "whaleloops/phrase-bert"

NEEDED = {"nltk": "nltk", "scikit-learn": "sklearn", "scipy": "scipy"}

# Laid by together: what a killed run embeds again. Part of what determines the last bits of the vectors.
TEXTS_AT_A_TIME = 512
NUMBER = np.dtype("<f4")


@dataclass(frozen=True)
class Model:
    """Points are the vectors that a model gives tags."""

    embedder: Embedder
    # The paper's.
    eps: ClassVar[float] = 0.05

    def identity(self) -> dict[str, Any]:
        return self.embedder.identity()

    def load(self) -> None:
        """Raises `UsageError` where the model cannot be loaded: better before hours of work than after."""
        _ = self.embedder.dimensions

    def points(self, texts: Sequence[str], work: Path) -> Points:
        """One for each text; vectors that are in `work` already are not made again.

        A text in a script that the model does not know has a vector without length, which is near to none: to the
        model, many words of such a script are the same.
        """
        path = work / "vectors.float32"
        row = self.embedder.dimensions * NUMBER.itemsize
        with path.open("ab") as file:
            done = min(file.tell() // row, len(texts))
            done = done if done == len(texts) else done // TEXTS_AT_A_TIME * TEXTS_AT_A_TIME
            file.truncate(done * row)
            for start in range(done, len(texts), TEXTS_AT_A_TIME):
                some = texts[start : start + TEXTS_AT_A_TIME]
                vectors = self.embedder.passages(some).astype(NUMBER)
                vectors[self.embedder.unread(some)] = 0
                file.write(vectors.tobytes())
                file.flush()
                os.fsync(file.fileno())
        return DenseTags(np.memmap(path, NUMBER, "r", shape=(len(texts), self.embedder.dimensions)))


@dataclass(frozen=True)
class Characters:
    """Points are counts of the two and three characters in a row that words have: likeness of spelling, not meaning.

    This is not the paper's. It needs no model, and makes one what stemming does not: most misspellings, British and
    American forms, words in another order.
    """

    # Of 40 such pairs it makes 16 one, and of 50 pairs that look alike and mean different things 1; 0.14: 29 and 5.
    eps: ClassVar[float] = 0.11

    def identity(self) -> str:
        return CHARACTERS

    def load(self) -> None:
        """Nothing needs to be loaded."""

    def points(self, texts: Sequence[str], _: Path) -> Points:
        from sklearn.feature_extraction.text import TfidfVectorizer

        # How rare a piece is says little of spelling: weighing it by that tells such pairs apart less well.
        pieces = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 3), use_idf=False, dtype=np.float64)
        return Sparse(pieces.fit_transform(texts))


def embedder_named(name: str | None) -> Model | Characters:
    """A model directory or hub name, or `characters`. None is the paper's model, if it is on this machine.

    Raises `UsageError` where it is not, since nothing is downloaded that nobody has named.
    """
    for package, module in NEEDED.items():
        if find_spec(module) is None:
            raise UsageError(f"instag normalize needs {package}: pip install '.[cpu]' (or '.[gpu]')")
    if name == CHARACTERS:
        return Characters()
    if name is None and not _is_here(PAPER):
        raise UsageError(
            f"tags are embedded by {PAPER}, as in the paper, and it is not on this machine: {OPTION} {PAPER} downloads "
            f"it, {OPTION} MODEL names another sentence-transformers model, and {OPTION} {CHARACTERS} needs none, but "
            "compares spelling and not meaning"
        )
    return Model(Embedder.named(name or PAPER, passage_prompt="", option=OPTION))


def _is_here(model: str) -> bool:
    snapshot = cached_snapshot(model, "main")
    return snapshot is not None and (snapshot / "modules.json").is_file()
