"""`--events FILE`: what whoever watches a run from outside reads, line by line."""

import json
import os
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from synth.pipelines.engines import Answer, EngineBusy, Request
from synth.pipelines.engines.echo import EchoEngine
from synth.pipelines.engines.openai import OpenAIEngine
from synth.pipelines.engines.openai.server import Server
from synth.pipelines.runtime import progress
from synth.pipelines.runtime.options import Options
from synth.pipelines.runtime.runner import Run
from synth.pipelines.tables.filter import Filter
from synth.sandbox.pool import Sandbox
from synth.schemas.errors import EngineFailed, Interrupted, Partial, Stale, UsageError
from tests.command import type_synth
from tests.pipelines.runtime.asking import Ask, CountingEngine, ask, questions


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "events.jsonl"


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "OBSERVE_SECONDS", 0.0)


def told(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def kinds(file: Path) -> list[str]:
    """The kinds of events in order, without repetitions."""
    events = [event["event"] for event in told(file)]
    return [event for event, before in zip(events, [None, *events], strict=False) if event != before]


def test_a_run_is_told_from_the_reading_of_its_input_to_its_end(tmp_path: Path, file: Path) -> None:
    ask(tmp_path, ["one", "two", "refuse"], EchoEngine(delay=0.6), events=file)
    assert kinds(file) == ["phase", "start", "progress", "end"]
    events = told(file)
    for event in events:
        assert (event["stage"], event["out"], event["pid"]) == ("ask", str(tmp_path / "out"), os.getpid())
        assert event["time"].endswith("Z")
    assert events[0]["phase"] == f"reading {tmp_path / 'questions.jsonl'}"
    assert events[1]["rows"] == 3
    # After half a second a row is rejected and two requests are on their way, and no answer is here.
    first = next(event for event in events if event["event"] == "progress" and event["in_flight"])
    assert (first["answers"], first["tokens"], first["in_flight"], first["counts"]["rejected"]) == (0, 0, 2, 1)
    assert [event["answers"] for event in events if event["event"] == "progress"][-1] == 4
    end = events[-1]
    assert (end["state"], end["exit_code"], end["reason"]) == ("complete", 0, "all rows are finished")
    assert (end["counts"]["produced"], end["counts"]["rejected"]) == (2, 1)
    assert {event["state"] for event in events[:-1]} == {"running"}


def test_nothing_is_told_while_nothing_changes(tmp_path: Path, file: Path) -> None:
    ask(tmp_path, ["one"], EchoEngine(delay=1.2), events=file)
    seen = [{**event, "time": None} for event in told(file)]
    assert all(event != before for event, before in zip(seen[1:], seen, strict=False))
    # Two requests, one after the other: each is sent, and the first is answered; rows are flushed after the answers.
    assert 3 <= len([event for event in seen if event["event"] == "progress"]) <= 6


def test_an_output_that_is_complete_already_and_a_table_stage_are_told(tmp_path: Path, file: Path) -> None:
    source = questions(tmp_path, ["one", "two"])
    for _ in range(2):
        Run(Filter("query = 'one'"), [source], tmp_path / "out", Options(events=file)).execute()
    events = told(file)
    starts = [event["rows"] for event in events if event["event"] == "start"]
    ends = [(event["state"], event["reason"]) for event in events if event["event"] == "end"]
    assert starts == [2, 2]
    assert ends == [("complete", "all rows are finished"), ("complete", "it is complete already")]
    assert any(event["event"] == "progress" and event["counts"]["produced"] == 1 for event in events)
    assert events[-1]["counts"]["produced"] == 1


def test_the_end_has_the_reason_and_the_exit_code_of_the_command(tmp_path: Path, file: Path) -> None:
    def end() -> tuple[str, int, str]:
        event = told(file)[-1]
        assert event["event"] == "end"
        return event["state"], event["exit_code"], event["reason"]

    with pytest.raises(Partial) as partial:
        ask(tmp_path, ["one", "crash"], events=file)
    assert end() == ("partial", 3, str(partial.value))
    assert told(file)[-1]["counts"]["failed"] == 1

    with pytest.raises(Stale) as stale:
        ask(tmp_path, ["another", "crash"], events=file)
    assert end() == ("failed", 4, str(stale.value))

    with pytest.raises(UsageError) as missing:
        Run(Filter("true"), ["nowhere.jsonl"], tmp_path / "other", Options(events=file)).execute()
    assert end() == ("failed", 2, str(missing.value))


def test_an_interruption_before_the_first_row_is_told_and_has_a_sentence(
    tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("synth.schemas.reading.sources.Source.read", interrupt)
    with pytest.raises(Interrupted, match=r"^interrupted: finished work is kept, repeat the command to continue$"):
        ask(tmp_path, ["one"], events=file)
    assert (told(file)[-1]["state"], told(file)[-1]["exit_code"]) == ("interrupted", 130)


def test_retries_of_the_engine_are_told_and_still_printed(
    tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("synth.pipelines.runtime.shared.FIRST_PAUSE", 0.001)
    busy = [EngineBusy("answers 429", overloaded=True) for _ in range(4)]
    ask(tmp_path, ["one"], CountingEngine(list(busy)), events=file)
    (warning,) = [event for event in told(file) if event["event"] == "warning"]
    assert warning["message"] == "no answer yet, retrying: answers 429"
    assert caplog.messages == [warning["message"]]


def test_what_is_waited_for_is_told(tmp_path: Path, file: Path) -> None:
    # A server that takes connections and says nothing until it goes away.
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/v1"
        waiting = threading.Timer(1.5, lambda: server.shutdown(socket.SHUT_RDWR))
        waiting.start()

        def take() -> None:
            connection, _ = server.accept()
            waiting.join()
            connection.close()

        taking = threading.Thread(target=take)
        taking.start()
        with pytest.raises(EngineFailed) as failed:
            Run(
                Ask(),
                [questions(tmp_path, ["one"])],
                tmp_path / "out",
                Options(events=file),
                engine=OpenAIEngine(Server(url), "m"),
            ).execute()
        taking.join()
    phases = [event["phase"] for event in told(file) if event["event"] == "phase"]
    assert phases == [f"reading {tmp_path / 'questions.jsonl'}", f"reaching {url}"]
    assert (told(file)[-1]["state"], told(file)[-1]["reason"]) == ("failed", str(failed.value))


def test_jails_that_start_are_counted() -> None:
    assert [Sandbox("bwrap", workers).starting for workers in (1, 2)] == ["starting 1 jail", "starting 2 jails"]


def test_runs_append_to_the_same_file_and_the_option_makes_no_output_stale(tmp_path: Path, file: Path) -> None:
    file.write_text('{"event": "mine"}\n')
    ask(tmp_path, ["one"], events=file)
    assert ask(tmp_path, ["one"]).already_done
    assert told(file)[0] == {"event": "mine"}
    assert told(file)[-1]["event"] == "end"


def test_a_file_that_cannot_be_written_is_a_usage_error_before_any_work(tmp_path: Path) -> None:
    engine = CountingEngine()
    with pytest.raises(UsageError, match=r"--events .*/none/events.jsonl cannot be written: No such file or directory"):
        ask(tmp_path, ["one"], engine, events=tmp_path / "none" / "events.jsonl")
    assert not engine.asked
    assert not (tmp_path / "out.partial").exists()


def test_a_reader_that_goes_away_is_warned_of_once_and_ends_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    first: list[str] = []

    class Patient(EchoEngine):
        """It answers when the reader has gone."""

        async def answer(self, request: Request) -> Answer:
            reading.join()
            return await super().answer(request)

    def read_a_line() -> None:
        with pipe.open() as lines:
            first.append(lines.readline())

    reading = threading.Thread(target=read_a_line)
    reading.start()
    summary = ask(tmp_path, ["one", "two"], Patient(), events=pipe)
    assert summary.counts.produced == 2
    assert json.loads(first[0])["event"] == "phase"
    assert caplog.messages == [f"--events {pipe} cannot be written any more: Broken pipe"]


def test_the_command_takes_the_option(tmp_path: Path) -> None:
    source = questions(tmp_path, ["one", "two"])
    done = type_synth("filter", source, "out", "--where", "true", "--events", "events.jsonl", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert told(tmp_path / "events.jsonl")[-1]["state"] == "complete"
