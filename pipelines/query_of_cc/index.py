"""Index a corpus (Query of CC, arXiv 2401.14624, section 3.3, which retrieves by BM25; vectors are our addition)."""

import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import pyarrow as pa

from synth.pipelines.query_of_cc.index_reader import BM25, DENSE, INDEX_STAGE, OpenedIndex
from synth.pipelines.retrieval import analysis, segments
from synth.pipelines.retrieval.analysis import Analysis, passages
from synth.pipelines.retrieval.bm25 import Bm25Writer, check_complete
from synth.pipelines.retrieval.dense import DenseWriter
from synth.pipelines.retrieval.embedding import Embedder
from synth.pipelines.retrieval.vectors import Vectors, copy_vectors
from synth.pipelines.runtime.declared import Option
from synth.pipelines.runtime.stage import Output, TableStage
from synth.schemas.atomic import atomic
from synth.schemas.errors import InputError, Stale, UsageError
from synth.schemas.reading.bad_rows import duplicates
from synth.schemas.record import Record
from synth.schemas.records import DOCUMENT

__all__ = ["Index"]

# A killed run indexes up to this much text again: some seconds of work.
CHARACTERS_PER_COMMIT = 1 << 25
ROWS_AT_A_TIME = 256


@dataclass(frozen=True)
class Index(TableStage):
    """Index the documents of corpora: their words for BM25, their meaning as vectors.

    Writes the documents that have text, in order, with the BM25 index of their passages in `bm25/` and, with `dense`,
    the vectors of the passages and a FAISS index in `dense/`. Without `faiss`, its type depends on their number.

    A passage has `passage_words` terms of a document; a remainder of less than half of that joins the last passage.
    With `stem`, words are indexed without their English endings. `extend` adds the new documents after those of an
    existing index, which is left unchanged; options that are not given are taken from it. Documents without a word are
    rejected as `no_text`.
    """

    name: ClassVar[str] = INDEX_STAGE
    input: ClassVar[Record] = DOCUMENT
    output: ClassVar[Record] = DOCUMENT
    arguments: ClassVar[tuple[str, str]] = ("CORPUS...", "INDEX")
    reads: ClassVar[str] = "Rows with a column `text`, WET archives (*.warc.wet.gz), or folders of .txt files."
    commands: ClassVar[tuple[str, ...]] = (
        "synth query-of-cc index crawl/*.warc.wet.gz index/ --stem --dense sentence-transformers/all-MiniLM-L6-v2",
        "synth query-of-cc index more.jsonl index-2/ --extend index/",
    )

    passage_words: Annotated[int | None, Option("Words per passage, the unit of search.", min=1, default="200")] = None
    stem: Annotated[bool | None, Option("Index words without English endings.", default="no-stem")] = None
    bm25: Annotated[bool | None, Option("Index words.", default="bm25")] = None
    dense: Annotated[
        str | None,
        Option("Also index vectors of the passages, made by this sentence-transformers model.", metavar="MODEL"),
    ] = None
    faiss: Annotated[
        Literal["flat", "ivf", "ivfpq"] | None, Option("Type of the FAISS index.", default="by the number of vectors")
    ] = None
    query_prompt: Annotated[str | None, Option("Prefix of queries.", metavar="TEXT", default="the model's own")] = None
    passage_prompt: Annotated[str | None, Option("Prefix of passages.", metavar="TEXT", default="the model's own")] = (
        None
    )
    extend: Annotated[
        OpenedIndex | None,
        Option("Start from the documents and settings of this index.", metavar="INDEX", read=OpenedIndex.read),
    ] = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self._embedder and any(
            option is not None for option in (self.faiss, self.query_prompt, self.passage_prompt)
        ):
            raise UsageError(
                "--faiss, --query-prompt and --passage-prompt apply only to vectors: name a model with --dense MODEL"
            )
        if not self._settings["bm25"] and not self._embedder:
            raise UsageError("--no-bm25 leaves nothing to search by: name a model with --dense MODEL")
        identity = self.identity()
        for name in ("passage_words", "stem", "bm25", "dense"):
            if self.extend and self.extend.settings[name] != identity[name]:
                raise Stale(
                    f"--extend {self.extend.path}: it was made with other settings ({name} was "
                    f"{self.extend.settings[name]} and is now {identity[name]}), so it cannot be extended"
                )

    @cached_property
    def _settings(self) -> dict[str, Any]:
        """Options as given, or else from the extended index, or else their defaults."""
        settings = {"passage_words": 200, "stem": False, "bm25": True, "faiss": None}
        if self.extend:
            settings |= {name: self.extend.settings[name] for name in settings}
        given = {name: getattr(self, name) for name in settings}
        return settings | {name: value for name, value in given.items() if value is not None}

    @cached_property
    def _embedder(self) -> Embedder | None:
        recorded = self.extend.settings["dense"] if self.extend else None
        if recorded:
            return Embedder.recorded(recorded, self.dense).prompted(self.query_prompt, self.passage_prompt)
        return Embedder.named(self.dense, self.query_prompt, self.passage_prompt) if self.dense else None

    def identity(self) -> dict[str, Any]:
        settings = self._settings
        return {
            "passage_words": settings["passage_words"],
            "stem": settings["stem"],
            "analysis": analysis.VERSION,
            "bm25": settings["bm25"],
            "postings": segments.VERSION if settings["bm25"] else None,
            "stemmer": version("PyStemmer") if settings["stem"] else None,
            "dense": self._embedder.identity() if self._embedder else None,
            "faiss": settings["faiss"],
            "extend": self.extend.fingerprint if self.extend else None,
        }

    def process(self, tables: Sequence[pa.Table], output: Output) -> None:
        before = self.extend.documents if self.extend else DOCUMENT.schema.empty_table()
        _check_ids([before, *tables], output.work)
        settings = self._settings
        analysis = Analysis(stem=settings["stem"])
        words = settings["passage_words"]
        lexical = _Lexical(output.kept / BM25, self.extend, analysis, words) if settings["bm25"] else None
        dense = self._dense_writer(output, self._embedder, analysis, words) if self._embedder else None
        indexes = [index for index in (lexical, dense) if index]
        for batch in before.to_batches(max_chunksize=ROWS_AT_A_TIME):
            output.write_table(pa.table(batch), accounts_for=0)
        documents = before.num_rows
        for table in tables:
            for batch in table.to_batches(max_chunksize=ROWS_AT_A_TIME):
                has_text = []
                # One at a time, since a text may be large.
                for text in (text.as_py() or "" for text in batch.column("text")):
                    has_text.append(analysis.has_terms(text))
                    for index in indexes if has_text[-1] else ():
                        index.add(documents, text)
                    documents += has_text[-1]
                output.write_table(pa.table(batch.filter(pa.array(has_text))), accounts_for=sum(has_text))
                for row in (row for row, kept in enumerate(has_text) if not kept):
                    output.reject(batch.slice(row, 1).to_pylist()[0], "no_text")
        if not documents:
            raise InputError("no document has any text: name the text column with --column text=NAME")
        if lexical:
            output.tally("passages", lexical.writer.close())
        if dense:
            output.tally("vectors", dense.close(documents, settings["faiss"]))

    def _dense_writer(self, output: Output, embedder: Embedder, analysis: Analysis, words: int) -> DenseWriter:
        folder, base = output.kept / DENSE, 0
        if self.extend:
            base = Vectors.open(self.extend.dense).passages
            if not folder.exists():
                copy_vectors(self.extend.dense, folder)
        return DenseWriter(folder, embedder, analysis, words, base)


