"""Calls are drawn from the types that a function expects."""

from random import Random
from typing import Any

import pytest

from synth.pipelines.case2code.drawing import draw_calls
from synth.pipelines.case2code.expectation import expectations
from synth.pipelines.case2code.signature import read_signature


def drawn(code: str, wanted: int = 30) -> list[dict[str, Any]]:
    signature = read_signature(code, None)
    return draw_calls(signature, expectations(signature), Random(7), wanted, set())


def kinds(code: str, parameter: str = "x") -> set[str]:
    return {type(call[parameter]).__name__ for call in drawn(code) if parameter in call}


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ("x: int", {"int"}),
        ("x: 'str'", {"str"}),
        ("x: bytes", {"bytes"}),
        ("x: float", {"float"}),
        ("x: bool", {"bool"}),
        ("x: list[int]", {"list"}),
        ("x: typing.Mapping[str, int]", {"dict"}),
        ("x: set[int]", {"set"}),
        ("x: tuple[int, str]", {"tuple"}),
        ("x: int | str", {"int", "str"}),
        ("x: Optional[int]", {"int", "NoneType"}),
        ("x=3", {"int"}),
        ("x=True", {"bool"}),
        ("x='a'", {"str"}),
    ],
)
def test_annotations_and_defaults_are_followed(parameters: str, expected: set[str]) -> None:
    assert kinds(f"def f({parameters}):\n    return x") == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("x.upper()", {"str"}),
        ("x % 2 == 0", {"int"}),
        ("[y for y in x.items()]", {"dict"}),
        ("x.append(1)", {"list"}),
        ("range(x)", {"int"}),
        ("x & {1} or x.add(1)", {"set"}),
        ("ord(x)", {"str"}),
        ("x['a'] + 1", {"dict"}),
        ("isinstance(x, tuple)", {"tuple"}),
    ],
)
def test_types_are_inferred_from_uses(body: str, expected: set[str]) -> None:
    assert kinds(f"def f(x):\n    return {body}") == expected


def test_types_of_inner_values_are_inferred_from_uses() -> None:
    calls = drawn("def f(x: list):\n    for a, b in x:\n        yield a.upper(), b % 2")
    pairs = [pair for call in calls for pair in call["x"]]
    assert pairs
    assert {(type(a), type(b)) for a, b in pairs} == {(str, int)}
    cards = [card for call in drawn("def f(x: list):\n    return [c['rank'] % 2 for c in x]") for card in call["x"]]
    assert all(list(card) == ["rank"] and isinstance(card["rank"], int) for card in cards)


def test_values_on_both_sides_of_a_branch_are_drawn() -> None:
    calls = drawn("def f(x):\n    return x == 'x' or x.startswith('cut ')")
    assert any(call["x"] == "x" for call in calls)
    assert any(call["x"].startswith("cut ") for call in calls)
    near = {call["x"] for call in drawn("def f(x):\n    return x < 777")}
    assert near & {776, 777, 778}
    assert {call["x"] for call in drawn("def f(x: Literal['r', 'w']):\n    return x")} == {"r", "w"}


def test_optional_arguments_are_sometimes_omitted_and_always_if_unknown() -> None:
    given = {"y" in call for call in drawn("def f(x, y=3):\n    return x + y")}
    assert given == {True, False}
    assert not any("thing" in call for call in drawn("def f(x, thing=None):\n    return x"))


def test_calls_are_distinct_and_may_be_fewer() -> None:
    assert len(drawn("def f(x: bool):\n    return x")) == 2
    calls = list(map(repr, drawn("def f(x: int):\n    return x", wanted=10)))
    assert len(set(calls)) == 10
