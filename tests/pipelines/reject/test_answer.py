import sys
import threading

import pytest

from pipelines.reject.answer import Boxed, Hashes, answer_rule, extract_answer, majority
from schemas.errors import UsageError

RULE = Hashes()


def test_a_path_ends_with_the_line_of_its_answer() -> None:
    solution = "2+2 is four.\n#### 4 apples\nQuestion: and now?\n#### 5"
    answer = extract_answer(solution)
    assert answer is not None
    assert solution[: answer.end] == "2+2 is four.\n#### 4 apples"
    assert solution[: answer.start] == "2+2 is four.\n"


@pytest.mark.parametrize(
    "text", ["#### 1.2.3", "#### ,", f"#### {'9' * 400}", "#### \n5", "####  5", "The answer is 5."]
)
def test_no_finite_number_after_the_mark_is_no_answer(text: str) -> None:
    assert extract_answer(text) is None


@pytest.mark.parametrize(
    ("gold", "value"),
    [
        ("He has 3+4.\n#### 7", 7),
        ("7", 7),
        ("7.0", 7),
        (" 1,234 ", 1234),
        ("$5", 5),
        ("-$5.50", -5.5),
        ("1e+16", 1e16),
        (None, None),
        ("", None),
        ("nan", None),
        ("inf", None),
        ("-Infinity", None),
        ("seven", None),
        ("The answer is 7.", None),
        ("He has 3+4.\n#### seven", None),
        ("5%", None),
    ],
)
def test_gold_is_a_solution_or_a_bare_number(gold: str | None, value: float | None) -> None:
    answer = RULE.gold(gold)
    assert (answer.value if answer else None) == value


def test_answers_are_the_same_only_if_they_are_equal_floats() -> None:
    gold = RULE.gold("0.3")
    near, equal = extract_answer("#### 0.30001"), extract_answer("#### .30")
    assert gold is not None
    assert near is not None
    assert equal is not None
    assert RULE.same(equal, gold)
    assert not RULE.same(near, gold)


def vote(*texts: str) -> tuple[str, int] | None:
    most = majority(answer for answer in map(extract_answer, texts) if answer)
    return (most.answer.text, most.votes) if most else None


def test_numbers_vote_and_the_first_seen_wins_a_tie() -> None:
    assert vote("#### 8", "#### 7.0", "#### 7") == ("7.0", 2)
    assert vote("#### 8", "#### 7", "#### 7.0", "#### 8.00") == ("8", 2)
    assert vote("none here") is None


@pytest.fixture(scope="module")
def boxed() -> Boxed:
    pytest.importorskip("math_verify", reason="math-verify is an extra")
    return Boxed()


@pytest.mark.parametrize(
    ("gold", "response", "same"),
    [
        (r"So $x = \boxed{\frac{1}{2}}$.", r"It is \boxed{0.5}.", True),
        (r"\frac{1}{2}", r"\boxed{\dfrac12}", True),
        ("Three and four.\n#### 1,200", r"\boxed{1200}", True),
        ("72", r"Then $\boxed{72 \text{ apples}}$", True),
        (r"\boxed{2\sqrt{3}}", r"\boxed{\sqrt{12}}", True),
        (r"\boxed{(1,2)}", r"\boxed{(2,1)}", False),
        ("7", r"First \boxed{7}, no: \boxed{8}", False),
    ],
)
def test_boxes_are_compared_as_mathematics(boxed: Boxed, gold: str, response: str, same: bool) -> None:
    answer, expected = boxed.find(response), boxed.gold(gold)
    assert answer is not None
    assert expected is not None
    assert boxed.same(answer, expected) is same


def test_the_last_closed_box_and_its_line_count(boxed: Boxed) -> None:
    solution = "\\boxed{1}\nso \\boxed{ \\frac{3}{4} } it is\nand \\boxed{9"
    answer = boxed.find(solution)
    assert answer is not None
    assert answer.text == r"\frac{3}{4}"
    assert solution[: answer.end].endswith("it is")


@pytest.mark.parametrize("gold", [None, "", "#### none", "a long\nsolution without a box"])
def test_no_box_and_no_bare_answer_is_no_gold(boxed: Boxed, gold: str | None) -> None:
    assert boxed.gold(gold) is None


def test_boxes_can_be_compared_outside_the_main_thread(boxed: Boxed) -> None:
    outcomes: list[object] = []
    thread = threading.Thread(target=lambda: outcomes.append(boxed.find(r"\boxed{3^2 + 17}")))
    thread.start()
    thread.join()
    assert outcomes[0] is not None


def test_without_math_verify_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "math_verify", None)
    with pytest.raises(UsageError, match=r"synth\[math\]"):
        answer_rule(boxed=True)
