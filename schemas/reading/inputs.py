"""Locating an input by name: a dataset directory, files of rows or text, or a Hub dataset."""

import atexit
import glob
import logging
import os
import shutil
import sys
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from itertools import accumulate
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import xxhash

from synth.schemas.dataset import Dataset
from synth.schemas.errors import InputError, UsageError
from synth.schemas.layout import PARTIAL, Layout
from synth.schemas.on_the_hub import HubUnreachable, NotOnTheHub, commit_of, without_network
from synth.schemas.phrases import first_line
from synth.schemas.quiet import quiet_libraries
from synth.schemas.reading.formats import Batch, file_format, read, read_from, row_count, stem
from synth.schemas.reading.text_files import (
    SUFFIXES,
    checksums,
    files_below,
    installed,
    read_texts,
    readable,
)
from synth.schemas.shards import file_checksum
from synth.schemas.specs import HUB, PACKAGES, STANDARD_INPUT, STORES
from synth.schemas.stores.copies import Copy, as_needed, entries, present
from synth.schemas.stores.places import origin
from synth.schemas.stores.store import Store
from synth.schemas.threads import THREADS

__all__ = ["Input", "dataset_at", "locate"]


@dataclass(frozen=True)
class Input:
    """Files to read in order. `spec` is what the user wrote; generated ids begin with `name`.

    Files of Python source or plain text are one row each, and their ids are `names`.
    """

    spec: str
    name: str
    files: tuple[Path, ...]
    dataset: Dataset | None = None
    names: tuple[str, ...] = ()
    # Files that were read completely and are plain, so that the next reading can be faster.
    _plain: set[Path] = field(default_factory=set, compare=False, repr=False)

    @property
    def run(self) -> Mapping[str, Any]:
        """The record of the run that made it; empty for inputs that `synth` did not make."""
        return (self.dataset.run if self.dataset else None) or {}

    def batches(self, *, lenient: bool = False) -> Iterator[Batch]:
        """All rows. An unreadable row raises `InputError`, or is in `Batch.bad` if `lenient`."""
        if self.names:
            yield from read_texts(self.files, self.names)
            return
        for file in as_needed(self.files):
            plain = True
            for batch in read(file, lenient=lenient, plain=file in self._plain):
                plain = plain and batch.plain
                yield batch
            if plain:
                self._plain.add(file)

    def first(self, limit: int | None) -> "Input":
        """The same input with only the shards that have its first `limit` rows, if a run record tells which."""
        rows = self.dataset.shard_rows if self.dataset and limit is not None else None
        if not self.dataset or not rows or limit is None:
            return self
        needed = self.files[: bisect_left(list(accumulate(rows)), limit) + 1]
        return replace(self, files=needed, dataset=self.dataset.with_shards(needed))

    def row_count(self) -> int | None:
        """The number of rows, bad ones included; None if it is not known without reading them."""
        if self.dataset:
            return self.dataset.row_count()
        if self.names:
            return len(self.names)
        counts = [row_count(file) for file in self.files]
        return None if None in counts else sum(filter(None, counts))

    def places(self, indices: Sequence[int]) -> list[str]:
        """Where the rows at ascending `indices` of the whole input are. Bad rows count, but have no place."""
        if self.dataset:
            return [f"row {index + 1} of {self.dataset}" for index in indices]
        places: list[str] = []
        first = 0
        for batch in self.batches(lenient=True):
            while len(places) < len(indices) and indices[len(places)] < first + batch.size:
                index = indices[len(places)] - first
                places.append(batch.place(index - sum(bad.index < batch.first + index for bad in batch.bad)))
            first += batch.size
        return places

    @cached_property
    def labels(self) -> dict[Path, str]:
        """A name for each file: its path below the common folder of all files, without the format's suffixes."""
        if self.dataset or len(self.files) == 1:
            return dict.fromkeys(self.files, self.name)
        root = os.path.commonpath([file.parent for file in self.files])
        return {file: file.relative_to(root).with_name(stem(file)).as_posix() for file in self.files}

    @cached_property
    def digest(self) -> str:
        """XXH3-128 (hex) of the files' contents in order, and of the names of text files, but not of their paths."""
        if self.names:
            known = checksums(self.files, self.names)
            sums = [*known.values(), *known]
        else:
            present([file for file in self.files if file not in self._checksums])
            sums = [self._checksums.get(file) or file_checksum(file) for file in self.files]
        return xxhash.xxh3_128("".join(sums).encode()).hexdigest()

    def verify(self) -> None:
        """Raises `InputError` if a shard of a dataset directory does not match its checksum."""
        recorded = [file for file in self.files if file in self._checksums]
        present(recorded)
        with ThreadPoolExecutor(THREADS) as pool:
            sums = pool.map(file_checksum, recorded)
        for file, checksum in zip(recorded, sums, strict=True):
            if self.dataset and checksum != self._checksums[file]:
                raise InputError(
                    f"{origin(file)} is damaged: its checksum is not the one in {origin(self.dataset.layout.record)}; "
                    "make the directory again, or restore a copy"
                )

    @property
    def _checksums(self) -> Mapping[Path, str]:
        return self.dataset.checksums if self.dataset else {}


