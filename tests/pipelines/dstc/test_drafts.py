"""Programs and tests are parsed from replies; unusable ones have a reason."""

import pytest

from synth.pipelines.dstc.drafts import Drafts, join_program, read_code, read_test
from synth.pipelines.engines import Completion
from synth.pipelines.runtime.stage import Reject

CODE = "def double(x):\n    return 2 * x"


def reason(reader: object, reply: str) -> str:
    with pytest.raises(Reject) as rejected:
        reader(reply, "double")  # type: ignore[operator]
    assert rejected.value.detail
    return rejected.value.reason


@pytest.mark.parametrize(
    "reply",
    [
        CODE,
        f"Here it is:\n```python\n{CODE}\n```\nIt doubles.",
        f"```\n{CODE}\n",
        f"```python\r\n{CODE}\r\n\r\n```".replace("\n    ", "\r\n    "),
        f"```python\n{CODE}\n\nif __name__ == '__main__':\n    print(double(input()))\n```",
    ],
    ids=["bare", "in a fence", "in an open fence", "with other line ends", "with a part for scripts"],
)
def test_code_is_read_from_the_fence_without_main_blocks(reply: str) -> None:
    assert read_code(reply, "double").text == CODE


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("", "code_empty"),
        ("```python\n\n```", "code_empty"),
        ("I cannot do this.", "code_not_python"),
        ("(" * 5_000, "code_not_python"),
        ("x = '\x00'", "code_not_python"),
        ("def treble(x):\n    return 3 * x", "code_without_entry"),
        ("if __name__ == '__main__':\n    double = abs", "code_without_entry"),
    ],
)
def test_unusable_programs_have_a_reason(reply: str, expected: str) -> None:
    assert reason(read_code, reply) == expected


@pytest.mark.parametrize("code", ["double = lambda x: 2 * x", "class double: pass", "async def double(x): ..."])
def test_the_entry_may_be_defined_in_any_way(code: str) -> None:
    assert read_code(code, "double").text == code


def test_drafts_that_differ_in_comments_and_layout_are_the_same() -> None:
    assert read_code(CODE, "double").tree == read_code(f"# Twice.\n{CODE.replace('2 * x', '(2*x)')}", "double").tree
    assert read_code(CODE, "double").tree != read_code(CODE.replace("2", "3"), "double").tree


@pytest.mark.parametrize(
    ("test", "call"),
    [
        ("assert double(2) == 4", ""),
        ("for x in range(3):\n    assert double(x) == x + x", ""),
        ("assert list(map(double, [1, 2])) == [2, 4]", ""),
        ("def check(candidate):\n    assert candidate(2) == 4", "check(double)"),
        ("def check(candidate):\n    assert candidate(2) == 4\n\ncheck(double)", ""),
        ("def test_it():\n    assert double(2) == 4", "test_it()"),
        ("def test_it(x=2):\n    assert double(x) == 4", "test_it()"),
        ("def test_a():\n    assert double(2) == 4\n\ndef test_b():\n    assert double(0) == 0", "test_a()\ntest_b()"),
        ("def test_it():\n    assert double(2) == 4\n\nif __name__ == '__main__':\n    test_it()", "test_it()"),
    ],
)
def test_functions_for_a_test_framework_are_called(test: str, call: str) -> None:
    text = read_test(f"```python\n{test}\n```", "double").text
    body = test.partition("\n\nif __name__")[0]
    assert text == (f"{body}\n\n\n{call}" if call else body)


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        ("", "test_empty"),
        ("double(2) is 4, I think", "test_not_python"),
        ("double(2)", "test_without_assert"),
        ("assert 2 + 2 == 4", "test_without_call"),
        ("def test_it():\n    assert 2 + 2 == 4", "test_without_call"),
        ("def test_it(x, y):\n    assert double(x) == y", "test_needs_arguments"),
        ("from solution import double\nassert double(2) == 4", "test_redefines_entry"),
        (f"{CODE}\nassert double(2) == 4", "test_redefines_entry"),
        ("double = abs\nassert double(2) == 4", "test_redefines_entry"),
        ("def check(double):\n    assert double(2) == 4", "test_redefines_entry"),
    ],
)
def test_unusable_tests_have_a_reason(test: str, expected: str) -> None:
    assert reason(read_test, test) == expected


def test_unusable_drafts_are_filtered_with_their_text_and_number() -> None:
    drafts = Drafts("code", "row", "rejected_code")
    codes = [CODE, "no code", f"{CODE}  # the same", "def double(x):\n    return x + x"]
    drafts.read([Completion(code, "stop", 9) for code in codes], read_code, "double")
    assert list(drafts.texts) == [0, 3]
    assert [(one.row["id"], one.row["rejected_code"], one.reason) for one in drafts.filtered] == [
        ("row/code-1", "no code", "code_not_python"),
        ("row/code-2", f"{CODE}  # the same", "code_duplicate"),
    ]
    assert drafts.filtered[1].detail == "code-0 is the same"


def test_a_reply_without_text_is_filtered() -> None:
    drafts = Drafts("test", "row", "test")
    replies = [
        Completion(" \n", "stop", 1),
        Completion("assert dou", "refused", 4),
        Completion("", "length", 8, "Let me see."),
    ]
    drafts.read(replies, read_test, "double")
    assert [one.reason for one in drafts.filtered] == ["test_empty", "test_refused", "test_truncated"]
    assert drafts.filtered[2].detail == "the reasoning did not end within 8 tokens; see --max-tokens"


def test_program_and_test_are_joined() -> None:
    namespace: dict[str, object] = {}
    exec(join_program(CODE, "seen = double(4)"), namespace)
    assert namespace["seen"] == 8
