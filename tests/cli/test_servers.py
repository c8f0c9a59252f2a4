"""Servers on the command line: where they come from, and what the record of a run keeps of their secrets."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.command import run_synth, type_synth
from tests.pipelines.engines.scripted_server import Reply, Script, completion, scripted_server

SAMPLE = ("reject", "sample", "questions.jsonl", "out", "-n", 1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "questions.jsonl").write_text('{"id": "q", "question": "What is 1+1?", "answer": "2"}\n')
    return tmp_path


def record(folder: Path) -> str:
    return (folder / "out" / "synth.json").read_text()


@pytest.fixture
def script() -> Iterator[Script]:
    with scripted_server() as script:
        script.replies = [Reply(completion("#### 2"))]
        yield script


@pytest.mark.parametrize(
    ("words", "recorded"),
    [
        (["--header", "X-Key: typed"], ["--header", "X-Key: ***"]),
        (["--header=X-Key:typed"], ["--header=X-Key: ***"]),
        (["--header", "X-Key: $GIVEN"], ["--header", "X-Key: $GIVEN"]),
        (["--header", "X-Key: Bearer ${GIVEN}"], ["--header", "X-Key: Bearer ${GIVEN}"]),
        (["--header", "X-Key: typed$GIVEN"], ["--header", "X-Key: ***"]),
    ],
)
def test_the_record_of_a_command_keeps_no_secret(
    folder: Path, script: Script, words: list[str], recorded: list[str]
) -> None:
    server = ("--base-url", script.url, "--model", "m")
    done = type_synth(*SAMPLE, *server, *words, folder=folder, GIVEN="given", OPENAI_API_KEY="private")
    assert done.returncode == 0, done.stderr
    assert script.headers[0]["X-Key"] in ("typed", "given", "Bearer given", "typedgiven")
    command = json.loads(record(folder))["command"]
    assert command[-len(recorded) :] == recorded
    for text in (record(folder), done.stderr):
        assert "typed" not in text
        assert "given" not in text
        assert "private" not in text
    # The command is repeated to find out what has changed: the headers have no part in that.
    assert type_synth("why", "out", folder=folder).returncode == 0


def test_the_record_of_a_command_keeps_no_secret_in_the_address(folder: Path, script: Script) -> None:
    address = f"{script.url}?api-version=1&subscription-key=typed"
    done = type_synth(*SAMPLE, "--base-url", address, "--model", "m", folder=folder)
    assert done.returncode == 0, done.stderr
    assert script.paths[-1].endswith("/completions?api-version=1&subscription-key=typed")
    assert json.loads(record(folder))["command"][-3] == f"{script.url}?api-version=1&subscription-key=***"
    assert "typed" not in record(folder) + done.stderr


def test_several_servers_are_recorded_without_their_secrets(folder: Path, script: Script) -> None:
    with scripted_server() as other:
        other.replies = script.replies
        addresses = [word for one in (script, other) for word in ("--base-url", f"{one.url}?api-key=typed")]
        done = type_synth(*SAMPLE, *addresses, folder=folder)
        assert done.returncode == 0, done.stderr
        recorded = [word for one in (script, other) for word in ("--base-url", f"{one.url}?api-key=***")]
        assert json.loads(record(folder))["command"][-4:] == recorded
        assert "typed" not in record(folder) + done.stderr
    # Which servers answered does not matter.
    again = type_synth(*SAMPLE, "--base-url", script.url, folder=folder)
    assert (again.returncode, len(script.asked) + len(other.asked)) == (0, 1), again.stderr


def test_addresses_with_a_comma_are_refused(folder: Path, script: Script) -> None:
    done = type_synth(*SAMPLE, "--base-url", f"{script.url},{script.url}", folder=folder)
    assert done.returncode == 2
    assert f"--base-url {script.url},{script.url} is not one address: repeat --base-url for each server" in done.stderr


def test_a_run_that_stops_keeps_no_secret_either(folder: Path, script: Script) -> None:
    script.replies = [Reply(status=401)]
    done = type_synth(*SAMPLE, "--base-url", script.url, "--header", "X-Key: typed", folder=folder)
    assert done.returncode == 1
    kept = [path.read_bytes() for path in (folder / "out.partial").rglob("*") if path.is_file()]
    assert kept
    assert not any(b"typed" in content for content in kept)


def test_a_server_of_the_environment_is_used_and_named(folder: Path, script: Script) -> None:
    done = run_synth(*SAMPLE, folder=folder, OPENAI_BASE_URL=script.url, SYNTH_MODEL="")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count(f"OPENAI_BASE_URL selects the server {script.url}\n") == 1
    assert json.loads(record(folder))["identity"]["engine"]["engine"] == "openai"


def test_an_engine_that_is_typed_takes_no_offence_at_the_variable(folder: Path) -> None:
    address = "http://127.0.0.1:9/v1"
    done = type_synth(*SAMPLE, "--engine", "echo", folder=folder, OPENAI_BASE_URL=address)
    assert (done.returncode, address in done.stderr) == (0, False)
    shutil.rmtree(folder / "out")
    done = type_synth(*SAMPLE, "--engine", "echo", "--base-url", address, folder=folder)
    assert done.returncode == 2
    assert "--base-url names a server, which --engine echo does not use" in done.stderr


@pytest.mark.parametrize("header", ["X-Key", "X-Key=value", ": value"])
def test_a_header_needs_a_name_and_a_colon(folder: Path, header: str) -> None:
    done = type_synth(*SAMPLE, "--base-url", "http://127.0.0.1:9/v1", "--header", header, folder=folder)
    assert done.returncode == 2
    assert f"--header {header}: expected 'NAME: VALUE'" in done.stderr
