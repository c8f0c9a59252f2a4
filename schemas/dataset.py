"""Dataset directories: the only format passed between steps.

A directory has `data-00000-of-00008.arrow` (Arrow IPC streams), `dataset_info.json` and `state.json`, which
`datasets.load_from_disk` opens without conversion; `synth.json`, the record of the run that wrote it; and `rejected/`,
a dataset directory whose rows also have `reason` and `detail`. It is renamed to its final name when it is complete, so
a directory that opens is complete.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa

import synth.schemas.lean_arrow  # noqa: F401
from synth.schemas.errors import InputError
from synth.schemas.layout import Layout
from synth.schemas.specs import from_record
from synth.schemas.stores.copies import as_needed, present
from synth.schemas.stores.places import origin

__all__ = ["Dataset"]


# How many memory maps Linux allows a process.
MOST_MAPS = Path("/proc/sys/vm/max_map_count")


def read_shard(path: Path, *, mapped: bool = True) -> pa.Table:
    """One shard, memory-mapped or copied. Raises `InputError` for a file that is not a complete Arrow stream."""
    present([path])
    try:
        source = pa.memory_map(str(path)) if mapped else pa.OSFile(str(path))
        return pa.ipc.open_stream(source).read_all()
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"{origin(path)} is not a readable Arrow stream: {error}") from error


def read_shards(paths: Sequence[Path]) -> list[pa.Table]:
    """Shards that are all open at once. If they are more than can be mapped, the smallest are copied."""
    present(paths)
    room = _maps_left()
    if len(paths) <= room:
        return list(map(read_shard, paths))
    largest = {*sorted(paths, key=lambda path: path.stat().st_size, reverse=True)[:room]}
    return [read_shard(path, mapped=path in largest) for path in paths]


def _maps_left() -> int:
    """How many files this process may still map, so that a quarter of the maps is left for everything else."""
    try:
        with Path("/proc/self/maps").open("rb") as maps:
            return max(0, int(MOST_MAPS.read_text()) * 3 // 4 - sum(1 for _ in maps))
    except OSError:
        # Other systems have no such limit.
        return sys.maxsize


@dataclass(frozen=True)
class Dataset:
    """A complete dataset directory, opened without reading its rows.

    The copy of a directory in an object store fetches each shard when it is read.
    """

    path: Path

    def __str__(self) -> str:
        """What messages call it."""
        return origin(self.path)

    @classmethod
    def open(cls, path: Path) -> "Dataset":
        """Raises `InputError` if there is no complete dataset; the message says if there is an unfinished one."""
        layout = Layout(path)
        if layout.state.is_file():
            return cls(path)
        if layout.partial.path.exists():
            raise InputError(
                f"{path} is not finished: its run, in {layout.partial.path}, is in progress or was stopped; "
                "repeat its command to finish it"
            )
        raise InputError(f"{origin(path)} is not a dataset directory: it has no {layout.state.name}")

    @property
    def layout(self) -> Layout:
        return Layout(self.path)

    @cached_property
    def shards(self) -> list[Path]:
        state = json.loads(self.layout.state.read_text())
        return [self.path / file["filename"] for file in state["_data_files"]]

    @cached_property
    def table(self) -> pa.Table:
        """All rows, memory-mapped. For zero rows `datasets` writes no shard, and hence no columns."""
        return pa.concat_tables(read_shards(self.shards)) if self.shards else pa.table({})

    def only(self, condition: str, scratch: Path) -> "Dataset":
        """The same directory with only the rows that meet an SQL condition, which are copied to the file `scratch`."""
        from synth.schemas.shards import ShardWriter
        from synth.schemas.sql import matching

        met = matching(self.table, condition).combine_chunks()
        with ShardWriter(scratch, self.table.schema) as writer:
            start = 0
            for batch in self.table.to_batches():
                writer.write(batch.filter(met.slice(start, batch.num_rows)))
                start += batch.num_rows
            writer.close()
        return self.with_shards([scratch])

    def with_shards(self, shards: Sequence[Path]) -> "Dataset":
        """The same directory with only the rows of these shards."""
        chosen = Dataset(self.path)
        # Takes the place of the cached property.
        chosen.__dict__["shards"] = list(shards)
        return chosen

    @cached_property
    def run(self) -> dict[str, Any] | None:
        """The run record, or None for a directory that `synth` did not write.

        Its `inputs` are paths that are valid in the current directory.
        """
        if not self.layout.record.is_file():
            return None
        record: dict[str, Any] = json.loads(self.layout.record.read_text())
        if "folder" in record:
            record["inputs"] = [from_record(spec, self.path) for spec in record.get("inputs", ())]
        return record

    @cached_property
    def checksums(self) -> dict[Path, str]:
        """The checksums of shards, as far as the run record lists them."""
        return {self.path / shard["filename"]: shard["xxh3"] for shard in (self.run or {}).get("shards", [])}

    @cached_property
    def shard_rows(self) -> list[int] | None:
        """The rows of each shard, if the run record lists them all."""
        recorded = {self.path / shard["filename"]: int(shard["rows"]) for shard in (self.run or {}).get("shards", [])}
        return [recorded[shard] for shard in self.shards] if recorded.keys() >= {*self.shards} else None

    def row_count(self) -> int | None:
        """The number of rows, without opening shards if the run record tells; None if they would have to be fetched."""
        if self.shard_rows is not None:
            return sum(self.shard_rows)
        return int(self.table.num_rows) if all(shard.exists() for shard in self.shards) else None

    @property
    def rejected(self) -> "Dataset | None":
        folder = self.layout.rejected.path
        return Dataset.open(folder) if folder.is_dir() else None

    def rows(self, columns: Sequence[str] | None = None) -> Iterator[dict[str, Any]]:
        """Rows as dicts, with one record batch in memory."""
        for shard in as_needed(self.shards):
            table = read_shard(shard)
            for batch in (table.select(list(columns)) if columns else table).to_batches(max_chunksize=1024):
                yield from batch.to_pylist()
