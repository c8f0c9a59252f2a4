"""Indexing a corpus (Query of CC, arXiv 2401.14624, section 3.3: documents are found by BM25; vectors are ours)."""

import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import pyarrow as pa

from synth.pipelines.query_of_cc.index_reader import BM25, DENSE, INDEX_STAGE, OpenedIndex
from synth.pipelines.retrieval import analysis
from synth.pipelines.retrieval.analysis import Analysis, passages
from synth.pipelines.retrieval.bm25 import Bm25Writer, refuse_damaged
from synth.pipelines.retrieval.dense import DenseWriter
from synth.pipelines.retrieval.embedding import Embedder
from synth.pipelines.retrieval.vectors import Vectors, copy_vectors
from synth.pipelines.runtime.declared import Option, path
from synth.pipelines.runtime.stage import Output, TableStage
from synth.schemas.atomic import atomic
from synth.schemas.errors import InputError, Stale, UsageError
from synth.schemas.reading.bad_rows import repetitions
from synth.schemas.record import Record
from synth.schemas.records import DOCUMENT

__all__ = ["Index"]

# As much text is indexed again when a run is killed: some seconds of work.
CHARACTERS_PER_COMMIT = 1 << 26
ROWS_AT_A_TIME = 256


@dataclass(frozen=True)
class Index(TableStage):
    """Index the documents of corpora: their words for BM25, their meaning as vectors.

    The documents that have text, in order, and beside them what they are searched by.

    That is in `bm25/` the index of their passages, and with `dense` in `dense/` the passages' vectors, with a FAISS
    index of the kind `faiss` or one that fits their number. A passage is `passage_words` terms of a document; a rest of
    less than half of that goes with the last one. With `stem`, words are indexed without their English endings.
    `extend` is an index to which the documents are added: the output holds its documents, which stay where they are,
    too, and then the new ones; options that are not given are as they were. Documents without a word are rejected as
    `no_text`.
    """

    name: ClassVar[str] = INDEX_STAGE
    input: ClassVar[Record] = DOCUMENT
    output: ClassVar[Record] = DOCUMENT

    arguments: ClassVar[tuple[str, str]] = ("CORPUS...", "INDEX")
    reads: ClassVar[str] = "Rows with a column `text`, WET archives (*.warc.wet.gz), or folders of .txt files."
    commands: ClassVar[tuple[str, ...]] = (
        "synth query-of-cc index crawl/*.warc.wet.gz index/ --stem",
        "synth query-of-cc index more.jsonl index-2/ --extend index/ --dense sentence-transformers/all-MiniLM-L6-v2",
    )

    passage_words: Annotated[
        int | None, Option("Words in a passage, by which a document is found.", min=1, default="200")
    ] = None
    stem: Annotated[bool | None, Option("Index words without English endings.", default="no-stem")] = None
    bm25: Annotated[bool | None, Option("Index words.", default="bm25")] = None
    dense: Annotated[
        str | None,
        Option("Index vectors of the passages, too, by this sentence-transformers model.", metavar="MODEL"),
    ] = None
    faiss: Annotated[
        Literal["flat", "ivf", "ivfpq"] | None, Option("How vectors are searched.", default="by their number")
    ] = None
    query_prompt: Annotated[
        str | None, Option("What the model wants before a query.", metavar="TEXT", default="the model's own")
    ] = None
    passage_prompt: Annotated[
        str | None, Option("What it wants before a passage.", metavar="TEXT", default="the model's own")
    ] = None
    extend: Annotated[
        OpenedIndex | None,
        Option(
            "Take the documents of this index, too, and its settings.",
            metavar="INDEX",
            read=lambda name: OpenedIndex(path(name)),
        ),
    ] = None

    def __post_init__(self) -> None:
        super().__post_init__()
        of_vectors = (self.faiss, self.query_prompt, self.passage_prompt)
        if self._embedder is None and any(option is not None for option in of_vectors):
            raise UsageError(
                "--faiss, --query-prompt and --passage-prompt are for vectors: name a model with --dense MODEL"
            )
        if not self._settings["bm25"] and not self._embedder:
            raise UsageError("--no-bm25 leaves nothing to search by: name a model with --dense MODEL")
        identity = self.identity()
        for name in ("passage_words", "stem", "bm25", "dense"):
            if self.extend and self.extend.settings[name] != identity[name]:
                raise Stale(
                    f"--extend {self.extend.path}: it was made with other settings ({name} was "
                    f"{self.extend.settings[name]} and is now {identity[name]}), so nothing can be added to it"
                )

    @cached_property
    def _settings(self) -> dict[str, Any]:
        """The options of the words, each as it was given, as the extended index has it, or by default."""
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
            "tantivy": version("tantivy") if settings["bm25"] else None,
            "dense": self._embedder.identity() if self._embedder else None,
            "faiss": settings["faiss"],
            "extend": self.extend.fingerprint if self.extend else None,
        }

    def process(self, tables: Sequence[pa.Table], output: Output) -> None:
        before = self.extend.documents if self.extend else DOCUMENT.schema.empty_table()
        _refuse_repeated_ids([before, *tables])
        settings = self._settings
        analysis = Analysis(stem=settings["stem"])
        words = settings["passage_words"]
        lexical = _Lexical(self._bm25_writer(output), analysis, words) if settings["bm25"] else None
        dense = self._dense_writer(output, self._embedder, analysis, words) if self._embedder else None
        indexes = [index for index in (lexical, dense) if index]
        for batch in _batches(before):
            output.write_table(pa.table(batch), accounts_for=0)
        documents = before.num_rows
        for table in tables:
            for batch in _batches(table):
                has_text = []
                # One at a time, since each may be large.
                for text in (text.as_py() or "" for text in batch.column("text")):
                    has_text.append(analysis.has_terms(text))
                    for index in indexes if has_text[-1] else ():
                        index.add(documents, text)
                    documents += has_text[-1]
                kept = pa.table(batch.filter(pa.array(has_text)))
                output.write_table(kept, accounts_for=kept.num_rows)
                for row in (row for row, kept in enumerate(has_text) if not kept):
                    output.reject(batch.slice(row, 1).to_pylist()[0], "no_text")
        if not documents:
            raise InputError("no document has any text: name the column that holds it with --column text=NAME")
        if lexical:
            output.tally("passages", lexical.writer.close())
        if dense:
            output.tally("vectors", dense.close(documents, settings["faiss"]))

    def _bm25_writer(self, output: Output) -> Bm25Writer:
        folder = output.kept / BM25
        if self.extend and not folder.exists():
            _lay_out(self.extend.bm25, folder)
        return Bm25Writer(folder)

    def _dense_writer(self, output: Output, embedder: Embedder, analysis: Analysis, words: int) -> DenseWriter:
        folder = output.kept / DENSE
        if not self.extend:
            return DenseWriter(folder, embedder, analysis, words)
        if not folder.exists():
            copy_vectors(self.extend.dense, folder)
        base = Vectors.open(self.extend.dense).passages
        return DenseWriter(folder, embedder, analysis, words, base)


