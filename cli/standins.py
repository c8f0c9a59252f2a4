"""Stand-ins for modules that are slow to import, used for help and completion, which need none of them."""

import os
import sys
from collections.abc import MutableSequence, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

__all__ = ["is_description", "leave", "stand_in"]

HEAVY = {"jinja2", "numpy", "orjson", "pyarrow", "rapidfuzz", "rensa", "xxhash", "zstandard"}
# Set in the environment to import the real modules.
REAL = "SYNTH_REAL_MODULES"


class Anything:
    """Any attribute of a stand-in. Calls, subscripts and operators return it; classes can inherit from it."""

    def __getattr__(self, name: str) -> "Anything":
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def _itself(self, *_: Any, **__: Any) -> "Anything":
        return self

    __call__ = __getitem__ = __or__ = __ror__ = __add__ = __sub__ = __mul__ = __truediv__ = _itself

    def __mro_entries__(self, _: tuple[Any, ...]) -> tuple[type, ...]:
        return ()


class StandIn(ModuleType):
    __path__: MutableSequence[str] = []  # noqa: RUF012

    def __getattr__(self, name: str) -> Anything:
        if name.startswith("__"):
            raise AttributeError(name)
        return Anything()


class _Finder(MetaPathFinder, Loader):
    def find_spec(self, fullname: str, *_: Any) -> ModuleSpec | None:
        return ModuleSpec(fullname, self, is_package=True) if fullname.partition(".")[0] in HEAVY else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return StandIn(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        pass


_FINDER = _Finder()


def is_description(arguments: Sequence[str]) -> bool:
    """Whether a command line seems to ask for help or completion; it is not parsed yet."""
    return REAL not in os.environ and ("_SYNTH_COMPLETE" in os.environ or not {"-h", "--help"}.isdisjoint(arguments))


def stand_in() -> None:
    sys.meta_path.insert(0, _FINDER)


def leave() -> None:
    """Called before a command runs. If stand-ins are installed, `--help` was a value: restart without them."""
    if _FINDER in sys.meta_path:
        os.environ[REAL] = "1"
        os.execv(sys.executable, sys.orig_argv)
