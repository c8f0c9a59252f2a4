"""The instruction of a row together with its input, as a prompt contains it."""

from synth.pipelines.runtime.stage import Row
from synth.schemas.errors import InputError
from synth.schemas.instructions import NotText, given_in, with_input
from synth.schemas.reading.formats import describe

__all__ = ["input_of", "with_its_input"]


def with_its_input(row: Row, column: str = "instruction") -> str:
    """The text in `column` with the input of the row. Raises `InputError` if the input is not text."""
    return with_input(row[column], input_of(row))


def input_of(row: Row) -> str | None:
    """The input for the instruction in a row of an open record; None or blank if it has none."""
    try:
        return given_in(row)
    except NotText as fault:
        raise InputError(
            f"{fault.name} is {describe(fault.value)} in the row {row['id']}, where text that belongs to its "
            f"instruction is needed: give the column another name with --column NAME={fault.name}"
        ) from fault
