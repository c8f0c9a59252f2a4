from pathlib import Path

import pytest

from synth.pipelines.engines.registry import open_engine
from synth.schemas.errors import EngineFailed, UsageError
from tests.pipelines.engines.scripted_server import Reply, Script


@pytest.fixture(autouse=True)
def _no_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SYNTH_MODEL", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def folder(tmp_path: Path) -> str:
    (tmp_path / "config.json").write_text("{}")
    return str(tmp_path)


def test_echo_needs_no_model() -> None:
    engine = open_engine("echo", None, (), {"reply": "42", "delay": "0.5"})
    assert engine.identity() == {"engine": "echo", "model": "echo", "revision": None, "args": {"reply": "42"}}


def test_without_a_kind_a_model_means_vllm(folder: str) -> None:
    identity = open_engine(None, folder, (), {}).identity()
    assert (identity["engine"], identity["model"]) == ("vllm", folder)
    assert len(identity["revision"]) == 64


def test_the_model_may_come_from_the_environment(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNTH_MODEL", folder)
    assert open_engine(None, None, (), {}).identity()["model"] == folder


def test_engine_arguments_are_json_where_they_are_json(folder: str) -> None:
    args = {"quantization": "fp8", "max-model-len": "4096", "trust_remote_code": "true", "rope": '{"factor": 2}'}
    assert open_engine(None, folder, (), args).identity()["args"] == {
        "max_model_len": 4096,
        "quantization": "fp8",
        "rope": {"factor": 2},
        "trust_remote_code": True,
    }


def test_scheduling_arguments_are_not_part_of_the_identity(folder: str) -> None:
    plain = open_engine(None, folder, (), {}).identity()
    scheduling = {"gpu_memory_utilization": "0.8", "tensor-parallel-size": "4", "max_num_seqs": "64"}
    assert open_engine(None, folder, (), scheduling).identity() == plain


def test_that_there_are_no_seeds_is_part_of_the_identity(folder: str) -> None:
    for kind, model, servers in (("vllm", folder, ()), ("openai", "m", ("http://127.0.0.1:9/v1",))):
        plain = open_engine(kind, model, servers, {}).identity()
        assert "seeds" not in plain
        assert open_engine(kind, model, servers, {}, seeds=False).identity() == {**plain, "seeds": False}


def test_echo_has_nothing_to_answer_with_but_seeds() -> None:
    with pytest.raises(UsageError, match=r"^--no-seeds: --engine echo makes its answers from the seeds"):
        open_engine("echo", None, (), {}, seeds=False)


def test_a_base_url_means_openai_and_its_only_model(script: Script) -> None:
    script.models = Reply({"data": [{"id": "qwen"}]})
    engine = open_engine(None, None, (script.url,), {"concurrency": "8", "timeout": "30"})
    assert engine.identity() == {"engine": "openai", "model": "qwen", "revision": None, "args": {}}


def test_among_several_served_models_one_must_be_chosen(script: Script) -> None:
    script.models = Reply({"data": [{"id": "llama"}, {"id": "qwen"}]})
    with pytest.raises(UsageError, match=r"choose a --model: .* serves llama, qwen"):
        open_engine(None, None, (script.url,), {})
    assert open_engine(None, "qwen", (script.url,), {}).identity()["model"] == "qwen"


def test_the_server_is_not_queried_if_the_model_is_named() -> None:
    assert open_engine("openai", "m", ("http://127.0.0.1:9/v1",), {}).identity()["model"] == "m"
    with pytest.raises(EngineFailed, match="no LLM server answers"):
        open_engine("openai", None, ("http://127.0.0.1:9/v1",), {})


@pytest.mark.parametrize("kind", [None, "openai"])
def test_the_server_may_come_from_the_environment_which_is_said(
    script: Script, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, kind: str | None
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", f"{script.url}?api-version=1")
    for model in (None, "m", "some/model"):
        assert open_engine(kind, model, (), {}).identity()["engine"] == "openai"
    assert caplog.messages == [f"OPENAI_BASE_URL selects the server {script.url}"] * 3


def test_a_server_of_the_environment_takes_no_model_away_from_this_machine(
    folder: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    monkeypatch.setattr(
        "synth.pipelines.engines.models.cached_snapshot", lambda name, _: folder if name == "a/b" else None
    )
    for kind, model in ((None, folder), (None, "tiny"), ("vllm", folder), ("vllm", "a/b"), (None, "a/b")):
        assert open_engine(kind, model, (), {}).identity()["engine"] == "vllm"
    assert open_engine("echo", None, (), {}).identity()["engine"] == "echo"
    with pytest.raises(UsageError, match=r"--model \./absent: there is no such directory"):
        open_engine(None, "./absent", (), {})
    assert not caplog.messages
    assert open_engine("openai", folder, (), {}).identity()["engine"] == "openai"


def test_a_server_that_is_typed_comes_before_that_of_the_environment(
    script: Script, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    assert open_engine(None, None, (script.url,), {}).identity()["model"] == "m"
    assert not caplog.messages


def test_an_unusable_address_in_the_environment_is_named_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "localhost:8000")
    with pytest.raises(UsageError, match="OPENAI_BASE_URL localhost:8000 is not an address"):
        open_engine("openai", "m", (), {})


def test_headers_need_a_server(folder: str) -> None:
    headers = {"X-Title": "a"}
    with pytest.raises(UsageError, match="--header is sent to a server, which --engine echo does not use"):
        open_engine("echo", None, (), {}, headers)
    with pytest.raises(UsageError, match="--header is sent to a server, and none is named: set --base-url"):
        open_engine(None, folder, (), {}, headers)


@pytest.mark.parametrize(
    ("kind", "model", "base_urls", "args", "says"),
    [
        (None, None, (), {}, "set --model to a directory, a hub name, or tiny.*--base-url.*--engine echo"),
        ("vllm", "no/such/dir", (), {}, "--model no/such/dir: there is no such directory"),
        ("vllm", "m", ("http://x/v1",), {}, "--base-url names a server, which --engine vllm does not use"),
        ("openai", "m", (), {}, "--engine openai needs a server"),
        ("openai", "m", ("localhost:8000",), {}, "--base-url localhost:8000 is not an address"),
        ("ollama", "m", (), {}, "--engine ollama: must be one of vllm, openai, echo"),
        ("echo", None, (), {"replies": "x"}, "--engine-arg replies: the engine echo takes reply, delay, context"),
        ("echo", None, (), {"delay": "soon"}, "--engine-arg delay=soon is not a number"),
        ("openai", "m", ("http://[x/v1",), {}, r"--base-url http://\[x/v1 is not an address"),
        ("openai", "m", ("http://x:port/v1",), {}, "--base-url http://x:port/v1 is not an address"),
        ("openai", "m", ("http:///v1",), {}, "--base-url http:///v1 is not an address"),
        ("openai", "m", ("http://me:secret@x/v1",), {}, "^--base-url has a user name: send it with --header"),
        ("openai", "m", ("http://x/v1,http://y/v1",), {}, "http://y/v1 is not one address: repeat --base-url"),
        ("openai", "m", ("http://x/v1", "http://y/v1", "http://x/v1/"), {}, "--base-url http://x/v1: given twice"),
        ("openai", "m", ("",), {}, "--base-url  is not an address"),
        ("openai", "m", ("http://x/v1",), {"concurrency": "0"}, "--engine-arg concurrency=0 is not above 0"),
        ("openai", "m", ("http://x/v1",), {"timeout": "nan"}, "--engine-arg timeout=nan is not above 0"),
        ("openai", "m", ("http://x/v1",), {"timeout": "soon"}, "--engine-arg timeout=soon is not a number"),
    ],
)
def test_errors_name_the_flag(
    kind: str | None, model: str | None, base_urls: tuple[str, ...], args: dict[str, str], says: str
) -> None:
    with pytest.raises(UsageError, match=says):
        open_engine(kind, model, base_urls, args)
