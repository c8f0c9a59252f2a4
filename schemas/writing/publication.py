"""Publishing dataset directories, which appear only when they are complete.

A directory `OUT` is built in `OUT.partial`, by one process at a time, and renamed at the end; one in a store is sent
there. Both record the identity of their run; a run with another identity is refused.
"""

import contextlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

import xxhash

from synth.schemas.answers import ANSWERS
from synth.schemas.atomic import remove, remove_unfinished, sync, write_json
from synth.schemas.dataset import Dataset
from synth.schemas.errors import Stale, SynthError, UsageError
from synth.schemas.journal import join_journals
from synth.schemas.layout import Layout
from synth.schemas.locks import lock, lock_alone, running_slices
from synth.schemas.phrases import plural
from synth.schemas.shards import Shard
from synth.schemas.specs import recorded_command
from synth.schemas.stores.places import origin
from synth.schemas.writing.changes import Difference, differences, in_words
from synth.schemas.writing.data_files import by_size, data_file, grouped
from synth.schemas.writing.shelf import Shelf
from synth.schemas.writing.store_shelf import shelf_of

__all__ = ["OutputClaim", "OutputStatus", "remove_remains", "write_datasets_json"]

REMEDY = "--stale update remakes it and keeps the answers that still apply, --fresh starts over"


@dataclass(frozen=True)
class OutputStatus:
    """The state of an output for a run with this identity.

    `changed` are the fields in which the identity of the existing output differs. `stale` says what to do if there are
    any; `remake` says what to do in any case.
    """

    where: Path
    state: Literal["absent", "begun", "complete"]
    changed: Sequence[Difference] = ()
    stale: Literal["refuse", "update", "fresh"] = "refuse"
    remake: Literal["update", "fresh"] | None = None

    @property
    def would(self) -> Literal["nothing", "start", "resume", "update", "start over", "refuse"]:
        """What the run would do."""
        way = self.remake or (self.stale if self.changed else None)
        if self.state == "absent":
            return "start"
        if way == "fresh":
            return "start over"
        if way == "update" and (self.changed or self.state == "complete"):
            return "update"
        if way == "refuse":
            return "refuse"
        return "resume" if self.state == "begun" else "nothing"

    @classmethod
    def of(
        cls,
        final: Path,
        identity: Mapping[str, Any],
        stale: Literal["refuse", "update", "fresh"] = "refuse",
        remake: Literal["update", "fresh"] | None = None,
    ) -> "OutputStatus":
        """Raises `UsageError` if `final` exists and was not written by `synth`."""
        shelf = shelf_of(final)
        shelf.look()
        if final.exists():
            if not shelf.out.record.is_file():
                raise UsageError(f"{origin(final)} exists and is not a directory that synth wrote: name another output")
            if not _replaces(shelf, identity):
                return cls(final, "complete", _changed(Dataset(final).run or {}, identity), stale, remake)
        if not (begun := shelf.begun()):
            return cls(final, "absent", (), stale, remake)
        changed = _changed(begun, identity)
        # Without any work, other settings do no harm.
        if changed and not shelf.has_work():
            return cls(final, "absent", (), stale, remake)
        return cls(shelf.partial.path, "begun", changed, stale, remake)

    def refuse(self, remedy: str = REMEDY) -> None:
        """Raises `Stale` if the identity differs, saying what changed and how to go on."""
        if self.changed:
            inputs = (Dataset(self.where).run or {}).get("inputs", ())
            raise Stale(f"{origin(self.where)} is stale: {in_words(self.changed, inputs)}; {remedy}")


