"""The program that calls a function with inputs that are Python source. It runs in the jail, and nowhere else.

Its text is sent there, followed by a line that makes a `Driver`; so it needs nothing but the standard library. The
names that it works with are none of the function's, whatever that is called.
"""

import copy
import json
import sys
from itertools import takewhile
from types import FrameType, ModuleType
from typing import Any

__all__ = ["Driver"]

# What the published harness imports above a function, and what it takes from it.
PUBLISHED = {"sys": sys, "copy": copy, "json": json, **dict.fromkeys(("open", "exit", "quit", "help"))}
LONGEST_MESSAGE = 300


class Driver:
    """A function, and blocks of source that add its inputs to a list `examples`. Raises what `code` raises.

    Each block is a run of its own, in a new module that has the blocks before it, too: so the outputs were recorded. A
    name that a later block defines was missing before, and what a function remembers is gone when a run begins.
    """

    def __init__(self, code: str, entry: str, blocks: list[str]) -> None:
        self._code = code
        self._entry = entry
        self._blocks = blocks
        self._runs = 0
        # So a function may recurse as deep as in a script, where it has one frame beneath it.
        sys.setrecursionlimit(sys.getrecursionlimit() + _depth(sys._getframe()) - 1)
        self._begin([])

    def call(self, index: int | None) -> list[str]:
        """What the input at `index` gives, as texts: `return` and the value, or `error`, its type and its message.

        Or else `unreadable` and why, where inputs cannot be built; and `count`, where there are only so many inputs,
        or where no `index` is given.
        """
        try:
            while self._runs < len(self._blocks) and (index is None or index >= len(self._examples)):
                self._runs += 1
                self._begin(self._blocks[: self._runs])
            if index is None or index >= len(self._examples):
                return ["count", str(len(self._examples))]
            example = self._examples[index]
        except BaseException as error:
            return ["unreadable", f"{type(error).__name__}: {_message(error)}"]
        try:
            return ["return", repr(self._given(example))]
        except BaseException as error:
            return ["error", type(error).__name__, _message(error)]

    def _begin(self, blocks: list[str]) -> None:
        """Run code and blocks. What the code itself calls `examples`, and the function, keep their names."""
        module = sys.modules["__main__"] = ModuleType("__main__")
        names = module.__dict__
        names.update(PUBLISHED)
        exec(compile(self._code, "<program>", "exec", dont_inherit=True), names)
        if self._entry not in names:
            raise NameError(f"it has no function {self._entry}")
        self._function = names[self._entry]
        own = {name: names[name] for name in ("examples", self._entry) if name in names}
        names["examples"] = []
        exec(compile("\n".join(blocks), "<examples>", "exec", dont_inherit=True), names)
        self._examples = names.pop("examples")
        names.update(own)

    def _given(self, example: Any) -> Any:
        if isinstance(example, list | tuple):
            return self._function(*example)
        code = getattr(self._function, "__code__", None)
        nameless = code.co_varnames[: code.co_posonlyargcount] if code else ()
        if not nameless:
            return self._function(**example)
        first = list(takewhile(example.__contains__, nameless))
        return self._function(
            *map(example.get, first), **{name: example[name] for name in example if name not in first}
        )


def _depth(frame: FrameType | None) -> int:
    return 1 + _depth(frame.f_back) if frame else 0


def _message(error: BaseException) -> str:
    try:
        return str(error)[:LONGEST_MESSAGE].encode(errors="backslashreplace").decode()
    except Exception:
        return ""
