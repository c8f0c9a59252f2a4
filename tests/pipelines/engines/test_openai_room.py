"""Servers that refuse a request whose prompt and token limit together exceed their context."""

from collections.abc import Callable, Generator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth.pipelines.engines import Answer, Completion, Message, PromptTooLong, Request, Sampling
from synth.pipelines.engines.openai.refusals import TooManyTokens
from synth.pipelines.engines.openai.room import Room, stated_limits
from tests.pipelines.engines.asking import CHAT, ask, outcomes
from tests.pipelines.engines.scripted_server import Reply, Script, completion

# How servers report that `p` tokens of a prompt and `m` of a completion exceed their context `c`.
SAYINGS: dict[str, Callable[[int, int, int], str]] = {
    "vLLM 0.4": lambda c, p, m: (
        f"This model's maximum context length is {c} tokens. However, you requested {p + m} tokens ({p} in the "
        f"messages, {m} in the completion). Please reduce the length of the messages or completion."
    ),
    "vLLM 0.10": lambda c, p, m: (
        f"'max_tokens' or 'max_completion_tokens' is too large: {m}. This model's maximum context length is {c} tokens "
        f"and your request has {p} input tokens ({m} > {c} - {p})."
    ),
    "vLLM 0.14": lambda c, p, m: (
        f"This model's maximum context length is {c} tokens. However, you requested {m} output tokens and your prompt "
        f"contains at least {min(p, max(c - m, 0) + 1)} input tokens, for a total of at least "
        f"{m + min(p, max(c - m, 0) + 1)} tokens. Please reduce the length of the input prompt."
    ),
    "SGLang": lambda c, p, m: (
        f"Requested token count exceeds the model's maximum context length of {c} tokens. You requested a total of "
        f"{p + m} tokens: {p} tokens from the input messages and {m} tokens for the completion."
    ),
    "TGI": lambda c, p, m: (
        f"Input validation error: `inputs` tokens + `max_new_tokens` must be <= {c}. Given: {p} `inputs` tokens and "
        f"{m} `max_new_tokens`"
    ),
    "llama-cpp-python": lambda c, p, m: f"Requested tokens ({p + m}) exceed context window of {c}",
    "llama.cpp": lambda c, p, _m: f"request ({p} tokens) exceeds the available context size ({c} tokens)",
    "OpenRouter": lambda c, p, m: (
        f"This endpoint's maximum context length is {c} tokens. However, you requested about {p + m} tokens ({p} of "
        f"text input, {m} in the output)."
    ),
    "Anthropic": lambda c, p, m: f"input length and `max_tokens` exceed context limit: {p} + {m} > {c}, decrease them",
    "TensorRT": lambda c, p, m: (
        f"The sum of prompt length ({p}.0), query length (0) and max_tokens ({m}) should not exceed max_seq_len ({c})"
    ),
    "with commas": lambda c, p, m: (
        f"This model's maximum context length is {c:,} tokens. However, you requested {p + m:,} tokens ({p:,} in the "
        f"messages, {m:,} in the completion)."
    ),
    "without a number": lambda _c, _p, _m: "the context window is exceeded",
    "with a number that tells nothing": lambda _c, _p, _m: "context length exceeded (limit of plan 3)",
}


TELLING = [saying for saying in SAYINGS if not saying.startswith("with")] + ["with commas"]


class Server:
    """A server of `context` tokens whose answers have `talks` tokens, or fewer at its limit."""

    def __init__(self, saying: str, context: int, talks: int, counts: bool = True) -> None:
        self.says = SAYINGS[saying]
        self.context = context
        self.talks = talks
        self.counts = counts
        self.limits: list[int] = []

    def outcome(self, prompt: int, limit: int) -> Answer | TooManyTokens:
        self.limits.append(limit)
        if prompt + limit > self.context:
            return TooManyTokens("too many", self.says(self.context, prompt, limit))
        tokens = min(limit, self.talks)
        completion = Completion("a" * tokens, "stop" if tokens == self.talks else "length", tokens)
        return Answer((completion,), prompt if self.counts else None)

    def converse(self, room: Room, wanted: int, prompt: int) -> Answer | TooManyTokens:
        tries: Generator[int, Answer | TooManyTokens, None] = room.tries(wanted, prompt * 4)
        limit = next(tries)
        while True:
            outcome = self.outcome(prompt, limit)
            try:
                limit = tries.send(outcome)
            except StopIteration:
                return outcome


@given(
    saying=st.sampled_from(TELLING),
    context=st.integers(8, 5000),
    prompts=st.lists(st.integers(1, 6000), min_size=1, max_size=4),
    wanted=st.integers(1, 20_000),
    talks=st.integers(1, 6000),
)
def test_a_completion_has_what_its_prompt_leaves_of_the_context(
    saying: str, context: int, prompts: list[int], wanted: int, talks: int
) -> None:
    server, room = Server(saying, context, talks), Room(None)
    for prompt in prompts:
        server.limits.clear()
        outcome = server.converse(room, wanted, prompt)
        assert len(server.limits) <= 6
        if prompt >= context:
            assert isinstance(outcome, TooManyTokens)
            continue
        assert isinstance(outcome, Answer)
        assert outcome.completions[0].tokens == min(wanted, context - prompt, talks)


