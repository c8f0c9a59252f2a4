"""The prompt of a row whose instruction has a separate input, as in Alpaca and Self-Instruct."""

from collections.abc import Iterable, Mapping
from typing import Any

from synth.schemas.records.shared import INPUT_TEXT

__all__ = ["INSTANCES", "NAMES", "NotText", "given_in", "with_input"]

NAMES = (INPUT_TEXT.name, *INPUT_TEXT.aliases)
# Self-Instruct's column of pairs of input and output.
INSTANCES = "instances"


class NotText(Exception):
    """The `value` of the column `name` is neither text nor a number."""

    def __init__(self, name: str, value: Any) -> None:
        super().__init__(name)
        self.name = name
        self.value = value


def given_in(row: Mapping[str, Any], names: Iterable[str] = NAMES) -> str | None:
    """The first non-blank value of the columns `names`, or else the input of the first of the `instances`.

    None if there is neither. Raises `NotText`.
    """
    for name in names:
        match row.get(name):
            case None:
                pass
            case str(text):
                if text.strip():
                    return text
            case int() | float() as number if not isinstance(number, bool):
                # Tables have NaN for missing values.
                if number == number:
                    return str(number)
            case other:
                raise NotText(name, other)
    match row.get(INSTANCES):
        case [{INPUT_TEXT.name: str(given)}, *_]:
            return given
    return None


def with_input(instruction: str, given: str | None) -> str:
    """The instruction, a blank line, and its input; the instruction alone if the input is null or blank."""
    return instruction if given is None or not given.strip() else f"{instruction}\n\n{given}"
