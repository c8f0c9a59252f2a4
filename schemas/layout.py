"""The names of all files in a dataset directory `OUT` and in `OUT.partial`, in which it is built.

    OUT/           data-00000-of-00008.arrow  dataset_info.json  state.json  synth.json
                   (data-00000-of-00008.3f9c21d0.arrow, where an output in a store has replaced another one)
      rejected/    a dataset directory of rejected rows and filtered outputs
      bucket_8/    a dataset directory with a part of the rows, in an output that has parts: then the data files lie in
                   these, and dataset_dict.json names them
      answers/     data-00000-of-00002.arrow: journals of tool answers; also a dataset directory
      failed/      chunks.json  00017/: the journals of chunks with failed rows
    OUT.partial/   lock  turn  synth.json  progress.json  failed.json  form  input-0
      slices/      3-of-64/: lock  progress.json  failed.json, for each slice of a run
      prepared.arrow   the rows as the stage reads them, for workers elsewhere
      spending/    local.arrow: the tokens that a process asked for
      shards/      00017.3f9c21d0.arrow  00017.3f9c21d0.rejected.arrow  00017.3f9c21d0.answers.arrow  00017.json
      work/        00017/3f9c21d0/: answers.arrow  rows.arrow
      prior/       the answers of earlier runs of this output, for an update
      kept/        what is published in OUT next to the data: failed/, and answers/ with 00017.arrow for each chunk
      whole/  replaced/   OUT just before it is published, and the output that it replaces

Only the functions that list chunk numbers and journals access the disk; no other module spells these names. A chunk
has the same number everywhere. Whoever works on a chunk does so under a lease, such as 3f9c21d0, which the names of its
files include: two workers that both believe they have the chunk never write to the same file.
"""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synth.schemas.slices import Slice

__all__ = ["PARTIAL", "Journals", "Layout", "PartialLayout", "ProcessLayout", "Workplace"]

PARTIAL = ".partial"
_SHARD = ".arrow"
_OF = "-of-"


