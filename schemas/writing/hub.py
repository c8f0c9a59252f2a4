"""Pushing datasets to the Hugging Face hub: Parquet files, the card and the run records in one commit.

Files are made and uploaded one after the other, so that the disk holds one at a time; nothing shows on the hub before
the commit at the end. Files that the hub has already are not uploaded again.
"""

import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from synth.schemas.dataset import Dataset
from synth.schemas.errors import SynthError, UsageError
from synth.schemas.phrases import first_line
from synth.schemas.quiet import quiet_libraries
from synth.schemas.writing.data_files import by_size
from synth.schemas.writing.export import write
from synth.schemas.writing.parts import Part, is_record, split_of
from synth.schemas.writing.shapes import shaped

if TYPE_CHECKING:
    from huggingface_hub import HfApi

__all__ = ["HubBranch", "Pushed", "check_name"]

CARD = "README.md"
KIND = "dataset"
# Seconds that the hub has for its first answer.
FIRST_ANSWER_SECONDS = 10


@dataclass(frozen=True)
class Pushed:
    """The address of the dataset, its rows and files, and whether the hub had all of it already."""

    address: str
    rows: int
    files: int
    removed: int
    is_new: bool


def check_name(name: str) -> None:
    """Raises `UsageError` unless this may be the name of a dataset on the hub."""
    quiet_libraries()
    from huggingface_hub.utils import HFValidationError, validate_repo_id

    if name.count("/") != 1:
        raise UsageError(f"{name} is not of the form USER/NAME, with the name of a user or an organization")
    try:
        validate_repo_id(name)
    except HFValidationError as error:
        raise UsageError(
            f"{name} cannot be a name on the hub: use letters, digits, '-', '_' and '.', at most 96, neither '-' nor "
            "'.' at an end, and neither '--' nor '..'"
        ) from error


