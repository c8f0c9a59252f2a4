"""Fields of requests that `--engine-arg` adds, changes or removes."""

from typing import Any

import pytest

from synth.pipelines.engines import Answer, Message, PromptRefused, Request, Sampling
from synth.pipelines.engines.registry import open_engine
from synth.schemas.errors import EngineFailed, UsageError
from tests.pipelines.engines.asking import CHAT, NEUTRAL, ask, outcomes
from tests.pipelines.engines.scripted_server import Reply, Script, completion


def answers_all(body: dict[str, Any]) -> Reply:
    return Reply(completion(*[f"{body.get('seed', 'any')}+{i}" for i in range(body.get("n", 1))]))


def bodies(script: Script, fields: dict[str, Any], n: int = 1) -> list[dict[str, Any]]:
    script.respond = answers_all
    script.asked.clear()
    ask(script, Request(CHAT, NEUTRAL, n=n, seed=4), fields=fields)
    return script.asked


def test_a_field_is_added_changed_or_removed(script: Script) -> None:
    plain = {"model": "m", "messages": list(CHAT), "seed": 4, "temperature": 1.0, "top_p": 1.0, "max_tokens": 9}
    switch = {"chat_template_kwargs": {"enable_thinking": False}}
    assert bodies(script, switch) == [plain | switch]
    assert bodies(script, {"top_p": 0.5, "min_p": 0.05}) == [plain | {"top_p": 0.5, "min_p": 0.05}]
    for name in ("temperature", "top_p", "max_tokens"):
        assert bodies(script, {name: None}) == [{field: plain[field] for field in plain if field != name}]


def test_neutral_values_for_vllm_servers_can_be_overridden(script: Script) -> None:
    script.models = Reply({"data": [{"id": "m", "owned_by": "vllm"}]})
    (body,) = bodies(script, {"min_p": 0.1, "return_token_ids": None})
    assert body["min_p"] == 0.1
    assert "return_token_ids" not in body


def test_without_n_samples_are_requested_one_by_one_with_their_seeds(script: Script) -> None:
    script.respond = answers_all
    (answer,) = ask(script, Request(CHAT, NEUTRAL, n=3, seed=4), fields={"n": None})
    assert [c.text for c in answer.completions] == ["4+0", "5+0", "6+0"]
    assert all("n" not in body for body in script.asked)


def test_without_seeds_no_request_has_one(script: Script) -> None:
    script.respond = answers_all
    together, apart = (
        ask(script, Request(CHAT, NEUTRAL, n=3, seed=4), seeds=False, fields=fields)[0] for fields in ({}, {"n": None})
    )
    assert [c.text for c in together.completions] == ["any+0", "any+1", "any+2"]
    assert [c.text for c in apart.completions] == ["any+0"] * 3
    assert len(script.asked) == 4
    assert not any("seed" in body for body in script.asked)


def test_fields_are_part_of_the_identity() -> None:
    args = {
        "chat_template_kwargs": '{"enable_thinking": false}',
        "reasoning_effort": "low",
        "max_tokens": "null",
        "concurrency": "3",
        "timeout": "9",
    }
    engine = open_engine("openai", "m", ("http://127.0.0.1:9/v1",), args)
    assert engine.identity()["args"] == {
        "chat_template_kwargs": {"enable_thinking": False},
        "max_tokens": None,
        "reasoning_effort": "low",
    }
    plain = open_engine("openai", "m", ("http://127.0.0.1:9/v1",), {"concurrency": "3", "timeout": "9"})
    assert plain.identity()["args"] == {}


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("model", "other", "--model sets it"),
        ("messages", "[]", "--prompt FILE sets it"),
        ("prompt", "null", "--prompt FILE sets it"),
        ("n", "3", "-n sets it; n=null asks for the samples one by one"),
        ("seed", "7", "--seed sets it; --no-seeds leaves it out"),
        ("seed", "null", "--seed sets it; --no-seeds leaves it out"),
        ("temperature", "1", "--temperature sets it; temperature=null leaves it out"),
        ("max_tokens", "99", "--max-tokens sets it; max_tokens=null leaves it out"),
        ("stop", "null", "the step's prompt needs its own"),
        ("response_format", "null", "--no-schema leaves it out where the step has it"),
        ("stream", "true", "answers are read whole"),
        ("max_completion_tokens", "many", "max_completion_tokens=many is not a number of tokens"),
        ("max_completion_tokens", "0", "max_completion_tokens=0 is not a number of tokens"),
        ("min_p", "NaN", "min_p cannot be sent as JSON"),
        ("x", '{"a": [Infinity]}', "x cannot be sent as JSON"),
        ("x", "123456789012345678901234567890", "x cannot be sent as JSON"),
        ("x", r'"\ud83d"', "x cannot be sent as JSON"),
    ],
)
def test_fields_set_by_options_cannot_be_changed(name: str, value: str, says: str) -> None:
    with pytest.raises(UsageError, match=f"--engine-arg .*{says}"):
        open_engine("openai", "m", ("http://127.0.0.1:9/v1",), {name: value})


