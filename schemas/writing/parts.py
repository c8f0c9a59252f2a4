"""What a shared dataset consists of: splits of rows, and, if wanted, of rejected rows and of answers."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from synth.schemas.dataset import Dataset
from synth.schemas.errors import InputError, UsageError

__all__ = ["Part", "SharedSplit", "is_record", "parts", "record_name", "split_of", "splits"]

DEFAULT_SPLIT = "train"
# What `datasets` takes for the name of a split.
_NAME = r"\w+(?:\.\w+)*"
_SHARD = re.compile(rf"(?:data|rejected|answers)/(?P<split>{_NAME})-\d{{5}}-of-\d{{5}}\.parquet")
_RECORD = re.compile(rf"synth(?:-{_NAME})?\.json")


@dataclass(frozen=True)
class SharedSplit:
    """A dataset directory and the name that it is shared as."""

    name: str
    dataset: Dataset


@dataclass(frozen=True)
class Part:
    """Rows of one kind of one split. `config` is what `datasets` calls this kind, and `folder` has its files."""

    config: str
    folder: str
    split: SharedSplit
    dataset: Dataset

    @property
    def pattern(self) -> str:
        """The names of its files, as a glob."""
        return f"{self.folder}/{self.split.name}-*"

    def file(self, number: int, of: int) -> str:
        return f"{self.folder}/{self.split.name}-{number:05d}-of-{of:05d}.parquet"


def splits(words: Sequence[str]) -> list[SharedSplit]:
    """The datasets `OUT` and `SPLIT=OUT`. Raises `InputError` unless each is complete, `UsageError` for a bad name."""
    found: dict[str, SharedSplit] = {}
    for word in words:
        name, equals, directory = word.partition("=")
        if not equals or Path(word).exists():
            name, directory = DEFAULT_SPLIT, word
        if not re.fullmatch(_NAME, name) or not directory:
            raise UsageError(f"{word} is not of the form SPLIT=OUT, with a name of letters and digits as in test=OUT")
        if name in found:
            raise UsageError(
                f"{found[name].dataset.path} and {directory} are both the split {name}: name them, as in "
                f"train={found[name].dataset.path} test={directory}"
            )
        found[name] = SharedSplit(name, Dataset.open(Path(directory)))
    return list(found.values())


def parts(shared: Sequence[SharedSplit], *, rejected: bool, answers: bool) -> list[Part]:
    """The rows of each split; then the rejected rows of each that has any; then the answers of each.

    Raises `InputError` if answers were not kept, or if the splits differ in their columns.
    """
    found = [Part("default", "data", split, split.dataset) for split in shared]
    if rejected:
        found += [Part("rejected", "rejected", split, one) for split in shared if (one := split.dataset.rejected)]
    if answers:
        found += [Part("answers", "answers", split, _answers(split.dataset)) for split in shared]
    for _, of_config in groupby(found, lambda part: part.config):
        first, *others = of_config
        for other in others:
            _require_same_columns(first, other)
    return found


def _require_same_columns(first: Part, other: Part) -> None:
    """Different types or names of columns in the splits of one config are an error of `datasets.load_dataset`."""
    mine, theirs = ({(field.name, str(field.type)) for field in part.dataset.table.schema} for part in (first, other))
    if differing := sorted(mine ^ theirs):
        name, kind = differing[0]
        place = (first if (name, kind) in mine else other).dataset.path
        raise InputError(
            f"{first.dataset.path} and {other.dataset.path} differ in their columns (only {place} has {name} as "
            f"{kind}), and load_dataset opens only splits with the same: share them under two names, or see "
            "`synth columns`"
        )


def _answers(dataset: Dataset) -> Dataset:
    kept = dataset.layout.answers
    if not kept.state.is_file():
        raise InputError(f"{dataset.path} has no kept answers to share: leave out --with-answers")
    return Dataset.open(kept.path)


def record_name(split: SharedSplit, shared: Sequence[SharedSplit]) -> str:
    """The name of the file with the run record of a split."""
    name = split.dataset.layout.record.name
    return name if len(shared) == 1 else name.replace(".", f"-{split.name}.")


def is_record(path: str) -> bool:
    """Whether a file is named as by `record_name`."""
    return _RECORD.fullmatch(path) is not None


def split_of(path: str) -> str | None:
    """The split of a file named as by `Part.file`, or None for any other file."""
    named = _SHARD.fullmatch(path)
    return named["split"] if named else None