@dataclass
class HubBranch:
    """A branch of a dataset repository on the hub, created where it does not exist.

    Everything raises `SynthError` with one sentence if the hub cannot be reached, or refuses.
    """

    name: str
    branch: str
    _api: "HfApi" = field(init=False)
    _head: str = field(init=False)
    _paths: set[str] = field(init=False)

    @classmethod
    def open(cls, name: str, branch: str, *, private: bool) -> "HubBranch":
        """Raises `UsageError` without a token, or if it should be private and is public."""
        quiet_libraries()
        from huggingface_hub import HfApi, get_token
        from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

        if not get_token():
            raise UsageError("there is no token for the hub: log in with `hf auth login`, or set HF_TOKEN")
        opened = cls(name, branch)
        api = opened._api = HfApi()
        with opened._errors():
            try:
                known = api.dataset_info(name, timeout=FIRST_ANSWER_SECONDS)
            except RepositoryNotFoundError:
                api.create_repo(name, repo_type=KIND, private=private or None, exist_ok=True)
                known = api.dataset_info(name)
            if private and not known.private:
                raise UsageError(
                    f"{name} is public on the hub, and --private does not change that: make it private in its "
                    "settings there, or use another name"
                )
            try:
                found = api.dataset_info(name, revision=branch)
            except RevisionNotFoundError:
                api.create_branch(name, repo_type=KIND, branch=branch, exist_ok=True)
                found = api.dataset_info(name, revision=branch)
        opened._head = found.sha
        opened._paths = {sibling.rfilename for sibling in found.siblings or ()}
        return opened

    def card(self) -> str | None:
        """The text of the card on the hub, if there is one."""
        if CARD not in self._paths:
            return None
        with self._errors(), TemporaryDirectory(prefix="synth-") as folder:
            file = self._api.hf_hub_download(
                self.name,
                CARD,
                repo_type=KIND,
                revision=self._head,
                local_dir=folder,
                etag_timeout=FIRST_ANSWER_SECONDS,
            )
            return Path(file).read_text(encoding="utf-8", errors="replace")

    def other_splits(self, parts: Sequence[Part]) -> list[str]:
        """The splits that the hub has and these parts do not."""
        named = {part.split.name for part in parts}
        return sorted(set(filter(None, map(split_of, self._paths))) - named)

    def push(self, parts: Sequence[Part], texts: Mapping[str, str], observe: Callable[[str], None]) -> Pushed:
        """Replace what the hub has of these splits, and the files `texts`, in one commit.

        `observe` is called with the name of each file before it is uploaded.
        """
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete

        rows = sum(part.dataset.table.num_rows for part in parts if part.config == "default")
        with self._errors(), TemporaryDirectory(prefix="synth-") as folder:
            added = [CommitOperationAdd(path, text.encode()) for path, text in texts.items()]
            for path, dataset in _files(parts):
                observe(path)
                file = Path(folder, path.replace("/", "-"))
                _write_parquet(file, dataset)
                operation = CommitOperationAdd(path, file)
                self._api.preupload_lfs_files(self.name, [operation], repo_type=KIND, revision=self.branch)
                # Files that the hub does not keep apart are sent with the commit.
                if operation.path_or_fileobj == b"":
                    file.unlink()
                added.append(operation)
            now = {operation.path_in_repo for operation in added}
            gone = sorted(path for path in self._paths - now if _is_ours(path))
            with warnings.catch_warnings(record=True) as said:
                warnings.simplefilter("always")
                commit = self._api.create_commit(
                    self.name,
                    [*added, *(CommitOperationDelete(path) for path in gone)],
                    commit_message=f"Push {rows:,} rows with synth",
                    repo_type=KIND,
                    revision=self.branch,
                    parent_commit=self._head,
                )
        for warning in said:
            logging.getLogger("synth").warning("%s", " ".join(str(warning.message).split()))
        address = f"{self._api.endpoint}/datasets/{self.name}"
        address += "" if self.branch == "main" else f"/tree/{self.branch}"
        return Pushed(address, rows, len(added), len(gone), commit.oid != self._head)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Turns what the client of the hub raises into one sentence."""
        try:
            yield
        except SynthError:
            raise
        # They come from the client, from whichever HTTP library it uses and from the network, and share no base class.
        except Exception as error:
            if isinstance(error, OSError) and error.filename and not hasattr(error, "response"):
                raise
            raise SynthError(_sentence(error, self.name, self._api.endpoint)) from error


def _sentence(error: Exception, name: str, endpoint: str) -> str:
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    # The client wraps what befalls an upload.
    cause = error.__cause__ if isinstance(error, RuntimeError) and error.__cause__ else error
    if isinstance(cause, HfHubHTTPError):
        status = cause.response.status_code
        said = f" ({cause.server_message.splitlines()[0]})" if cause.server_message else ""
        return {
            401: f"the hub does not accept the token{said}: log in with `hf auth login`, or set HF_TOKEN",
            403: f"the token may not write to {name}{said}: use a token with write access to it",
            404: f"the hub has no {name}, and no place for it{said}: check the user name or organization",
            409: f"{name} was changed by somebody else at the same time{said}: repeat the command",
            412: f"{name} was changed by somebody else at the same time{said}: repeat the command",
            429: f"the hub takes no more requests for now{said}: repeat the command later",
        }.get(status, f"the hub answers with status {status}{said}; repeating the command uploads only what is missing")
    if isinstance(cause, OfflineModeIsEnabled):
        return "HF_HUB_OFFLINE is set, so nothing can be pushed: unset it"
    if isinstance(cause, ValueError):
        return f"the hub refuses the dataset: {' '.join(str(cause).split())}"
    return f"{endpoint} cannot be reached: {first_line(cause)}; repeating the command uploads only what is missing"


def _files(parts: Sequence[Part]) -> Iterator[tuple[str, Dataset]]:
    """Each file to push, by its name on the hub, and its rows.

    One shard is never divided, so that an update changes few files.
    """
    for part in parts:
        groups = list(by_size(part.dataset.shards)) or [[]]
        for number, shards in enumerate(groups):
            yield part.file(number, len(groups)), part.dataset.with_shards(shards)


def _write_parquet(file: Path, dataset: Dataset) -> None:
    schema, tables = shaped(dataset, "rows")
    with file.open("wb") as sink:
        write(sink, file.name, "parquet", schema, tables, str(dataset.path))


def _is_ours(path: str) -> bool:
    return split_of(path) is not None or is_record(path)
