from random import Random
from typing import Any

import pytest

from synth.pipelines.case2code import wording
from synth.pipelines.case2code.compose import Compose
from synth.schemas.errors import UsageError
from tests.pipelines.scripted import ScriptedTools, process

CODE = "def half(n, /, by=2):\n    return n / by\n"


def executed(count: int = 10, **changes: Any) -> dict[str, Any]:
    return {
        "id": "s/half",
        "code": CODE,
        "func_name": "half",
        "example_inputs": [f"dict(n={number})" for number in range(count)],
        "example_outputs": [{"return": str(number / 2), "error": None} for number in range(count)],
        "exec_status": True,
        **changes,
    }


class Seeded(ScriptedTools):
    def __init__(self, seed: int) -> None:
        super().__init__([])
        self._seed = seed

    def random(self, *purpose: str | int) -> Random:
        return Random(f"{self._seed} {purpose}")


def composed(stage: Compose, row: dict[str, Any], seed: int = 0) -> dict[str, Any]:
    (made,), _, _ = process(stage, row, Seeded(seed))
    return dict(made)


def reason(row: dict[str, Any], stage: Compose | None = None) -> str | None:
    _, _, reject = process(stage or Compose(), row, Seeded(0))
    return reject and reject.reason


def test_sentence_counts_match_the_paper() -> None:
    kinds = (wording.INSTRUCTIONS, wording.HEADINGS, wording.NAMES, wording.RAW_FORMATS, wording.CALL_FORMATS)
    assert [len(set(kind)) for kind in kinds] == [28, 20, 8, 8, 5]
    assert [wording.NEWLINES.count("\n" * lines) for lines in (1, 2, 3)] == [5, 2, 1]


def test_templates_have_balanced_delimiters() -> None:
    for text in (*wording.RAW_FORMATS, *wording.CALL_FORMATS, *wording.NAMES, *wording.ERRORS, *wording.HEADINGS):
        for pair in ("()", "[]", "{}"):
            assert text.count(pair[0]) == text.count(pair[1]), text
        assert text.count("`") % 2 == 0


def test_evaluation_prompts_have_a_fixed_wording() -> None:
    made = composed(Compose(evaluation=True, style="plain"), executed(3), seed=1)
    parts = [part for part in made["prompt"].replace("\n\n", "\n").split("\n") if part]
    assert sorted(parts) == sorted(
        [
            wording.INSTRUCTIONS[0],
            "The function is called `half`.",
            *(f"Input: dict(n={number})" for number in range(3)),
            *(f"Output: {number / 2}" for number in range(3)),
        ]
    )
    assert made["output"] == f"This function fits all the examples:\n```python\n{CODE}```"
    assert made["messages"] is None
    assert sorted(made["shown"]) == [0, 1, 2]


def test_chat_messages_repeat_prompt_and_output() -> None:
    made = composed(Compose(), executed())
    assert made["messages"] == [
        {"role": "user", "content": made["prompt"]},
        {"role": "assistant", "content": made["output"]},
    ]


def test_tasks_depend_only_on_row_and_seed() -> None:
    assert composed(Compose(), executed(), 3) == composed(Compose(), executed(), 3)
    prompts = {composed(Compose(), executed(), seed)["prompt"] for seed in range(50)}
    assert len(prompts) == 50


def test_part_frequencies_match_the_paper() -> None:
    prompts = [composed(Compose(), executed(), seed)["prompt"] for seed in range(400)]
    with_heading = sum(any(f"{heading}\n" in prompt for heading in wording.HEADINGS) for prompt in prompts)
    names = [sentence.format(name="half") for sentence in wording.NAMES]
    with_name = sum(any(name in prompt for name in names) for prompt in prompts)
    assert 290 <= with_heading <= 350
    assert 290 <= with_name <= 350
    assert all(any(instruction in prompt for instruction in wording.INSTRUCTIONS) for prompt in prompts)


def test_at_least_three_examples_are_shown_in_any_order() -> None:
    shown = [composed(Compose(), executed(), seed)["shown"] for seed in range(60)]
    assert {len(one) for one in shown} == set(range(3, 11))
    assert any(one != sorted(one) for one in shown)
    assert all(len(set(one)) == len(one) for one in shown)


def test_later_calls_are_hidden() -> None:
    shown = {index for seed in range(30) for index in composed(Compose(), executed(30), seed)["shown"]}
    assert shown == set(range(10))


def test_shown_calls_are_valid_python() -> None:
    row = executed(4, example_inputs=[f"dict(n={number}, by=3)" for number in range(4)])
    prompts = "".join(composed(Compose(), row, seed)["prompt"] for seed in range(200))
    assert "half(1, by=3)" in prompts
    assert "half(1, 3)" in prompts
    assert "half(n=" not in prompts
    for notation in ("n: 1, by: 3", "dict(n=1, by=3)"):
        assert notation in prompts


def test_outputs_are_shown_unchanged() -> None:
    row = executed(1, example_outputs=[{"return": "'a\"b'", "error": None}])
    assert "Output: 'a\"b'" in composed(Compose(evaluation=True), row)["prompt"]


RAISED = [{"return": None, "error": "ZeroDivisionError: division by zero"}, {"return": "2.0", "error": None}]


@pytest.mark.parametrize(
    ("errors", "shown", "there", "absent"),
    [
        ("type", [0, 1], "an error: ZeroDivisionError", "division"),
        ("message", [0, 1], "an error: ZeroDivisionError: division by zero", "None"),
        ("omit", [1], "Output: 2.0", "ZeroDivisionError"),
    ],
)
def test_errors_are_shown_as_requested(errors: Any, shown: list[int], there: str, absent: str) -> None:
    made = composed(Compose(evaluation=True, errors=errors), executed(2, example_outputs=RAISED))
    assert sorted(made["shown"]) == shown
    assert there in made["prompt"]
    assert absent not in made["prompt"]


def test_unusable_rows_are_rejected() -> None:
    assert reason(executed(exec_status=False)) == "not_executed"
    assert reason(executed(example_outputs=RAISED)) == "count_mismatch"
    assert reason(executed(1, example_inputs=["dict(n=open('x'))"])) == "unreadable_input"
    assert reason(executed(0)) == "nothing_to_show"
    assert reason(executed(1, example_outputs=RAISED[:1]), Compose(errors="omit")) == "nothing_to_show"
    assert reason(executed(1, example_outputs=[{"return": "9" * 33_000, "error": None}])) == "prompt_too_long"
    assert reason(executed(func_name="other")) == "no_function"


@pytest.mark.parametrize("options", [{"style": "song"}, {"errors": "maybe"}])
def test_invalid_options(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="must be one of"):
        Compose(**options)
