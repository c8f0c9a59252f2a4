"""A dataset directory opens however many files it has, though a process can map only some of them."""

import os
from pathlib import Path

import pyarrow as pa
import pytest

from synth.schemas import dataset
from synth.schemas.dataset import Dataset, read_shards
from synth.schemas.layout import Layout
from synth.schemas.shards import ShardWriter
from synth.schemas.writing.publication import write_datasets_json

MANY = 70_000
# A file system limits the names of one file, too.
NAMES = 1000


def shard(path: Path, rows: int) -> Path:
    with ShardWriter(path, pa.schema([("id", pa.string())])) as writer:
        writer.write(pa.table({"id": [f"{path.stem}-{i}" for i in range(rows)]}))
        writer.close()
    return path


def mapped(path: Path) -> bool:
    """Whether this process has the file mapped."""
    return str(path) in Path("/proc/self/maps").read_text()


def test_more_files_than_a_process_can_map_are_opened(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    for number in range(MANY):
        path = layout.data(number, MANY)
        if number % NAMES:
            os.link(layout.data(number - number % NAMES, MANY), path)
        else:
            shard(path, 1)
    write_datasets_json(layout, [layout.data(number, MANY).name for number in range(MANY)], [])
    opened = Dataset.open(tmp_path)
    ids = opened.table["id"].to_pylist()
    assert len(ids) == MANY
    assert ids[::NAMES] == [f"{layout.data(number, MANY).stem}-0" for number in range(0, MANY, NAMES)]


def test_the_smallest_files_are_copied_if_there_are_too_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small, large, larger = (shard(tmp_path / f"{rows}.arrow", rows) for rows in (1, 500, 900))
    monkeypatch.setattr(dataset, "_maps_left", lambda: 2)
    tables = read_shards([large, small, larger])
    assert [table.num_rows for table in tables] == [500, 1, 900]
    assert [mapped(path) for path in (large, small, larger)] == [True, False, True]


def test_a_process_that_has_mapped_all_that_it_may_copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "limit").write_text("10\n")
    monkeypatch.setattr(dataset, "MOST_MAPS", tmp_path / "limit")
    path = shard(tmp_path / "0.arrow", 5)
    (table,) = read_shards([path])
    assert table.num_rows == 5
    assert not mapped(path)


def test_a_system_without_such_a_limit_maps_all_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset, "MOST_MAPS", tmp_path / "absent")
    path = shard(tmp_path / "0.arrow", 5)
    tables = read_shards([path])
    assert mapped(path)
    assert tables[0].num_rows == 5
