import pytest

from synth.pipelines.runtime.answers.answer import MarkedAnswers, extract_answer, majority
from synth.pipelines.runtime.answers.values import Time

RULE = MarkedAnswers()


def test_a_path_ends_with_the_line_of_its_answer() -> None:
    solution = "2+2 is four.\n#### 4 apples\nQuestion: and now?\n#### 5"
    answer = extract_answer(solution)
    assert answer is not None
    assert solution[: answer.end] == "2+2 is four.\n#### 4 apples"
    assert solution[: answer.start] == "2+2 is four.\n"


@pytest.mark.parametrize(
    "text", ["#### 1.2.3", "#### ,", f"#### {'9' * 400}", "#### \n5", "####  5", "The answer is 5."]
)
def test_without_a_finite_number_after_the_mark_there_is_no_answer(text: str) -> None:
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
        ("5%", 5),
        ("3/4 cup", 0.75),
        ("seven", "seven"),
        ("He has 3+4.\n#### Seven.", "seven"),
        (None, None),
        ("", None),
        ("...", None),
        ("nan", None),
        ("inf", None),
        ("-Infinity", None),
        ("He has 3+4.\nThe answer is 7.", None),
        ("It is the number that comes right after six, as anybody can tell who counts.", None),
        ("He has 3+4.\n#### ", None),
    ],
)
def test_gold_is_a_solution_or_a_bare_answer(gold: str | None, value: object) -> None:
    answer = RULE.gold(gold)
    assert (answer.value if answer else None) == value


def same(answer: str, gold: str) -> bool:
    found, expected = RULE.find(f"So:\n#### {answer}\nAnd so on."), RULE.gold(f"It is\n#### {gold}")
    assert found is not None
    assert expected is not None
    return RULE.same(found, expected)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("0.3", "0.30001"),
        ("2/9", "2/7"),
        ("2/9", "2"),
        ("0.333", "1/3"),
        ("4 3/8", "4"),
        ("3e5", "3"),
        ("8:15", "8:50"),
        ("8:15", "8"),
        ("8:15 am", "8:15 pm"),
        ("8 am", "8 pm"),
        ("14 500", "14"),
        ("9.876,5", "9.8765"),
        ("3,4", "34"),
        ("6 or 7", "6 or 8"),
        ("6 or 7", "6"),
        ("6 to 9", "6"),
        ("6 million", "6 thousand"),
        ("6x", "6y"),
        ("98765432109876543210", "98765432109876543211"),
        ("2:3", "4:6"),
        ("(1, 2)", "(2, 1)"),
        ("C", "D"),
        ("x > 3", "x < 3"),
        ("x^2", "x^3"),
        ("x**2", "x2"),
        ("x**n", "xn"),
        ("C#", "C"),
        ("A*", "A"),
        ("v = <1,2>", "v = <3,4>"),
        ("5²", "52"),
    ],
)
def test_the_whole_answer_is_compared(one: str, other: str) -> None:
    assert not same(one, other)
    assert not same(other, one)
    assert same(one, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (".30", "3/10"),
        ("1,000,000", "1e6"),
        ("8:15 PM", "20:15"),
        ("8 p.m.", "8:00 pm"),
        ("Yes", "yes."),
        ("( 1,2 )", "(1, 2)"),
        ("**C**", "c"),
        ("C ####", "C"),
        ("__C__", "C"),
        ("'C'", "C"),
        ("C<|eot_id|></s>", "C"),
        ("**6**kg", "6"),
        ("x  >  3", "x>3"),
        (r"\text{odd}", "odd"),
    ],
)
def test_equivalent_answers_are_the_same(one: str, other: str) -> None:
    assert same(one, other)
    assert same(other, one)


@pytest.mark.parametrize(
    ("text", "seconds", "half"),
    [
        ("8:15", 8 * 3600 + 900, ""),
        ("8:15:30 am", 8 * 3600 + 930, "am"),
        ("12:00 am", 0, "am"),
        ("0:00", 0, "am"),
        ("12 pm", 0, "pm"),
        ("12:00", 0, ""),
        ("23:59", 11 * 3600 + 59 * 60, "pm"),
    ],
)
def test_a_time_of_day_is_not_a_number(text: str, seconds: int, half: str) -> None:
    answer = RULE.find(f"#### {text}")
    assert answer is not None
    assert answer.value == Time(seconds, half)