class OutputClaim:
    """Exclusive ownership of `OUT.partial`, until `close` or the end of a `with` block.

    Workers write rows into its `layout`; the claim starts, clears and publishes it. After a usage error, a directory
    without work is removed.
    """

    # Whether other claims of this kind may own the directory as well.
    is_shared = False

    def __init__(self, final: Path, identity: Mapping[str, Any]) -> None:
        """Raises `SynthError` if the directory cannot be created, or another process owns it."""
        self.final = final
        self.shelf = shelf_of(final)
        self.layout = self.shelf.partial
        # Rows per chunk, if there are chunks; constant over all runs for one output.
        self.chunk_rows: int | None = None
        self._identity = identity
        try:
            self.layout.path.mkdir(parents=True, exist_ok=True)
            owned = lock(self.layout.lock, shared=self.is_shared)
        except OSError as error:
            raise SynthError(f"{self.layout.path} cannot be written: {error.strerror}") from error
        if owned is None:
            raise SynthError(self._owner())
        self._locks = [owned]
        self.shelf.take()

    def _owner(self) -> str:
        """Who owns the directory instead, in a sentence."""
        if slices := running_slices(self.layout):
            are = "is" if len(slices) == 1 else "are"
            return (
                f"{plural(len(slices), 'slice')} of {self.final} {are} still being written: repeat the command when "
                "all slices have ended"
            )
        return f"{origin(self.final)} is being written by another synth process"

    @classmethod
    def open(
        cls,
        final: Path,
        identity: Mapping[str, Any],
        *,
        command: Sequence[str] = (),
        stale: Literal["refuse", "update", "fresh"] = "refuse",
        remake: Literal["update", "fresh"] | None = None,
    ) -> "OutputClaim | None":
        """Start or resume writing `final`; None if it is already complete with this identity.

        `stale` and `remake` are as in `OutputStatus`; an update sets the recorded answers aside for the run. Raises
        `Stale` if the output is stale and `stale` is `refuse`; `UsageError` if `synth` did not write `final`;
        `SynthError` while another process writes it.
        """
        status = OutputStatus.of(final, identity, stale, remake)
        if status.would == "refuse":
            status.refuse()
        if status.would == "nothing":
            remove_remains(final, identity)
            return None
        claim = cls(final, identity)
        try:
            if OutputStatus.of(final, identity, stale, remake) != status:
                raise SynthError(f"{origin(final)} was just written by another synth process: repeat the command")
            if status.would == "update":
                claim.set_aside_answers()
            if status.would != "resume":
                claim.clear(prior=status.would == "start over")
            claim.begin(command, replaces=status.would in ("update", "start over"))
        except BaseException as error:
            claim.__exit__(type(error))
            raise
        return claim

    def __enter__(self) -> "OutputClaim":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind and issubclass(kind, UsageError) and not self.shelf.has_work() and lock_alone(self._locks[0]):
            with contextlib.suppress(SynthError):
                self.shelf.clear()
            shutil.rmtree(self.layout.path, ignore_errors=True)
        self.close()

    def is_begun(self) -> bool:
        """Whether a run with this identity has begun here."""
        return bool(self.shelf.begun()) and not self.changed()

    def changed(self) -> list[Difference]:
        """The fields in which the identity of the run that has begun here differs."""
        return _changed(self.shelf.begun(), self._identity)

    def begin(self, command: Sequence[str], *, chunk_rows: int | None = None, replaces: bool = False) -> None:
        """Create the folders, and record the identity, the command line, and whether to replace an existing output.

        `chunk_rows` are those of an output that is tried again.
        """
        self._make_folders()
        remove_unfinished(self.layout.path)
        self.chunk_rows = self.shelf.begun().get("chunk_rows", chunk_rows)
        self._record = self._record_of(command, replaces=replaces)
        self._write_record()

    def in_chunks(self, rows: int) -> int:
        """The rows of a chunk: those that earlier runs of this output had, else `rows`, from now on."""
        if self.chunk_rows is None:
            self.chunk_rows = rows
            self._write_record()
        return self.chunk_rows

    def _make_folders(self) -> None:
        for folder in (self.layout.shards, self.layout.work, self.layout.kept.path):
            folder.mkdir(exist_ok=True)

    def _record_of(self, command: Sequence[str], *, replaces: bool = False) -> dict[str, Any]:
        return {
            "identity": self._identity,
            **recorded_command(command, self.final),
            "replaces": replaces or _replaces(self.shelf, self._identity),
        }

    def _write_record(self) -> None:
        self.shelf.begin({**self._record, **self._chunk_size()})

    def _chunk_size(self) -> dict[str, int]:
        return {"chunk_rows": self.chunk_rows} if self.chunk_rows else {}

    def set_aside_answers(self) -> None:
        """Link the journals of answers of the output, and of a run that has begun, into `prior`."""
        layout, out = self.layout, Layout(self.final)
        layout.prior.mkdir(exist_ok=True)
        journals = [journal for kept in (out, layout.kept) for journal in kept.kept_answers()]
        journals += [journal for kept in (out, layout.kept) for journal in kept.failed_answers().values()]
        journals += [journals.answers for journals in layout.all_journals()]
        for journal in filter(Path.is_file, journals):
            # Named by the file, so that this can be repeated after a kill.
            target = layout.prior_answers_of(journal.stat().st_ino)
            if not target.exists():
                os.link(journal, target)

    def clear(self, *, prior: bool = False) -> None:
        """Remove everything but the locks and, unless `prior`, the answers that were set aside."""
        self.shelf.clear()
        for entry in self.layout.path.iterdir():
            if entry not in (self.layout.lock, self.layout.turn) and (prior or entry != self.layout.prior):
                remove(entry)

    def publish(self, shards: Sequence[Shard], rejected: Sequence[Shard], record: Mapping[str, Any]) -> None:
        """Publish the finished `shards` as numbered data files, with the record of the run.

        Files are linked or copied, not moved, until the output appears: after a crash the run finds its work in place,
        and this can be called again.
        """
        whole, replaced, kept = self.layout.whole, self.layout.replaced, self.layout.kept
        for remains in (whole.path, replaced) if self.final.exists() else (whole.path,):
            shutil.rmtree(remains, ignore_errors=True)
        data = self._arrange_parts(whole, shards)
        rejected = self._arrange(whole.rejected, rejected) if rejected else []
        for entry in sorted(kept.path.iterdir()) if kept.path.is_dir() else ():
            if entry == kept.answers.path:
                self._join_answers(whole.answers, [shard.xxh3 for shard in data])
            elif entry.is_dir():
                shutil.copytree(entry, whole.path / entry.name, copy_function=os.link)
            else:
                os.link(entry, whole.path / entry.name)
            sync(whole.path / entry.name)
        write_json(
            whole.record,
            {
                "identity": self._identity,
                **record,
                **self._chunk_size(),
                "shards": [asdict(shard) for shard in data],
                "rejected_shards": [asdict(shard) for shard in rejected],
            },
        )
        sync(whole.path)
        self.shelf.publish()

    def _arrange_parts(self, whole: Layout, shards: Sequence[Shard]) -> list[Shard]:
        """Like `_arrange`; if rows are divided, each part is a dataset directory, and `whole` refers to their files."""
        parts = {part: list(of_part) for part, of_part in groupby(shards, lambda shard: shard.part)}
        if not any(parts):
            return self._arrange(whole, shards)
        whole.path.mkdir()
        arranged = {part: self._arrange(whole.part(part), of_part) for part, of_part in parts.items()}
        named = [shard.within(part) for part, of_part in arranged.items() for shard in of_part]
        write_datasets_json(whole, [shard.filename for shard in named], [shard.xxh3 for shard in named])
        write_json(whole.parts, {"splits": list(parts)})
        return named

    def _arrange(self, target: Layout, shards: Sequence[Shard]) -> list[Shard]:
        """Make the data files of `target` from the shards, with the JSON that `datasets` reads."""
        target.path.mkdir()
        files = grouped(shards)
        named = [
            data_file(target.data(number, len(files), self.shelf.tag), self.layout.shards, joined)
            for number, joined in enumerate(files)
        ]
        write_datasets_json(target, [shard.filename for shard in named], [shard.xxh3 for shard in named])
        sync(target.path)
        return named

    def _join_answers(self, target: Layout, checksums: Sequence[str]) -> None:
        """Make the files of `target` from the answers that were kept of each chunk. `checksums` are of the data."""
        target.path.mkdir()
        files = list(by_size(self.layout.kept.kept_answers()))
        names = [target.data(number, len(files), self.shelf.tag) for number in range(len(files))]
        for path, joined in zip(names, files, strict=True):
            join_journals(joined, path, ANSWERS)
        write_datasets_json(target, [path.name for path in names], checksums)

    def close(self) -> None:
        """Release the directory; its content stays for the next run."""
        while self._locks:
            os.close(self._locks.pop())


def remove_remains(final: Path, identity: Mapping[str, Any]) -> None:
    """Remove the remains of a publication killed at its end, but not a run that will replace `final`."""
    shelf = shelf_of(final)
    if shelf.has_remains():
        with contextlib.suppress(SynthError):
            claim = OutputClaim(final, identity)
            shelf.clear()
            shutil.rmtree(shelf.partial.path, ignore_errors=True)
            claim.close()


def write_datasets_json(target: Layout, filenames: Sequence[str], checksums: Sequence[str]) -> None:
    """The two files that `datasets.load_from_disk` needs to open a folder of Arrow files."""
    write_json(target.info, {"citation": "", "description": "", "homepage": "", "license": ""})
    write_json(
        target.state,
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


def _changed(record: Mapping[str, Any], identity: Mapping[str, Any]) -> list[Difference]:
    # The recorded identity has been through JSON, so this one is, too.
    return differences(record.get("identity", {}), json.loads(json.dumps(identity)))


def _replaces(shelf: Shelf, identity: Mapping[str, Any]) -> bool:
    """Whether a run with this identity has begun that will replace the existing output."""
    begun = shelf.begun()
    return bool(begun.get("replaces")) and not _changed(begun, identity)
