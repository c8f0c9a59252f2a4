"""The program that calls a function with inputs that are Python source. It only ever runs in the jail.

Its source is sent there, followed by a line that makes a `Driver`, so it imports nothing but the standard library. The
function runs in a module of its own, so its names cannot clash with those of the driver.
"""

import copy
import json
import sys
from itertools import takewhile
from types import FrameType, ModuleType
from typing import Any

__all__ = ["Driver"]

# The names that the published harness imports for a function, and those that it disables.
HARNESS_NAMES = {"sys": sys, "copy": copy, "json": json, **dict.fromkeys(("open", "exit", "quit", "help"))}
MAX_MESSAGE_CHARS = 300


class Driver:
    """A function, and blocks of source that add its inputs to a list `examples`. Raises the errors of `code`.

    Each block runs in a new module, after all earlier blocks, because that is how the outputs were recorded: names that
    a later block defines are still missing, and state that the function keeps is lost.
    """

    def __init__(self, code: str, entry: str, blocks: list[str]) -> None:
        self._code = code
        self._entry = entry
        self._blocks = blocks
        self._runs = 0
        # Allow the same depth of recursion as in a script, where a function has one frame beneath it.
        sys.setrecursionlimit(sys.getrecursionlimit() + _depth(sys._getframe()) - 1)
        self._begin([])

    def call(self, index: int | None) -> list[str]:
        """The result for the input at `index`: `return` and the `repr`, or `error`, its type and its message.

        If inputs cannot be built: `unreadable` and the error. If `index` is None or too large: `count` and the number
        of inputs.
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
            return ["return", repr(self._result(example))]
        except BaseException as error:
            return ["error", type(error).__name__, _message(error)]

    def _begin(self, blocks: list[str]) -> None:
        """Run code and blocks. The blocks cannot overwrite the function, or an `examples` of the code itself."""
        module = sys.modules["__main__"] = ModuleType("__main__")
        names = module.__dict__
        names.update(HARNESS_NAMES)
        exec(compile(self._code, "<program>", "exec", dont_inherit=True), names)
        if self._entry not in names:
            raise NameError(f"it has no function {self._entry}")
        self._function = names[self._entry]
        own = {name: names[name] for name in ("examples", self._entry) if name in names}
        names["examples"] = []
        exec(compile("\n".join(blocks), "<examples>", "exec", dont_inherit=True), names)
        self._examples = names.pop("examples")
        names.update(own)

    def _result(self, example: Any) -> Any:
        if isinstance(example, list | tuple):
            return self._function(*example)
        code = getattr(self._function, "__code__", None)
        positional_only = code.co_varnames[: code.co_posonlyargcount] if code else ()
        if not positional_only:
            return self._function(**example)
        first = list(takewhile(example.__contains__, positional_only))
        return self._function(
            *map(example.get, first), **{name: example[name] for name in example if name not in first}
        )


def _depth(frame: FrameType | None) -> int:
    return 1 + _depth(frame.f_back) if frame else 0


def _message(error: BaseException) -> str:
    try:
        return str(error)[:MAX_MESSAGE_CHARS].encode(errors="backslashreplace").decode()
    except Exception:
        return ""
