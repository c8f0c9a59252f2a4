"""Halves and two thirds of texts, by paragraphs or, where these are few, by lines."""

import pytest

from synth.pipelines.self_lengthen.paragraphs import first_half, first_two_thirds, joined


@pytest.mark.parametrize(
    ("text", "half"),
    [
        ("a\n\nb\n\nc\n\nd", "a\n\nb"),
        ("a\n\nb\n\nc", "a"),
        ("a\n\nb", "a"),
        ("a\n\nb\nc\nd", "a\n\nb"),
        ("a\nb\nc", "a"),
        ("a", ""),
        ("", ""),
        ("\n\na\n\n", ""),
        ("a\n \t\nb\n\n\n\nc\r\n\r\nd", "a\n\nb"),
        ("# Title\n\n  indented\n\n| a | b |\n| --- | --- |\n\nlast", "# Title\n\n  indented"),
    ],
)
def test_the_first_half(text: str, half: str) -> None:
    assert first_half(text) == half


@pytest.mark.parametrize(("paragraphs", "kept"), [(0, 0), (1, 0), (2, 1), (3, 2), (4, 2), (5, 3), (6, 4), (9, 6)])
def test_the_first_two_thirds_never_hold_the_last_paragraph(paragraphs: int, kept: int) -> None:
    parts = [f"{number}\nand more" for number in range(paragraphs)]
    assert first_two_thirds("\n\n".join(parts)) == "\n\n".join(parts[:kept])


def test_what_comes_after_begins_a_paragraph() -> None:
    assert joined("a\n\nb", " c\n") == joined("a\n\nb", "\n\nc") == "a\n\nb\n\nc"
    assert joined("", "\nc ") == "c"
    assert joined("a", " ") == "a"
