"""Embed whole texts: one unit vector for each row, beside the rows."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from synth.pipelines.retrieval.document_vectors import EMBED_STAGE, VECTORS
from synth.pipelines.retrieval.embedding import Embedder
from synth.pipelines.retrieval.nearest import FLAT
from synth.pipelines.retrieval.vectors import VectorWriter, finish
from synth.pipelines.runtime.declared import Option
from synth.pipelines.runtime.portions import portions, write_kept
from synth.pipelines.runtime.stage import Output, TableStage
from synth.pipelines.runtime.text.columns import text_columns, texts_of
from synth.schemas.errors import InputError
from synth.schemas.record import Record
from synth.schemas.records import ROW

__all__ = ["Embed"]

# Embedded and saved together: what a killed run embeds again. Affects the last bits of the vectors.
TEXTS_AT_A_TIME = 512


@dataclass(frozen=True)
class Embed(TableStage):
    """Embed each row: one vector for its whole text, for clusters and neighbours.

    Rows keep their ids, columns and order. `vectors/` in the output has their vectors, of length 1, in 16-bit floats:
    give the output as `--vectors` to `select clusterclip` or `pack neighbors`. A row without text is rejected as
    `no_text`.

    Of a text the model reads the first tokens (`--pool first`; those that are longer are counted as `truncated`). With
    `mean`, a longer text is cut into consecutive pieces that fit, and its vector is the mean of theirs, made a unit
    vector again. Several columns, or the messages of a chat, are one text, with blank lines between them.

    Memory: the model, and what it needs for 64 texts.
    """

    name: ClassVar[str] = EMBED_STAGE
    input: ClassVar[Record] = ROW
    output: ClassVar[Record] = ROW
    keeps_ids: ClassVar[bool] = True

    commands: ClassVar[tuple[str, ...]] = (
        "synth embed corpus/ embedded/ --embedder sentence-transformers/all-MiniLM-L6-v2",
        "synth embed corpus/ whole/ --embedder sentence-transformers/all-MiniLM-L6-v2 --pool mean --max-tokens 128",
    )

    embedder: Annotated[
        Embedder,
        Option(
            "sentence-transformers model: a directory or a hub name.",
            metavar="MODEL",
            read=lambda name: Embedder.named(name, option="--embedder"),
        ),
    ]
    max_tokens: Annotated[
        int | None, Option("Tokens that count of a text, or of a piece.", min=8, default="as many as the model reads")
    ] = None
    pool: Annotated[
        Literal["first", "mean"], Option("The first tokens of a text, or the mean of all of its pieces.")
    ] = "first"
    text: Annotated[
        tuple[str, ...],
        Option(
            "Column to embed: text, or chat messages. Repeatable; required if several columns contain text.",
            metavar="NAME",
        ),
    ] = ()

    def identity(self) -> dict[str, Any]:
        return {
            "embedder": self.embedder.identity(),
            **{name: getattr(self, name) for name in ("max_tokens", "pool")},
            "text": list(self.text),
        }

    @cached_property
    def _embedder(self) -> Embedder:
        return replace(self.embedder, max_tokens=self.max_tokens)

    def process(self, tables: Sequence[pa.Table], output: Output) -> None:
        (table,) = tables
        columns = text_columns(table.schema, self.text)
        # The model is loaded first, since a mistake in its name should not cost a pass over the texts.
        writer = VectorWriter(output.kept / VECTORS, self._embedder.dimensions, TEXTS_AT_A_TIME)
        has_text = np.concatenate(
            [np.array([bool(text) for text in _texts(rows, columns)]) for rows in portions(table.select(columns))]
        )
        embedded = np.flatnonzero(has_text)
        if not len(embedded):
            raise InputError(f"no row has any text in {' or '.join(columns)}: name its column with --text NAME")
        start = 0
        for first in range(0, len(embedded), TEXTS_AT_A_TIME):
            batch = embedded[first : first + TEXTS_AT_A_TIME]
            is_last = first + TEXTS_AT_A_TIME >= len(embedded)
            stop = table.num_rows if is_last else int(batch[-1]) + 1
            rows = table.slice(start, stop - start)
            texts = [text for text in _texts(rows, columns) if text]
            if self.pool == "first":
                output.tally("truncated", sum(self._embedder.is_too_long(texts)))
            if first >= writer.saved:
                writer.append(self._vectors(texts), np.arange(first, first + len(batch), dtype=np.uint32))
            without = np.flatnonzero(~has_text[start:stop]).tolist()
            write_kept(rows, dict.fromkeys(without, ("no_text", "")), output)
            start = stop
        finish(writer.unfinished(len(embedded), FLAT))

    def _vectors(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """A unit vector for each text, shape (texts, dimensions)."""
        if self.pool == "first":
            return self._embedder.passages(texts)
        pieces = [list(self._embedder.split_to_fit([text])) for text in texts]
        vectors = self._embedder.passages([piece for of_text in pieces for piece in of_text])
        starts = np.cumsum([0, *map(len, pieces[:-1])])
        sums = np.add.reduceat(vectors.astype(np.float64), starts, axis=0)
        means: NDArray[np.float32] = (sums / np.linalg.norm(sums, axis=1, keepdims=True)).astype(np.float32)
        return means


def _texts(rows: pa.Table, columns: Sequence[str]) -> list[str]:
    """The text of each row, without white space around it."""
    return ["\n\n".join(filter(None, map(str.strip, texts))) for texts in texts_of(rows, columns)]
