"""A table stage: its output keeps its order, and an aborted one starts over."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pyarrow as pa
import pytest

from synth.pipelines.runtime.options import Options
from synth.pipelines.runtime.runner import Run, Summary
from synth.pipelines.runtime.stage import Output, Rejected, TableStage
from synth.schemas.dataset import Dataset
from synth.schemas.errors import Interrupted, SynthError
from synth.schemas.record import Record
from synth.schemas.records import QUERY
from synth.schemas.shards import ShardWriter
from tests.pipelines.runtime.asking import questions

TEXTS = ["one", "refuse two", "three"]


@dataclass(frozen=True)
class Copy(TableStage):
    """Copies rows, one by one and then all at once, except those to reject."""

    name: ClassVar[str] = "copy"
    input: ClassVar[Record] = QUERY
    output: ClassVar[Record] = QUERY
    # Called after the first rows are written.
    midway: ClassVar[Callable[[Output], None]] = lambda _: None

    def process(self, tables: Sequence[pa.Table], output: Output) -> None:
        (table,) = tables
        for row in table.to_pylist():
            if "refuse" in row["query"]:
                output.reject(row, "unwanted", "it says so")
            else:
                output.write([row], accounts_for=1)
                output.reject_output(Rejected({"id": f"{row['id']}/draft", "query": "a draft"}, "draft"))
        type(self).midway(output)
        output.write_table(table.slice(0, 1), accounts_for=0)


def copy(folder: Path) -> Summary:
    return Run(Copy(), [questions(folder, TEXTS)], folder / "out", Options()).execute()


def test_rows_are_written_unchanged_and_accounted_for(tmp_path: Path) -> None:
    counts = copy(tmp_path).counts
    out = Dataset.open(tmp_path / "out")
    assert out.table["id"].to_pylist() == ["q-0", "q-2", "q-0"]
    assert out.rejected
    assert [(row["id"], row["reason"]) for row in out.rejected.rows()] == [
        ("q-0/draft", "draft"),
        ("q-1", "unwanted"),
        ("q-2/draft", "draft"),
    ]
    assert (counts.produced, counts.rejected, counts.outputs) == (2, 1, 3)
    assert (counts.reasons, counts.output_reasons) == ({"unwanted": 1}, {"draft": 2})


def test_the_record_of_a_table_stage_has_no_chunks(tmp_path: Path) -> None:
    copy(tmp_path)
    assert "chunk_rows" not in json.loads((tmp_path / "out" / "synth.json").read_text())


def test_a_row_that_is_not_accounted_for_is_a_bug_in_the_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Copy, "midway", lambda output: output.skip(1, "twice"))
    with pytest.raises(SynthError, match=r"of 3 input rows 4 are accounted for .*bug in the stage"):
        copy(tmp_path)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("error", "ends_as"), [(KeyboardInterrupt, Interrupted), (ZeroDivisionError,) * 2])
def test_an_aborted_stage_leaves_its_work_and_no_partial_shard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[BaseException], ends_as: type[BaseException]
) -> None:
    def break_off(output: Output) -> None:
        (output.work / "counted").write_text("for minutes")
        raise error

    with monkeypatch.context() as broken:
        broken.setattr(Copy, "midway", break_off)
        with pytest.raises(ends_as):
            copy(tmp_path)
    partial = tmp_path / "out.partial"
    assert list((partial / "shards").iterdir()) == []
    assert (partial / "work" / "counted").read_text() == "for minutes"
    copy(tmp_path)
    assert Dataset.open(tmp_path / "out").table.num_rows == 3
    assert not partial.exists()


def test_a_last_table_that_cannot_be_written_leaves_no_partial_shard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is written in a thread, so its error is known only when the output is closed."""

    class OnFullDisk(ShardWriter):
        def write(self, rows: pa.Table | pa.RecordBatch) -> None:  # noqa: ARG002
            raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr("synth.pipelines.runtime.output.ShardWriter", OnFullDisk)
        with pytest.raises(OSError, match="No space left"):
            copy(tmp_path)
    assert list((tmp_path / "out.partial" / "shards").iterdir()) == []