class _Lexical:
    """Adds documents as passages of terms, except those that an earlier run has committed."""

    def __init__(self, folder: Path, base: OpenedIndex | None, analysis: Analysis, passage_words: int) -> None:
        if base and not folder.exists():
            _copy_bm25(base.bm25, folder)
        self.writer = Bm25Writer(folder)
        self._analysis = analysis
        self._passage_words = passage_words
        self._characters = 0

    def add(self, document: int, text: str) -> None:
        if document < self.writer.committed:
            return
        if self._characters >= CHARACTERS_PER_COMMIT:
            self.writer.commit()
            self._characters = 0
        self._characters += len(text)
        for passage in passages(self._analysis.terms(text), self._passage_words):
            self.writer.add(document, passage)


def _check_ids(tables: Sequence[pa.Table], folder: Path) -> None:
    """Raises `InputError` if an id occurs in two tables; within one they are unique already."""
    if sum(table.num_rows > 0 for table in tables) < 2:
        return
    ids = pa.chunked_array([chunk for table in tables for chunk in table["id"].chunks], pa.string())
    if repeated := next(duplicates(ids, folder), None):
        raise InputError(
            f"id {ids[repeated[0]].as_py()!r} is in two corpora, or in a corpus and in the index of --extend: ids must "
            "be unique, so name another column with --column id=NAME"
        )


def _copy_bm25(source: Path, target: Path) -> None:
    """Atomically copy an index so that it can be extended. Segments are immutable, so they are hard links."""
    check_complete(source)
    with atomic(target) as scratch:
        scratch.mkdir()
        for file in source.iterdir():
            if file.suffix != ".json":
                with suppress(OSError):
                    os.link(file, scratch / file.name)
                    continue
            shutil.copyfile(file, scratch / file.name)
