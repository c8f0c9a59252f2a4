import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth.pipelines.self_lengthen.numerals import in_chinese, numbers_in


@pytest.mark.parametrize(
    ("number", "written"),
    [
        (0, "零"),
        (10, "十"),
        (12, "十二"),
        (110, "一百一十"),
        (1005, "一千零五"),
        (2500, "二千五百"),
        (3000, "三千"),
        (10_005, "一万零五"),
        (12_000, "一万二千"),
        (101_000, "十万一千"),
    ],
)
def test_numbers_are_written_in_chinese(number: int, written: str) -> None:
    assert in_chinese(number) == written


@given(st.integers(0, 10**8 - 1))
def test_what_is_written_is_read_again(number: int) -> None:
    assert numbers_in(in_chinese(number)) == [number]


def test_larger_numbers_are_not_written() -> None:
    with pytest.raises(ValueError, match="not between"):
        in_chinese(10**8)


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("2000-3000 words", [2000, 3000]),
        ("a 4,000-word essay of 2,000,000 signs", [4000, 2_000_000]),
        ("４０００字", [4000]),
        ("4k words, not 4 km", [4000, 4]),
        ("1.5万字，两千字，三千五，二〇〇〇字", [15_000, 2000, 3500, 2000]),
        ("about 2500.7 words", [2500]),
        ("no number at all", []),
        ("1" * 5000, []),
        ("万" * 5000, [10_000**15] * 333 + [10_000**5]),
    ],
)
def test_numbers_are_read_as_people_write_them(text: str, numbers: list[int]) -> None:
    assert numbers_in(text) == numbers
