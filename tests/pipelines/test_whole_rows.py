"""Stages that read any dataset and write its rows whole, with columns of their own after them."""

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pytest
from datasets import load_from_disk

from synth.pipelines.runtime.runner import Options, Run
from synth.pipelines.runtime.stage import Output, Reject, Rejected, Row, RowStage, TableStage, Tools
from synth.schemas.dataset import Dataset
from synth.schemas.errors import InputError
from synth.schemas.record import Column, Record
from synth.schemas.records import ROW

MEASURED = Record("measured", "A row with its length.", (Column("length", pa.int32(), "Of the text."),), open=True)


@dataclass(frozen=True)
class Measure(RowStage):
    name: ClassVar[str] = "measure"
    input: ClassVar[Record] = ROW
    output: ClassVar[Record] = MEASURED

    async def process(self, row: Row, tools: Tools) -> AsyncIterator[Row | Rejected]:
        if not row["text"]:
            raise Reject("empty")
        tools.tally("characters", len(row["text"]))
        yield {**row, "length": len(row["text"])}


@dataclass(frozen=True)
class First(TableStage):
    """The first row, and no place for the others."""

    name: ClassVar[str] = "first"
    input: ClassVar[Record] = ROW
    output: ClassVar[Record] = ROW

    def process(self, tables: Sequence[pa.Table], output: Output) -> None:
        (table,) = tables
        output.write_table(table.slice(0, 1), accounts_for=1)
        output.skip(table.num_rows - 1, "not_first")


def lines(file: Path, rows: list[dict[str, Any]]) -> str:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(file)


def test_a_row_keeps_its_columns_and_gets_those_of_the_stage(tmp_path: Path) -> None:
    source = lines(tmp_path / "in.jsonl", [{"text": "abc", "score": 0.5}, {"text": "", "score": None}])
    Run(Measure(), [source], tmp_path / "out", Options()).execute()
    rows = load_from_disk(str(tmp_path / "out")).to_list()
    assert rows == [{"id": "in-0", "text": "abc", "score": 0.5, "length": 3}]
    rejected = Dataset.open(tmp_path / "out").rejected.table.to_pylist()
    assert [(row["id"], row["reason"], row["text"]) for row in rejected] == [("in-1", "empty", "")]


def test_several_inputs_are_one_table(tmp_path: Path) -> None:
    sources = [lines(tmp_path / f"{name}.jsonl", [{"text": name}]) for name in ("one", "three")]
    Run(Measure(), sources, tmp_path / "out", Options()).execute()
    assert [row["length"] for row in load_from_disk(str(tmp_path / "out"))] == [3, 5]


def test_a_column_of_the_same_name_is_replaced_in_its_place(tmp_path: Path) -> None:
    once, twice = tmp_path / "once", tmp_path / "twice"
    Run(Measure(), [lines(tmp_path / "in.jsonl", [{"text": "abc", "score": 0.5}])], once, Options()).execute()
    Run(Measure(), [str(once)], twice, Options()).execute()
    assert load_from_disk(str(twice)).to_list() == load_from_disk(str(once)).to_list()


def test_a_column_of_the_same_name_and_another_type_is_refused(tmp_path: Path) -> None:
    source = lines(tmp_path / "in.jsonl", [{"text": "abc", "length": "long"}])
    with pytest.raises(InputError, match=r"writes a column length of its own .* --column NAME=length"):
        Run(Measure(), [source], tmp_path / "out", Options()).execute()


def test_rows_that_are_passed_over_are_counted_and_not_copied(tmp_path: Path) -> None:
    source = lines(tmp_path / "in.jsonl", [{"text": str(number)} for number in range(5)])
    summary = Run(First(), [source], tmp_path / "out", Options()).execute()
    assert (summary.counts.produced, summary.counts.reasons) == (1, {"not_first": 4})
    assert not (tmp_path / "out" / "rejected").exists()
