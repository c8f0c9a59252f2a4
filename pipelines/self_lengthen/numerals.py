"""Integers in length constraints, as digits or Chinese numerals."""

import re
from decimal import Decimal

__all__ = ["LIMIT", "in_chinese", "numbers_in"]

# Numbers below this can be written as numerals.
LIMIT = 10**8

_DIGITS = "零一二三四五六七八九"
_VALUES = {numeral: value for value, numeral in enumerate(_DIGITS)} | {"〇": 0, "两": 2}
_UNITS = {"十": 10, "百": 100, "千": 1000}
# 3000, 3,000, ３０００, 3k, 3千, 1.5万; or numerals alone. Longer numbers are not word counts.
_NUMBER = re.compile(
    r"(?<!\d)(?P<digits>\d{1,3}(?:,\d{3}){1,2}(?!\d)|\d{1,9}(?:\.\d{1,9})?(?!\d))(?:\s?(?P<unit>[kK千万])(?![A-Za-z]))?"
    r"|(?P<numerals>[零〇一二两三四五六七八九十百千万]{1,15})"
)
_WORTH = {"k": 1000, "K": 1000, "千": 1000, "万": 10_000}


def numbers_in(text: str) -> list[int]:
    """The numbers in `text`, in order; fractions are truncated."""
    return [
        _value(match["numerals"])
        if match["numerals"]
        else int(Decimal(match["digits"].replace(",", "")) * _WORTH.get(match["unit"], 1))
        for match in _NUMBER.finditer(text)
    ]


def in_chinese(number: int) -> str:
    """`number` as Chinese numerals: 2,500 is 二千五百. Raises `ValueError` unless 0 <= number < `LIMIT`."""
    if not 0 <= number < LIMIT:
        raise ValueError(f"{number} is not between 0 and {LIMIT:,}")
    if number < 10**4:
        return _below_ten_thousand(number) or "零"
    high, low = divmod(number, 10**4)
    gap = "零" if 0 < low < 1000 else ""
    return f"{_below_ten_thousand(high)}万{gap}{_below_ten_thousand(low)}"


def _below_ten_thousand(number: int) -> str:
    written = ""
    for unit, value in (("千", 1000), ("百", 100), ("十", 10), ("", 1)):
        digit = number // value % 10
        if digit:
            written += _DIGITS[digit] + unit
        elif written and number % value and not written.endswith("零"):
            written += "零"
    # 10 to 19 begin with 十, not 一十.
    return written.removeprefix("一") if written.startswith("一十") else written


def _value(numerals: str) -> int:
    """The value of numerals: 三千五百 and 三千五 are 3,500, 二〇〇〇 is 2,000."""
    if not any(numeral in _UNITS or numeral == "万" for numeral in numerals):
        return int("".join(str(_VALUES[numeral]) for numeral in numerals))
    high, myriad, low = numerals.rpartition("万")
    if not myriad:
        return _section(low)
    # As in _section: 一万二 is 12,000.
    rest = 1000 * _VALUES[low] if low in _VALUES else _section(low)
    return (_value(high) if high else 1) * 10_000 + rest


def _section(numerals: str) -> int:
    total = digit = 0
    unit = 10
    for numeral in numerals:
        if numeral in _UNITS:
            unit = _UNITS[numeral]
            total += (digit or 1) * unit
            digit = 0
        elif not _VALUES[numeral]:
            digit, unit = 0, 10
        else:
            digit = _VALUES[numeral]
    # A final digit counts in the next lower unit.
    return total + digit * (unit // 10)
