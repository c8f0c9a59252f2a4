"""Addresses, keys and headers of servers."""

import logging
import pickle
from typing import Any

import pytest

from synth.pipelines.engines import Answer, EngineBusy, Request
from synth.pipelines.engines.openai import OpenAIEngine, Server
from synth.pipelines.engines.openai.server import Keys
from synth.pipelines.engines.registry import open_engine
from synth.schemas.errors import EngineFailed, UsageError
from tests.pipelines.engines.asking import CHAT, NEUTRAL, ask, outcomes
from tests.pipelines.engines.scripted_server import Reply, Script, completion

AZURE = "/openai/deployments/heron"
QUESTION = Request(CHAT, NEUTRAL)


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    monkeypatch.delenv("SYNTH_MODEL", raising=False)


def key_of(headers: dict[str, str]) -> str:
    return headers["Authorization"].removeprefix("Bearer ")


@pytest.mark.parametrize("path", ["", "/", "/chat/completions", "/completions"])
def test_the_query_of_an_address_follows_the_path(script: Script, path: str) -> None:
    script.replies = [Reply(completion("fine"))]
    script.url += f"{path}?api-version=2024-10-21&region=eu"
    ask(script, QUESTION, Request("Why", NEUTRAL))
    assert sorted(script.paths) == [
        f"/v1/{method}completions?api-version=2024-10-21&region=eu" for method in ("chat/", "")
    ]


def test_a_deployment_at_azure_needs_no_model_and_no_list_of_models(
    script: Script, caplog: pytest.LogCaptureFixture
) -> None:
    script.models = Reply(status=404)
    script.replies = [Reply(completion("fine"))]
    script.url = script.url.replace("/v1", f"{AZURE}?api-version=2024-10-21")
    identity = open_engine(None, None, (script.url,), {}).identity()
    assert identity["model"] == "heron"
    (answer,) = ask(script, QUESTION, model="heron")
    assert answer.text == "fine"
    assert script.paths == [f"{AZURE}/chat/completions?api-version=2024-10-21"]
    assert script.headers[0]["Api-Key"] == "secret"
    assert "Authorization" not in script.headers[0]
    assert not caplog.messages


@pytest.mark.parametrize(
    ("address", "header"),
    [
        ("https://x.openai.azure.com/openai/v1", "api-key"),
        ("https://x.services.ai.azure.com/models?api-version=1", "api-key"),
        ("https://gateway.example/openai/deployments/heron", "api-key"),
        ("https://azure.com.example/v1", "authorization"),
        ("https://api.example/v1", "authorization"),
    ],
)
def test_the_key_is_sent_in_the_header_that_the_server_reads(address: str, header: str) -> None:
    (sent,) = Server(address).headers("secret").keys() - {"content-type"}
    assert sent == header


def test_azure_without_a_deployment_needs_a_model() -> None:
    with pytest.raises(UsageError, match="choose a --model: the name of a deployment"):
        open_engine(None, None, ("https://x.openai.azure.com/openai/v1",), {})


def test_several_keys_are_used_in_turn(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "a, b,,a,c")
    script.replies = [Reply(completion("fine"))]
    ask(script, *[QUESTION] * 6)
    assert sorted(map(key_of, script.headers)) == ["a", "a", "b", "b", "c", "c"]


def test_a_key_that_is_rate_limited_rests_while_the_others_are_used(
    script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "limited,free")
    script.to_key = {"limited": [Reply(status=429, headers={"Retry-After": "60"})]}
    script.replies = [Reply(completion("fine"))]
    answers = outcomes(script, *[QUESTION] * 5)
    assert all(isinstance(answer, Answer) for answer in answers)
    assert [key_of(headers) for headers in script.headers].count("limited") == 1


def test_if_all_keys_rest_the_shortest_rest_counts(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "long,short")
    script.to_key = {
        "long": [Reply(status=429, headers={"Retry-After": "60"})],
        "short": [Reply(status=429, headers={"Retry-After": "20"})],
    }
    first, second = outcomes(script, QUESTION, QUESTION)
    for busy in (first, second):
        assert isinstance(busy, EngineBusy)
        assert busy.overloaded
        assert 15 < (busy.retry_after or 0) <= 20
    assert len(script.headers) == 2


