"""Tools in the chat template of a model that vLLM runs in this process; for that, no model has to be loaded."""

import asyncio

import pytest

from synth.pipelines.engines import Message, Request, Sampling
from synth.pipelines.engines.models import TINY_FOLDER
from synth.pipelines.engines.vllm import VllmEngine
from synth.schemas.errors import EngineFailed

TOOLS = ({"type": "function", "function": {"name": "find", "parameters": {"type": "object"}}},)
CHAT = (Message(role="user", content="Find it."),)


@pytest.fixture
def engine() -> VllmEngine:
    transformers = pytest.importorskip("transformers")
    made = VllmEngine(str(TINY_FOLDER), {})
    made._tokenizer = transformers.AutoTokenizer.from_pretrained(TINY_FOLDER)
    return made


def test_tools_go_to_the_template(engine: VllmEngine) -> None:
    template = engine._tokenizer.chat_template
    engine._tokenizer.chat_template = "{% for tool in tools or [] %}{{ tool.function.name }} {% endfor %}" + template
    text, plain = (engine._tokenizer.decode(engine._encode(CHAT, tools)) for tools in (TOOLS, ()))
    assert "find" in text.removesuffix(plain)
    assert "find" not in plain.partition("Find")[0]


def test_a_template_without_a_place_for_tools_ends_the_run(engine: VllmEngine) -> None:
    with pytest.raises(EngineFailed, match="has no place for tools; leave out --native"):
        asyncio.run(engine.answer(Request(CHAT, Sampling(), tools=TOOLS)))
