import pytest

from synth.pipelines.case2code.candidates import candidates
from synth.pipelines.case2code.fingerprint import Fingerprint

BASE = "def total(numbers):\n    s = 0\n    for n in numbers:\n        s += n\n    return s\n"


def fingerprint(source: str) -> Fingerprint:
    *_, last = candidates(source, max_chars=5_120)
    assert last.reason == ""
    return last.fingerprint


@pytest.mark.parametrize(
    "other",
    [
        BASE.replace("total", "add_up"),
        BASE.replace("numbers", "xs").replace("for n", "for item").replace("+= n", "+= item"),
        BASE.replace("(numbers)", "(numbers: list[int]) -> int"),
        BASE.replace("    s = 0", "    '''Add.'''\n    s = 0"),
        BASE.replace("s ", "zero ").replace("return s", "return zero"),
    ],
)
def test_names_docstrings_and_annotations_are_ignored(other: str) -> None:
    one, two = fingerprint(BASE), fingerprint(other)
    assert one.exact != two.exact
    assert one.near == two.near


@pytest.mark.parametrize(
    "other",
    [
        BASE.replace("+=", "-="),
        BASE.replace("0", "1"),
        BASE.replace("0", "0.0"),
        BASE.replace("return s", "return n"),
        BASE.replace("(numbers)", "(numbers, more=0)"),
    ],
)
def test_operators_and_constants_matter(other: str) -> None:
    assert fingerprint(BASE).near != fingerprint(other).near


def test_comments_and_layout_do_not_change_the_text() -> None:
    assert fingerprint(BASE).exact == fingerprint(BASE.replace("s = 0", "s  =  0  # so far")).exact


def test_import_aliases_are_ignored() -> None:
    one = fingerprint("from math import sqrt\ndef f(x):\n    return sqrt(x)")
    two = fingerprint("from math import sqrt as root\ndef f(x):\n    return root(x)")
    other = fingerprint("from math import cbrt as sqrt\ndef f(x):\n    return sqrt(x)")
    assert one.near == two.near != other.near


def test_keyword_arguments_are_not_local_names() -> None:
    one = fingerprint("def f(xs, key):\n    return sorted(xs, key=key)")
    two = fingerprint("def f(xs, by):\n    return sorted(xs, key=by)")
    assert one.near == two.near