def locate(spec: str) -> Input:
    """Raises `InputError` for an input that does not exist or is not complete, `UsageError` for an empty name."""
    _require_name(spec)
    if spec.startswith(HUB):
        return _on_the_hub(spec)
    if spec.startswith(STORES):
        return _in_a_store(spec)
    if spec == STANDARD_INPUT:
        return Input(spec, "stdin", (_standard_input(),))
    if spec == PACKAGES:
        return _texts(spec, "packages", installed())
    path = Path(spec)
    if path.is_dir():
        return _directory(spec, path)
    if path.suffix in SUFFIXES and path.is_file():
        return _texts(spec, path.stem, {path.name: path})
    if path.is_file():
        return Input(spec, stem(path), (path,))
    if path.exists():
        raise InputError(f"{spec} can be read only once, as a pipe: make it standard input, `- < {spec}`")
    if Layout(path).partial.path.exists():
        Dataset.open(path)
    if any(character in spec for character in "*?["):
        return _glob(spec)
    raise InputError(f"{spec} does not exist")


def dataset_at(spec: str) -> Dataset:
    """The dataset directory of this name. Raises `InputError` if it is none, or not complete."""
    _require_name(spec)
    return Dataset.open(_copied(spec).path if spec.startswith(STORES) else Path(spec))


def _require_name(spec: str) -> None:
    if not spec.strip():
        raise UsageError("the name of an input is empty: is a shell variable not set?")


