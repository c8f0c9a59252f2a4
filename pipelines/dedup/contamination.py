"""Remove rows that share word n-grams with evaluation sets, from any dataset."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import chain, islice
from pathlib import Path
from typing import Annotated, Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from synth.pipelines.runtime.common_options import ComparedText
from synth.pipelines.runtime.declared import Option
from synth.pipelines.runtime.portions import pack, portions, unpack, write_kept
from synth.pipelines.runtime.processes import in_processes
from synth.pipelines.runtime.stage import Output, TableStage
from synth.pipelines.runtime.text.columns import Texts, all_text_columns, text_columns, texts_of
from synth.pipelines.runtime.text.words import Hashes, joined_variants, operators, windows, word_hashes, words
from synth.schemas.errors import InputError
from synth.schemas.reading.sources import Source
from synth.schemas.record import Record
from synth.schemas.records import ROW

__all__ = ["Decontaminate"]

# In a row with several texts, a shorter one is no evidence: "yes" is everywhere.
TELLING = 5
# Shared n-grams of a row to verify: the first one suffices unless its hash collides.
TRIED = 8
# A hash is searched for only if a known one begins with the same bits. Of others, at most one in 16 does, as long as
# there are no more than 8 million known ones: the table, a byte for each beginning, takes 128 MB then.
SPREAD, MOST_BITS = 16, 27


class Gram(NamedTuple):
    """Consecutive words of a row, joined by spaces, whose hash also occurs in an evaluation row.

    If they are all words of a short text, `operators` are those of the text.
    """

    hash: int
    words: str
    operators: frozenset[str] = frozenset()

    def asks_the_same(self, text: str) -> bool:
        """Whether a text of just these words may be the same: 17 + 23 is not 17 * 23, but signs get lost."""
        theirs = operators(text)
        return self.operators <= theirs or theirs <= self.operators


@dataclass(frozen=True)
class Decontaminate(TableStage):
    """Reject the rows that share 13 consecutive words with an evaluation set.

    Kept rows keep all columns. A row is `contaminated` if any of its texts shares `ngram` consecutive words with any
    text of the evaluation sets `against`; `detail` names the set, its row and the words.

    Case, invisible characters and anything between words are ignored. An evaluation text of fewer words matches a text
    that consists of the same words, and no other operators; if the row has several texts (columns, messages), only if
    they are at least five words.
    """

    name: ClassVar[str] = "decontaminate"
    version: ClassVar[int] = 2
    input: ClassVar[Record] = ROW
    output: ClassVar[Record] = ROW
    keeps_ids: ClassVar[bool] = True

    commands: ClassVar[tuple[str, ...]] = (
        "synth decontaminate rows/ clean/ --against gsm8k-test.jsonl",
        "synth decontaminate rows/ clean/ --against test.parquet --against-column question --ngram 10",
    )

    against: Annotated[tuple[str, ...], Option("An evaluation set, any input. Repeatable.", metavar="EVAL")]
    text: ComparedText = ()
    against_column: Annotated[
        tuple[str, ...],
        Option("Column of the evaluation sets to look for. Repeatable.", metavar="NAME", default="all with text"),
    ] = ()
    ngram: Annotated[int, Option("Consecutive words that may not be shared.", min=1)] = 13

    @cached_property
    def _sources(self) -> list[Source]:
        with _reading_sets():
            return [Source(spec, ROW, {}, None) for spec in self.against]

    def identity(self) -> dict[str, Any]:
        sources = self._sources
        with _reading_sets():
            # The contents of the sets, wherever they are.
            contents = {str(number): source.fingerprint for number, source in enumerate(sources)}
        return {**super().identity(), "against": contents}

    def process(self, tables: Sequence[pa.Table], output: Output) -> None:
        (table,) = tables
        columns = text_columns(table.schema, self.text)
        sets = _Sets(self._sources, self.against_column, self.ngram, output.work)
        look = partial(_shared, columns=columns, ngram=self.ngram, known=sets.known)
        packed = (pack(rows.select(columns)) for rows in portions(table))
        for rows, (_, shared) in zip(portions(table), in_processes(look, packed), strict=True):
            found = {row: location for row, grams in shared.items() if (location := sets.locate(grams))}
            for name, _ in found.values():
                output.tally(f"in {name}")
            write_kept(rows, {row: ("contaminated", detail) for row, (_, detail) in found.items()}, output)


@contextmanager
def _reading_sets() -> Iterator[None]:
    """Attribute errors to --against instead of the input."""
    try:
        yield
    except InputError as error:
        raise InputError(f"--against: {error}") from error


class _Sets:
    """The n-grams of evaluation sets: their sorted hashes, also in the folder `known`, and the row of each."""

    def __init__(self, sources: Sequence[Source], named: Sequence[str], ngram: int, folder: Path) -> None:
        self._ngram = ngram
        times = Counter(source.name for source in sources)
        self._names = [source.name if times[source.name] == 1 else source.input.spec for source in sources]
        with _reading_sets():
            tables = [source.table(folder / f"against-{number}") for number, source in enumerate(sources)]
        columns = [_columns(source, table, named) for source, table in zip(sources, tables, strict=True)]
        self._texts = list(map(Texts, tables, columns))
        self._ids = [Texts(table, ["id"]) for table in tables]
        # All rows of all sets, one set after the other.
        self._starts = np.cumsum([0, *(table.num_rows for table in tables)])
        found = [
            (grams, rows + start)
            for table, names, start in zip(tables, columns, self._starts, strict=False)
            for grams, rows in _grams(table, names, ngram)
        ]
        if not any(len(grams) for grams, _ in found):
            raise InputError(f"--against {' '.join(source.input.spec for source in sources)}: there is no word in it")
        hashes = np.concatenate([grams for grams, _ in found])
        order = np.argsort(hashes, kind="stable")
        self._hashes = hashes[order]
        self._rows = np.concatenate([rows for _, rows in found])[order]
        self.known = folder
        _save(self._hashes, folder)

    def locate(self, grams: Sequence[Gram]) -> tuple[str, str] | None:
        """The name of the set that contains one of `grams`, and a description; None if all hashes are collisions."""
        for gram in grams:
            first, end = (np.searchsorted(self._hashes, np.uint64(gram.hash), side) for side in ("left", "right"))
            for row in self._rows[first:end].tolist():
                number = int(np.searchsorted(self._starts, row, side="right")) - 1
                row -= int(self._starts[number])
                if any(
                    self._contains(reading, gram)
                    for text in self._texts[number][row]
                    for reading in joined_variants(text)
                ):
                    return self._names[number], f"{self._names[number]}, {self._ids[number][row][0]}: {gram.words}"
        return None

    def _contains(self, text: str, gram: Gram) -> bool:
        all_words = list(chain.from_iterable(words(text)))
        joined = " ".join(all_words)
        if len(all_words) >= self._ngram:
            return f" {gram.words} " in f" {joined} "
        return gram.words == joined and gram.asks_the_same(text)


def _save(hashes: Hashes, folder: Path) -> None:
    """Write the sorted hashes for `_found`."""
    bits = min(MOST_BITS, (SPREAD * len(hashes)).bit_length())
    begins = np.zeros(1 << bits, bool)
    begins[hashes >> np.uint64(64 - bits)] = True
    np.save(folder / "ngrams.npy", hashes)
    np.save(folder / "beginnings.npy", begins)


def _found(grams: Hashes, folder: Path) -> npt.NDArray[np.int64]:
    """Positions of those of `grams` that are among the hashes in `folder`."""
    # A plain array, which is indexed faster than a mapped one.
    hashes, begins = (np.asarray(np.load(folder / name, mmap_mode="r")) for name in ("ngrams.npy", "beginnings.npy"))
    positions = np.flatnonzero(begins[grams >> np.uint64(65 - len(begins).bit_length())])
    likely = grams[positions]
    nearest = np.minimum(np.searchsorted(hashes, likely), len(hashes) - 1)
    found: npt.NDArray[np.int64] = positions[hashes[nearest] == likely]
    return found


def _columns(source: Source, table: pa.Table, named: Sequence[str]) -> tuple[str, ...]:
    columns = [name for name in all_text_columns(table.schema) if not named or name in named]
    if not columns:
        wanted = f"column {' or '.join(named)}" if named else "column"
        raise InputError(
            f"--against {source.input.spec} has no {wanted} with text, only {', '.join(table.column_names)}"
        )
    return tuple(columns)


def _grams(table: pa.Table, columns: Sequence[str], ngram: int) -> Iterator[tuple[Hashes, npt.NDArray[np.int64]]]:
    """Hashes of the n-grams of all texts, each with the index of its row."""
    start = 0
    for rows in portions(table):
        texts = _variants_of_rows(texts_of(rows, columns))
        grams, starts = windows(*word_hashes(text for _, text in texts), ngram)
        yield grams, np.repeat([start + row for row, _ in texts], np.diff(starts))
        start += rows.num_rows


def _variants_of_rows(rows: Sequence[Sequence[str]]) -> list[tuple[int, str]]:
    """All variants of the texts of rows, each with the index of its row."""
    return [(index, variant) for index, row in enumerate(rows) for text in row for variant in joined_variants(text)]


def _shared(packed: bytes, *, columns: Sequence[str], ngram: int, known: Path) -> dict[int, list[Gram]]:
    """The first n-grams of each row whose hashes occur in an evaluation set, for rows with any."""
    rows = texts_of(unpack(packed), columns)
    texts = _variants_of_rows(rows)
    word_starts: npt.NDArray[np.int64]
    of_words, word_starts = word_hashes(text for _, text in texts)
    lengths = np.diff(word_starts)
    grams, starts = windows(of_words, word_starts, ngram)
    found: dict[int, list[Gram]] = {}
    for position in _found(grams, known):
        number = int(np.searchsorted(starts, position, side="right")) - 1
        index, text = texts[number]
        tells = len(rows[index]) == 1 or lengths[number] >= min(TELLING, ngram)
        if tells and len(found.get(index, ())) < TRIED:
            first = int(position - starts[number])
            joined = " ".join(islice(chain.from_iterable(words(text)), first, first + ngram))
            signs = operators(text) if lengths[number] < ngram else frozenset()
            found.setdefault(index, []).append(Gram(int(grams[position]), joined, signs))
    return found
