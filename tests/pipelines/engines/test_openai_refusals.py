"""Errors are classified: faults of the request, temporary faults of the server, and faults of the run."""

from typing import Any

import pytest

from synth.pipelines.engines import Answer, EngineBusy, Message, PromptRefused, PromptTooLong, Request, RequestFailed
from synth.schemas.errors import EngineFailed
from tests.pipelines.engines.asking import CHAT, NEUTRAL, ask, outcomes
from tests.pipelines.engines.scripted_server import Reply, Script, completion

ODD = (Message(role="user", content="an odd question"),)


def is_odd(body: dict[str, Any]) -> bool:
    return body["messages"][0]["content"] == ODD[0]["content"]


def expected(status: int) -> type[Exception]:
    if status in (401, 402, 404, 405):
        return EngineFailed
    if 400 <= status < 500 and status not in (408, 409, 425, 429):
        return PromptRefused
    return EngineBusy


@pytest.mark.parametrize("status", [300, 304, 399, *range(400, 432), 451, 499, *range(500, 512), 520, 529, 599])
def test_each_status_for_all_requests_and_for_one(script: Script, status: int) -> None:
    error = Reply({"error": {"message": "heron at the door"}}, status)
    script.replies = [error]
    (outcome,) = outcomes(script, Request(ODD, NEUTRAL))
    assert isinstance(outcome, expected(status))
    assert f"answers {status}: " in str(outcome)
    assert "heron at the door" in str(outcome) or status == 304

    script.respond = lambda body: error if is_odd(body) else Reply(completion("fine"))
    first, odd, last = outcomes(script, Request(CHAT, NEUTRAL), Request(ODD, NEUTRAL), Request(CHAT, NEUTRAL))
    assert isinstance(first, Answer)
    assert isinstance(last, Answer)
    # If a server has answered and still lists the model, the address is right, so it refuses the request.
    assert isinstance(odd, PromptRefused if status == 404 else expected(status))


@pytest.mark.parametrize("status", [408, 429, 503, 529])
def test_an_overloaded_server_differs_from_one_that_fails_on_a_request(script: Script, status: int) -> None:
    script.replies = [Reply(status=status), Reply(status=502)]
    crowded, failing = outcomes(script, Request(CHAT, NEUTRAL), Request(CHAT, NEUTRAL))
    assert isinstance(crowded, EngineBusy)
    assert crowded.overloaded
    assert isinstance(failing, EngineBusy)
    assert not failing.overloaded


def test_a_model_that_is_no_longer_served_ends_the_run(script: Script) -> None:
    script.replies = [Reply(completion("fine")), Reply({"error": {"message": "no model m"}}, 404)]

    def vanish(body: dict[str, Any]) -> Reply:
        if not is_odd(body):
            return Reply(completion("fine"))
        script.models = Reply({"data": [{"id": "another"}]})
        return Reply({"error": {"message": "no model m"}}, 404)

    script.respond = vanish
    _, gone = outcomes(script, Request(CHAT, NEUTRAL), Request(ODD, NEUTRAL))
    assert isinstance(gone, EngineFailed)
    assert "answers 404: no model m" in str(gone)


@pytest.mark.parametrize(
    ("status", "says"), [(401, "OPENAI_API_KEY"), (404, "usually ends in /v1"), (402, "answers 402: pay")]
)
def test_faults_of_every_request_are_reported_with_a_hint(script: Script, status: int, says: str) -> None:
    script.replies = [Reply({"error": {"message": "pay"}}, status)]
    with pytest.raises(EngineFailed, match=says):
        ask(script, Request(CHAT, NEUTRAL))


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("Your API key lacks the scope model.request", EngineFailed),
        ("You are not authorized to use this model", EngineFailed),
        ("Input was flagged by moderation; you have no permission to send it", PromptRefused),
        ("<html>Sorry, you have been blocked</html>", PromptRefused),
        ("", PromptRefused),
    ],
)
def test_403_is_about_the_key_or_about_the_prompt(script: Script, words: str, kind: type[Exception]) -> None:
    script.replies = [Reply({"error": {"message": words}}, 403)]
    with pytest.raises(kind):
        ask(script, Request(CHAT, NEUTRAL))


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"error": {"message": "provider is down", "code": 502}}, EngineBusy),
        ({"error": {"message": "provider is down", "code": "502"}}, EngineBusy),
        ({"error": {"message": "provider is down"}}, EngineBusy),
        ({"error": "provider is down"}, EngineBusy),
        ({"object": "error", "message": "provider is down", "code": 500}, EngineBusy),
        ({"error": {"message": "no such key", "code": 401}}, EngineFailed),
        ({"error": {"message": "not for me", "status": 400}}, PromptRefused),
        ({"error": {"message": "not for me", "code": "content_filter"}, "choices": []}, PromptRefused),
        ({"error": {"message": "please shorten it", "code": "context_length_exceeded"}}, PromptTooLong),
        ({"message": "not for me", "status": 422}, PromptRefused),
    ],
)
def test_an_error_with_a_successful_status_is_an_error(script: Script, body: Any, kind: type[Exception]) -> None:
    script.replies = [Reply(body)]
    with pytest.raises(kind, match=r"provider is down|no such key|not for me|please shorten it"):
        ask(script, Request(CHAT, NEUTRAL))
    assert kind is PromptTooLong or len(script.asked) == 1


def test_an_error_field_next_to_a_completion_is_ignored(script: Script) -> None:
    script.replies = [Reply({**completion("fine"), "error": None, "code": 200})]
    (answer,) = ask(script, Request(CHAT, NEUTRAL))
    assert answer.text == "fine"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"message": "a heron"}, "a heron"),
        ({"detail": "a heron"}, "a heron"),
        ({"detail": [{"loc": ["body", "stop"], "msg": "a heron"}]}, "body.stop: a heron"),
        ({"error": {"message": {"text": "a heron"}}}, "{'text': 'a heron'}"),
        ({"error": "a\n  heron"}, "a heron"),
        ([1, 2], r"\[1, 2\]"),
        (b"a h\xc3\xa9ron\xff", "a héron\ufffd"),
        (b'{"error": {"message": "a \\ud83d heron"}}', "a \ufffd heron"),
        ({"error": "heron " * 1000}, "heron heron.*…$"),
        (b"[" * 600 + b"]" * 600, "400"),
    ],
)
def test_the_message_of_a_server_is_shown_on_one_line(script: Script, body: Any, says: str) -> None:
    script.replies = [Reply(body, 400)]
    with pytest.raises(RequestFailed, match=says) as failed:
        ask(script, Request(CHAT, NEUTRAL))
    assert "\n" not in str(failed.value)
    assert len(str(failed.value)) < 400
