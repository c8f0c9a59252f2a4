import ast
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth.pipelines.case2code.literals import Unreadable, read_call, read_value, write_call, write_value

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.binary(max_size=20)
KEYS = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(KEYS, inner, max_size=4)
        | st.sets(KEYS, max_size=4)
        | st.frozensets(KEYS, max_size=4)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["a", "b", "key"]), VALUES))
def test_written_calls_read_back_equal(arguments: dict[str, Any]) -> None:
    written = write_call(arguments)
    read = read_call(written)
    assert write_call(read) == written
    assert list(read) == list(arguments)
    assert list(map(type, read.values())) == list(map(type, arguments.values()))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("-1.5", -1.5),
        ("+3", 3),
        ("2**31 - 1", 2147483647),
        ("10 // 3", 3),
        ("'ab' * 3", "ababab"),
        ("3 * [0]", [0, 0, 0]),
        ("[1] + [2]", [1, 2]),
        ("'a' 'b'", "ab"),
        ("set()", set()),
        ("frozenset({1})", frozenset({1})),
        ("list(range(2, 8, 3))", [2, 5]),
        ("tuple('ab')", ("a", "b")),
        ("dict(a=1)", {"a": 1}),
        ("dict([('a', 1)])", {"a": 1}),
        ("float('-inf')", -math.inf),
        ("math.pi", math.pi),
        ("1e999", math.inf),
        ("{(1, 2): {'x': None}}", {(1, 2): {"x": None}}),
    ],
)
def test_a_value(text: str, value: Any) -> None:
    assert read_value(ast.parse(text, mode="eval").body) == value


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("open('x')", "not_a_literal"),
        ("name", "not_a_literal"),
        ("[x for x in 'ab']", "not_a_literal"),
        ("f'{1}'", "not_a_literal"),
        ("lambda: 1", "not_a_literal"),
        ("...", "not_a_literal"),
        ("2j", "not_a_literal"),
        ("(-8) ** 0.5", "not_a_value"),
        ("{**{}}", "not_a_literal"),
        ("[*'ab']", "not_a_literal"),
        ("range(3)", "not_a_literal"),
        ("set([1], [2])", "not_a_literal"),
        ("datetime.date(2020, 1, 1)", "not_a_literal"),
        ("().__class__", "not_a_literal"),
        ("{[1]: 2}", "not_a_value"),
        ("{[1]}", "not_a_value"),
        ("1 / 0", "not_a_value"),
        ("-'x'", "not_a_value"),
        ("bytes(10)", "not_a_value"),
        ("int('x')", "not_a_value"),
        ("10 ** 10 ** 10", "too_large"),
        ("'a' * 10 ** 9", "too_large"),
        ("list(range(10 ** 12))", "too_large"),
        ("[[[0] * 4000] * 4000] * 4000", "too_large"),
        ("['" + "a" * 3000 + "', '" + "b" * 3000 + "']", "too_large"),
        ("[" * 90 + "0" + "]" * 90 + " * 99999", "too_large"),
        ("+".join("1" * 1_500), "too_large"),
        ("'a'+" + "+".join("1" * 500), "not_a_value"),
    ],
)
def test_no_value(text: str, reason: str) -> None:
    with pytest.raises(Unreadable) as unreadable:
        read_call(f"dict(a={text})")
    assert unreadable.value.reason == reason


@pytest.mark.parametrize("text", ["f(1)", "[1]", "dict(1)", "dict(**{})", "{1: 2}", "{**{}}", "dict(", "", "a\x00"])
def test_no_call(text: str) -> None:
    with pytest.raises(Unreadable) as unreadable:
        read_call(text)
    assert unreadable.value.reason == "not_a_call"


def test_sets_are_sorted_and_constructors_replace_missing_literals() -> None:
    assert write_value({"b", "a", "c"}) == "{'a', 'b', 'c'}"
    assert write_value([math.inf, -math.inf, set(), frozenset(), frozenset({1}), (1,), ()]) == (
        "[float('inf'), float('-inf'), set(), frozenset(), frozenset({1}), (1,), ()]"
    )
    assert write_value(math.nan) == "float('nan')"