def unsupported(body: dict[str, Any]) -> Reply:
    """Like OpenAI's newer models."""
    if "max_tokens" in body:
        words = "Unsupported parameter: 'max_tokens' is not supported here. Use 'max_completion_tokens' instead."
        return Reply({"error": {"message": words, "param": "max_tokens", "code": "unsupported_parameter"}}, 400)
    if body.get("max_completion_tokens", 0) > 50:
        words = f"max_tokens is too large: {body['max_completion_tokens']}. It supports at most 50 completion tokens."
        return Reply({"error": {"message": words, "param": "max_tokens"}}, 400)
    return answers_all(body)


def test_the_token_limit_is_sent_under_the_name_that_the_server_accepts(script: Script) -> None:
    script.respond = unsupported
    first, second = outcomes(script, Request(CHAT, NEUTRAL), Request(CHAT, Sampling(max_tokens=70)))
    assert isinstance(first, Answer)
    assert isinstance(second, Answer)
    limits = [{name: body[name] for name in body if name.startswith("max_")} for body in script.asked]
    assert limits == [{"max_tokens": 9}, *[{"max_completion_tokens": most} for most in (9, 70, 50)]]


@pytest.mark.parametrize("more", [{}, {"max_tokens": None}])
def test_a_limit_by_the_other_name_replaces_that_of_the_recipe(script: Script, more: dict[str, None]) -> None:
    script.respond = unsupported
    ask(script, Request(CHAT, NEUTRAL), Request(CHAT, NEUTRAL), fields={"max_completion_tokens": 40, **more})
    assert [body["max_completion_tokens"] for body in script.asked] == [40, 40]
    assert all("max_tokens" not in body for body in script.asked)


REFUSALS = [
    ("seed", 422, {"detail": [{"loc": ["body", "seed"], "msg": "Extra inputs are not permitted"}]}),
    ("seed", 400, {"error": {"message": "Unrecognized request argument supplied: seed"}}),
    ("seed", 400, {"message": "unknown field `seed`"}),
    ("seed", 400, {"error": {"message": "nope", "param": "seed"}}),
    ("n", 400, {"error": {"message": "'n' : number must be at most 1"}}),
    ("n", 400, {"error": {"message": "Only n=1 is supported"}}),
    ("n", 422, {"detail": [{"loc": ["body", "n"], "msg": "Input should be less than or equal to 1"}]}),
    ("temperature", 400, {"error": {"message": "Unsupported value: 'temperature' does not support 0.5 here."}}),
    ("top_p", 400, {"error": {"message": "top_p is not supported by this model"}}),
    ("max_tokens", 400, {"error": {"message": "property 'max_tokens' is unsupported"}}),
]


@pytest.mark.parametrize(("field", "status", "body"), REFUSALS)
def test_the_error_on_a_refused_field_names_the_option_that_leaves_it_out(
    script: Script, field: str, status: int, body: Any
) -> None:
    option, without = rf"--engine-arg .*{field}=null", {"fields": {field: None}}
    if field == "seed":
        option, without = "--no-seeds", {"seeds": False}
    script.respond = lambda asked: Reply(body, status) if field in asked else answers_all(asked)
    with pytest.raises(EngineFailed, match=rf"answers {status}: .*; {option}"):
        ask(script, Request(CHAT, NEUTRAL, n=2))
    answers = ask(script, Request(CHAT, NEUTRAL, n=2), **without)
    assert len(answers[0].completions) == 2


def test_the_error_on_a_refused_field_of_the_user_says_to_leave_it_out(script: Script) -> None:
    script.replies = [Reply({"error": {"message": "unknown field `plumage`"}}, 400)]
    with pytest.raises(EngineFailed, match="leave out --engine-arg plumage"):
        ask(script, Request(CHAT, NEUTRAL), fields={"plumage": "grey"})


@pytest.mark.parametrize(
    "words",
    [
        "This content is not allowed: the temperature of a heron",
        "'seed' is not allowed: flagged by the content policy",
        "invalid characters in the question about seed, n and stop",
        "Invalid 'messages': not supported",
    ],
)
def test_only_the_prompt_that_contains_the_name_of_a_field_is_refused(script: Script, words: str) -> None:
    script.replies = [Reply({"error": {"message": words}}, 400)]
    with pytest.raises(PromptRefused):
        ask(script, Request(CHAT, NEUTRAL))


def test_a_server_that_has_accepted_the_fields_refuses_the_prompt(script: Script) -> None:
    odd = (Message(role="user", content="odd"),)

    def respond(body: dict[str, Any]) -> Reply:
        if body["messages"][0]["content"] == "odd":
            return Reply({"error": {"message": "unknown field `seed`"}}, 400)
        return answers_all(body)

    script.respond = respond
    _, refused = outcomes(script, Request(CHAT, NEUTRAL), Request(odd, NEUTRAL))
    assert isinstance(refused, PromptRefused)