@cache
def _standard_input() -> Path:
    """All of standard input, as a JSONL file that lives as long as the process."""
    folder = Path(mkdtemp(prefix="synth-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = folder / "stdin.jsonl"
    with path.open("wb") as file:
        shutil.copyfileobj(sys.stdin.buffer, file)
    return path


def _directory(spec: str, path: Path) -> Input:
    name = path.resolve().name
    layout = Layout(path)
    if name.endswith(PARTIAL) and not layout.state.is_file():
        raise InputError(f"{spec} is not finished: its run is in progress or was stopped")
    if layout.state.is_file() or layout.info.is_file():
        dataset = Dataset.open(path)
        return Input(spec, name, tuple(dataset.shards), dataset)
    files, folders = entries(path)
    if layout.parts in files:
        raise InputError(
            f"{spec} has the splits {', '.join(folder.name for folder in folders)}: "
            f"name one of them, such as {origin(folders[0])}"
        )
    known = [file for file in files if file_format(file) and not file.name.startswith((".", "_"))]
    if not known and layout.partial.path.exists():
        Dataset.open(path)
    for suffix in () if known else SUFFIXES:
        if texts := files_below(path, suffix):
            return _texts(spec, name, texts)
    if not known:
        raise InputError(f"{spec} has no dataset and no file that can be read ({read_from()}, {' or '.join(SUFFIXES)})")
    return Input(spec, name, _of_one_format(spec, known))


def _in_a_store(spec: str) -> Input:
    copy = _copied(spec)
    path = copy.path
    if copy.is_file and path.suffix in SUFFIXES:
        present([path])
        return _texts(spec, path.stem, {path.name: path})
    if copy.is_file:
        return Input(spec, stem(path), (path,))
    if not any(map(file_format, entries(path)[0])):
        present([file for file in copy.objects if file.suffix in SUFFIXES])
    return _directory(spec, path)


def _copied(url: str) -> Copy:
    """The copy of a URL, with what tells which datasets it has."""
    try:
        copy = Copy.of(url)
    except InputError:
        _require_no_run(url)
        raise
    layouts = {file: Layout(file.parent) for file in copy.objects}
    present([file for file, layout in layouts.items() if file in (layout.state, layout.info, layout.record)])
    return copy


def _require_no_run(url: str) -> None:
    """Raises `InputError` if a run has begun to write to this URL, at which there is nothing yet."""
    store, key = Store.of(url)
    partial = Layout(Path(key)).partial if key else None
    if partial and store.find(partial.record.as_posix()):
        raise InputError(
            f"{url} is not finished: its run, in {store.url(str(partial.path))}, is in progress or was stopped; "
            "repeat its command to finish it"
        )


def _glob(spec: str) -> Input:
    found = sorted(file for file in map(Path, glob.glob(spec, recursive=True)) if not file.is_dir())  # noqa: PTH207
    if found and found[0].suffix in SUFFIXES and len({file.suffix for file in found}) == 1:
        root = Path(os.path.commonpath([file.parent for file in found]))
        return _texts(spec, root.resolve().name, {file.relative_to(root).as_posix(): file for file in found})
    files = [file for file in found if file.is_file()]
    if not files:
        raise InputError(f"no file matches {spec}")
    last = Path(spec).name
    fixed = last[: min(last.index(character) for character in "*?[" if character in last)] if "*" in last else ""
    return Input(spec, fixed.strip("-_. ") or files[0].resolve().parent.name, _of_one_format(spec, files))


def _texts(spec: str, name: str, files: dict[str, Path]) -> Input:
    files = readable(files)
    return Input(spec, name, tuple(files.values()), names=tuple(files))


def _of_one_format(spec: str, files: list[Path]) -> tuple[Path, ...]:
    formats = {file_format(file): file for file in files}
    if len(formats) > 1:
        named = " and ".join(file.name for file in formats.values())
        raise InputError(f"{spec} has files of several formats, such as {named}: name those of one, as in '*.jsonl'")
    return tuple(files)


def _on_the_hub(spec: str) -> Input:
    """`hf:NAME[:CONFIG][:SPLIT]`; a single word after the name is a configuration if there is one with that name."""
    name, *words = spec.removeprefix(HUB).split(":")
    if not name or len(words) > 2:
        raise InputError(f"{spec} is not of the form hf:NAME[:CONFIG][:SPLIT]")
    silence = None if Path(name).exists() else _silence(spec, name)
    quiet_libraries()
    import datasets

    try:
        with without_network() if silence else nullcontext():
            config, split = words if len(words) == 2 else (None, None)
            if len(words) == 1:
                known = words[0] in datasets.get_dataset_config_names(name)
                config, split = (words[0], None) if known else (None, words[0])
            splits = datasets.load_dataset(name, config)
    # Errors come from `datasets`, the Hub client and the network, and share no base class.
    except Exception as error:
        why = f"it is not on this machine, and {silence}" if silence else first_line(error)
        raise InputError(f"the Hub dataset {spec} cannot be loaded: {why}") from error
    if silence:
        logging.getLogger("synth").warning("%s is read as it was last downloaded: %s", spec, silence)
    if split is None and len(splits) == 1:
        (split,) = splits
    if split not in splits:
        raise InputError(
            f"{spec} has the splits {', '.join(splits)}: name one as in hf:NAME[:CONFIG]:{next(iter(splits))}"
        )
    files = tuple(Path(file["filename"]) for file in splits[split].cache_files)
    return Input(spec, "-".join(word for word in (Path(name).name, config, split) if word), files)


def _silence(spec: str, name: str) -> HubUnreachable | None:
    """Why the hub does not answer; None if it has the dataset. Raises `InputError` if it does not."""
    try:
        commit_of(name, "dataset")
    except HubUnreachable as silence:
        return silence
    except NotOnTheHub as reason:
        raise InputError(f"the Hub dataset {spec} cannot be loaded: {reason}") from reason
    return None
