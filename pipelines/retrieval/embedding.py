"""Texts as vectors of length 1, by a sentence-transformers model."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from synth.pipelines.engines.models import cached_snapshot, folder_named, revision_of
from synth.schemas.errors import InputError, Stale, UsageError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

__all__ = ["Embedder"]

# Padded together. Like the number of texts that are given together, it has a part in the last bits of the vectors.
BATCH = 64
# Longer texts are not read in one piece, even by a model that could.
MOST_TOKENS = 8192


@dataclass(frozen=True)
class Embedder:
    """A model, and its prefixes for queries and passages; None uses the model's own settings."""

    model: str
    revision: str | None
    query_prompt: str | None = None
    passage_prompt: str | None = None
    # Where the model is now, if not under its name.
    location: str | None = None
    # What the command calls it.
    option: str = "--dense"

    @classmethod
    def named(
        cls, model: str, query_prompt: str | None = None, passage_prompt: str | None = None, option: str = "--dense"
    ) -> "Embedder":
        """Raises `UsageError` where there is no such directory, or no package to load it with."""
        return cls(model, revision_of(_located(model, option)), query_prompt, passage_prompt, option=option)

    @classmethod
    def recorded(cls, identity: dict[str, Any], model: str | None = None) -> "Embedder":
        """The model of that `identity`, which `model` names if it has moved. Raises `Stale` where it is another one."""
        wanted = cls(**identity, location=model)
        revision = revision_of(_located(model or wanted.model, wanted.option))
        if revision != wanted.revision:
            raise Stale(
                f"{wanted.option} {model or wanted.model} is another model than the index was made with (its files had "
                f"revision {wanted.revision} and have {revision}): name the same model, or index the corpus again"
            )
        return wanted

    def prompted(self, query_prompt: str | None, passage_prompt: str | None) -> "Embedder":
        """The same model with other prompts, where these are not None."""
        given = {"query_prompt": query_prompt, "passage_prompt": passage_prompt}
        return replace(self, **{name: prompt for name, prompt in given.items() if prompt is not None})

    def identity(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "revision": self.revision,
            "query_prompt": self.query_prompt,
            "passage_prompt": self.passage_prompt,
        }

    @property
    def dimensions(self) -> int:
        return int(self._model.get_embedding_dimension())

    def passages(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of `texts`, one a row."""
        return self._checked(self._model.encode_document(list(texts), prompt=self._before_passages, **_HOW))

    def queries(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of `texts`, one a row. Of those longer than the model reads, the beginning counts."""
        return self._checked(self._model.encode_query(list(texts), prompt=self._before_queries, **_HOW))

    def unread(self, texts: Sequence[str]) -> NDArray[np.bool_]:
        """Which texts have a piece that the model does not know: to it, all such pieces are the same."""
        tokenizer = self._model.tokenizer
        unknown = getattr(tokenizer, "unk_token_id", None)
        if not texts or unknown is None or not callable(tokenizer):
            return np.zeros(len(texts), np.bool_)
        return np.array([unknown in tokens for tokens in tokenizer(list(texts), verbose=False)["input_ids"]])

    def whole(self, texts: Sequence[str]) -> Iterator[str]:
        """The texts, those halved, and halved again, that have more tokens than the model reads at a time."""
        lengths = self._lengths([self._before_passages + text for text in texts])
        for text, length in zip(texts, lengths, strict=True):
            if length > self._limit and len(text) > 1:
                yield from self.whole([half for half in _halves(text) if half.strip()])
            else:
                yield text

    def _lengths(self, texts: Sequence[str]) -> list[int]:
        """In tokens; 0 for a model that has no such limit."""
        tokenizer = self._model.tokenizer
        if not texts or self._model.max_seq_length is None or not callable(tokenizer):
            return [0] * len(texts)
        return list(map(len, tokenizer(list(texts), truncation=False, verbose=False)["input_ids"]))

    def _checked(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        if not np.isfinite(vectors).all():
            raise InputError(f"{self.option} {self.model}: the model gives vectors that are not numbers")
        return vectors

    @property
    def _limit(self) -> int:
        return int(min(self._model.max_seq_length or MOST_TOKENS, MOST_TOKENS))

    @cached_property
    def _before_passages(self) -> str:
        return self._prompt("--passage-prompt", self.passage_prompt, "document", "passage", "corpus")

    @cached_property
    def _before_queries(self) -> str:
        return self._prompt("--query-prompt", self.query_prompt, "query")

    def _prompt(self, option: str, given: str | None, *names: str) -> str:
        own = next((text for text in map(self._model.prompts.get, names) if text), "")
        prompt = own if given is None else given
        if 2 * self._lengths([prompt])[0] > self._limit:
            raise UsageError(f"{option} takes more than half of the {self._limit} tokens that {self.model} reads")
        return prompt

    @cached_property
    def _model(self) -> "SentenceTransformer":
        import transformers
        from sentence_transformers import SentenceTransformer

        transformers.utils.logging.disable_progress_bar()
        try:
            return SentenceTransformer(_located(self.location or self.model, self.option))
        # A directory of other files, weights that do not fit, a hub that does not answer: classes without a base.
        except Exception as error:
            raise UsageError(
                f"{self.option} {self.location or self.model} cannot be loaded by sentence-transformers: "
                f"{(str(error) or type(error).__name__).splitlines()[0]}"
            ) from error


_HOW: dict[str, Any] = {
    "batch_size": BATCH,
    "normalize_embeddings": True,
    "convert_to_numpy": True,
    "show_progress_bar": False,
}


def _located(model: str, option: str) -> str:
    """The directory of a model, or its name on the hub where the local cache has not all of it."""
    for package, module in (("sentence-transformers", "sentence_transformers"), ("faiss", "faiss")):
        if find_spec(module) is None:
            raise UsageError(f"{option} needs {package}, which is not installed: pip install '.[cpu]' (or '.[gpu]')")
    path = folder_named(model, option, "or a hub name such as sentence-transformers/all-MiniLM-L6-v2")
    if path:
        if not (path / "modules.json").is_file() and not (path / "config.json").is_file():
            raise UsageError(f"{option} {model} is not a model directory: it has neither modules.json nor config.json")
        return str(path)
    snapshot = cached_snapshot(model, "main")
    return str(snapshot) if snapshot and (snapshot / "modules.json").is_file() else model


def _halves(text: str) -> tuple[str, str]:
    """Cut at the white space next before the middle; in the middle where the first half has none."""
    middle = len(text) // 2
    at = max(text.rfind(blank, 1, middle) for blank in " \n")
    at = middle if at < 0 else at
    return text[:at], text[at:]
