"""Replies that cannot be read are asked for again, and what is asked for concurrently is awaited to its end."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from synth.pipelines.engines import Completion, Message, Sampling
from synth.pipelines.runtime.asking import Ask, Form, gather_all, gather_settled, warmer_retries
from synth.pipelines.runtime.stage import Reject, Unanswered
from tests.pipelines.query_of_cc.talking import Talking
from tests.pipelines.scripted import Prompted, ScriptedTools

SAMPLING = Sampling(temperature=0.5)


def number_in(completion: Completion) -> int:
    if not completion.text.isdigit():
        raise Reject("no_number", completion.text)
    return int(completion.text)


def asked(tools: ScriptedTools, tries: int) -> int:
    return asyncio.run(Ask(tools, "How many?").first_readable([SAMPLING] * tries, number_in))  # type: ignore[arg-type]


def test_samples_are_drawn_in_turn_until_one_can_be_read() -> None:
    tools = ScriptedTools(["several", "", "7", "8"])
    assert asked(tools, tries=4) == 7
    assert [samples for _, _, samples in tools.requests] == [range(1), range(1, 2), range(2, 3)]


def test_the_fault_of_the_last_reply_is_told_after_all_tries() -> None:
    with pytest.raises(Reject, match="no_number: none"):
        asked(ScriptedTools(["several", "none", "7"]), tries=2)


CHAT = (Message(role="system", content="Count."), Message(role="user", content="How many?"))


def stubborn(asked: str, sample: int) -> str:
    """It answers in words, and with a number once it is told to twice."""
    if not asked.startswith("This cannot be used"):
        return f"several {sample}"
    return "7" if asked.startswith("This cannot be used: a few") else "a few"


def repaired(tools: ScriptedTools, prompt: Prompted = CHAT, repairs: int = 2, tries: int = 1) -> int:
    ask = Ask(tools, prompt, repairs=repairs)  # type: ignore[arg-type]
    return asyncio.run(ask.first_readable([SAMPLING] * tries, number_in))


def test_a_repair_shows_the_model_its_replies_and_their_faults() -> None:
    tools = Talking(stubborn)
    assert repaired(tools) == 7
    *_, (prompt, sampling, samples) = tools.requests
    assert (len(tools.requests), sampling, samples, tools.tallies) == (3, SAMPLING, range(1), {"repairs": 2})
    assert prompt[:2] == CHAT
    assert [(turn["role"], turn["content"].partition(". ")[0]) for turn in prompt[2:]] == [  # type: ignore[index]
        ("assistant", "several 0"),
        ("user", "This cannot be used: several 0"),
        ("assistant", "a few"),
        ("user", "This cannot be used: a few"),
    ]


def test_each_try_has_its_repairs() -> None:
    tools = Talking(stubborn)
    with pytest.raises(Reject, match="no_number: a few"):
        repaired(tools, repairs=1, tries=2)
    assert [samples.start for _, _, samples in tools.requests] == [0, 0, 1, 1]


@pytest.mark.parametrize(
    "prompt", ["How many?", (*CHAT, Message(role="assistant", content="There are"))], ids=["raw", "continued"]
)
def test_only_turns_of_a_chat_are_repaired(prompt: Prompted) -> None:
    tools = ScriptedTools(["several"])
    with pytest.raises(Reject, match="no_number: several"):
        repaired(tools, prompt)
    assert len(tools.requests) == 1


@pytest.mark.parametrize("reply", [(" ", "stop"), ("several and", "length"), ("several", "refused")])
def test_a_reply_that_is_blank_cut_or_refused_is_not_shown(reply: tuple[str, str]) -> None:
    tools = ScriptedTools([reply])
    with pytest.raises(Reject, match="no_number"):
        repaired(tools)
    assert len(tools.requests) == 1


class Full(Talking):
    """It has room for the first prompt alone, or fails at the next for another reason."""

    def __init__(self, reason: str) -> None:
        super().__init__(stubborn)
        self._reason = reason

    async def completions(self, prompt: Prompted, samples: range) -> list[Completion]:
        if len(prompt) > len(CHAT):
            raise Unanswered(self._reason, "it ends here")
        return await super().completions(prompt, samples)


def test_a_reply_whose_repair_does_not_fit_is_rejected_for_its_own_fault() -> None:
    with pytest.raises(Reject, match="no_number: several 0") as rejection:
        repaired(Full("prompt_too_long"))
    assert rejection.value.replies == ("several 0",)
    with pytest.raises(Unanswered, match="engine_error"):
        repaired(Full("engine_error"))


def test_a_form_is_asked_for_at_the_end_of_the_last_question() -> None:
    form = Form.of({"number": {"type": "integer"}}, "Reply in JSON.")
    assert form.schema == {
        "type": "object",
        "properties": {"number": {"type": "integer"}},
        "required": ["number"],
        "additionalProperties": False,
    }
    assert form.asked_in("How many?") == "How many?\n\nReply in JSON."
    asked = form.asked_in((*CHAT, Message(role="assistant", content="There are")))
    assert [turn["content"] for turn in asked] == ["Count.", "How many?\n\nReply in JSON.", "There are"]  # type: ignore[index]
    assert Form(form.schema).asked_in(CHAT) == CHAT
    tools = ScriptedTools(["7"])
    assert asyncio.run(Ask(tools, CHAT, form).first_readable([SAMPLING], number_in)) == 7  # type: ignore[arg-type]
    assert tools.schemas == [form.schema]


def test_only_a_greedy_first_try_makes_the_retries_warmer() -> None:
    assert warmer_retries(SAMPLING, 3) == [SAMPLING] * 3
    assert [one.temperature for one in warmer_retries(Sampling(temperature=0), 3)] == [0, 1, 1]


def test_what_is_asked_for_beside_a_failure_comes_to_its_end() -> None:
    ended: list[str] = []

    async def late(name: str) -> str:
        await asyncio.sleep(0.01)
        ended.append(name)
        return name

    async def failing(error: Exception) -> str:
        raise error

    def tasks(error: Exception) -> list[Coroutine[Any, Any, str]]:
        return [late("first"), failing(error), late("last")]

    reject = Reject("truncated")
    assert asyncio.run(gather_settled(tasks(reject))) == ["first", reject, "last"]
    with pytest.raises(Reject, match="truncated"):
        asyncio.run(gather_all(tasks(reject)))
    with pytest.raises(KeyError):
        asyncio.run(gather_settled(tasks(KeyError("lost"))))
    assert ended == ["first", "last"] * 3
