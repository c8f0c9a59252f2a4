import sys
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synth.pipelines.runtime.answers.boxes import BoxedAnswers
from synth.pipelines.runtime.answers.rules import answer_rule
from synth.schemas.errors import UsageError

PIECES = ("\\boxed{", "{", "}", "\\frac", "^", "1", ",", "5", "x", "$", " ", "\n", "\\text{th}", "#### ", "½")


@pytest.fixture(scope="module")
def boxed() -> BoxedAnswers:
    pytest.importorskip("math_verify", reason="math-verify is an extra")
    return BoxedAnswers()


@pytest.mark.parametrize(
    ("gold", "response", "same"),
    [
        (r"So $x = \boxed{\frac{1}{2}}$.", r"It is \boxed{0.5}.", True),
        (r"\frac{1}{2}", r"\boxed{\dfrac12}", True),
        ("Three and four.\n#### 1,200", r"\boxed{1200}", True),
        ("72", r"Then $\boxed{72 \text{ apples}}$", True),
        (r"\boxed{2\sqrt{3}}", r"\boxed{\sqrt{12}}", True),
        (r"\boxed{(1,2)}", r"\boxed{(2,1)}", False),
        ("So it ends.\n#### 0.625", r"\boxed{5/8}", True),
        ("So it ends.\n#### 2 5/8", r"\boxed{2\frac{5}{8}}", True),
        ("So it ends.\n#### 2 5/8", r"\boxed{2}", False),
        ("So it ends.\n#### 10/16", r"\boxed{2}", False),
        ("So it ends.\n#### 3e5", r"\boxed{300{,}000}", True),
        ("So it ends.\n#### 8:15", r"\boxed{8:20}", False),
        ("So it ends.\n#### $\\sqrt{12}$", r"\boxed{2\sqrt{3}}", True),
        ("So it ends.\n#### 21", r"\boxed{21^{\text{st}}}", True),
        ("22", r"\boxed{22^\text{nd}}", True),
        ("23", r"\boxed{23^{rd}}", True),
        ("24th", r"\boxed{24}", True),
        ("24", r"\boxed{25^{\text{th}}}", False),
        ("1/3", r"\boxed{0.333333}", False),
        ("0", r"\boxed{0.0}", True),
        ("3", r"\boxed{3 \text{ feet } 4 \text{ inches}}", False),
        (r"\boxed{3 \text{ feet } 4 \text{ inches}}", r"\boxed{3 \text{ feet } 4 \text{ inches}}", True),
        ("3", r"\boxed{3 \text{ or } 4}", False),
        ("3", r"\boxed{3\text{ thousand four hundred}}", False),
        (r"\sqrt{9}", r"\boxed{3 \text{ cm}}", True),
        (r"2\sqrt{3}", r"\boxed{2\sqrt{3} \text{ cm}}", True),
        (r"\frac12", r"\boxed{50\%}", True),
        ("7", r"First \boxed{7}, no: \boxed{8}", False),
    ],
)
def test_boxes_are_compared_as_mathematics(boxed: BoxedAnswers, gold: str, response: str, same: bool) -> None:
    answer, expected = boxed.find(response), boxed.gold(gold)
    assert answer is not None
    assert expected is not None
    assert boxed.same(answer, expected) is same


def test_the_last_closed_box_and_its_line_count(boxed: BoxedAnswers) -> None:
    solution = "\\boxed{1}\nso \\boxed{ \\frac{3}{4} } it is\nand \\boxed{9"
    answer = boxed.find(solution)
    assert answer is not None
    assert answer.text == r"\frac{3}{4}"
    assert solution[: answer.end].endswith("it is")


@pytest.mark.parametrize("gold", [None, "", "#### ", "a long\nsolution without a box"])
def test_without_a_box_or_a_bare_answer_there_is_no_gold(boxed: BoxedAnswers, gold: str | None) -> None:
    assert boxed.gold(gold) is None


@settings(max_examples=30)
@given(st.lists(st.sampled_from(PIECES), max_size=20).map("".join))
def test_any_content_of_boxes_is_read(boxed: BoxedAnswers, text: str) -> None:
    for answer in (boxed.find(text), boxed.gold(text)):
        if answer is not None:
            boxed.same(answer, answer)


def test_unclosed_boxes_take_no_time(boxed: BoxedAnswers) -> None:
    start = time.monotonic()
    answer = boxed.find("\\boxed{6}" + "\\boxed{" * 100_000)
    assert answer is not None
    assert answer.text == "6"
    assert time.monotonic() - start < 30, "it is not quadratic"


def test_boxes_can_be_compared_outside_the_main_thread(boxed: BoxedAnswers) -> None:
    outcomes: list[object] = []
    thread = threading.Thread(target=lambda: outcomes.append(boxed.find(r"\boxed{3^2 + 17}")))
    thread.start()
    thread.join()
    assert outcomes[0] is not None


def test_without_math_verify_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "math_verify", None)
    with pytest.raises(UsageError, match=r"pip install '\.\[math\]'"):
        answer_rule(boxed=True)
