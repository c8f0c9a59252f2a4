"""Whatever a server answers, the adapter parses it or raises one of its three errors, after a few requests."""

import asyncio
import copy
import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synth.pipelines.engines import Answer, EngineBusy, Request, RequestFailed, Sampling
from synth.schemas.errors import EngineFailed
from tests.pipelines.engines.asking import CHAT, all_samples, with_engine
from tests.pipelines.engines.scripted_server import Reply, Script, completion, scripted_server

# In addition to one request per sample: the search for the room in the context, and another name for a field.
A_FEW = 20


@pytest.fixture(scope="module")
def server() -> Iterator[Script]:
    with scripted_server() as script:
        yield script


def outcome(server: Script, request: Request, replies: list[Reply]) -> Answer | Exception:
    """The outcome of a request to a server with these replies, the last one repeated."""
    server.replies = list(replies)
    server.asked.clear()

    async def run(engine: Any) -> Answer | Exception:
        try:
            return await asyncio.wait_for(all_samples(engine, request), timeout=20)
        except (RequestFailed, EngineBusy, EngineFailed) as error:
            return error

    result: Answer | Exception = with_engine(server, run, "m")
    assert len(server.asked) <= request.n + A_FEW
    if isinstance(result, Answer):
        check(result, request)
    else:
        assert str(result)
        str(result).encode()
    return result


def check(answer: Answer, request: Request) -> None:
    assert len(answer.completions) == request.n
    # It survives the journal.
    assert msgspec.json.decode(msgspec.json.encode(answer), type=Answer) == answer
    assert answer.prompt_tokens is None or answer.prompt_tokens > 0
    for drawn in answer.completions:
        drawn.text.encode()
        assert drawn.finish_reason in ("stop", "length", "refused", None)
        assert drawn.tokens is None or drawn.tokens >= 0
        assert drawn.reasoning is None or drawn.reasoning
        assert drawn.refusal is None or (drawn.finish_reason == "refused" and not drawn.text)


texts = st.text(max_size=8) | st.text(st.characters(codec=None, categories=["Cs", "Ll", "Zs"]), max_size=4)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 2**70) | st.floats() | texts,
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["content", "text", "type", "message", "code", "a"]), inner, max_size=3)
    ),
    max_leaves=4,
)


def fields(**known: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Objects in which any field may be missing, null, or of another type."""
    return st.fixed_dictionaries({}, optional={name: kind | values for name, kind in known.items()})


parts = fields(
    type=st.sampled_from(["text", "thinking", "refusal", "image"]), text=texts, thinking=texts, refusal=texts
)
messages = fields(
    role=st.just("assistant"),
    content=texts | st.lists(parts | texts, max_size=3),
    reasoning=texts,
    reasoning_content=texts,
    refusal=texts,
)
choices = fields(
    index=st.integers(0, 3),
    message=messages,
    text=texts,
    finish_reason=st.sampled_from(["stop", "length", "content_filter", "error", "eos_token"]),
    token_ids=st.lists(st.integers(), max_size=3),
    error=fields(message=texts, code=st.integers(400, 599)),
)
usages = fields(prompt_tokens=st.integers(0, 99), completion_tokens=st.integers(0, 99))
complaints = st.sampled_from(
    [
        "This model's maximum context length is 64 tokens, you requested 307 tokens (7 in the messages, 300 to come).",
        "max_tokens is too large: 300. This model supports at most 64 completion tokens.",
        "context length exceeded",
        "'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
        "Unknown parameter: 'seed'.",
        "The prompt was flagged by the content policy.",
        "Invalid API key",
    ]
)
errors = fields(
    message=texts | complaints, code=st.integers(399, 600) | texts, type=texts, param=st.sampled_from(["seed", "n"])
)
bodies = values | fields(
    object=st.sampled_from(["chat.completion", "error"]),
    choices=st.lists(choices, max_size=4),
    usage=usages,
    error=errors,
    message=texts | complaints,
    detail=st.lists(fields(loc=st.lists(texts | st.integers(), max_size=2), msg=texts), max_size=2),
    code=st.integers(399, 600),
)
whole = st.builds(lambda text, n: completion(*[text] * n), texts, st.integers(1, 4))
raws = st.binary(max_size=40) | (bodies | whole).map(lambda body: json.dumps(body).encode())
statuses = st.just(200) | st.integers(200, 999)
headers = st.fixed_dictionaries({}, optional={"Retry-After": st.sampled_from(["1", "nan", "-1", "soon", "9e999"])})
replies = st.builds(Reply, raws, statuses, headers, st.sampled_from([False] * 9 + [True]))


@settings(max_examples=400)
@given(st.lists(replies, min_size=1, max_size=4), st.integers(1, 4), st.sampled_from([CHAT, "Why?"]))
def test_any_body_is_parsed_or_is_one_of_three_errors(
    server: Script, given_replies: list[Reply], n: int, prompt: Any
) -> None:
    outcome(server, Request(prompt, Sampling(max_tokens=300), n=n), given_replies)


ANSWER = {
    "id": "x-1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [
        {
            "index": i,
            "message": {"role": "assistant", "content": f"heron {i}", "reasoning": "hm", "refusal": None},
            "finish_reason": "stop",
            "logprobs": None,
        }
        for i in range(2)
    ],
    "usage": {"prompt_tokens": 5, "completion_tokens": 8, "total_tokens": 13},
    "error": None,
}
# Fields that are not needed to read the text.
MINOR = {"id", "object", "created", "model", "index", "role", "reasoning", "finish_reason", "logprobs", "usage"}


def places(value: Any, *path: str | int) -> Iterator[tuple[str | int, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, child in inner:
        yield (*path, name)
        yield from places(child, *path, name)


def changed(path: tuple[str | int, ...], value: Any) -> Any:
    body = copy.deepcopy(ANSWER)
    *parents, last = path
    holder: Any = body
    for name in parents:
        holder = holder[name]
    if value is MISSING:
        del holder[last]
    else:
        holder[last] = value
    return body


MISSING = object()


@pytest.mark.parametrize("path", list(places(ANSWER)), ids=lambda path: ".".join(map(str, path)))
def test_each_field_may_be_missing_null_or_of_another_type(server: Script, path: tuple[str | int, ...]) -> None:
    for value in (MISSING, None, 7, -1, 2.5, True, "odd", "", [], ["odd"], [None], {}, {"odd": 1}):
        result = outcome(server, Request(CHAT, Sampling(), n=2), [Reply(changed(path, value))])
        if MINOR & {name for name in path if isinstance(name, str)}:
            assert isinstance(result, Answer)
            texts = [completion.text for completion in result.completions]
            assert (sorted(texts) if "index" in path else texts) == ["heron 0", "heron 1"]
        if path[0] == "usage":
            assert isinstance(result, Answer)
            assert [completion.tokens for completion in result.completions] in ([4, 4], [3, 4], [None, None])
