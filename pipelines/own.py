"""Stages that are not part of this package: classes in a file of the user's, and those of installed packages."""

import hashlib
import sys
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from synth.schemas.errors import UsageError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from synth.pipelines.runtime.stage import Stage

__all__ = ["installed_stages", "stage_at", "stage_of_package"]

# Packages add commands in the entry points of this group: `shout = "package.module:Shout"`.
GROUP = "synth.stages"


def stage_at(place: str) -> "type[Stage]":
    """The stage that `FILE.py:CLASS` or `MODULE:CLASS` names. Raises `UsageError` if there is none.

    Its code is part of the identity of its outputs, as its options are.
    """
    where, colon, name = place.rpartition(":")
    if not colon:
        raise UsageError(f"{place}: expected FILE.py:CLASS or MODULE:CLASS")
    module = _module_in(Path(where)) if where.endswith(".py") else _imported(where, place)
    return _stage(getattr(module, name, None), place, module)


@cache
def installed_stages() -> "Mapping[str, EntryPoint]":
    """The commands that installed packages add, by name."""
    from importlib.metadata import entry_points

    return {point.name: point for point in entry_points(group=GROUP)}


def stage_of_package(name: str) -> "type[Stage]":
    """The stage of an entry point. Raises `UsageError` if it cannot be loaded."""
    point = installed_stages()[name]
    module = _imported(point.module, f"the command {name} of {point.dist.name if point.dist else 'a package'}")
    return _stage(getattr(module, point.attr, None), point.value, module)


def _module_in(file: Path) -> ModuleType:
    from importlib.util import find_spec, module_from_spec, spec_from_file_location

    if not file.is_file():
        raise UsageError(f"{file} does not exist")
    path, name = file.resolve(), file.stem
    known = find_spec(name) if name.isidentifier() else None
    if known and known.origin != str(path):
        raise UsageError(f"{file}: there is a module {name} already, so give the file another name")
    spec = spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    # Where dataclasses and pickles look for it.
    sys.modules[name] = module
    # Modules beside the file can be imported, but replace none.
    sys.path.append(str(path.parent))
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise UsageError(f"{file} cannot be imported: {type(error).__name__}: {error}") from error
    return module


def _imported(name: str, place: str) -> ModuleType:
    try:
        return import_module(name)
    except ImportError as error:
        raise UsageError(f"{place} cannot be imported: {error}") from error


def _stage(found: object, place: str, module: ModuleType) -> "type[Stage]":
    from synth.pipelines.runtime.stage import RowStage, Stage, TableStage

    if not (isinstance(found, type) and issubclass(found, RowStage | TableStage)):
        raise UsageError(f"{place} is not a stage: expected a class that inherits from RowStage or TableStage")
    missing = [name for name in ("name", "input", "output") if not hasattr(found, name)]
    if missing:
        raise UsageError(f"{place} does not say its {' and its '.join(missing)}")
    stage: type[Stage] = found
    stage.code = hashlib.sha256(Path(str(module.__file__)).read_bytes()).hexdigest()
    return stage
