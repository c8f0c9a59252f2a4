"""Sampled paths, question by question, out of tables of any size."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from pipelines.stage import Row
from schemas.errors import InputError

__all__ = ["paths_by_question"]

ROWS_AT_A_TIME = 4096


def paths_by_question(tables: Sequence[pa.Table]) -> Iterator[list[Row]]:
    """The paths of each question, questions in order of first appearance, paths by table and then by sample index.

    Memory holds twelve bytes a row, the distinct question ids, and the text of a few questions. With several tables
    (the samples of several models, whose ids may be the same) `/source-<number of the table>` is added to the ids of
    paths. Raises `InputError` where one id stands for two questions.
    """
    table = pa.concat_tables(tables)
    ends = np.cumsum([len(one) for one in tables])
    for indices in _batches_of_groups(table["query_id"]):
        indices.sort()
        rows = _rows_at(table, indices)
        sources = np.searchsorted(ends, indices, side="right") + 1
        questions: dict[str, list[tuple[int, int, Row]]] = {}
        for row, source in zip(rows, sources.tolist(), strict=True):
            if len(tables) > 1:
                row["id"] = f"{row['id']}/source-{source}"
            questions.setdefault(row["query_id"], []).append((source, row["sample"], row))
        for members in questions.values():
            members.sort(key=lambda member: member[:2])
            paths = [row for _, _, row in members]
            _check_one_question(paths)
            yield paths


def _batches_of_groups(column: pa.ChunkedArray) -> Iterator[np.ndarray[Any, np.dtype[np.int64]]]:
    """Row indices of whole groups of equal values, groups in order of first appearance, a bounded number at a time."""
    chunks = column.dictionary_encode().chunks
    if not chunks:
        return
    codes = np.concatenate([chunk.indices.to_numpy() for chunk in chunks])
    order = np.argsort(codes, kind="stable")
    ends = np.cumsum(np.bincount(codes))
    start = 0
    while start < len(order):
        end = ends[max(np.searchsorted(ends, start + ROWS_AT_A_TIME, side="right") - 1, codes[order[start]])]
        yield order[start:end]
        start = end


def _rows_at(table: pa.Table, indices: np.ndarray[Any, np.dtype[np.int64]]) -> list[dict[str, Any]]:
    # Slices of neighbouring rows rather than `take`, which may join all chunks of a column first.
    starts = np.concatenate(([0], np.flatnonzero(np.diff(indices) != 1) + 1))
    runs = zip(indices[starts].tolist(), np.diff(np.append(starts, len(indices))).tolist(), strict=True)
    rows: list[dict[str, Any]] = pa.concat_tables([table.slice(start, length) for start, length in runs]).to_pylist()
    return rows


def _check_one_question(paths: Sequence[Row]) -> None:
    first = paths[0]
    for path in paths:
        if path["query"] != first["query"] or path["answer"] != first["answer"]:
            raise InputError(
                f"{first['id']} and {path['id']} have the query id {first['query_id']} but not the same question and "
                "gold answer; samples to be merged must be of the same questions"
            )
