"""Values survive canonical encoding exactly; other objects are refused without running any of their code."""

import json
from collections import Counter, OrderedDict, defaultdict, deque
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth.sandbox.checking import check
from synth.sandbox.values import Unencodable, decode, encode, encode_text, equal, shown
from synth.sandbox.verdict import Outcome, Verdict

NAMES = {
    "Counter": Counter,
    "Decimal": Decimal,
    "Fraction": Fraction,
    "OrderedDict": OrderedDict,
    "defaultdict": defaultdict,
    "deque": deque,
    "inf": float("inf"),
    "nan": float("nan"),
    "datetime": __import__("datetime"),
}

BIG = st.tuples(st.integers(-5, 5), st.integers(0, 4000)).map(lambda parts: parts[0] << parts[1])
# Two nans in a set would become one; they have their own test.
WITHOUT_NAN = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    BIG,
    st.integers(min_value=2**53 - 2, max_value=2**53 + 2),
    st.floats(allow_nan=False),
    st.text(),
    st.text(st.characters(categories=["Cs", "Lu"])),
    st.binary(),
    st.decimals(allow_nan=False),
    st.fractions(),
    st.dates(),
    st.datetimes(timezones=st.sampled_from([None, UTC])).map(lambda moment: moment.replace(fold=0)),
    st.times().map(lambda moment: moment.replace(fold=0)),
    st.timedeltas(),
    st.builds(range, st.integers(), st.integers(), st.integers(min_value=1)),
)


@st.composite
def scalars(draw: st.DrawFn, nan: bool) -> Any:
    """One of the above. As a function it has a short name in hypothesis's messages."""
    return float("nan") if nan and draw(st.integers(0, 19)) == 0 else draw(WITHOUT_NAN)


HASHABLE = st.recursive(
    scalars(nan=False),
    lambda of: st.one_of(st.frozensets(of, max_size=5), st.tuples(of, of), st.tuples(of)),
    max_leaves=8,
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    scalars(nan=True),
    lambda of: st.one_of(
        st.lists(of),
        st.tuples(of),
        st.tuples(of, of),
        st.sets(HASHABLE, max_size=6),
        st.frozensets(HASHABLE, max_size=6),
        st.dictionaries(HASHABLE, of, max_size=6),
        st.builds(OrderedDict, st.dictionaries(HASHABLE, of, max_size=4)),
        st.builds(Counter, st.dictionaries(HASHABLE, st.integers(), max_size=4)),
        st.builds(defaultdict, st.sampled_from([None, list, int]), st.dictionaries(HASHABLE, of, max_size=4)),
        st.builds(deque, st.lists(of, max_size=4), st.sampled_from([None, 4, 9])),
        st.builds(bytearray, st.binary()),
    ),
    max_leaves=20,
)


@given(VALUES)
def test_any_value_survives(value: Any) -> None:
    canonical = encode(value)
    back = decode(json.loads(encode_text(value)))
    assert type(back) is type(value)
    assert encode_text(back) == encode_text(value)
    assert equal(encode(back), canonical)
    check(canonical)


@given(VALUES)
def test_shown_values_are_python_source(value: Any) -> None:
    text = shown(encode(value))
    if "defaultdict(<class" not in text:
        assert equal(encode(eval(text, dict(NAMES))), encode(value)) or "nan" in text.lower()


@given(VALUES)
def test_canonical_values_can_be_journaled(value: Any) -> None:
    verdict = Verdict("ok", (Outcome("value", encode(value)), None), "", 0.5, 0.25, 7)
    assert msgspec.json.decode(msgspec.json.encode(verdict), type=Verdict) == verdict


@given(VALUES, VALUES)
def test_equal_values_have_equal_canonical_forms(one: Any, other: Any) -> None:
    assert equal(encode([one, other]), encode([other, one])) == equal(encode(one), encode(other))


@given(
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.text()),
        lambda of: st.one_of(
            st.lists(of),
            st.dictionaries(
                st.sampled_from(
                    [
                        "int",
                        "float",
                        "str",
                        "set",
                        "tuple",
                        "dict",
                        "bytes",
                        "Fraction",
                        "Decimal",
                        "date",
                        "deque",
                        "range",
                        "complex",
                        "Counter",
                        "defaultdict",
                        "timedelta",
                        "datetime",
                    ]
                ),
                of,
                max_size=1,
            ),
        ),
    )
)
def test_what_the_check_accepts_can_be_decoded_and_encoded(canonical: Any) -> None:
    try:
        check(canonical)
    except ValueError:
        return
    check(encode(decode(canonical)))
    shown(canonical)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, True),
        (1, 1.0),
        (0.0, -0.0),
        ([1], (1,)),
        ({1}, frozenset({1})),
        ("1", 1),
        (b"a", "a"),
        ({}, set()),
        (0, None),
    ],
)
def test_values_of_different_types_differ(one: Any, other: Any) -> None:
    assert not equal(encode(one), encode(other))
    assert not equal(encode([one]), encode([other]))


