"""The prompt of a row: its instruction, and the input that belongs to it."""

import pytest

from synth.schemas.instructions import with_input


def test_an_input_follows_its_instruction_after_a_blank_line() -> None:
    assert with_input("Name the capital.", "Peru") == "Name the capital.\n\nPeru"


@pytest.mark.parametrize("nothing", [None, "", " ", "\n\t\u3000"])
def test_an_instruction_without_an_input_stays_as_it_is(nothing: str | None) -> None:
    assert with_input(" Name a river.\n", nothing) == " Name a river.\n"


def test_neither_text_is_changed() -> None:
    assert with_input("Sort:\n", "  b\n  a\n") == "Sort:\n\n\n  b\n  a\n"
