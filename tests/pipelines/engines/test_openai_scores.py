"""What a server is asked for the scores of a text, and what it may answer."""

import asyncio
from typing import Any

import pytest

from synth.pipelines.engines import Answer, Request, RequestFailed, Windows
from synth.pipelines.engines.openai import OpenAIEngine, Server
from synth.pipelines.engines.openai.replicas import Replicas
from synth.pipelines.engines.probe import check_texts_scored
from synth.schemas.errors import EngineFailed
from tests.pipelines.engines.asking import ask, outcomes, with_engine
from tests.pipelines.engines.scripted_server import Reply, Script, scripted_server

REQUEST = Request.to_score("one two three four five", Windows(3, keep=True))


def scoring(body: dict[str, Any]) -> Reply:
    """A server with a token for each word, numbered by its length, which is what it costs."""
    if "add_special_tokens" in body:
        return Reply({"tokens": [len(word) for word in body["prompt"].split(" ")], "max_model_len": 512})
    choices = [
        {"index": index, "text": "", "logprobs": {"token_logprobs": [None, *(-float(token) for token in prompt[1:])]}}
        for index, prompt in enumerate(body["prompt"])
    ]
    return Reply({"choices": choices[::-1]})


def test_all_windows_are_sent_in_one_request_and_may_come_back_in_any_order(script: Script) -> None:
    script.respond = scoring
    (answer,) = ask(script, REQUEST)
    assert answer.scores
    assert answer.scores.each == (None, 3, 5, None, 4)
    assert (answer.scores.nll, answer.scores.dtype, answer.prompt_tokens) == (12, None, 5)
    assert script.asked[-1] == {
        "model": "m", "prompt": [[3, 3, 5], [4, 4]], "echo": True, "max_tokens": 0, "logprobs": 0
    }  # fmt: skip
    assert script.paths == ["/tokenize"] * 3 + ["/v1/completions"]


def test_fields_of_the_user_are_sent_and_one_that_is_null_is_not(script: Script) -> None:
    script.respond = scoring
    ask(script, REQUEST, fields={"logprobs": 1, "priority": 3, "max_tokens": None})
    assert script.asked[-1] == {"model": "m", "prompt": [[3, 3, 5], [4, 4]], "echo": True, "logprobs": 1, "priority": 3}


def prove(script: Script) -> None:
    with_engine(script, lambda engine: check_texts_scored(engine.answer), "m")


def test_a_server_that_scores_passes_the_check(script: Script) -> None:
    script.respond = scoring
    prove(script)


@pytest.mark.parametrize(
    "choice",
    [
        {"text": "and so on"},
        {"text": "and so on", "logprobs": None},
        {"text": "and so on", "logprobs": {"token_logprobs": None}},
        {"text": "and so on", "logprobs": {"token_logprobs": [-0.5, -2.5]}},
        {"text": "", "logprobs": {"token_logprobs": []}},
    ],
)
def test_a_server_that_does_not_repeat_the_prompt_fails_the_check(script: Script, choice: dict[str, Any]) -> None:
    def respond(body: dict[str, Any]) -> Reply:
        return scoring(body) if "add_special_tokens" in body else Reply({"choices": [{"index": 0, **choice}]})

    script.respond = respond
    with pytest.raises(EngineFailed, match=r"does not score texts \(.*log-probabilities.*\); use --engine vllm, or"):
        prove(script)


def test_a_server_that_refuses_the_field_fails_the_check_in_its_words(script: Script) -> None:
    refusal = Reply({"error": {"message": "echo is not supported", "param": "echo"}}, 400)
    script.respond = lambda body: scoring(body) if "add_special_tokens" in body else refusal
    with pytest.raises(EngineFailed, match=r"does not score texts \(.*echo is not supported\)"):
        prove(script)


def test_a_server_without_a_tokenizer_is_said_to_have_none(script: Script) -> None:
    script.replies = [Reply({"detail": "Not Found"}, 404)]
    with pytest.raises(EngineFailed, match="scoring needs a server that makes tokens"):
        ask(script, REQUEST)


def test_a_list_of_another_length_than_the_prompt_fails_that_text_alone(script: Script) -> None:
    def respond(body: dict[str, Any]) -> Reply:
        reply = scoring(body)
        if body["prompt"] == [[6, 3]]:
            reply.body["choices"][0]["logprobs"]["token_logprobs"].pop()
        return reply

    script.respond = respond
    windows = Windows(8)
    short, fine = outcomes(script, Request.to_score("broken one", windows), Request.to_score("all fine", windows))
    assert isinstance(short, RequestFailed)
    assert "a window of 2 tokens has 0 log-probabilities" in str(short)
    assert isinstance(fine, Answer)


def test_a_null_among_the_log_probabilities_is_no_number(script: Script) -> None:
    def respond(body: dict[str, Any]) -> Reply:
        reply = scoring(body)
        if "choices" in reply.body:
            reply.body["choices"][0]["logprobs"]["token_logprobs"][1] = None
        return reply

    script.respond = respond
    (found,) = outcomes(script, Request.to_score("one two", Windows(8)))
    assert isinstance(found, RequestFailed)


def test_several_servers_share_the_texts_and_one_that_fails_loses_none(script: Script) -> None:
    with scripted_server() as other:
        script.respond = scoring
        other.respond = lambda body: scoring(body) if len(other.asked) < 8 else Reply(status=503)

        async def run() -> list[Answer]:
            engine = Replicas([OpenAIEngine(Server(one.url), "m", concurrency=2) for one in (script, other)])
            try:
                await engine.start()
                texts = (Request.to_score(f"text {'x' * number} here", Windows(8)) for number in range(1, 20))
                return await asyncio.gather(*map(engine.answer, texts))
            finally:
                await engine.close()

        answers = asyncio.run(run())
        assert [one.scores.nll for one in answers if one.scores] == [number + 4 for number in range(1, 20)]
        assert len(other.asked) > 8
