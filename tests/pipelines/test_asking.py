"""Replies that cannot be read are asked for again, and what is asked for concurrently is awaited to its end."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from synth.pipelines.engines import Completion, Sampling
from synth.pipelines.runtime.asking import first_readable, gather_all, gather_settled, warmer_retries
from synth.pipelines.runtime.stage import Reject
from tests.pipelines.scripted import ScriptedTools

SAMPLING = Sampling(temperature=0.5)


def number_in(completion: Completion) -> int:
    if not completion.text.isdigit():
        raise Reject("no_number", completion.text)
    return int(completion.text)


def asked(tools: ScriptedTools, tries: int) -> int:
    return asyncio.run(first_readable(tools, "How many?", [SAMPLING] * tries, number_in))  # type: ignore[arg-type]


def test_samples_are_drawn_in_turn_until_one_can_be_read() -> None:
    tools = ScriptedTools(["several", "", "7", "8"])
    assert asked(tools, tries=4) == 7
    assert [samples for _, _, samples in tools.requests] == [range(1), range(1, 2), range(2, 3)]


def test_the_fault_of_the_last_reply_is_told_after_all_tries() -> None:
    with pytest.raises(Reject, match="no_number: none"):
        asked(ScriptedTools(["several", "none", "7"]), tries=2)


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
