import asyncio
import json
from typing import Any

import pytest

from synth.pipelines.engines import Answer, Message, PromptTooLong, Request, Sampling
from synth.pipelines.engines.echo import EchoEngine

CHAT = (Message(role="system", content="Be brief."), Message(role="user", content="Why is the sky blue?"))
WORDS = Sampling(max_tokens=100)


def ask(engine: EchoEngine, request: Request) -> Answer:
    return asyncio.run(engine.answer(request))


def texts(answer: Answer) -> list[str]:
    return [completion.text for completion in answer.completions]


def test_it_echoes_the_prompt_and_the_seed() -> None:
    answer = ask(EchoEngine(), Request(CHAT, WORDS, n=2, seed=7))
    assert texts(answer) == ["Why is the sky blue? [7]", "Why is the sky blue? [8]"]
    assert texts(ask(EchoEngine(), Request("Once upon", WORDS, seed=1))) == ["Once upon [1]"]


def test_a_fixed_reply_may_contain_the_seed() -> None:
    answer = ask(EchoEngine(reply="It is {i}.\n#### {i}"), Request(CHAT, WORDS, n=2, seed=3))
    assert texts(answer) == ["It is 3.\n#### 3", "It is 4.\n#### 4"]


def test_the_prefix_of_a_continued_reply_is_not_repeated() -> None:
    begun = (*CHAT, Message(role="assistant", content="Because"))
    assert ask(EchoEngine(reply="Because of air."), Request(begun, WORDS)).text == " of air."


def test_words_are_tokens() -> None:
    answer = ask(EchoEngine(), Request(CHAT, Sampling(max_tokens=3)))
    (completion,) = answer.completions
    assert (completion.text, completion.finish_reason, completion.tokens) == ("Why is the", "length", 3)
    assert answer.prompt_tokens == 7


def test_a_stop_string_beyond_the_token_limit_is_not_reached() -> None:
    (completion,) = ask(EchoEngine(), Request(CHAT, Sampling(max_tokens=3, stop=("sky",)))).completions
    assert (completion.text, completion.finish_reason) == ("Why is the", "length")


@pytest.mark.parametrize(
    ("schema", "least"),
    [
        ({"enum": ["red", "blue"]}, "red"),
        ({"const": 4}, 4),
        ({"type": "string", "minLength": 3}, "aaa"),
        ({"type": "integer", "minimum": 5, "maximum": 9}, 5),
        ({"type": "number", "exclusiveMinimum": 1}, 2),
        ({"type": "array", "items": {"type": "boolean"}, "minItems": 2}, [False, False]),
        ({"type": ["null", "string"]}, None),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, 0),
        (
            {
                "type": "object",
                "properties": {"tag": {"$ref": "#/$defs/tag"}, "note": {"type": "string"}},
                "required": ["tag"],
                "$defs": {"tag": {"type": "string"}},
            },
            {"tag": ""},
        ),
    ],
)
def test_a_schema_gets_its_minimal_instance(schema: dict[str, Any], least: Any) -> None:
    assert json.loads(ask(EchoEngine(), Request(CHAT, WORDS, schema=schema)).text) == least


def test_without_a_delay_it_answers_without_suspending() -> None:
    with pytest.raises(StopIteration) as returned:
        EchoEngine().answer(Request(CHAT, WORDS)).send(None)
    assert returned.value.value.text == "Why is the sky blue? [0]"


def test_a_prompt_of_as_many_words_as_the_context_is_too_long() -> None:
    assert ask(EchoEngine(context=8), Request(CHAT, WORDS))
    with pytest.raises(PromptTooLong, match="7 words"):
        ask(EchoEngine(context=7), Request(CHAT, WORDS))