@given(
    saying=st.sampled_from(["without a number", "with a number that tells nothing"]),
    context=st.integers(8, 5000),
    prompt=st.integers(1, 6000),
    wanted=st.integers(1, 20_000),
    counts=st.booleans(),
)
def test_without_stated_limits_a_completion_has_at_least_half_of_the_room(
    saying: str, context: int, prompt: int, wanted: int, counts: bool
) -> None:
    server = Server(saying, context, talks=100_000, counts=counts)
    outcome = server.converse(Room(None), wanted, prompt)
    assert len(server.limits) <= 18
    if prompt >= context:
        assert isinstance(outcome, TooManyTokens)
    else:
        assert isinstance(outcome, Answer)
        tokens = outcome.completions[0].tokens or 0
        assert max(1, min(wanted, context - prompt) // 2) <= tokens <= min(wanted, context - prompt)


@pytest.mark.parametrize("saying", TELLING)
def test_learned_limits_avoid_later_refusals(saying: str) -> None:
    server, room = Server(saying, context=512, talks=100), Room(None)
    for prompt in (40, 30, 40, 20, 35, 41, 11):
        answer = server.converse(room, 4096, prompt)
        assert isinstance(answer, Answer)
        assert answer.completions[0].tokens == 100
    # The first prompt takes up to four requests, the others one each.
    assert len(server.limits) <= 4 + 6


def test_limits_are_halved_for_a_server_that_counts_nothing() -> None:
    server, room = Server("without a number", context=512, talks=600, counts=False), Room(None)
    assert isinstance(server.converse(room, 4096, 40), Answer)
    assert server.limits == [4096, 1, 2048, 1024, 512, 256]
    assert isinstance(server.converse(room, 4096, 40), Answer)
    assert server.limits[6:] == [256]


@pytest.mark.parametrize(
    "words",
    [
        "max_tokens is too large: 100000. This model supports at most 8192 completion tokens, whereas you gave 100000.",
        "Invalid max_tokens value, the valid range of max_tokens is [1, 8192]",
        "`max_tokens` must be less than or equal to `8192`, the maximum value for `max_tokens` is less than the "
        "`context_window` for this model",
        "it has a maxOutputTokens value of 100000 but the supported range is from 1 (inclusive) to 8193 (exclusive)",
        "max_tokens: 100000 > 8192, which is the maximum allowed number of output tokens for parrot-3-5-20241022",
        "Range of max_tokens should be [1, 8192]",
        "body.max_tokens: Input should be less than or equal to 8192",
    ],
)
def test_a_limit_of_completions_is_respected(script: Script, words: str) -> None:
    def respond(body: dict[str, Any]) -> Reply:
        return Reply({"error": {"message": words}}, 400) if body["max_tokens"] > 8192 else Reply(completion("fine"))

    script.respond = respond
    request = Request(CHAT, Sampling(max_tokens=100_000))
    assert [answer.text for answer in outcomes(script, request, request)] == ["fine", "fine"]
    assert [body["max_tokens"] for body in script.asked] == [100_000, 8192, 8192]


def context_of(tokens: int, saying: str, status: int = 400) -> Callable[[dict[str, Any]], Reply]:
    def respond(body: dict[str, Any]) -> Reply:
        prompt = len((body.get("prompt") or body["messages"][0]["content"]).split())
        if prompt + body["max_tokens"] > tokens:
            words = SAYINGS[saying](tokens, prompt, body["max_tokens"])
            return Reply({"object": "error", "message": words, "code": status}, status)
        text = " ".join(["word"] * body["max_tokens"])
        choice = {"index": 0, "finish_reason": "length", "text": text, "message": {"content": text}}
        usage = {"prompt_tokens": prompt, "completion_tokens": body["max_tokens"] * body.get("n", 1)}
        return Reply({"choices": [{**choice, "index": i} for i in range(body.get("n", 1))], "usage": usage})

    return respond


@pytest.mark.parametrize("status", [400, 413, 422, 500])
@pytest.mark.parametrize("saying", ["vLLM 0.14", "SGLang", "TGI", "llama-cpp-python"])
def test_a_short_prompt_is_never_too_long(script: Script, saying: str, status: int) -> None:
    if status == 500 and "exceed" not in SAYINGS[saying](64, 7, 64):
        status = 400
    script.respond = context_of(64, saying, status)
    seven = (Message(role="user", content="What does a heron eat in winter?"),)
    for prompt in (seven, seven[0]["content"]):
        (answer,) = ask(script, Request(prompt, Sampling(max_tokens=500), n=2))
        assert [(c.tokens, c.finish_reason) for c in answer.completions] == [(57, "length")] * 2


@pytest.mark.parametrize("saying", [*SAYINGS])
def test_a_prompt_that_fills_the_context_is_too_long(script: Script, saying: str) -> None:
    script.respond = context_of(64, saying)
    with pytest.raises(PromptTooLong, match=r"context|max_"):
        ask(script, Request("word " * 64, Sampling(max_tokens=500)))
    assert len(script.asked) <= 4


@pytest.mark.parametrize(
    "words",
    [
        "The input (600 tokens) is longer than the model's context length (512 tokens).",
        "Input validation error: `inputs` must have less than 512 tokens. Given: 600",
        "Prompt contains 600 tokens and 0 draft tokens, too large for model with 512 maximum context length",
        "The decoder prompt (length 600) is longer than the maximum model length of 512.",
        "prompt is too long: 600 tokens > 512 maximum",
        "Please reduce the length of the messages or completion. Current length is 600 while limit is 512",
    ],
)
def test_a_refused_prompt_is_verified_with_one_token(script: Script, words: str) -> None:
    script.replies = [Reply({"error": {"message": words}}, 400)]
    with pytest.raises(PromptTooLong, match="600"):
        ask(script, Request(CHAT, Sampling(max_tokens=50)))
    assert [body["max_tokens"] for body in script.asked] == [50, 1]


def test_numbers_in_names_are_not_counts() -> None:
    words = "parrot-4-32k v2.5 on host-512: the maximum context length is 100 tokens, you requested 30 + 90 tokens"
    assert stated_limits(words, 90) == (100, 70)
