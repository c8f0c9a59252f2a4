"""Sampled paths grouped by question, from tables of any size."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from synth.pipelines.runtime.answers.golds import NO_GOLDS, Golds
from synth.pipelines.runtime.stage import Row
from synth.schemas.errors import InputError

__all__ = ["paths_by_question"]

BATCH_ROWS = 4096


def paths_by_question(tables: Sequence[pa.Table], golds: Golds = NO_GOLDS) -> Iterator[list[Row]]:
    """The paths of each question: questions in order of first appearance, paths by table and then by sample index.

    Rows without a query id are matched to a question by their exact text; its id is the first that any of its rows has,
    or else the id of its first row. A missing sample index is the path's position among those of its question and
    table. Every path gets the gold answer of any of them, or else the one in `golds` for the question's text.

    Memory: twelve bytes per row, the distinct question ids, and the text of a few questions; the text of all questions
    if rows lack query ids. With several tables (samples of several models, whose ids may coincide),
    `/source-<number of the table>` is appended to the ids of paths. Raises `InputError` if two questions share an id or
    no row has a gold answer.
    """
    table = pa.concat_tables(tables)
    if table.num_rows and not golds.answers and table["answer"].null_count == table.num_rows:
        raise InputError(
            "no row has a gold answer: name its column with --column answer=NAME, "
            "or give the questions and their answers with --questions INPUT"
        )
    ends = np.cumsum([len(one) for one in tables])
    query_ids = _query_ids(tables)
    for indices in _group_batches(query_ids):
        indices.sort()
        rows = _rows_at(table, indices)
        sources = np.searchsorted(ends, indices, side="right") + 1
        questions: dict[str, list[tuple[int, int, Row]]] = {}
        positions = Counter[tuple[str, int]]()
        for index, row, source in zip(indices.tolist(), rows, sources.tolist(), strict=True):
            row["id"] = _path_id(row["id"], source, len(tables))
            if not row["query_id"]:
                row["query_id"] = query_ids[index].as_py()
            if row["sample"] is None:
                row["sample"] = positions[row["query_id"], source]
            positions[row["query_id"], source] += 1
            questions.setdefault(row["query_id"], []).append((source, row["sample"], row))
        for members in questions.values():
            members.sort(key=lambda member: member[:2])
            yield _with_gold([row for _, _, row in members], golds)


def _query_ids(tables: Sequence[pa.Table]) -> pa.ChunkedArray:
    """The question id of each row."""
    given = pa.chunked_array([chunk for table in tables for chunk in table["query_id"].chunks], pa.string())
    # A blank cell counts as missing.
    if not given.null_count and not pc.any(pc.equal(given, "")).as_py():
        return given
    ids: dict[str, str] = {}
    for _, row in _questions(tables):
        if row["query_id"]:
            ids.setdefault(row["query"], row["query_id"])
    found = [
        row["query_id"] or ids.setdefault(row["query"], _path_id(row["id"], source, len(tables)))
        for source, row in _questions(tables)
    ]
    return pa.chunked_array([found], pa.string())


def _questions(tables: Sequence[pa.Table]) -> Iterator[tuple[int, Row]]:
    """Each row, with the columns that identify its question, and the number of its table."""
    for source, table in enumerate(tables, start=1):
        for batch in table.select(["id", "query_id", "query"]).to_batches(max_chunksize=BATCH_ROWS):
            for row in batch.to_pylist():
                yield source, row


def _path_id(row_id: str, source: int, sources: int) -> str:
    return f"{row_id}/source-{source}" if sources > 1 else row_id


def _group_batches(column: pa.ChunkedArray) -> Iterator[np.ndarray[Any, np.dtype[np.int64]]]:
    """Row indices of groups of equal values by first appearance, in bounded batches of whole groups."""
    chunks = column.dictionary_encode().chunks
    if not chunks:
        return
    codes = np.concatenate([chunk.indices.to_numpy() for chunk in chunks])
    order = np.argsort(codes, kind="stable")
    ends = np.cumsum(np.bincount(codes))
    start = 0
    while start < len(order):
        end = ends[max(np.searchsorted(ends, start + BATCH_ROWS, side="right") - 1, codes[order[start]])]
        yield order[start:end]
        start = end


def _rows_at(table: pa.Table, indices: np.ndarray[Any, np.dtype[np.int64]]) -> list[dict[str, Any]]:
    # Slices of adjacent rows rather than `take`, which may concatenate all chunks of a column first.
    starts = np.concatenate(([0], np.flatnonzero(np.diff(indices) != 1) + 1))
    runs = zip(indices[starts].tolist(), np.diff(np.append(starts, len(indices))).tolist(), strict=True)
    rows: list[dict[str, Any]] = pa.concat_tables([table.slice(start, length) for start, length in runs]).to_pylist()
    return rows


def _with_gold(paths: list[Row], golds: Golds) -> list[Row]:
    """`paths` with the gold answer of any of them, or of `golds`."""
    first = next((path for path in paths if path["answer"]), paths[0])
    for path in paths:
        if path["query"] != first["query"] or path["answer"] not in (first["answer"], "", None):
            raise InputError(
                f"{first['id']} and {path['id']} have the query id {first['query_id']} but not the same question and "
                "gold answer; merged samples must belong to the same questions"
            )
    gold = first["answer"] or golds.answers.get(first["query"])
    return [{**path, "answer": gold} for path in paths]