def test_a_rested_key_is_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    keys, now = Keys(["a", "b"]), 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    keys.rest("a", 5)
    assert [keys.take(), keys.take()] == ["b", "b"]
    keys.rest("b", None)
    assert keys.take() is None
    assert keys.wait == pytest.approx(2)
    now = 102.0
    assert [keys.take(), keys.take()] == ["b", "b"]
    now = 105.0
    assert {keys.take(), keys.take()} == {"a", "b"}


@pytest.mark.parametrize("status", [401, 402])
def test_a_refused_key_is_dropped_with_a_warning_that_does_not_show_it(
    script: Script, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "good,revoked")
    script.to_key = {"revoked": [Reply({"error": {"message": "no such key"}}, status)]}
    script.replies = [Reply(completion("fine"))]
    with caplog.at_level(logging.WARNING, "synth"):
        answers = outcomes(script, *[QUESTION] * 5)
    assert all(isinstance(answer, Answer) for answer in answers)
    assert [key_of(headers) for headers in script.headers].count("revoked") == 1
    (message,) = caplog.messages
    assert message.startswith("key 2 of the 2 in OPENAI_API_KEY is no longer used: ")
    assert "no such key" in message
    assert "revoked" not in message


def test_if_all_keys_are_refused_the_run_ends(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "one,two")
    script.replies = [Reply({"error": {"message": "no such key"}}, 401)]
    (failure,) = outcomes(script, QUESTION)
    assert isinstance(failure, EngineFailed)
    assert "is OPENAI_API_KEY set to a valid key?" in str(failure)
    assert [key_of(headers) for headers in script.headers] == ["one", "two"]


def test_the_list_of_models_is_asked_for_with_the_next_key_if_one_is_refused(
    script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "revoked,good")
    script.lists_to = {"good"}
    script.replies = [Reply(completion("fine"))]
    ask(script, QUESTION, QUESTION)
    assert [key_of(headers) for headers in script.headers] == ["good", "good"]
    monkeypatch.setenv("OPENAI_API_KEY", "revoked,too")
    with pytest.raises(EngineFailed, match="answers 401"):
        ask(script, QUESTION)


def test_headers_are_sent_with_variables_of_the_environment(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "t0ken")
    script.replies = [Reply(completion("fine"))]
    given = {"X-Title": " a title", "authorization": "Bearer ${TOKEN}", "X-Price": "5 $$"}
    ask(script, QUESTION, headers=given)
    sent = script.headers[0]
    assert (sent["X-Title"], sent["Authorization"], sent["X-Price"]) == ("a title", "Bearer t0ken", "5 $")


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("X-Key", "$NO_SUCH_NAME", r"--header X-Key: the environment has no variable NO_SUCH_NAME \(\$\$ stands"),
        ("X-Key", "5$", r"--header X-Key: a \$ is not followed by a name"),
        ("X Key", "a", "--header X Key: its name or value has characters that are not valid"),
        ("X-Key", "a\r\nb", "--header X-Key: its name or value has characters that are not valid"),
        ("X-Key", "caf\N{LATIN SMALL LETTER E WITH ACUTE}", "--header X-Key: its name or value"),
    ],
)
def test_a_header_that_cannot_be_sent_is_named(script: Script, name: str, value: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        ask(script, headers={name: value})


def test_a_server_takes_keys_and_headers_along_to_another_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "one")
    monkeypatch.setenv("TEAM", "blue")
    packed = pickle.dumps(Server("http://127.0.0.1:9/v1", {"x-team": "$TEAM"}))
    for name in ("OPENAI_API_KEY", "TEAM"):
        monkeypatch.delenv(name)
    server: Server = pickle.loads(packed)
    headers = server.headers(server.keys.next)
    assert (headers["authorization"], headers["x-team"]) == ("Bearer one", "blue")


def test_address_keys_and_headers_are_not_part_of_the_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    def identity(address: str, **headers: str) -> dict[str, Any]:
        return OpenAIEngine(Server(address, headers), "m").identity()

    plain = identity("http://x/v1")
    monkeypatch.setenv("OPENAI_API_KEY", "a,b")
    assert identity("http://y/v1?api-version=1", key="value") == plain
