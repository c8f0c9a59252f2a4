"""Writing dataset directories so that one appears only when it is whole.

A directory `OUT` is built in `OUT.partial` beside it, by one process at a time, and renamed into place at the end. What
lies in `OUT` or `OUT.partial` carries the identity of the run that makes it; a run with another identity is refused.
"""

import contextlib
import fcntl
import json
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import xxhash

from synth.schemas.dataset import Dataset, partial_path
from synth.schemas.errors import Stale, SynthError, UsageError
from synth.schemas.shards import Shard

__all__ = [
    "Difference",
    "OutputStatus",
    "PartialOutput",
    "differences",
    "published_names",
    "write_datasets_json",
    "write_json",
]

# A leaf in which two identities differ: dotted name, value there, value here. An absent one counts as None.
Difference = tuple[str, Any, Any]
# More of them in one message would not be read; `synth why` shows all.
CHANGES_SHOWN = 4


@dataclass(frozen=True)
class OutputStatus:
    """What lies at an output for a run of this identity: nothing, something begun, or something complete.

    `changed` are the fields in which it was made otherwise.
    """

    where: Path
    state: Literal["absent", "begun", "complete"]
    changed: Sequence[Difference] = ()

    @classmethod
    def of(cls, final: Path, identity: Mapping[str, Any]) -> "OutputStatus":
        """Raises `UsageError` where `final` is something that `synth` did not write."""
        if final.exists():
            if not (final / "synth.json").is_file():
                raise UsageError(f"{final} exists and is not a directory that synth wrote: name another output")
            if not _begun_anew(final, identity):
                return cls(final, "complete", _changed(Dataset(final).run or {}, identity))
        partial = partial_path(final)
        if not (partial / "synth.json").is_file():
            return cls(final, "absent")
        changed = _changed(json.loads((partial / "synth.json").read_text()), identity)
        # Where a run came to nothing, there is nothing that other settings could spoil.
        return cls(partial, "begun", changed) if not changed or _holds_work(partial) else cls(final, "absent")

    def refuse(self) -> None:
        """Raises `Stale` where it was made otherwise, naming each field, and both values of the first ones."""
        if self.changed:
            shown, others = self.changed[:CHANGES_SHOWN], self.changed[CHANGES_SHOWN:]
            fields = "; ".join(f"{name} was {_brief(old)} and is now {_brief(new)}" for name, old, new in shown)
            if others:
                fields += f"; changed as well: {', '.join(name for name, *_ in others)}"
            raise Stale(
                f"{self.where} was made with other settings ({fields}): use --fresh to start over, or another output"
            )


class PartialOutput:
    """The directory `OUT.partial`, held by this process until `close`.

    `shards/` inside it takes the finished shards and `work/` what leads to them; `kept/` takes directories that are to
    stand in `OUT` beside the data; anything else in it can be made again. All of it goes when the directory is
    published.
    """

    def __init__(self, final: Path, identity: Mapping[str, Any]) -> None:
        """Take hold of the partial directory. Raises `SynthError` where that cannot be, or another process has it."""
        self.final = final
        self.path = partial_path(final)
        self.shards = self.path / "shards"
        self.work = self.path / "work"
        self.kept = self.path / "kept"
        self._identity = identity
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
        except OSError as error:
            raise SynthError(f"{self.path} cannot be written: {error.strerror}") from error
        if not self._is_held():
            os.close(self._lock)
            raise SynthError(f"{final} is being written by another synth process")

    @classmethod
    def open(
        cls, final: Path, identity: Mapping[str, Any], *, command: Sequence[str] = (), fresh: bool = False
    ) -> "PartialOutput | None":
        """Begin or go on with building `final`; None when it is already complete with this identity.

        Raises `Stale` where `final` or its partial directory was made with another identity, unless `fresh`;
        `UsageError` where `final` is something that `synth` did not write; `SynthError` while another process is
        building it.
        """
        status = OutputStatus.of(final, identity)
        if not fresh:
            status.refuse()
            if status.state == "complete":
                _remove_remains(final, identity)
                return None
        building = cls(final, identity)
        try:
            if OutputStatus.of(final, identity) != status:
                raise SynthError(f"{final} has been written by another synth process just now: repeat the command")
            if fresh or status.state != "begun":
                building.clear()
            building.begin(command, anew=fresh)
        except BaseException:
            building.close()
            raise
        return building

    def _is_held(self) -> bool:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Whoever held it before may have removed the file, and with it what this lock stands for.
            return os.path.samestat(os.fstat(self._lock), (self.path / "lock").stat())
        except OSError:
            return False

    def is_begun(self) -> bool:
        """Whether a run of this identity has begun here."""
        record = self.path / "synth.json"
        return record.is_file() and not _changed(json.loads(record.read_text()), self._identity)

    def begin(self, command: Sequence[str], *, anew: bool = False) -> None:
        """Make the folders, and record what is being made by which command line, and whether to replace an output."""
        for folder in (self.shards, self.work, self.kept):
            folder.mkdir(exist_ok=True)
        anew = anew or _begun_anew(self.final, self._identity)
        write_json(self.path / "synth.json", {"identity": self._identity, "command": list(command), "anew": anew})

    def clear(self) -> None:
        """Forget whatever was begun."""
        for entry in self.path.iterdir():
            if entry.is_dir():
                shutil.rmtree(entry)
            elif entry.name != "lock":
                entry.unlink()

    def publish(self, shards: Sequence[Shard], rejected: Sequence[Shard], record: Mapping[str, Any]) -> None:
        """Give the finished `shards` their final names, record the run, and let the directory appear.

        Everything keeps its name here, too, until the directory has appeared: after a crash in the middle the run finds
        its finished work where it was, and this can be called again.
        """
        whole, replaced = self.path / "whole", self.path / "replaced"
        for remains in (whole, replaced) if self.final.exists() else (whole,):
            shutil.rmtree(remains, ignore_errors=True)
        data = self._arrange(whole, shards)
        turned_away = self._arrange(whole / "rejected", rejected) if rejected else []
        for folder in sorted(self.kept.iterdir()) if self.kept.is_dir() else ():
            shutil.copytree(folder, whole / folder.name, copy_function=os.link)
            sync(whole / folder.name)
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
            self.final.rename(replaced)
        whole.rename(self.final)
        # Without it, what is left here when removing it is broken off is taken for remains.
        (self.path / "synth.json").unlink(missing_ok=True)
        sync(self.final.parent)
        shutil.rmtree(self.path)

    def _arrange(self, folder: Path, shards: Sequence[Shard]) -> list[Shard]:
        """Put shards into `folder` as numbered data files beside the JSON that `datasets` reads; skip empty ones."""
        folder.mkdir()
        named = []
        for shard, filename in published_names(shards):
            os.link(self.shards / shard.filename, folder / filename)
            named.append(replace(shard, filename=filename))
        write_datasets_json(folder, [shard.filename for shard in named], [shard.xxh3 for shard in named])
        sync(folder)
        return named

    def close(self) -> None:
        """Let another process build; what is there stays for the next run."""
        os.close(self._lock)


