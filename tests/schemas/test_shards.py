"""A shard is written whole, and known by its checksum."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
import xxhash

from synth.schemas.dataset import read_shard
from synth.schemas.errors import InputError
from synth.schemas.shards import Shard, ShardWriter, file_checksum

TABLE = pa.table({"id": ["row-0", "row-1"], "number": [7, None]})


def written(path: Path) -> Shard:
    with ShardWriter(path, TABLE.schema) as writer:
        writer.write(TABLE)
        writer.write(TABLE)
        return writer.close()


def test_a_shard_says_what_lies_in_its_file(tmp_path: Path) -> None:
    path = tmp_path / "00000.arrow"
    shard = written(path)
    assert shard == Shard(path.name, 4, path.stat().st_size, xxhash.xxh3_128(path.read_bytes()).hexdigest())
    assert read_shard(path) == pa.concat_tables([TABLE, TABLE])


@pytest.mark.parametrize("damage", [lambda content: content[:-1], lambda content: content + b"x"])
def test_a_shard_of_another_size_is_not_whole(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "00000.arrow"
    shard = written(path)
    assert shard.is_whole(path)
    path.write_bytes(damage(path.read_bytes()))
    assert not shard.is_whole(path)
    path.unlink()
    assert not shard.is_whole(path)


def test_a_shard_has_its_name_when_it_is_closed(tmp_path: Path) -> None:
    with ShardWriter(tmp_path / "00000.arrow", TABLE.schema) as writer:
        writer.write(TABLE)
        assert not (tmp_path / "00000.arrow").exists()
        writer.close()
    assert [path.name for path in tmp_path.iterdir()] == ["00000.arrow"]


def test_a_shard_that_is_given_up_leaves_no_file(tmp_path: Path) -> None:
    writer = ShardWriter(tmp_path / "00000.arrow", TABLE.schema)
    with pytest.raises(pa.ArrowInvalid), writer:
        writer.write(TABLE.select(["id"]))
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_not_there_has_no_checksum(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        file_checksum(tmp_path / "absent.arrow")
