"""The data files of a dataset directory: consecutive shards joined, so that a large dataset has few files.

Opening a dataset maps every file into memory, and Linux allows a process 65,530 maps by default.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from synth.schemas.dataset import read_shard
from synth.schemas.errors import SynthError
from synth.schemas.shards import ROWS_PER_SHARD, Shard, ShardWriter, file_checksum

__all__ = ["by_size", "data_file", "grouped", "portions"]

# Of Arrow data. Files with long rows have fewer of them.
BYTES_PER_FILE = 500_000_000


def grouped(shards: Sequence[Shard]) -> list[list[Shard]]:
    """The shards of each data file: all that have rows, or one empty shard.

    A file takes shards until it has `ROWS_PER_SHARD` rows or `BYTES_PER_FILE` bytes.
    """
    files: list[list[Shard]] = []
    rows, size = ROWS_PER_SHARD, 0
    for shard in [shard for shard in shards if shard.rows] or shards[:1]:
        if rows >= ROWS_PER_SHARD or size >= BYTES_PER_FILE:
            files.append([])
            rows = size = 0
        files[-1].append(shard)
        rows += shard.rows
        size += shard.bytes
    return files


def by_size(paths: Sequence[Path]) -> Iterator[list[Path]]:
    """The files to join in one, of at most `BYTES_PER_FILE` unless it is a single one."""
    group: list[Path] = []
    size = 0
    for path in paths:
        size += path.stat().st_size
        if group and size > BYTES_PER_FILE:
            yield group
            group, size = [], path.stat().st_size
        group.append(path)
    if group:
        yield group


def data_file(path: Path, folder: Path, shards: Sequence[Shard]) -> Shard:
    """Make the data file `path` of the shards in `folder`: one is linked, several are joined.

    Raises `SynthError` for a shard whose bytes have changed since it was written.
    """
    if len(shards) == 1:
        os.link(folder / shards[0].filename, path)
        return Shard(path.name, shards[0].rows, shards[0].bytes, shards[0].xxh3)
    tables = (_read(folder, shard, "remove it and repeat the command, to make its rows again") for shard in shards)
    first = next(tables)
    with ShardWriter(path, first.schema) as writer:
        writer.write(first)
        for table in tables:
            writer.write(table)
        return writer.close()


def portions(folder: Path, files: Iterable[Shard], rows: Iterable[int]) -> Iterator[pa.Table]:
    """The shards that were joined into these files of `folder`, as tables; `rows` are the numbers of their rows.

    Raises `SynthError` for a file whose bytes have changed since it was written.
    """
    tables = (_read(folder, file, "restore a copy, or make the output again with --fresh") for file in files)
    table = next(tables)
    for count in rows:
        while count and not table.num_rows:
            table = next(tables)
        yield table.slice(0, count)
        table = table.slice(count)


def _read(folder: Path, shard: Shard, advice: str) -> pa.Table:
    """The rows of a shard, which are about to be copied to a file with a checksum of its own."""
    path = folder / shard.filename
    if file_checksum(path) != shard.xxh3:
        raise SynthError(f"{path} is damaged: {advice}")
    return read_shard(path)
