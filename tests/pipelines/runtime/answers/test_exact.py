"""Numbers as people and models write them, and their values."""

import time
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth.pipelines.runtime.answers.answer import MarkedAnswers
from synth.pipelines.runtime.answers.exact import exact_number
from synth.pipelines.runtime.answers.markup import plain

RULE = MarkedAnswers()

UNITS = (
    "",
    " apples",
    " km/h",
    "%",
    " %",
    " dollars per week.",
    ".",
    "kg",
    " (in all)",
    " m^2",
    " cm²",
    "\r",
    " </s>",
    " 🎉",
)
VULGAR = {Fraction(1, 2): "½", Fraction(1, 3): "⅓", Fraction(3, 4): "¾", Fraction(7, 8): "⅞", Fraction(2, 5): "⅖"}


def worth(text: str) -> Fraction | None:
    number = exact_number(plain(text))
    return number[0] if number else None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("31", 31),
        ("+31", 31),
        ("−31", -31),
        ("0.25", Fraction(1, 4)),
        (".25", Fraction(1, 4)),
        ("48,000", 48_000),
        ("4,800,000.5", Fraction(9_600_001, 2)),
        ("4 800 000", 4_800_000),
        ("48\u202f000", 48_000),
        ("48\u00a0000 euros", 48_000),
        ("48'000", 48_000),
        ("48_000", 48_000),
        ("4.800.000", 4_800_000),
        ("4.800,75", Fraction(480_075, 100)),
        ("4 800,75", Fraction(480_075, 100)),
        ("48,00,000", 4_800_000),
        ("5/8", Fraction(5, 8)),
        ("5 / 8 mile", Fraction(5, 8)),
        ("10/16", Fraction(5, 8)),
        ("-5/8", Fraction(-5, 8)),
        ("5⁄8", Fraction(5, 8)),
        ("3 5/8", Fraction(29, 8)),
        ("-3 5/8", Fraction(-29, 8)),
        ("3⅝ yards", Fraction(29, 8)),
        ("⅝", Fraction(5, 8)),
        ("3 and 5/8", Fraction(29, 8)),
        ("2 100/300", Fraction(7, 3)),
        ("3 and a half", Fraction(7, 2)),
        (r"\frac{5}{8}", Fraction(5, 8)),
        (r"\dfrac58", Fraction(5, 8)),
        (r"3\frac{5}{8}", Fraction(29, 8)),
        (r"$-\frac{5}{8}$", Fraction(-5, 8)),
        ("3e4", 30_000),
        ("2.5E-3", Fraction(1, 400)),
        ("2.5 x 10^3", 2500),
        (r"2.5 \times 10^{3}", 2500),
        ("2.5·10³", 2500),
        ("3^4", 81),
        ("3**4", 81),
        ("10⁻²", Fraction(1, 100)),
        ("€48,000", 48_000),
        ("-$48", -48),
        (r"\$48", 48),
        ("48 USD", 48),
        ("**48**", 48),
        ("`48`", 48),
        ("$48$ apples", 48),
        (r"\boxed{48}", 48),
        (r"\boxed{\text{48}}", 48),
        ('"48"', 48),
        ("４８", 48),
        ("٤٨", 48),
        ("48%", 48),
        (r"48\%", 48),
        ("48th", 48),
        (r"48^{\text{th}}", 48),
        (r"1^{st}", 1),
        (r"2^\text{nd}", 2),
        ("48.", 48),
        ("48, which is the total", 48),
        ("6 T-shirts a week", 6),
        ("48 miles per hour", 48),
        ("7 thousand", 7000),
        ("7 hundred thousand dollars", 700_000),
        ("1.5 million", 1_500_000),
        ("7k", 7000),
    ],
)
def test_a_number_is_read_completely(text: str, value: Fraction) -> None:
    assert worth(text) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "many",
        "4,8",
        "48,00",
        "4, 8",
        "4,8,15",
        "(4, 8)",
        "4 or 8",
        "4 to 8",
        "4-8",
        "4 - 8",
        "4:8",
        "4/8/2024",
        "4/0",
        "1 2 3/4",
        "3 8/5",
        "12 500/7",
        "4 to eight",
        "4 hours and thirty minutes",
        "4 feet 8 inches",
        "4 (8 with the dog)",
        "4 plus tax",
        "4 or more",
        "4 out of ten",
        "5 degrees below zero",
        "4 million six hundred",
        "4M",
        "4x",
        "4xy",
        "4π",
        r"4\pi",
        r"4\sqrt{2}",
        "4i",
        "4!",
        "4 squared",
        "4 thirds",
        "4 remainder one",
        "4 March",
        "400 BC",
        "4+",
        "≈4",
        "~4",
        ">4",
        "±4",
        "4...",
        "0.3̅",
        "4.8.15",
        "4‰",
        "4万",
        "0x10",
        "1010_2",
        "nan",
        "-inf",
        "Infinity",
        "1e999999999",
        "2^99999",
        "9" * 300,
        f"1e{'9' * 5000}",
    ],
)
def test_ambiguous_text_is_not_a_number(text: str) -> None:
    assert worth(text) is None


