"""Worked vectors of rejection-sampling fine-tuning (arXiv 2308.01825): answers, equations, keys, selection."""

import pytest

from synth.pipelines.reject.selection import judge, select_paths
from synth.pipelines.runtime.answers.answer import MarkedAnswers, extract_answer
from synth.pipelines.runtime.answers.equations import calculation_key, equation_fault, find_equations

SAMPLES = (
    "Half of 8 is 8/2=<<8/2=4>>4. Then 4+3=<<4+3=7>>7.\n#### 7",
    "She has 3+4=<<3+4=7>>7.\n#### 7",
    "First, 8/2=<<8/2=4>>4 apples remain after sharing with her brother equally. "
    "Adding three gives 4+3=<<4+3=7>>7.\n#### 7",
    "Seven.\n#### 7",
    "8/2=<<8/2=5>>5, 5+2=<<5+2=7>>7\n#### 7",
    "It is obvious.\n#### 7.0",
    "4+4=<<4+4=8>>8\n#### 8",
    "10*70%=<<10*70%=7>>7\n#### 7",
    "8 / 2 = << 8/2 = 4 >>4 and << 4 + 3 = 7 >>7\n#### 7",
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("#### 1,234.50", 1234.5),
        ("#### -5", -5),
        ("#### $5", None),
        ("####5", None),
        ("#### 5.", 5),
        ("#### .", None),
        ("#### 1,2,3", 123),
        ("#### 3\n#### 4", 3),
        ("#### 12:30", 12),
        ("#### 5 apples", 5),
        ("#### 5\x00#### 6", 5),
        ("4 + 1 is five\x00\n#### 5", None),
        ("", None),
    ],
)
def test_the_answer_is_the_number_after_the_first_mark(text: str, value: float | None) -> None:
    answer = extract_answer(text)
    assert (answer.value if answer else None) == value


@pytest.mark.parametrize(
    "equation", ["10/3=3.333", "50/60=0.8333", "0.5*8=4.0", "2**3=8", " 3+4 = 7 ", "1+1=2=3", "7//2=3", "-(3-5)=2"]
)
def test_an_equation_checks(equation: str) -> None:
    assert equation_fault(equation) is None


@pytest.mark.parametrize(
    "equation",
    ["10/3=3.33", "3/4=3/4", "5*$3=15", "10*70%=7", "07+1=8", "1,000+1=1001", "3x4=12", "2+2", "", "1/0=0", "3+4=nan"],
)
def test_an_equation_fails(equation: str) -> None:
    assert equation_fault(equation)


@pytest.mark.parametrize(
    ("solution", "key"),
    [
        ("<<3+4=7>><<8/2=4>>", "3+4=7|8/2=4"),
        ("<<8/2=4>><<3+4=7>>", "8/2=4|3+4=7"),
        ("<<4+3=7>>", "4+3=7"),
        ("<< 4 + 3 = 7 >>", "4+3=7"),
        ("<<4+3=7.0>>", "4+3=7.0"),
        ("no equations at all", ""),
        ("<<3>2>>", ""),
        ("<<>>", ""),
    ],
)
def test_the_key_holds_the_equations_in_order_without_spaces(solution: str, key: str) -> None:
    assert calculation_key(find_equations(solution)) == key


@pytest.mark.parametrize(
    ("order", "kept"), [([0, 1, 2, 3, 4, 5, 6, 7, 8], [2, 1, 3]), ([8, 7, 6, 5, 4, 3, 2, 1, 0], [2, 5, 1])]
)
def test_selection_depends_on_the_order_of_the_samples(order: list[int], kept: list[int]) -> None:
    rule = MarkedAnswers()
    gold = rule.gold("7")
    assert gold is not None
    paths = [judge(SAMPLES[index], gold, rule) for index in order]
    kept_for = select_paths(paths)

    assert [order[position] for position in dict.fromkeys(kept_for.values())] == kept
    reasons = {order[position]: path.reason for position, path in enumerate(paths) if path.reason}
    assert reasons == {4: "wrong_equation", 6: "wrong_answer", 7: "wrong_equation"}


def test_the_set_sizes_of_the_paper_are_gold_and_distinct_paths() -> None:
    """At k = 100 (LLaMA-7B), for U13B and for U33B; the rows for small k do not fit any such formula."""
    sizes = [7473 * (1 + distinct) for distinct in (5.25, 12.84, 13.65)]
    assert [round(size / 100) / 10 for size in sizes] == [46.7, 103.4, 109.5]
