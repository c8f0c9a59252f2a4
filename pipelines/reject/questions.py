"""Sampled paths, question by question, out of tables of any size."""

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

ROWS_AT_A_TIME = 4096


def paths_by_question(tables: Sequence[pa.Table], golds: Golds = NO_GOLDS) -> Iterator[list[Row]]:
    """The paths of each question, questions in order of first appearance, paths by table and then by sample index.

    Rows without a query id belong to the question with exactly their text, which has the first id that any row gives
    it, or else the id of its first row. A path without a sample index has its place among those of its table. Every
    path gets the gold answer that any of them has, or else the one in `golds`, by the question's text.

    Memory holds twelve bytes a row, the distinct question ids, and the text of a few questions; where rows have no
    query id, the text of all questions. With several tables (the samples of several models, whose ids may be the same)
    `/source-<number of the table>` is added to the ids of paths. Raises `InputError` where one id stands for two
    questions, or no row has a gold answer.
    """
    table = pa.concat_tables(tables)
    if table.num_rows and not golds.answers and table["answer"].null_count == table.num_rows:
        raise InputError(
            "no row has a gold answer: name the column that holds it with --column answer=NAME, "
            "or the questions and their answers with --questions INPUT"
        )
    ends = np.cumsum([len(one) for one in tables])
    query_ids = _query_ids(tables)
    for indices in _batches_of_groups(query_ids):
        indices.sort()
        rows = _rows_at(table, indices)
        sources = np.searchsorted(ends, indices, side="right") + 1
        questions: dict[str, list[tuple[int, int, Row]]] = {}
        places = Counter[tuple[str, int]]()
        for index, row, source in zip(indices.tolist(), rows, sources.tolist(), strict=True):
            row["id"] = _path_id(row["id"], source, len(tables))
            if not row["query_id"]:
                row["query_id"] = query_ids[index].as_py()
            if row["sample"] is None:
                row["sample"] = places[row["query_id"], source]
            places[row["query_id"], source] += 1
            questions.setdefault(row["query_id"], []).append((source, row["sample"], row))
        for members in questions.values():
            members.sort(key=lambda member: member[:2])
            yield _of_one_question([row for _, _, row in members], golds)


def _query_ids(tables: Sequence[pa.Table]) -> pa.ChunkedArray:
    """Of each row the id of its question."""
    given = pa.chunked_array([chunk for table in tables for chunk in table["query_id"].chunks], pa.string())
    # Blank cells of a table name nothing.
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
    """Each row, with no more than what tells its question, and the number of its table."""
    for source, table in enumerate(tables, start=1):
        for batch in table.select(["id", "query_id", "query"]).to_batches(max_chunksize=ROWS_AT_A_TIME):
            for row in batch.to_pylist():
                yield source, row


def _path_id(row_id: str, source: int, sources: int) -> str:
    return f"{row_id}/source-{source}" if sources > 1 else row_id


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


def _of_one_question(paths: list[Row], golds: Golds) -> list[Row]:
    """`paths` with the gold answer that any of them has."""
    first = next((path for path in paths if path["answer"]), paths[0])
    for path in paths:
        if path["query"] != first["query"] or path["answer"] not in (first["answer"], "", None):
            raise InputError(
                f"{first['id']} and {path['id']} have the query id {first['query_id']} but not the same question and "
                "gold answer; samples to be merged must be of the same questions"
            )
    gold = first["answer"] or golds.answers.get(first["query"])
    return [{**path, "answer": gold} for path in paths]