terminating = st.builds(
    lambda digits, places: Fraction(digits, 10**places), st.integers(-(10**6), 10**6), st.integers(0, 3)
)
fractions = st.fractions(min_value=-999, max_value=999, max_denominator=60)
integers = st.integers(-(10**25), 10**25).map(Fraction)
values = integers | terminating | fractions


@st.composite
def written(draw: st.DrawFn, value: Fraction) -> str:
    """`value` in one of its exact forms."""
    sign, size = draw(st.sampled_from("-−–")) if value < 0 else draw(st.sampled_from(["", "+"])), abs(value)
    whole, rest = divmod(size, 1)
    times = draw(st.integers(1, 9))
    below, above = rest.denominator * times, rest.numerator * times
    forms = [f"{size.numerator * times}/{size.denominator * times}"]
    forms.append(rf"\frac{{{size.numerator}}}{{{size.denominator}}}")
    if rest and whole:
        forms += [f"{whole} {above}/{below}", rf"{whole}\frac{{{above}}}{{{below}}}", f"{whole} and {above}/{below}"]
    if rest in VULGAR:
        forms.append(f"{whole or ''}{VULGAR[rest]}")
    if not 10**6 % size.denominator:
        places = draw(st.integers(0, 3))
        digits = f"{int(size * 10**6)}".zfill(7)
        decimals = digits[-6:].rstrip("0") + "0" * places
        point = f".{decimals}" if decimals else ""
        groups = f"{int(digits[:-6]):,}"
        forms += [
            f"{digits[:-6]}{point}",
            f"{groups}{point}",
            f"{groups.replace(',', draw(st.sampled_from([' ', chr(0xA0), chr(0x2009), chr(0x202F), '_'])))}{point}",
            f"{digits}e-6",
            rf"{digits} \times 10^{{-6}}",
        ]
        if "," in groups and decimals:
            forms.append(f"{groups.replace(',', '.')},{decimals}")
    number = f"{sign}{draw(st.sampled_from(forms))}"
    around = draw(
        st.sampled_from(["{}", "**{}**", "${}$", "`{}`", r"\boxed{{{}}}", r"\({}\)", "x = {}", "€{}", " {} "])
    )
    return around.format(number) + draw(st.sampled_from(UNITS))


@st.composite
def near(draw: st.DrawFn, value: Fraction) -> Fraction:
    """The same value, or one that reading prefixes or floats would confuse with it."""
    return draw(
        st.sampled_from([value, value + 1, value + Fraction(1, 10**6), -value, value * 10, Fraction(int(value))])
        | values
    )


@given(st.data())
def test_answers_are_the_same_if_and_only_if_their_values_are(data: st.DataObject) -> None:
    value = data.draw(values)
    other = data.draw(near(value))
    one, two = data.draw(written(value)), data.draw(written(other))
    answer, gold = RULE.find(f"So it is\n#### {one}\nThat is all."), RULE.gold(two)
    assert answer is not None
    assert gold is not None
    assert (answer.value, gold.value) == (value, other)
    assert RULE.same(answer, gold) is RULE.same(gold, answer) is (value == other)


awkward = st.text(
    st.sampled_from(list("0123456789.,'/:^*+-−eExkX #$\\{}()[]<>=%°½²₂٣３〇万\u0305\u200d\u00a0\r\x00 ampn"))
    | st.characters(),
    max_size=60,
)


@given(awkward, st.sampled_from(["#### ", "", "#### 5", r"#### \frac{", "#### $"]))
def test_any_text_is_read_and_equals_itself(text: str, before: str) -> None:
    for answer in (RULE.find(before + text), RULE.gold(before + text)):
        if answer is not None:
            assert RULE.same(answer, answer)
            assert hash(answer.value) == hash(answer.value)
            assert 0 <= answer.start <= answer.end <= len(before + text)


@pytest.mark.parametrize(
    "text",
    [
        "#### " * 20_000,
        "#### 5" + "\n#### x" * 20_000,
        "#### " + "9" * 200_000,
        "#### " + "1,234" * 40_000,
        "#### 1" + " 000" * 40_000,
        "#### 1" + " " * 100_000 + "x",
        "#### " + r"\frac{" * 40_000,
        "#### " + r"\boxed{" * 40_000 + "5" + "}" * 40_000,
        "#### " + r"\text{5}" * 20_000,
        "#### 5" + "<a>" * 40_000 + "b",
        "#### 5 " + "a. B" * 40_000,
        "#### 5 " + "and " * 40_000,
        "#### " + "²" * 100_000,
        "#### 1e-999999999",
        "#### 0.1^999999999",
        "#### 9^9^9^9",
    ],
)
def test_no_answer_takes_long_to_read(text: str) -> None:
    start = time.monotonic()
    RULE.find(text)
    RULE.gold(text)
    assert time.monotonic() - start < 2
