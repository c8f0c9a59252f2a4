"""Consecutive shards are joined into data files of enough rows, from which they can be taken again."""

from pathlib import Path

import pyarrow as pa
import pytest

from synth.schemas.dataset import read_shard
from synth.schemas.errors import SynthError
from synth.schemas.shards import Shard, ShardWriter, file_checksum
from synth.schemas.writing import data_files
from synth.schemas.writing.data_files import data_file, grouped, portions

SCHEMA = pa.schema([("id", pa.string()), ("tags", pa.list_(pa.string()))], metadata={"made by": "a test"})


def shard_of(rows: int, size: int = 100) -> Shard:
    return Shard("", rows, size, "")


def written(folder: Path, *rows: int) -> list[Shard]:
    """Shards of so many rows; ids are counted over all of them."""
    shards = []
    for number, count in enumerate(rows):
        numbers = range(sum(rows[:number]), sum(rows[: number + 1]))
        table = pa.table({"id": [f"row-{i}" for i in numbers], "tags": [["x"] * (i % 3) for i in numbers]}, SCHEMA)
        with ShardWriter(folder / f"{number:05d}.arrow", SCHEMA) as writer:
            for start in range(0, count, 3):
                writer.write(table.slice(start, 3))
            shards.append(writer.close())
    return shards


def rows_in_files(*shards: Shard) -> list[list[int]]:
    return [[shard.rows for shard in file] for file in grouped(shards)]


def test_a_file_takes_shards_until_it_has_enough_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_files, "ROWS_PER_SHARD", 4)
    assert rows_in_files(*map(shard_of, (3, 2, 4, 9, 1, 0, 1, 1))) == [[3, 2], [4], [9], [1, 1, 1]]
    assert rows_in_files(shard_of(0), shard_of(0)) == [[0]], "an output of no rows has one file, with its columns"


def test_a_file_of_long_rows_takes_fewer_of_them() -> None:
    half = data_files.BYTES_PER_FILE // 2
    assert rows_in_files(shard_of(7, half), shard_of(8, half), shard_of(9, half)) == [[7, 8], [9]]


def test_a_joined_file_has_the_rows_of_its_shards_and_a_checksum_of_its_own(tmp_path: Path) -> None:
    shards = written(tmp_path, 4, 5)
    path = tmp_path / "data.arrow"
    joined = data_file(path, tmp_path, shards)
    assert read_shard(path).equals(pa.concat_tables([read_shard(tmp_path / one.filename) for one in shards]), True)
    assert joined == Shard("data.arrow", 9, path.stat().st_size, file_checksum(path))


def test_a_shard_alone_is_not_copied(tmp_path: Path) -> None:
    (shard,) = written(tmp_path, 4)
    assert data_file(tmp_path / "data.arrow", tmp_path, [shard]).xxh3 == shard.xxh3
    assert (tmp_path / "data.arrow").samefile(tmp_path / shard.filename)


def test_shards_are_taken_from_joined_files_byte_for_byte(tmp_path: Path) -> None:
    shards = written(tmp_path, 0, 4, 5, 0, 7)
    files = [
        data_file(tmp_path / f"data-{i}.arrow", tmp_path, joined) for i, joined in enumerate((shards[1:3], shards[4:]))
    ]
    for shard, rows in zip(shards, portions(tmp_path, files, [one.rows for one in shards]), strict=True):
        with ShardWriter(tmp_path / "again.arrow", rows.schema) as writer:
            writer.write(rows)
            assert writer.close().xxh3 == shard.xxh3


def test_damage_is_not_given_a_checksum(tmp_path: Path) -> None:
    shards = written(tmp_path, 4, 5)
    file = data_file(tmp_path / "data.arrow", tmp_path, shards)
    for path in (tmp_path / shards[1].filename, tmp_path / file.filename):
        path.write_bytes(path.read_bytes().replace(b"row-5", b"row-6"))
    with pytest.raises(SynthError, match=r"00001.arrow is damaged: remove it and repeat the command"):
        data_file(tmp_path / "again.arrow", tmp_path, shards)
    assert not (tmp_path / "again.arrow").exists()
    with pytest.raises(SynthError, match=r"data.arrow is damaged: restore a copy, or make the output again"):
        next(portions(tmp_path, [file], [4, 5]))
