"""The instruction of a row as a model is asked it: with the input that belongs to it."""

from pipelines.stage import Row
from schemas.errors import InputError
from schemas.formats import describe
from schemas.instructions import with_input
from schemas.sources import INPUT_TEXT, first_instance

__all__ = ["asked", "input_of"]


def asked(row: Row, column: str = "instruction") -> str:
    """The text in `column`, with the input of the row. Raises `InputError` for an input that is no text."""
    return with_input(row[column], input_of(row))


def input_of(row: Row) -> str | None:
    """The input that a row of an open record has for its instruction; None or blank where it has none."""
    for name in (INPUT_TEXT.name, *INPUT_TEXT.aliases):
        match row.get(name):
            case None:
                continue
            case str(text):
                if text.strip():
                    return text
            case int() | float() as number if not isinstance(number, bool):
                return None if number != number else str(number)
            case other:
                raise InputError(
                    f"{name} is {describe(other)} in the row {row['id']}, where text that belongs to its instruction "
                    f"is needed: give the column another name with --column NAME={name}"
                )
    return first_instance(row.get("instances"))
