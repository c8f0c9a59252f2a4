"""Runs and relevance judgements in TREC's format, and their evaluation with `ir-measures`.

A run has lines `query Q0 document rank score tag`, judgements have lines `query 0 document relevance`. Like
`trec_eval`, `ir-measures` ranks by scores alone and breaks ties by descending id, so runs are written with strictly
decreasing scores.
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

__all__ = ["MEASURES", "Judgements", "Run", "check_writable", "measure", "read_judgements", "read_run", "write_run"]

MEASURES = ("nDCG@10", "R@100", "AP")

# Query to document to value.
Run = Mapping[str, Mapping[str, float]]
Judgements = Mapping[str, Mapping[str, int]]
_Value = TypeVar("_Value")


def read_judgements(path: Path) -> Judgements:
    """Raises `InputError` naming the line that cannot be read."""
    return _read(path, ("query", "iteration", "document", "relevance"), 2, 3, int)


def read_run(path: Path) -> Run:
    """Raises `InputError` naming the line that cannot be read."""
    return _read(path, ("query", "Q0", "document", "rank", "score", "tag"), 2, 4, _score)


def check_writable(path: Path) -> None:
    """Called before a long search: raises `UsageError` if `write_run` could not write its result."""
    if path.is_dir():
        raise UsageError(f"--run {path} cannot be written: it is a directory")
    if not path.absolute().parent.is_dir():
        raise UsageError(f"--run {path} cannot be written: {path.parent} is not a directory")
    if not os.access(path.absolute().parent, os.W_OK | os.X_OK):
        raise UsageError(f"--run {path} cannot be written: no permission to create files in {path.parent}")


def write_run(path: Path, hits: Iterable[tuple[str, str, float]]) -> None:
    """Atomically write hits (query, document, score), which must come query by query, best first.

    A score that is not less than the previous one is written as the next smaller 32-bit float.
    """
    try:
        with atomic(path) as temporary, temporary.open("w", encoding="utf-8") as file:
            file.writelines(_lines(hits))
    except OSError as error:
        raise UsageError(f"--run {path} cannot be written: {error.strerror}") from error


def measure(run: Run, judgements: Judgements) -> dict[str, dict[str, float]]:
    """The `MEASURES` of each judged query; 0 if the run has no hits for it."""
    import ir_measures

    names = {ir_measures.parse_measure(name): name for name in MEASURES}
    values = {query: dict.fromkeys(MEASURES, 0.0) for query in judgements}
    for found in ir_measures.iter_calc(list(names), judgements, {query: run.get(query, {}) for query in judgements}):
        values[found.query_id][names[found.measure]] = found.value
    return values


def _read(
    path: Path, columns: Sequence[str], document: int, value: int, parse: Callable[[str], _Value]
) -> dict[str, dict[str, _Value]]:
    """The values in column `value` by query (the first column) and by document."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text") from error
    read: dict[str, dict[str, _Value]] = {}
    for number, words in enumerate(map(str.split, text.split("\n")), 1):
        if not words:
            continue
        if len(words) != len(columns):
            raise InputError(f"{path}:{number} has {plural(len(words), 'column')} instead of {', '.join(columns)}")
        values = read.setdefault(words[0], {})
        if words[document] in values:
            raise InputError(f"{path}:{number} repeats document {words[document]} of query {words[0]}")
        try:
            values[words[document]] = parse(words[value])
        except ValueError:
            raise InputError(f"{path}:{number}: the {columns[value]} {words[value]!r:.40} is not a number") from None
    if not read:
        raise InputError(f"{path} has no lines")
    return read


def _score(word: str) -> float:
    score = float(word)
    if math.isnan(score):
        raise ValueError
    return score


def _lines(hits: Iterable[tuple[str, str, float]]) -> Iterator[str]:
    last, rank, score = None, 0, np.float32(0)
    for query, document, given in hits:
        if query != last:
            _check_id(query)
            last, rank, score = query, 0, np.float32(np.inf)
        _check_id(document)
        rank += 1
        score = min(np.float32(given), np.nextafter(score, np.float32(-np.inf)))
        yield f"{query} Q0 {document} {rank} {score:.9g} synth\n"


def _check_id(name: str) -> None:
    if name.split() != [name]:
        raise InputError(f"the id {name!r} is empty or has white space, which TREC's run format does not allow")
