"""The matrix of programs and tests, and the preference pair selected from it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = ["Cells", "Selection", "select", "unsettled"]

# Whether a program passes a test, by their sample numbers; None if unknown.
Cells = Mapping[tuple[int, int], bool | None]


@dataclass(frozen=True)
class Selection:
    """Sample numbers of programs and tests. `gap`: the share of tests by which the chosen program is ahead, 0 to 1."""

    chosen_code: int
    chosen_test: int
    rejected_code: int
    rejected_test: int
    gap: float


def unsettled(cells: Cells) -> tuple[set[int], set[int]]:
    """A small set of programs and tests, chosen greedily, without which every cell is known.

    The row or column with the most unknown cells is dropped first. Ties drop a test before a program, since more tests
    remain, then the lower number.
    """
    unknown = {cell for cell, passes in cells.items() if passes is None}
    codes: set[int] = set()
    tests: set[int] = set()
    while unknown:
        lines = Counter[tuple[int, int]]()
        for code, test in unknown:
            lines.update([(0, test), (1, code)])
        kind, number = min(lines, key=lambda line: (-lines[line], line))
        (codes if kind else tests).add(number)
        unknown = {cell for cell in unknown if cell[1 - kind] != number}
    return codes, tests


def select(cells: Cells, codes: Sequence[int], tests: Sequence[int]) -> Selection:
    """The minimax choice over a matrix in which some programs pass and others fail each test.

    The chosen program passes the most tests, and is paired with the easiest of these: the one that most programs pass.
    The rejected program passes the fewest, and is paired with the easiest that it fails. The first wins a tie.
    """
    passed = {code: [test for test in tests if cells[code, test] is True] for code in codes}
    passing = {test: sum(cells[code, test] is True for code in codes) for test in tests}
    best = max(codes, key=lambda code: len(passed[code]))
    worst = min(codes, key=lambda code: len(passed[code]))
    return Selection(
        chosen_code=best,
        chosen_test=max(passed[best], key=passing.__getitem__),
        rejected_code=worst,
        rejected_test=max((test for test in tests if test not in passed[worst]), key=passing.__getitem__),
        gap=(len(passed[best]) - len(passed[worst])) / len(tests),
    )