@pytest.mark.parametrize("text", ["25:00", "8:75", "8:5", "13 pm", "0 am", "8:15 on Monday"])
def test_text_that_is_not_a_time_of_day_is_read_as_words(text: str) -> None:
    answer = RULE.find(f"#### {text}")
    assert answer is not None
    assert isinstance(answer.value, str)


@pytest.mark.parametrize(
    ("solution", "text"),
    [
        ("#### 9 books\nQuestion: and now?\n#### 4", "9"),
        ("#### 9 #### 4", "9"),
        ("#### 6 or 7\n#### 7", "6 or 7"),
        ("#### Step 1: count\nThere are nine.\n#### 9", "9"),
        ("#### Yes\n#### No", "Yes"),
        ("#### 9. There are no more", "9"),
        ("####  9", "9"),
        ("#### 9\r\nNext", "9"),
    ],
)
def test_the_first_number_after_a_mark_counts_and_without_numbers_the_first_words(solution: str, text: str) -> None:
    answer = RULE.find(solution)
    assert answer is not None
    assert answer.text == text


@pytest.mark.parametrize(
    ("mark", "solution", "text", "rest"),
    [
        ("A:", "4+5=9\nA: 9\nQ: and now?\nA: 4", "9", "\nQ: and now?\nA: 4"),
        ("The answer is", "So the answer is 9. I am sure of it.", "9", ""),
        ("The answer is", "The answer is: **9 books**.", "9", ""),
        ("answer:", "**Answer:** 3/4", "3/4", ""),
        ("A:", "DNA: 4\nA: 9", "9", ""),
        ("The answer is", "The answer isn't 4. The answer is 9", "9", ""),
        ("####", "####9", "9", ""),
        ("A:", "A: Mr. Miller's dog", "Mr. Miller's dog", ""),
    ],
)
def test_any_text_can_be_a_mark(mark: str, solution: str, text: str, rest: str) -> None:
    answer = MarkedAnswers((mark,)).find(solution)
    assert answer is not None
    assert (answer.text, solution[answer.end :]) == (text, rest)


def test_the_first_of_several_marks_counts() -> None:
    rule = MarkedAnswers(("Total:", "A:"))
    answer = rule.find("A: 9\nTotal: 4")
    assert answer is not None
    assert answer.value == 9
    assert rule.find("#### 9") is None


def test_gold_solutions_keep_their_mark_next_to_others() -> None:
    rule = MarkedAnswers(("A:",))
    golds = [rule.gold(text) for text in ("4+5\n#### 9", "4+5\nA: 9", "9")]
    assert [gold.value if gold else None for gold in golds] == [9, 9, 9]


def vote(*texts: str) -> tuple[str, int] | None:
    most = majority(answer for answer in map(RULE.find, texts) if answer)
    return (most.answer.text, most.votes) if most else None


def test_numbers_vote_and_the_first_seen_wins_a_tie() -> None:
    assert vote("#### 8", "#### 7.0", "#### 7") == ("7.0", 2)
    assert vote("#### 8", "#### 7", "#### 7.0", "#### 8.00") == ("8", 2)
    assert vote("none here") is None
    assert vote("#### 2/5", "#### 2/7", "#### 2/9", "#### 2", "#### 0.4") == ("2/5", 2)


@pytest.mark.parametrize(
    ("solution", "answer"),
    [
        ("Plan A: 50 dollars a month, plan B: 20. So B saves 50-20=30.\nA: 30", 30),
        ("Machine A: 12 parts.\n**A: 24**\nA: 25", 24),
        ("It is plan A: 3 parts.", 3),
        ("I think A: 9", 9),
    ],
)
def test_word_marks_at_the_start_of_a_line_take_precedence(solution: str, answer: int) -> None:
    found = MarkedAnswers(("A:",)).find(solution)
    assert found
    assert found.value == answer
