"""The choice of a pair from the matrix, and what is dropped before it."""

from hypothesis import assume, given
from hypothesis import strategies as st

from synth.pipelines.dstc.matrix import Selection, select, unsettled

KNOWN = {"1": True, "0": False, "?": None}


def cells(*codes: str) -> dict[tuple[int, int], bool | None]:
    return {(code, test): KNOWN[letter] for code, line in enumerate(codes) for test, letter in enumerate(line)}


def selected(*codes: str) -> Selection:
    return select(cells(*codes), range(len(codes)), range(len(codes[0])))


def test_the_chosen_program_passes_most_tests_and_the_rejected_one_fewest() -> None:
    # Test 1 is the easiest that program 1 passes, and the easiest that program 2 fails.
    assert selected("0110", "1110", "0001") == Selection(
        chosen_code=1, chosen_test=1, rejected_code=2, rejected_test=1, gap=0.5
    )


def test_the_best_program_is_not_paired_with_a_test_that_it_fails() -> None:
    # All programs but the best pass test 0.
    pair = selected("0111", "1000", "1001", "1011")
    assert (pair.chosen_code, pair.chosen_test) == (0, 3)
    assert (pair.rejected_code, pair.rejected_test, pair.gap) == (1, 3, 0.5)


def test_the_first_wins_a_tie() -> None:
    assert selected("10", "10", "01", "01") == Selection(0, 0, 0, 1, gap=0.0)
    assert selected("1100", "1100", "0010", "0001") == Selection(0, 0, 2, 0, gap=0.25)


def test_sample_numbers_survive_gaps() -> None:
    known = {(code, test): code == 5 for code in (2, 5) for test in (1, 7)}
    assert select(known, [2, 5], [1, 7]) == Selection(5, 1, 2, 1, gap=1.0)


@given(st.lists(st.text("01", min_size=6, max_size=6), min_size=2, max_size=8))
def test_for_any_matrix_the_chosen_passes_and_the_rejected_fails(codes: list[str]) -> None:
    known = cells(*codes)
    tests = [test for test in range(6) if len({line[test] for line in codes}) == 2]
    assume(tests)
    pair = select(known, range(len(codes)), tests)
    assert known[pair.chosen_code, pair.chosen_test] is True
    assert known[pair.rejected_code, pair.rejected_test] is False
    passed = [sum(line[test] == "1" for test in tests) for line in codes]
    assert pair.gap == (max(passed) - min(passed)) / len(tests)
    assert (pair.chosen_code == pair.rejected_code) == (pair.gap == 0)


def test_few_programs_and_tests_are_dropped_for_unknown_cells() -> None:
    assert unsettled(cells("101", "010")) == (set(), set())
    assert unsettled(cells("1?1", "0?0", "111")) == (set(), {1})
    assert unsettled(cells("???", "010", "111")) == ({0}, set())
    assert unsettled(cells("?01", "010", "11?")) == (set(), {0, 2})
    assert unsettled(cells("???1", "0100", "111?")) == ({0}, {3})


@given(st.lists(st.text("01?", min_size=5, max_size=5), min_size=1, max_size=6))
def test_no_unknown_cell_is_left(codes: list[str]) -> None:
    known = cells(*codes)
    lost_codes, lost_tests = unsettled(known)
    assert all(
        passes is not None
        for (code, test), passes in known.items()
        if code not in lost_codes and test not in lost_tests
    )
