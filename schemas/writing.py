"""Writing dataset directories so that one appears only when it is whole.

A directory `OUT` is built in `OUT.partial` beside it, by one process at a time, and renamed into place at the end. What
lies in `OUT` or `OUT.partial` carries the identity of the run that makes it; a run with another identity is refused.
"""

import fcntl
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from io import RawIOBase
from pathlib import Path
from typing import Any

import pyarrow as pa
import xxhash

from schemas.dataset import Dataset, partial_path
from schemas.errors import Stale, SynthError, UsageError

__all__ = ["ROWS_PER_SHARD", "Building", "Shard", "ShardWriter", "differences"]

# Where nothing else says where a shard should end.
ROWS_PER_SHARD = 262_144


@dataclass(frozen=True)
class Shard:
    """One closed shard: its file name, rows, bytes and XXH3-128 checksum (hex)."""

    filename: str
    rows: int
    bytes: int
    xxh3: str


class _HashingFile(RawIOBase):
    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")
        self.size = 0
        self.hash = xxhash.xxh3_128()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.hash.update(data)
        written = self._file.write(data)
        self.size += written
        return written

    def close(self) -> None:
        if not self.closed:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
        super().close()


class ShardWriter:
    """Writes one Arrow IPC stream under a temporary name; `close` syncs it and gives it its own."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._path = path
        self._temporary = path.with_name(f"{path.name}.tmp")
        self._file = _HashingFile(self._temporary)
        self._stream = pa.ipc.new_stream(self._file, schema)
        self._rows = 0

    def write(self, rows: pa.Table | pa.RecordBatch) -> None:
        self._stream.write(rows)
        self._rows += rows.num_rows

    def close(self) -> Shard:
        self._stream.close()
        self._file.close()
        self._temporary.rename(self._path)
        return Shard(self._path.name, self._rows, self._file.size, self._file.hash.hexdigest())


class Building:
    """The directory `OUT.partial`, held by this process until `close`.

    `shards/` inside it takes the finished shards and `work/` what leads to them; anything else in it can be made again.
    All of it goes when the directory is published.
    """

    def __init__(self, final: Path, lock: int, identity: Mapping[str, Any]) -> None:
        self.final = final
        self.path = partial_path(final)
        self.shards = self.path / "shards"
        self.work = self.path / "work"
        self._lock = lock
        self._identity = identity

    @classmethod
    def open(cls, final: Path, identity: Mapping[str, Any], *, fresh: bool = False) -> "Building | None":
        """Begin or go on with building `final`; None when it is already complete with this identity.

        Raises `Stale` where `final` or its partial directory was made with another identity, naming each field and
        both values, unless `fresh`; `UsageError` where `final` is something that `synth` did not write;
        `SynthError` while another process is building it.
        """
        if final.exists() and not fresh:
            if not (final / "synth.json").is_file():
                raise UsageError(f"{final} exists and is not a directory that synth wrote: name another output")
            _refuse_if_stale(final, Dataset(final).run or {}, identity)
            shutil.rmtree(partial_path(final), ignore_errors=True)
            return None
        if final.exists() and not (final / "synth.json").is_file():
            raise UsageError(f"--fresh does not replace {final}: synth did not write it")
        return cls._hold(final, identity, fresh=fresh)

    @classmethod
    def _hold(cls, final: Path, identity: Mapping[str, Any], *, fresh: bool) -> "Building":
        partial = partial_path(final)
        try:
            partial.mkdir(parents=True, exist_ok=True)
            lock = os.open(partial / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
        except OSError as error:
            raise SynthError(f"{partial} cannot be written: {error.strerror}") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            raise SynthError(f"{final} is being written by another synth process") from None
        building = cls(final, lock, identity)
        begun = partial / "synth.json"
        try:
            if fresh:
                building._clear()
            elif begun.is_file():
                building._agree_with(json.loads(begun.read_text()))
            building.shards.mkdir(exist_ok=True)
            building.work.mkdir(exist_ok=True)
            write_json(begun, {"identity": identity})
        except BaseException:
            building.close()
            raise
        return building

    def _agree_with(self, begun: Mapping[str, Any]) -> None:
        """Go on with what was begun, or begin anew where that came to nothing that other settings could spoil."""
        try:
            _refuse_if_stale(self.path, begun, self._identity)
        except Stale:
            # Of shards only those count that a chunk has been published with; others a stage will write again.
            if any(self.shards.glob("*.json")) or any(path.is_file() for path in self.work.rglob("*")):
                raise
            self._clear()

    def _clear(self) -> None:
        for entry in self.path.iterdir():
            if entry.is_dir():
                shutil.rmtree(entry)
            elif entry.name != "lock":
                entry.unlink()

    def publish(self, shards: Sequence[Shard], rejected: Sequence[Shard], record: Mapping[str, Any]) -> None:
        """Give the finished `shards` their final names, record the run, and let the directory appear.

        A crash in the middle is mended by calling this again with the same arguments.
        """
        whole = self.path / "whole"
        data = self._arrange(whole, shards)
        turned_away = self._arrange(whole / "rejected", rejected) if rejected else []
        write_json(
            whole / "synth.json",
            {
                "identity": self._identity,
                **record,
                "shards": [asdict(shard) for shard in data],
                "rejected_shards": [asdict(shard) for shard in turned_away],
            },
        )
        sync(whole)
        if self.final.exists():
            self.final.rename(self.path / "replaced")
        whole.rename(self.final)
        sync(self.final.parent)
        shutil.rmtree(self.path)

    def _arrange(self, folder: Path, shards: Sequence[Shard]) -> list[Shard]:
        """Move shards into `folder` as numbered data files beside the JSON that `datasets` reads; skip empty ones."""
        folder.mkdir(exist_ok=True)
        filled = [shard for shard in shards if shard.rows] or list(shards[:1])
        named = []
        for index, shard in enumerate(filled):
            filename = f"data-{index:05d}-of-{len(filled):05d}.arrow"
            if (self.shards / shard.filename).exists():
                (self.shards / shard.filename).rename(folder / filename)
            named.append(Shard(filename, shard.rows, shard.bytes, shard.xxh3))
        digest = xxhash.xxh3_64("".join(shard.xxh3 for shard in named).encode()).hexdigest()
        write_json(folder / "dataset_info.json", {"citation": "", "description": "", "homepage": "", "license": ""})
        write_json(
            folder / "state.json",
            {
                "_data_files": [{"filename": shard.filename} for shard in named],
                "_fingerprint": digest,
                "_format_columns": None,
                "_format_kwargs": {},
                "_format_type": None,
                "_output_all_columns": False,
                "_split": None,
            },
        )
        sync(folder)
        return named

    def close(self) -> None:
        """Let another process build; what is there stays for the next run."""
        os.close(self._lock)


def differences(there: Mapping[str, Any], here: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any, Any]]:
    """The leaves in which two identities differ, as (dotted name, value there, value here); absent counts as None."""
    found: list[tuple[str, Any, Any]] = []
    for name in dict.fromkeys([*there, *here]):
        old, new = there.get(name), here.get(name)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            found += differences(old, new, f"{prefix}{name}.")
        elif old != new:
            found.append((f"{prefix}{name}", old, new))
    return found


def _refuse_if_stale(where: Path, record: Mapping[str, Any], identity: Mapping[str, Any]) -> None:
    # The identity makes the round trip through JSON that the recorded one has made.
    changed = differences(record.get("identity", {}), json.loads(json.dumps(identity)))
    if changed:
        fields = "; ".join(f"{name} was {json.dumps(old)} and is now {json.dumps(new)}" for name, old, new in changed)
        raise Stale(f"{where} was made with other settings ({fields}): use --fresh to start over, or another output")


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write JSON so that the file is either the old one or the new one, whole, even after a power cut."""
    temporary = path.with_name(f"{path.name}.tmp")
    with temporary.open("w", encoding="utf-8") as file:
        json.dump(value, file, indent=1, ensure_ascii=False)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)


def sync(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
