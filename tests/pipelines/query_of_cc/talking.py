"""A model that answers what it is asked, for the stage alone and for the runner."""

import asyncio
from collections.abc import Callable
from typing import Any
from zlib import crc32

from synth.pipelines.engines import Answer, Completion, PromptTooLong, Request
from synth.pipelines.engines.echo import EchoEngine
from synth.pipelines.query_of_cc.bootstrap import Bootstrap
from synth.pipelines.runtime.prompts import Prompt
from synth.schemas.errors import EngineFailed
from tests.pipelines.scripted import Prompted, ScriptedTools

EXTEND = Prompt("# user\n{{ n }} questions of {{ domain }} from the {{ kind }}: {{ text }}", "extend")
THINK = Prompt("# user\nthink: {{ question }}", "think")
PROMPTS = {"questions_prompt": EXTEND, "thought_prompt": THINK}

# What the model says to a user message, as its sample of that number.
Model = Callable[[str, int], str]


def small(**options: Any) -> Bootstrap:
    """Two questions about everything, and a thought about each."""
    return Bootstrap(**{**PROMPTS, "questions_per_seed": 2, **options})


def seed(text: str, **values: Any) -> dict[str, Any]:
    return {"id": "s", "domain": "cooking", "kind": None, "text": text, "round": None, **values}


def attentive(asked: str, sample: int) -> str:
    """Two questions that differ with what is asked about, and a thought that says what it thinks about."""
    about = f"{crc32(asked.partition(': ')[2].encode()):x}-{sample}"
    if asked.startswith("think: "):
        return f"The first thought is {about}"
    return f"1. What is left of {about} in the end?\n2. Why would anybody boil {about}?"


class Talking(ScriptedTools):
    """A model that answers what it is asked."""

    def __init__(self, model: Model) -> None:
        super().__init__([])
        self._model = model
        self.cut: set[str] = set()

    async def completions(self, prompt: Prompted, samples: range) -> list[Completion]:
        # Answers come in no order.
        await asyncio.sleep(len(self.requests) * 7 % 5 / 1000)
        asked = prompt[-1]["content"]  # type: ignore[index]
        texts = [self._model(asked, sample) for sample in samples]
        return [Completion(text, "length" if text in self.cut else "stop", 9) for text in texts]


class TalkingEngine(EchoEngine):
    """The attentive model as an engine, which counts what it is asked and may die after so many answers."""

    def __init__(self, answers: int | None = None, model: Model = attentive) -> None:
        super().__init__()
        self._left = answers
        self._says = model
        self.asked: list[Request] = []

    async def answer(self, request: Request) -> Answer:
        if self._left is not None and len(self.asked) >= self._left:
            raise EngineFailed("it is dead")
        self.asked.append(request)
        content = request.prompt[-1]["content"]  # type: ignore[index]
        if "too long" in content:
            raise PromptTooLong("9 tokens into 8")
        texts = [self._says(content, sample) for sample in range(request.n)]
        return Answer(tuple(Completion(text, "stop", len(text.split())) for text in texts), len(content.split()))
