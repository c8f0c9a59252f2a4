"""Lists of models in all forms, and servers without one."""

import logging
import re
from typing import Any

import pytest

from synth.pipelines.engines import Request
from synth.pipelines.engines.openai import OpenAIEngine, Server, served_models
from synth.pipelines.engines.registry import open_engine
from synth.schemas.errors import EngineFailed, UsageError
from tests.pipelines.engines.asking import CHAT, NEUTRAL, ask
from tests.pipelines.engines.scripted_server import Reply, Script, completion


@pytest.mark.parametrize(
    ("body", "names"),
    [
        ({"data": [{"id": "a"}, {"id": "b"}]}, ["a", "b"]),
        ([{"id": "a"}, {"id": "b"}], ["a", "b"]),
        (["a", "b"], ["a", "b"]),
        ({"models": [{"name": "a"}, {"name": "b"}]}, ["a", "b"]),
        ({"data": [{"id": "a"}, {"id": None}, {}, 7, None]}, ["a"]),
    ],
)
def test_lists_of_models_in_all_forms_are_read(script: Script, body: Any, names: list[str]) -> None:
    script.models = Reply(body)
    assert [card["id"] for card in served_models(Server(script.url))] == names


@pytest.mark.parametrize(
    ("listed", "model"),
    [("models/m", "m"), ("m", "models/m"), ("m:latest", "m"), ("m", "m:free")],
)
def test_a_model_is_found_by_variants_of_its_name(
    script: Script, caplog: pytest.LogCaptureFixture, listed: str, model: str
) -> None:
    script.models = Reply([{"id": "other"}, {"id": listed}])
    script.replies = [Reply(completion("fine"))]
    ask(script, Request(CHAT, NEUTRAL), model=model)
    assert script.asked[0]["model"] == model
    assert not caplog.messages


@pytest.mark.parametrize("listed", ["m:70b", "other/m", "mm"])
def test_the_error_on_a_model_that_is_not_served_lists_the_others(script: Script, listed: str) -> None:
    script.models = Reply({"data": [{"id": listed}, {"id": "heron"}]})
    with pytest.raises(UsageError, match=f"--model m is not served at .*: it serves {listed}, heron"):
        ask(script, model="m")


UNLISTED = [
    (Reply(status=404), "404 .*usually ends in /v1"),
    (Reply(status=403), "403 .*OPENAI_API_KEY"),
    (Reply(status=503), "503"),
    (Reply(b"<html>"), "list of models"),
    (Reply(b"\xff\xfe"), "list of models"),
    (Reply(b"[" * 100_000), "list of models"),
    (Reply({"models": []}), "list of models"),
    (Reply({"data": {"id": "m"}}), "list of models"),
    (Reply(7), "list of models"),
    (Reply(None), "list of models"),
]


@pytest.mark.parametrize(("reply", "says"), UNLISTED)
def test_without_a_list_a_named_model_is_accepted_with_a_warning(
    script: Script, caplog: pytest.LogCaptureFixture, reply: Reply, says: str
) -> None:
    script.models = reply
    script.replies = [Reply(completion("fine"))]
    with caplog.at_level(logging.WARNING, "synth"):
        (answer,) = ask(script, Request(CHAT, NEUTRAL))
    assert answer.text == "fine"
    (message,) = caplog.messages
    assert re.match(f"--model m is not checked: .*{says}", message)


@pytest.mark.parametrize(("reply", "says"), UNLISTED)
def test_without_a_list_a_model_must_be_named(script: Script, reply: Reply, says: str) -> None:
    script.models = reply
    with pytest.raises(EngineFailed, match=says):
        open_engine("openai", None, (script.url,), {})


def test_a_refused_key_is_reported_at_once(script: Script) -> None:
    script.models = Reply(status=401)
    with pytest.raises(EngineFailed, match=r"401 .*OPENAI_API_KEY"):
        ask(script, model="m")


@pytest.mark.parametrize("key", ["se\ncret", "s\N{LATIN SMALL LETTER E WITH ACUTE}cret"])
def test_a_key_that_is_invalid_in_a_header_is_reported(
    script: Script, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with pytest.raises(UsageError, match="OPENAI_API_KEY"):
        ask(script, model="m")


def test_white_space_around_a_key_is_stripped(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret\n")
    script.replies = [Reply(completion("a"))]
    ask(script, Request(CHAT, NEUTRAL))
    assert script.headers[0]["Authorization"] == "Bearer secret"


def test_a_server_that_cannot_be_reached_is_named() -> None:
    import asyncio

    with pytest.raises(EngineFailed, match=r"no LLM server answers at http://127\.0\.0\.1:9/v1/models"):
        asyncio.run(OpenAIEngine(Server("http://127.0.0.1:9/v1"), "m").start())
