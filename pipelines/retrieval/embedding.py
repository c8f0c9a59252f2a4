"""Embed texts as unit vectors with a sentence-transformers model."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from synth.pipelines.engines.models import cached_snapshot, folder_named, revision_of
from synth.pipelines.retrieval.analysis import cut_point
from synth.schemas.errors import InputError, Stale, UsageError
from synth.schemas.quiet import without_bars

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

__all__ = ["Embedder"]

# Texts padded together. Like the number of texts per call, it affects the last bits of the vectors.
BATCH = 64
# Longer texts are split, even if a model could read them.
MAX_TOKENS = 8192


@dataclass(frozen=True)
class Embedder:
    """A model, and its prefixes for queries and passages; None uses the model's own settings."""

    model: str
    revision: str | None
    query_prompt: str | None = None
    passage_prompt: str | None = None
    # Where the model is now, if it has moved.
    location: str | None = None
    # The option that names it, for messages.
    option: str = "--dense"
    # Of a text only so many tokens count, even if the model could read more.
    max_tokens: int | None = None

    @classmethod
    def named(
        cls, model: str, query_prompt: str | None = None, passage_prompt: str | None = None, option: str = "--dense"
    ) -> "Embedder":
        """Raises `UsageError` if there is no such directory or a package to load it is missing."""
        return cls(
            model, revision_of(_locate(model, option), option=option), query_prompt, passage_prompt, option=option
        )

    @classmethod
    def recorded(cls, identity: dict[str, Any], model: str | None = None) -> "Embedder":
        """The model of an `identity`, at `model` if it has moved. Raises `Stale` if its files have changed."""
        wanted = cls(**identity, location=model)
        revision = revision_of(_locate(model or wanted.model, wanted.option), option=wanted.option)
        if revision != wanted.revision:
            raise Stale(
                f"{wanted.option} {model or wanted.model} is not the model that the index was made with (its revision "
                f"was {wanted.revision} and is now {revision}): name the same model, or index the corpus again"
            )
        return wanted

    def prompted(self, query_prompt: str | None, passage_prompt: str | None) -> "Embedder":
        """The same model with those of these prompts that are not None."""
        given: dict[str, Any] = {"query_prompt": query_prompt, "passage_prompt": passage_prompt}
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
        """Vectors of `texts`, one per row. Texts too long for the model are truncated."""
        return self._checked(self._model.encode_document(list(texts), prompt=self._passage_prefix, **_ENCODING))

    def queries(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of `texts`, one per row. Texts too long for the model are truncated."""
        return self._checked(self._model.encode_query(list(texts), prompt=self._query_prefix, **_ENCODING))

    def unread(self, texts: Sequence[str]) -> NDArray[np.bool_]:
        """Which texts have a token unknown to the model, which cannot tell such tokens apart."""
        tokenizer = self._model.tokenizer
        unknown = getattr(tokenizer, "unk_token_id", None)
        if not texts or unknown is None or not callable(tokenizer):
            return np.zeros(len(texts), np.bool_)
        return np.array([unknown in tokens for tokens in tokenizer(list(texts), verbose=False)["input_ids"]])

    def is_too_long(self, texts: Sequence[str]) -> list[bool]:
        """Which texts the model does not read to their end."""
        return [length > self._limit for length in self._lengths([self._passage_prefix + text for text in texts])]

    def split_to_fit(self, texts: Sequence[str]) -> Iterator[str]:
        """The texts, with those too long for the model halved until they fit."""
        for text, is_too_long in zip(texts, self.is_too_long(texts), strict=True):
            if is_too_long and len(text) > 1:
                middle = cut_point(text, 0, len(text) // 2)
                yield from self.split_to_fit([half for half in (text[:middle], text[middle:]) if half.strip()])
            else:
                yield text

    def _lengths(self, texts: Sequence[str]) -> list[int]:
        """In tokens; 0 if the model has no limit."""
        tokenizer = self._model.tokenizer
        if not texts or self._model.max_seq_length is None or not callable(tokenizer):
            return [0] * len(texts)
        return list(map(len, tokenizer(list(texts), truncation=False, verbose=False)["input_ids"]))

    def _checked(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        if not np.isfinite(vectors).all():
            raise InputError(f"{self.option} {self.model}: the model returns vectors that are not finite")
        return vectors

    @property
    def _limit(self) -> int:
        return int(min(self._model.max_seq_length or MAX_TOKENS, MAX_TOKENS))

    @cached_property
    def _passage_prefix(self) -> str:
        return self._prompt("--passage-prompt", self.passage_prompt, "document", "passage", "corpus")

    @cached_property
    def _query_prefix(self) -> str:
        return self._prompt("--query-prompt", self.query_prompt, "query")

    def _prompt(self, option: str, given: str | None, *names: str) -> str:
        own = next((text for text in map(self._model.prompts.get, names) if text), "")
        prompt = own if given is None else given
        if 2 * self._lengths([prompt])[0] > self._limit:
            raise UsageError(f"{option} takes more than half of the {self._limit} tokens that {self.model} reads")
        return prompt

    @cached_property
    def _model(self) -> "SentenceTransformer":
        without_bars()
        from sentence_transformers import SentenceTransformer

        try:
            model = SentenceTransformer(_locate(self.location or self.model, self.option))
        # Missing files, mismatched weights, an unreachable hub: the errors have no common base class.
        except Exception as error:
            raise UsageError(
                f"{self.option} {self.location or self.model} cannot be loaded by sentence-transformers: "
                f"{(str(error) or type(error).__name__).splitlines()[0]}"
            ) from error
        if self.max_tokens is not None:
            if model.max_seq_length is None:
                raise UsageError(f"--max-tokens {self.max_tokens}: {self.model} reads whole texts, so leave it out")
            model.max_seq_length = min(model.max_seq_length, self.max_tokens)
        return model


_ENCODING: dict[str, Any] = {
    "batch_size": BATCH,
    "normalize_embeddings": True,
    "convert_to_numpy": True,
    "show_progress_bar": False,
}


def _locate(model: str, option: str) -> str:
    """The directory of a model, or its hub name if the local cache is incomplete."""
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