def test_the_order_of_a_dict_is_shown_but_ignored_by_equal() -> None:
    one, other = encode({"a": 1, "b": [2]}), encode({"b": [2], "a": 1})
    assert equal(one, other)
    assert (shown(one), shown(other)) == ("{'a': 1, 'b': [2]}", "{'b': [2], 'a': 1}")
    assert not equal(encode(OrderedDict(a=1, b=2)), encode(OrderedDict(b=2, a=1)))


def test_sets_are_shown_in_one_order() -> None:
    assert shown(encode({10, 9, 2**60})) == "{9, 10, 1152921504606846976}"
    assert shown(encode({"b", "a", "c"})) == "{'a', 'b', 'c'}"
    assert shown(encode([set(), frozenset()])) == "[set(), frozenset()]"


def test_nan_is_nan() -> None:
    assert equal(encode(float("nan")), encode(float("nan")))


@pytest.mark.parametrize(
    "value",
    [
        datetime(2020, 1, 1, tzinfo=UTC),
        date(2020, 2, 29),
        time(1, 2, 3, 4),
        timedelta(days=-1, microseconds=1),
        Decimal("1E+5"),
        Fraction(-1, 3),
        deque([1, 2], maxlen=3),
        Counter("abracadabra"),
        range(0, 10, 3),
        bytearray(b"\0\xff"),
        1 + 2j,
    ],
)
def test_values_of_the_standard_library_are_shown_like_repr(value: Any) -> None:
    assert shown(encode(value)) == repr(value)


@pytest.mark.parametrize("value", [1j, complex(-0.0, float("inf")), complex(float("nan"), -0.0)])
def test_complex_numbers_survive_although_their_repr_is_not_source(value: complex) -> None:
    assert repr(decode(encode(value))) == repr(value) == shown(encode(value))


class Whatever:
    pass


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (object(), "object"),
        ([Whatever()], "Whatever"),
        (defaultdict(lambda: 0), "defaultdict"),
        (type("Whole", (int,), {})(3), "Whole"),
        (lambda: 0, "function"),
        ({float("nan"), float("-nan")}, "two nans"),
        ({(float("nan"),): 1, (float("-nan"),): 2}, "two nans"),
        (1 << 13_000, "too long"),
        ("x" * 70_000, "too long"),
        ([0] * 200_000, "too many"),
    ],
)
def test_unencodable_values_are_named(value: Any, reason: str) -> None:
    with pytest.raises(Unencodable, match=reason):
        encode(value)


def test_depth_is_bounded() -> None:
    deep: list[Any] = []
    for _ in range(100):
        deep = [deep]
    with pytest.raises(Unencodable, match="too deep"):
        encode(deep)


@pytest.mark.parametrize(
    "canonical",
    [
        2**53,
        1.5,
        {"int": "1"},
        {"int": "0" * 20},
        {"int": "9" * 5000},
        {"float": "1.50"},
        {"float": "1e400"},
        {"str": "61"},
        {"set": [1, 1]},
        {"set": [2, 1]},
        {"set": [[]]},
        {"set": [{"dict": []}]},
        {"set": [{"tuple": [[]]}]},
        {"dict": [[1]]},
        {"dict": [[1, 2], [1, 3]]},
        {"dict": [[[], 2]]},
        {"object": 1},
        {"tuple": [], "set": []},
        {},
        {"Fraction": [2, 4]},
        {"Fraction": [1, 0]},
        {"range": [0, 1, 0]},
        {"range": [[0, 1, 1]]},
        {"date": "2020-02-30"},
        {"date": 5},
        {"Decimal": "x"},
        {"timedelta": [10**12, 0, 0]},
        {"deque": [1, [1, 2]]},
        {"defaultdict": ["exec", []]},
        {"bytes": "F"},
        {"complex": ["1.0"]},
        {"bytes": "AA"},
        {"tuple": 5},
        "\ud800",
        {"range": [{"float": "1.0"}, 1, 1]},
        {"defaultdict": [[], []]},
    ],
)
def test_what_encode_does_not_produce_is_refused(canonical: Any) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  no caller looks at the message
        check(canonical)
