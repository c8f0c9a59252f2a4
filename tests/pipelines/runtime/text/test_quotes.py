"""Quotes around a text."""

import pytest

from synth.pipelines.runtime.text.quotes import unquoted


@pytest.mark.parametrize(
    ("text", "inside"),
    [
        ('"Hi."', "Hi."),
        ("“Hi.”", "Hi."),
        ("* Hi. *", "Hi."),
        ("「好」", "好"),
        ('"No," he said, "I stand."', '"No," he said, "I stand."'),
        ('"Hi.', '"Hi.'),
        ('"', '"'),
        ("", ""),
        ("Hi.", "Hi."),
    ],
)
def test_a_text_loses_the_quotes_around_it(text: str, inside: str) -> None:
    assert unquoted(text) == inside