class _Lexical:
    """Documents as passages of terms. Those that an earlier run has committed are passed over."""

    def __init__(self, writer: Bm25Writer, analysis: Analysis, passage_words: int) -> None:
        self.writer = writer
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


def _batches(table: pa.Table) -> Iterator[pa.RecordBatch]:
    yield from table.to_batches(max_chunksize=ROWS_AT_A_TIME)


def _refuse_repeated_ids(tables: Sequence[pa.Table]) -> None:
    """Within one corpus ids are unique already."""
    if sum(table.num_rows > 0 for table in tables) < 2:
        return
    ids = pa.chunked_array([chunk for table in tables for chunk in table["id"].chunks], pa.string())
    if repeated := next(repetitions(ids), None):
        raise InputError(
            f"id {ids[repeated[0]].as_py()!r} stands in two corpora, or in a corpus and in the index that --extend "
            "names: ids must be unique, so name another column with --column id=NAME"
        )


def _lay_out(source: Path, target: Path) -> None:
    """A copy of an index that can be added to; whole or not there. Segments never change, so they are shared."""
    refuse_damaged(source)
    with atomic(target) as scratch:
        scratch.mkdir()
        for file in source.iterdir():
            if file.suffix == ".json":
                shutil.copyfile(file, scratch / file.name)
            else:
                _link(file, scratch / file.name)


def _link(file: Path, target: Path) -> None:
    try:
        os.link(file, target)
    except OSError:
        shutil.copyfile(file, target)
