import operator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth.pipelines.runtime.answers.equations import equation_fault, evaluate, find_equations


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("2+3*4", 14),
        ("(2+3)*4", 20),
        ("-2**2", -4),
        ("7//2", 3),
        ("7%4", 3),
        ("+.5*8", 4),
        ("2**-1", 0.5),
        ("1e3+1", 1001),
    ],
)
def test_arithmetic_has_the_precedence_of_python(expression: str, value: float) -> None:
    assert evaluate(expression) == value


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "__import__('os').system('true')",
        "abs(3)",
        "[1][0]",
        "1if 1else 2",
        "3 4",
        "2(3)",
        "1<2",
        "~1",
        "1 or 2",
        "0x10",
        "1j",
        "True",
        "1_000",
        "(-8)**0.5",
        "9**9**9",
        "9**999",
        "10.0**400",
        "2**1001",
        "((((((((9**99)**99)**99)**99)**99)**99)**99)**99)",
        "1/0",
        "1//0",
        "0**-1",
        "9" * 300,
        "-" * 200 + "1",
        "(" * 100 + "1" + ")" * 100 + "+",
        "+".join("1" * 120),
        "1\x00+1",
        "3+\n4",
    ],
)
def test_only_bounded_arithmetic_is_evaluated(expression: str) -> None:
    with pytest.raises(ValueError, match=r"not arithmetic|cannot be calculated|too|not a real number"):
        evaluate(expression)


@given(st.text(alphabet="0123456789+-*/%(). eE=", max_size=40))
def test_any_text_is_checked_without_an_exception(text: str) -> None:
    fault = equation_fault(text)
    assert fault is None or text in fault


@given(st.integers(-999, 999), st.integers(-999, 999), st.sampled_from("+-*"))
def test_true_equations_pass_and_false_ones_fail(a: int, b: int, sign: str) -> None:
    result = {"+": operator.add, "-": operator.sub, "*": operator.mul}[sign](a, b)
    assert equation_fault(f"{a}{sign}({b})={result}") is None
    assert equation_fault(f"{a}{sign}({b})={result + 1}")


def test_a_fault_describes_the_error() -> None:
    assert equation_fault("5*$3=15") == "5*$3=15 cannot be evaluated"
    assert equation_fault("3+4=8") == "3+4=8 does not hold"
    assert equation_fault("2+2") == "2+2 has no equals sign"
    assert equation_fault("1+" * 200 + "1=201") == "1+" * 40 + "... cannot be evaluated"


def test_annotations_end_at_the_first_closing_bracket() -> None:
    assert find_equations("a <<1+1=2>>2, <<<<2+2=4>>4, <<3+\n3=6>>, <<4+4=8> >, <<5+5=10") == [
        "1+1=2",
        "<<2+2=4",
        "3+\n3=6",
    ]


def test_prose_is_read_only_on_request_and_only_without_annotations() -> None:
    assert find_equations("3+4 = 7") == []
    assert find_equations("3+4 = 7", plain=True) == ["3+4=7"]
    assert find_equations("3+4 = 7, 8/2 = <<8/2=4>>4", plain=True) == ["8/2=4"]
