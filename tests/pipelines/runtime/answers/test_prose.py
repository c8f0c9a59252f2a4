import pytest

from synth.pipelines.runtime.answers.prose import plain_equations


@pytest.mark.parametrize(
    ("text", "equations"),
    [
        ("Natalia sold 48/2 = 24 clips.", ["48/2=24"]),
        ("3 x 4 = 12, then $5 * 3 = $15.", ["3*4=12", "5*3=15"]),
        ("1,200 + 300 = 1,500.", ["1200+300=1500"]),
        ("(48 ÷ 2 = 24) and 24 − 4 = 20", ["48/2=24", "24-4=20"]),
        (r"\(3 \times 4 = 12\) and 2^3 = 8", ["3*4=12", "2**3=8"]),
        ("so .5 * 8 = 4. Next", [".5*8=4"]),
        ("-5 + 3 = -2", ["-5+3=-2"]),
        ("- 5 + 3 = 8\n* 4 + 4 = 8", ["5+3=8", "4+4=8"]),
        ("**48 / 2 = 24** and 48 / 2 = **24**", ["48/2=24", "48/2=24"]),
        ("2 * (3 + 4) = 2 * 7 = 14", ["2*(3+4)=14", "2*7=14"]),
        ("Total = 3 * 4 = 12", ["3*4=12"]),
        ("50 * 20% = 10", ["50*(20/100)=10"]),
        ("€5 * 3 = €15 each", ["5*3=15"]),
    ],
)
def test_equations_between_numbers_are_read(text: str, equations: list[str]) -> None:
    assert plain_equations(text) == equations


@pytest.mark.parametrize(
    "text",
    [
        "x + 3 + 4 = 10",
        "3x-5=16",
        "20 - 5 = 3x",
        "2(3+4) = 14",
        "f(3)+4 = 7",
        "√(144) = 12",
        "3 1/2 = 3.5",
        "7/2 = 3 1/2",
        "7/2 = 3 and 1/2",
        "7/2 = 3 and one half",
        "7/2 = 3½",
        "7/2 = 3 ½",
        "5 * 3 = 5²",
        "2 * 3 = 6e3",
        "17/5 = 3 remainder 2",
        "100 - 20% = 80",
        "25 / 1/3 = 75",
        "3:30 + 2 = 5:30",
        "half of 8 + 2 = 6",
        "2 * 12 = 2 dozen",
        "3*4 = 12 - y",
        "0.2 * 100 = 20%",
        "5 apples + 3 apples = 8 apples",
        "y = 12",
        "10/3 ≈ 3.33",
        "1/2 of 10 = 5",
    ],
)
def test_ambiguous_equations_are_skipped(text: str) -> None:
    assert plain_equations(text) == []