def _remove_remains(final: Path, identity: Mapping[str, Any]) -> None:
    """Finish what a publication that was killed at its very end has left; a run that was begun anew stays."""
    partial = partial_path(final)
    if partial.is_dir() and not (partial / "synth.json").exists():
        with contextlib.suppress(SynthError):
            building = PartialOutput(final, identity)
            shutil.rmtree(partial, ignore_errors=True)
            building.close()


def published_names(shards: Sequence[Shard]) -> list[tuple[Shard, str]]:
    """The shards that are published of these, with the names that they get. Empty ones are not, unless all are."""
    filled = [shard for shard in shards if shard.rows] or shards[:1]
    return [(shard, f"data-{index:05d}-of-{len(filled):05d}.arrow") for index, shard in enumerate(filled)]


def write_datasets_json(folder: Path, filenames: Sequence[str], checksums: Sequence[str]) -> None:
    """The two files by which `datasets.load_from_disk` opens the Arrow files of a folder."""
    write_json(folder / "dataset_info.json", {"citation": "", "description": "", "homepage": "", "license": ""})
    write_json(
        folder / "state.json",
        {
            "_data_files": [{"filename": filename} for filename in filenames],
            "_fingerprint": xxhash.xxh3_64("".join(checksums).encode()).hexdigest(),
            "_format_columns": None,
            "_format_kwargs": {},
            "_format_type": None,
            "_output_all_columns": False,
            "_split": None,
        },
    )


def differences(there: Mapping[str, Any], here: Mapping[str, Any], prefix: str = "") -> list[Difference]:
    """The leaves in which two identities differ."""
    found: list[Difference] = []
    for name in dict.fromkeys([*there, *here]):
        old, new = there.get(name), here.get(name)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            found += differences(old, new, f"{prefix}{name}.")
        elif old != new:
            found.append((f"{prefix}{name}", old, new))
    return found


def _changed(record: Mapping[str, Any], identity: Mapping[str, Any]) -> list[Difference]:
    # The identity makes the round trip through JSON that the recorded one has made.
    return differences(record.get("identity", {}), json.loads(json.dumps(identity)))


def _begun_anew(final: Path, identity: Mapping[str, Any]) -> bool:
    """Whether a run of this identity has been begun that is to replace what lies at `final`."""
    record = partial_path(final) / "synth.json"
    begun = json.loads(record.read_text()) if record.is_file() else {}
    return bool(begun.get("anew")) and not _changed(begun, identity)


def _brief(value: Any) -> str:
    """The value as JSON, digests by their beginning, cut to a readable length."""
    shown = re.sub(r"\b([0-9a-f]{8})[0-9a-f]{8,}\b", r"\1…", json.dumps(value, ensure_ascii=False))
    return shown if len(shown) <= 80 else f"{shown[:60]}… ({len(shown):,} characters)"


def _holds_work(partial: Path) -> bool:
    # Of shards only those count that a chunk has been published with; others a stage will write again.
    laid_by = (path for name in ("work", "kept") for path in (partial / name).rglob("*"))
    return any((partial / "shards").glob("*.json")) or any(path.is_file() for path in laid_by)


def write_json(path: Path, value: Mapping[str, Any], *, durable: bool = True) -> None:
    """Write JSON so that the file is either the old one or the new one, whole; if `durable`, after a power cut too."""
    temporary = path.with_name(f"{path.name}.tmp")
    with temporary.open("w", encoding="utf-8") as file:
        json.dump(value, file, indent=1, ensure_ascii=False)
        file.write("\n")
        if durable:
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