class _Entry:
    """A file or folder in the directory `path` of its owner."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, owner: Any, _: type) -> Path:
        path: Path = owner.path / self._name
        return path


@dataclass(frozen=True)
class Journals:
    """The folder with the journals of one chunk under one lease: tool answers and finished rows."""

    folder: Path

    @property
    def answers(self) -> Path:
        return self.folder / f"answers{_SHARD}"

    @property
    def rows(self) -> Path:
        return self.folder / f"rows{_SHARD}"

    def size(self) -> int:
        """The bytes in both; 0 for what is not there, or no longer."""
        total = 0
        for path in (self.answers, self.rows):
            with suppress(FileNotFoundError):
                total += path.stat().st_size
        return total


@dataclass(frozen=True)
class Layout:
    """A dataset directory, published or being built."""

    path: Path

    # Its presence makes a directory a complete dataset.
    state = _Entry("state.json")
    info = _Entry("dataset_info.json")
    # The names of parts, for `datasets.DatasetDict.load_from_disk`.
    parts = _Entry("dataset_dict.json")
    # The record of the run, which marks a directory as written by synth.
    record = _Entry("synth.json")
    failed = _Entry("failed")
    # How each chunk of a run was published, for runs with failed rows.
    failed_chunks = _Entry("failed/chunks.json")

    def part(self, name: str) -> "Layout":
        return Layout(self.path / name)

    def data(self, number: int, of: int, tag: str = "") -> Path:
        return self.path / f"data-{number:05d}-of-{of:05d}{tag and f'.{tag}'}{_SHARD}"

    @property
    def rejected(self) -> "Layout":
        return Layout(self.path / "rejected")

    @property
    def answers(self) -> "Layout":
        return Layout(self.path / "answers")

    def answers_of(self, chunk: int) -> Path:
        """The answers that were kept of a chunk, before they are joined."""
        return self.answers.path / f"{chunk:05d}{_SHARD}"

    def failed_journals(self, chunk: int) -> Journals:
        return Journals(self.failed / f"{chunk:05d}")

    def kept_answers(self) -> list[Path]:
        """The journals of the answers that were kept, in order."""
        return _found(self.answers.path, f"*{_SHARD}")

    def failed_answers(self) -> dict[int, Path]:
        """The journal of answers of each chunk with failed rows."""
        failed = {chunk: self.failed_journals(chunk).answers for chunk in _numbers(self.failed, "")}
        return {chunk: journal for chunk, journal in failed.items() if journal.is_file()}

    @property
    def partial(self) -> "PartialLayout":
        return PartialLayout(self.path.with_name(f"{self.path.name}{PARTIAL}"))


@dataclass(frozen=True)
class Workplace:
    """The part of `OUT.partial` that a worker needs.

    `shards` has finished shards, `work` the journals, `kept` what is published in `OUT` next to the data.
    """

    path: Path

    shards = _Entry("shards")
    # The shard of unusable input rows.
    bad_rows = _Entry(f"shards/bad.rejected{_SHARD}")
    work = _Entry("work")
    ledgers = _Entry("spending")

    @property
    def out(self) -> Layout:
        """The output that is made."""
        return Layout(self.path.with_name(self.path.name.removesuffix(PARTIAL)))

    def spending(self, process: str) -> Path:
        """The tokens that a process and its successors asked for."""
        return self.ledgers / f"{process}{_SHARD}"

    def all_spending(self) -> list[Path]:
        return _found(self.ledgers, f"*{_SHARD}")

    @property
    def kept(self) -> Layout:
        return Layout(self.path / "kept")

    @property
    def prior(self) -> Path:
        """The folder with journals of answers that this run may use again."""
        return self.path / "prior"

    def prior_answers_of(self, number: int) -> Path:
        return self.prior / f"{number}{_SHARD}"

    def prior_answers(self) -> list[Path]:
        return _found(self.prior, f"*{_SHARD}")

    def data(self, number: int, lease: str | None = None, part: str = "") -> Path:
        return self.shards / part / f"{_leased(number, lease)}{_SHARD}"

    def rejected(self, number: int, lease: str | None = None) -> Path:
        return self.shards / f"{_leased(number, lease)}.rejected{_SHARD}"

    def answers(self, chunk: int, lease: str) -> Path:
        """The answers to keep of a chunk that is about to be published."""
        return self.shards / f"{_leased(chunk, lease)}.answers{_SHARD}"

    def published(self, chunk: int) -> Path:
        """The record written when a chunk is published."""
        return self.shards / f"{chunk:05d}.json"

    def published_chunks(self) -> list[int]:
        return _numbers(self.shards, ".json")

    def work_on(self, chunk: int) -> Path:
        """The folder with the journals of a chunk, by lease."""
        return self.work / f"{chunk:05d}"

    def journals(self, chunk: int, lease: str) -> Journals:
        return Journals(self.work_on(chunk) / lease)

    def journals_of(self, chunk: int) -> list[Journals]:
        """The journals of a chunk under all its leases."""
        return [Journals(folder) for folder in _found(self.work_on(chunk), "[!.]*")]

    def begun_chunks(self) -> list[int]:
        """The chunks with journals, in order."""
        return _numbers(self.work, "")

    def all_journals(self) -> list[Journals]:
        return [journals for chunk in self.begun_chunks() for journals in self.journals_of(chunk)]


@dataclass(frozen=True)
class ProcessLayout:
    """The files of a process that makes an output, or a slice of it."""

    path: Path

    lock = _Entry("lock")
    progress = _Entry("progress.json")
    # The failures of a run that ended because too many rows failed.
    failures = _Entry("failed.json")


@dataclass(frozen=True)
class PartialLayout(Workplace, ProcessLayout):
    """`OUT.partial`: the workplace, and the files of the process that makes the whole output."""

    # Locked by one slice at a time while it joins the others.
    turn = _Entry("turn")
    # The identity and the command of the run.
    record = _Entry("synth.json")
    _slices = _Entry("slices")
    # The rows as the stage reads them, for workers elsewhere.
    prepared = _Entry(f"prepared{_SHARD}")
    # The columns of the rows in the journals.
    form = _Entry("form")
    replaced = _Entry("replaced")

    def slice(self, one: Slice) -> ProcessLayout:
        return ProcessLayout(self._slices / f"{one.number}{_OF}{one.of}")

    def slices(self) -> list[Slice]:
        """Those that a process has ever worked on here, in order."""
        names = [folder.name.split(_OF) for folder in _found(self._slices, f"*{_OF}*")]
        return sorted(Slice(int(number), int(of)) for number, of in names)

    @property
    def whole(self) -> Layout:
        return Layout(self.path / "whole")

    def input(self, number: int) -> Path:
        """An input, converted to the record that the stage reads."""
        return self.path / f"input-{number}"


def _leased(number: int, lease: str | None) -> str:
    return f"{number:05d}.{lease}" if lease else f"{number:05d}"


def _numbers(folder: Path, suffix: str) -> list[int]:
    return sorted(int(file.stem) for file in _found(folder, f"*{suffix}") if file.stem.isdecimal())


def _found(folder: Path, pattern: str) -> list[Path]:
    """What matches in a folder, in order; nothing if a run that works here has just removed the folder."""
    with suppress(FileNotFoundError):
        return sorted(folder.glob(pattern))
    return []
