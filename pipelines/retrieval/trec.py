"""Runs and relevance judgements in the format of TREC, and what the measures of `ir-measures` say of them.

A run has lines `query Q0 document rank score tag`, the judgements lines `query 0 document relevance`. As in `trec_eval`
the order within a query is that of the scores alone, and documents of equal score come by their ids, from the last: so
what is written here has strictly falling scores.
"""

import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from synth.schemas.atomic import atomic
from synth.schemas.errors import InputError, UsageError
from synth.schemas.phrases import plural

__all__ = ["MEASURES", "Judgements", "Run", "measure", "read_judgements", "read_run", "refuse_unwritable", "write_run"]

MEASURES = ("nDCG@10", "R@100", "AP")

# By query, then by document.
Run = Mapping[str, Mapping[str, float]]
Judgements = Mapping[str, Mapping[str, int]]
_Value = TypeVar("_Value")


def read_judgements(path: Path) -> Judgements:
    """Raises `InputError` naming the line that cannot be read."""
    return _read(path, ("query", "iteration", "document", "relevance"), 2, 3, int)


def read_run(path: Path) -> Run:
    """Raises `InputError` naming the line that cannot be read."""
    return _read(path, ("query", "Q0", "document", "rank", "score", "tag"), 2, 4, _score)


def refuse_unwritable(path: Path) -> None:
    """To be asked before a long search: raises `UsageError` where `write_run` could not write afterwards."""
    if path.is_dir():
        raise UsageError(f"--run {path} cannot be written: it is a directory")
    if not path.absolute().parent.is_dir():
        raise UsageError(f"--run {path} cannot be written: {path.parent} is no directory")
    if not os.access(path.absolute().parent, os.W_OK | os.X_OK):
        raise UsageError(f"--run {path} cannot be written: nothing can be made in {path.parent}")


def write_run(path: Path, hits: Iterable[tuple[str, str, float]]) -> None:
    """Write hits, given as query, document and score: query by query, the best first. The file appears when whole.

    A score that is not less than the one before it is written as the next smaller 32-bit number.
    """
    try:
        with atomic(path) as temporary, temporary.open("w", encoding="utf-8") as file:
            file.writelines(_lines(hits))
    except OSError as error:
        raise UsageError(f"--run {path} cannot be written: {error.strerror}") from error


def measure(run: Run, judgements: Judgements) -> dict[str, dict[str, float]]:
    """The `MEASURES` of each query that has judgements; 0 where the run has nothing for it."""
    import ir_measures

    names = {ir_measures.parse_measure(name): name for name in MEASURES}
    values = {query: dict.fromkeys(MEASURES, 0.0) for query in judgements}
    for found in ir_measures.iter_calc(list(names), judgements, {query: run.get(query, {}) for query in judgements}):
        values[found.query_id][names[found.measure]] = found.value
    return values


def _read(
    path: Path, columns: Sequence[str], document: int, value: int, parse: Callable[[str], _Value]
) -> dict[str, dict[str, _Value]]:
    """The columns at `document` and `value` by the first one."""
    read: dict[str, dict[str, _Value]] = {}
    for number, words in _lines_of(path):
        place = f"{path}:{number}"
        if len(words) != len(columns):
            raise InputError(f"{place} has {plural(len(words), 'column')}, where {', '.join(columns)} must be")
        values = read.setdefault(words[0], {})
        if words[document] in values:
            raise InputError(f"{place} names document {words[document]} again for query {words[0]}")
        try:
            values[words[document]] = parse(words[value])
        except ValueError:
            raise InputError(f"{place} has the {columns[value]} {words[value]!r:.40}, which is no number") from None
    if not read:
        raise InputError(f"{path} has no lines")
    return read


def _lines_of(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Numbers, from 1, and words of the lines that are not blank."""
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if words := line.split():
                    yield number, words
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text") from error


def _score(word: str) -> float:
    score = float(word)
    if math.isnan(score):
        raise ValueError
    return score


def _lines(hits: Iterable[tuple[str, str, float]]) -> Iterator[str]:
    last, rank, score = None, 0, np.float32(0)
    for query, document, given in hits:
        if query != last:
            _refuse_blanks(query)
            last, rank, score = query, 0, np.float32(np.inf)
        _refuse_blanks(document)
        rank += 1
        score = min(np.float32(given), np.nextafter(score, np.float32(-np.inf)))
        yield f"{query} Q0 {document} {rank} {score:.9g} synth\n"


def _refuse_blanks(name: str) -> None:
    if name.split() != [name]:
        raise InputError(f"the id {name!r} is empty or has white space in it, which a run in TREC's format cannot hold")
