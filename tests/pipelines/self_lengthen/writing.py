"""Prose of any length that the rules let pass, and a model that writes what a function says."""

import asyncio
from collections.abc import Callable
from random import Random

from synth.pipelines.engines import Answer, Completion, Message, PromptTooLong, Request
from synth.pipelines.engines.echo import EchoEngine
from synth.pipelines.runtime.stage import Unanswered
from tests.pipelines.scripted import Prompted, ScriptedTools

# What the model says to the messages, as its sample of that number; None where the prompt is too long for it.
Model = Callable[[tuple[Message, ...], int], str | Completion | None]


def prose(paragraphs: int, sentences: int = 2, *, about: object = 0) -> str:
    """English that says nothing twice: paragraphs of sentences of ten words."""
    draw = Random(f"{about}")
    return "\n\n".join(" ".join(_sentence(draw) for _ in range(sentences)) for _ in range(paragraphs))


def _sentence(draw: Random) -> str:
    words = ["".join(draw.choices("bcdfglmnprst", k=3)) + draw.choice(("a", "e", "o")) for _ in range(4)]
    return "The {} of that {} is for {} and {}.".format(*words)


def chinese(sentences: int, *, about: object = 0) -> str:
    """One paragraph of Chinese characters: sentences of ten and a full stop."""
    draw = Random(f"{about}")
    return "".join("".join(chr(draw.randrange(0x4E00, 0x9000)) for _ in range(10)) + "。" for _ in range(sentences))


def cut_off(text: str) -> Completion:
    return Completion(text, "length", len(text.split()))


def said(messages: str | tuple[Message, ...]) -> list[tuple[str, str]]:
    """A chat as pairs of role and content."""
    assert not isinstance(messages, str)
    return [(message["role"], message["content"]) for message in messages]


class Writer(ScriptedTools):
    """A model that writes what a function says. Its answers come in no order."""

    def __init__(self, model: Model) -> None:
        super().__init__([])
        self._model = model

    @property
    def chats(self) -> list[list[tuple[str, str]]]:
        return [said(prompt) for prompt, _, _ in self.requests]

    async def completions(self, prompt: Prompted, samples: range) -> list[Completion]:
        (sample,) = samples
        await asyncio.sleep(len(self.requests) * 7 % 5 / 1000)
        messages = (Message(role="user", content=prompt),) if isinstance(prompt, str) else prompt
        text = self._model(messages, sample)
        if text is None:
            raise Unanswered("prompt_too_long", "9 tokens into 8")
        return [text if isinstance(text, Completion) else Completion(text, "stop", len(text.split()))]


class WritingEngine(EchoEngine):
    """The same as an engine, which remembers what it was asked; samples are told apart by their seeds."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self._model = model
        self.asked: list[Request] = []

    async def answer(self, request: Request) -> Answer:
        self.asked.append(request)
        assert not isinstance(request.prompt, str)
        text = self._model(request.prompt, request.seed)
        if text is None:
            raise PromptTooLong("9 tokens into 8")
        completion = text if isinstance(text, Completion) else Completion(text, "stop", len(text.split()))
        return Answer((completion,), 11)
