"""JSON in the replies of models: the reply as a whole, or the first object in it."""

import pytest

from synth.pipelines.runtime.text.json_values import first_object, json_in


@pytest.mark.parametrize(
    ("reply", "whole", "first"),
    [
        ('{"a": 1}', {"a": 1}, {"a": 1}),
        ('```json\n{"a": 1}\n```', {"a": 1}, {"a": 1}),
        ('{"a": "two\nlines"}', {"a": "two\nlines"}, {"a": "two\nlines"}),
        ('Well: {"a": 1} So it is.', None, {"a": 1}),
        ('{"a": 1} {"a": 2}', None, {"a": 1}),
        ("[1, 2]", [1, 2], None),
        ("3", None, None),
        ('{"a": 1', None, None),
        ('{"a": "\\ud800"}', None, None),
        ('{"a": ' * 5000, None, None),
        ("", None, None),
    ],
)
def test_an_object_is_found_alone_or_among_other_words(reply: str, whole: object, first: object) -> None:
    assert json_in(reply) == whole
    if first is None:
        with pytest.raises(ValueError, match=r"."):
            first_object(reply)
    else:
        assert first_object(reply) == first
