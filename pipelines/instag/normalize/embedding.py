"""Turn tags into points: the vectors of a sentence-transformers model, or character n-grams."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from synth.pipelines.engines.models import cached_snapshot
from synth.pipelines.instag.normalize.neighbors import DensePoints, Points, SparsePoints
from synth.pipelines.retrieval.embedding import Embedder
from synth.schemas.errors import UsageError

__all__ = ["Characters", "Model", "embedder_named"]

OPTION = "--embedder"
CHARACTERS = "characters"
# PhraseBERT, the paper's model, on the Hugging Face hub.
PAPER = "whaleloops/phrase-bert"

NEEDED = {"nltk": "nltk", "scikit-learn": "sklearn", "scipy": "scipy"}

# Saved together, so a resumed run repeats at most so many. The last bits of the vectors depend on this.
TEXTS_AT_A_TIME = 512
NUMBER = np.dtype("<f4")


@dataclass(frozen=True)
class Model:
    """Points are a model's embeddings of tags."""

    embedder: Embedder
    # As in the paper.
    eps: ClassVar[float] = 0.05

    def identity(self) -> dict[str, Any]:
        return self.embedder.identity()

    def load(self) -> None:
        """Load the model early, before hours of work. Raises `UsageError` if it cannot be loaded."""
        _ = self.embedder.dimensions

    def points(self, texts: Sequence[str], work: Path) -> Points:
        """One point per text; vectors already in `work` are reused.

        A text in a script unknown to the model gets a zero vector, which is near no other: to the model, many words of
        such a script are the same.
        """
        path = work / "vectors.float32"
        row_bytes = self.embedder.dimensions * NUMBER.itemsize
        with path.open("ab") as file:
            done = min(file.tell() // row_bytes, len(texts))
            done = done if done == len(texts) else done // TEXTS_AT_A_TIME * TEXTS_AT_A_TIME
            file.truncate(done * row_bytes)
            for start in range(done, len(texts), TEXTS_AT_A_TIME):
                batch = texts[start : start + TEXTS_AT_A_TIME]
                vectors = self.embedder.passages(batch).astype(NUMBER)
                vectors[self.embedder.unread(batch)] = 0
                file.write(vectors.tobytes())
                file.flush()
                os.fsync(file.fileno())
        return DensePoints(np.memmap(path, NUMBER, "r", shape=(len(texts), self.embedder.dimensions)))


@dataclass(frozen=True)
class Characters:
    """Points are counts of character bigrams and trigrams: similarity of spelling, not meaning.

    This is not in the paper. It needs no model, and merges forms that stemming does not: most misspellings, British and
    American spellings, words in another order.
    """

    # Merges 16 of 40 such pairs, and 1 of 50 pairs that look similar but differ in meaning; 0.14 merges 29 and 5.
    eps: ClassVar[float] = 0.11

    def identity(self) -> str:
        return CHARACTERS

    def load(self) -> None:
        """Do nothing."""

    def points(self, texts: Sequence[str], _: Path) -> Points:
        from sklearn.feature_extraction.text import TfidfVectorizer

        # IDF weights separate such pairs less well.
        ngrams = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 3), use_idf=False, dtype=np.float64)
        return SparsePoints(ngrams.fit_transform(texts))


def embedder_named(name: str | None) -> Model | Characters:
    """The embedder for a model directory, a hub name or `characters`; None stands for the paper's model.

    Raises `UsageError` if that is not on this machine: only models that the user names are downloaded.
    """
    for package, module in NEEDED.items():
        if find_spec(module) is None:
            raise UsageError(f"instag normalize needs {package}: pip install '.[cpu]' (or '.[gpu]')")
    if name == CHARACTERS:
        return Characters()
    if name is None:
        snapshot = cached_snapshot(PAPER, "main")
        if snapshot is None or not (snapshot / "modules.json").is_file():
            raise UsageError(
                f"the default model, the paper's {PAPER}, is not on this machine: {OPTION} {PAPER} downloads it, "
                f"{OPTION} MODEL names another sentence-transformers model, and {OPTION} {CHARACTERS} needs no model, "
                "but compares spelling instead of meaning"
            )
    return Model(Embedder.named(name or PAPER, passage_prompt="", option=OPTION))
