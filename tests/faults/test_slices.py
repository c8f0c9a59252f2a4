"""Slices of a run, as an array of jobs makes them: in any order, at once, killed; the command alone then publishes."""

import json
import random
import subprocess
from pathlib import Path
from typing import Any

import pytest

from synth.pipelines.runtime.runner import Summary
from synth.schemas.errors import Partial
from synth.schemas.slices import Slice
from tests.command import SYNTH, type_synth
from tests.counting_server import CountingServer, counting_server
from tests.faults.campaign import (
    TwoCalls,
    asked,
    asked_for,
    in_small_chunks,
    record_of,
    recorded,
    run_two_calls,
    shard_bytes,
)
from tests.faults.campaign import questions as queries
from tests.faults.processes import (
    CHUNK_ROWS,
    end,
    finish,
    kill,
    refused,
    start,
    typed,
    wait_until,
    write_questions,
)

ROWS = 100
# A server that nobody can reach: whoever starts this engine fails.
NOWHERE = ("--base-url", "http://127.0.0.1:1/v1")


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    path = write_questions(tmp_path / "questions.jsonl", ROWS)
    rows = list(map(json.loads, path.read_text().splitlines()))
    # Rejected, as they have no answer to compare with.
    for number in (3, 50, 51):
        rows[number]["answer"] = ""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def command(questions: Path, out: Path) -> tuple[object, ...]:
    return ("reject", "sample", questions, out, "--model", "counted", "-n", 2, "--in-flight", 4)


def published(out: Path) -> dict[str, bytes]:
    """Data, rejected rows, and what `datasets` reads beside them."""
    states = {str(path.relative_to(out)): path.read_bytes() for path in out.glob("**/state.json")}
    # Kept answers lie in the order in which they came.
    states.pop("answers/state.json", None)
    return shard_bytes(out) | states


def whole(questions: Path, folder: Path, server: CountingServer) -> dict[str, Any]:
    """The record of a run without slices, in `folder / "whole"`."""
    finish(*command(questions, folder / "whole"), "--base-url", server.url)
    server.asked.clear()
    return record_of(folder / "whole")


def test_slices_in_any_order_and_at_once_make_what_one_process_makes(tmp_path: Path, questions: Path) -> None:
    out, order = tmp_path / "out", random.Random(3).sample(range(4), 4)
    with counting_server(delay=0.02) as server:
        expected = whole(questions, tmp_path, server)
        first, *others = [
            start(*command(questions, out), "--base-url", server.url, "--slice", f"{number}/4") for number in order
        ]
        code, said = end(first)
        assert code == 0, said
        assert f"slice {order[0]}/4 is finished" in said
        assert "repeat the command without --slice to publish" in said
        assert [end(process)[0] for process in others] == [0, 0, 0]
        assert len(server.asked) == len(set(map(asked_for, server.asked))) == ROWS - 3
    assert not out.exists()
    finish(*command(questions, out), *NOWHERE)
    assert published(out) == published(tmp_path / "whole")
    record = record_of(out)
    assert record["counts"] == expected["counts"]
    for name in ("prompt_tokens", "completion_tokens", "unused_requests"):
        assert record["cost"][name] == expected["cost"][name]
    assert "--slice" not in record["command"]
    assert not out.with_name("out.partial").exists()


def test_a_slice_that_is_killed_goes_on_where_it_was(tmp_path: Path, questions: Path) -> None:
    out, partial = tmp_path / "out", tmp_path / "out.partial"
    with counting_server(delay=0.1) as server:
        whole(questions, tmp_path, server)
        sliced = (*command(questions, out), "--base-url", server.url, "--slice")
        killed, other = start(*sliced, "0/2"), start(*sliced, "1/2")
        wait_until(lambda: len(recorded(partial)) > 20, killed)
        kill(killed)
        assert end(other)[0] == 0
        kept = recorded(partial)
        server.asked.clear()
        finish(*sliced, "0/2")
        assert not kept & set(map(asked_for, server.asked)), "answers that lay there were asked for again"
    finish(*command(questions, out), *NOWHERE)
    assert published(out) == published(tmp_path / "whole")


def test_the_command_alone_does_what_slices_have_left_undone(tmp_path: Path, questions: Path) -> None:
    out = tmp_path / "out"
    with counting_server() as server:
        whole(questions, tmp_path, server)
        sliced = (*command(questions, out), "--base-url", server.url)
        for number in (2, 0):
            finish(*sliced, "--slice", f"{number}/3")
        server.asked.clear()
        finish(*sliced)
        missing = {f"What is {row}?" for row in range(ROWS) if row // CHUNK_ROWS % 3 == 1} - {"What is 3?"}
        prompts = [prompt for prompt, _ in map(asked_for, server.asked)]
        assert len(prompts) == len(missing - {"What is 50?", "What is 51?"})
        assert all(any(question in prompt for question in missing) for prompt in prompts)
    assert published(out) == published(tmp_path / "whole")


def test_their_number_may_change_and_exceed_that_of_the_chunks(tmp_path: Path, questions: Path) -> None:
    out = tmp_path / "out"
    with counting_server() as server:
        whole(questions, tmp_path, server)
        alone = (*command(questions, out), "--base-url", server.url)
        for part in ("1/2", "0/9"):
            finish(*alone, "--slice", part)
        assert "slice 8/9 is finished, 0 rows from 0 of 0 input rows" in finish(*alone, "--slice", "8/9")
        finish(*alone)
        assert len(server.asked) == ROWS - 3
    assert published(out) == published(tmp_path / "whole")


def test_the_record_has_the_time_of_all_slices(tmp_path: Path, questions: Path) -> None:
    out = tmp_path / "out"
    with counting_server(delay=0.2) as server:
        sliced = (*command(questions, out), "--base-url", server.url)
        for number in range(2):
            finish(*sliced, "--slice", f"{number}/2")
        reports = [
            json.loads((tmp_path / "out.partial" / "slices" / f"{number}-of-2" / "progress.json").read_text())
            for number in range(2)
        ]
        finish(*sliced)
    record = record_of(out)
    assert record["cost"]["engine_seconds"] == round(sum(report["engine_seconds"] for report in reports), 3)
    assert record["seconds"] > sum(report["seconds"] for report in reports)


def test_a_budget_is_that_of_all_slices(tmp_path: Path, questions: Path) -> None:
    out = tmp_path / "out"
    with counting_server() as server:
        sliced = (*command(questions, out), "--base-url", server.url, "--budget-tokens", 400)
        # Each request costs 5 and 14 tokens.
        assert typed(*sliced, "--slice", "0/2")[0] == 3
        spent = len(server.asked)
        assert 400 // 19 <= spent <= 400 // 19 + 4
        assert "the budget of 400 tokens is spent" in refused(3, *sliced, "--slice", "1/2")
        assert len(server.asked) == spent
        server.asked.clear()
        finish(*sliced[:-2], "--slice", "1/2")
        finish(*sliced[:-2])
        assert len(server.asked) == ROWS - 3 - spent


def test_slices_that_run_hear_of_what_the_others_spend(tmp_path: Path, questions: Path) -> None:
    out = tmp_path / "out"
    with counting_server(delay=0.15) as server:
        sliced = (*command(questions, out), "--base-url", server.url, "--budget-tokens", 60 * 19, "--in-flight", 1)
        ended = [end(process)[0] for process in [start(*sliced, "--slice", f"{number}/2") for number in range(2)]]
        # Either alone would have stayed below it.
        assert 3 in ended
        assert len(server.asked) < ROWS - 3


def test_one_line_tells_of_all_slices(tmp_path: Path, questions: Path) -> None:
    partial = tmp_path / "out.partial"
    with counting_server() as server:
        sliced = (*command(questions, tmp_path / "out"), "--base-url", server.url, "--slice")
        finish(*sliced, "0/3")
        server.delay = 30.0
        second, third = start(*sliced, "1/3"), start(*sliced, "2/3")
        wait_until(lambda: seen_in_flight(partial) == 8, third)
        watch = [SYNTH, "watch", tmp_path / "out", "--json"]
        watching = subprocess.Popen(watch, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert watching.stdout
        assert json.loads(watching.stdout.readline())["rows"] == ROWS
        # Of 36 rows in three chunks, three are rejected.
        shown = type_synth("show", "out", "--json", "-n", 1000, folder=tmp_path)
        assert len({json.loads(line)["query_id"] for line in shown.stdout.splitlines()}) >= 33
        assert f"of {ROWS} input rows are finished" in shown.stderr
        server.delay = 0.0
        assert [end(second)[0], end(third)[0]] == [0, 0]
        assert "has stopped at 100 of 100 rows; repeat its command to publish them: " in end(watching)[1]
    assert "--slice" not in type_synth("watch", "out", folder=tmp_path).stderr
    stats = type_synth("stats", "out", folder=tmp_path)
    assert f"out was stopped: {ROWS} of {ROWS} input rows are finished" in stats.stderr


def seen_in_flight(partial: Path) -> int:
    reports = [json.loads(path.read_text()) for path in partial.glob("slices/*/progress.json")]
    return sum(report["in_flight"] for report in reports)


def test_while_slices_run_the_command_alone_is_refused_and_the_other_way_round(tmp_path: Path, questions: Path) -> None:
    out, partial = tmp_path / "out", tmp_path / "out.partial"
    with counting_server(delay=30.0) as server:
        alone = (*command(questions, out), "--base-url", server.url)
        slices = [start(*alone, "--slice", f"{number}/4") for number in range(2)]
        for process in slices:
            wait_until(lambda: len(server.asked) >= 8, process)
        assert "2 slices of " in (said := refused(1, *alone))
        assert "out are still being written: repeat the command when all slices have ended" in said
        assert "2 slices of" in refused(1, *alone, "--fresh")
        assert "slice 1/4 of " in (said := refused(1, *alone, "--slice", "1/4"))
        assert "is being written by another synth process" in said
        assert "use --slice I/4, or repeat the command when it has ended" in refused(1, *alone, "--slice", "2/5")
        stale = refused(4, *alone, "--slice", "2/4", "--seed", 1)
        assert "out.partial is stale: seed" in stale
        assert "a slice only goes on with the settings of the others" in stale
        for process in slices:
            kill(process)
        process = start(*alone)
        asked = len(server.asked)
        wait_until(lambda: len(server.asked) >= asked + 4, process)
        assert "by a synth process without --slice" in refused(1, *alone, "--slice", "0/4")
        kill(process)
        assert "--seed" not in json.loads((partial / "synth.json").read_text())["command"]


def test_chunks_with_failed_rows_stay_open_for_whoever_comes_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = queries(tmp_path, [f"stumble {row}" if row in (5, 6) else f"row {row}" for row in range(20)])
    out, log = tmp_path / "out", tmp_path / "log"

    def run(**options: Any) -> Summary:
        return run_two_calls(source, out, log, in_small_chunks(**options))

    assert run(slice=Slice(0, 2), max_failures=9).counts.finished == 12
    with pytest.raises(Partial, match=r"^2 of 8 rows of slice 1/2 failed, the first is q-005 .*stay open"):
        run(slice=Slice(1, 2), max_failures=9)
    (failures,) = tmp_path.glob("out.partial/slices/1-of-2/failed.json")
    assert [failure["id"] for failure in json.loads(failures.read_text())["failed"]] == ["q-005", "q-006"]
    before = len(asked(log))
    with pytest.raises(Partial, match="2 of 20 rows failed"):
        run()
    assert len(asked(log)) == before, "their answers lie in the journal"
    monkeypatch.setattr(TwoCalls, "mended", True)
    run(slice=Slice(1, 2))
    assert run().counts.failed == 0
    assert len(asked(log)) == before + 2, "only the failed rows went on"
    run_two_calls(source, tmp_path / "whole", tmp_path / "other", in_small_chunks())
    assert published(out) == published(tmp_path / "whole")


def test_failures_that_are_allowed_are_published_by_the_command_alone(tmp_path: Path) -> None:
    source = queries(tmp_path, [f"stumble {row}" if row == 5 else f"row {row}" for row in range(20)])
    for number in range(2):
        try:
            run_two_calls(source, tmp_path / "out", tmp_path / "log", in_small_chunks(slice=Slice(number, 2)))
        except Partial:
            assert number == 1
    for out in ("out", "whole"):
        assert run_two_calls(source, tmp_path / out, tmp_path / "log", in_small_chunks(max_failures=1)).counts.failed
    assert published(tmp_path / "out").keys() == published(tmp_path / "whole").keys()
    assert (tmp_path / "out" / "state.json").read_bytes() == (tmp_path / "whole" / "state.json").read_bytes()


def test_a_published_output_is_left_as_it_is(tmp_path: Path, questions: Path) -> None:
    out = tmp_path / "out"
    with counting_server() as server:
        finish(*command(questions, out), "--base-url", server.url)
        before = {path: path.stat().st_ino for path in out.rglob("*")}
        assert "is complete already" in finish(*command(questions, out), *NOWHERE, "--slice", "0/2")
        assert "out is stale: seed" in refused(4, *command(questions, out), *NOWHERE, "--slice", "0/2", "--seed", 1)
    assert {path: path.stat().st_ino for path in out.rglob("*")} == before
    assert not out.with_name("out.partial").exists()


def test_other_settings_are_no_harm_where_nothing_was_done(tmp_path: Path, questions: Path) -> None:
    out = tmp_path / "out"
    with counting_server(delay=30.0) as server:
        process = start(*command(questions, out), "--base-url", server.url, "--slice", "0/2", "--seed", 1)
        wait_until(lambda: (tmp_path / "out.partial" / "slices" / "0-of-2" / "progress.json").exists(), process)
        kill(process)
        for path in (tmp_path / "out.partial" / "work").rglob("*"):
            assert path.is_dir() or not path.stat().st_size
        server.delay = 0.0
        for number in range(2):
            finish(*command(questions, out), "--base-url", server.url, "--slice", f"{number}/2")
        finish(*command(questions, out), *NOWHERE)
    assert record_of(out)["identity"]["seed"] == 0


def test_a_typing_error_leaves_nothing_behind(tmp_path: Path, questions: Path) -> None:
    sliced = (*command(questions, tmp_path / "out"), *NOWHERE, "--slice", "0/2")
    assert "no column" in refused(2, *sliced, "--column", "question=problem")
    assert [path.name for path in tmp_path.iterdir()] == ["questions.jsonl"]


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        ("3/2", "I counts from 0, so it must be less than N"),
        ("64/64", "I counts from 0, so it must be less than N"),
        ("0/0", "I counts from 0, so it must be less than N"),
        ("1", "expected I/N, such as 0/64"),
        ("-1/4", "expected I/N, such as 0/64"),
        ("/64", "expected I/N, such as 0/64"),
    ],
)
def test_a_slice_that_cannot_be_is_refused(tmp_path: Path, questions: Path, part: str, reason: str) -> None:
    done = type_synth(*command(questions, tmp_path / "out"), *NOWHERE, "--slice", part, folder=tmp_path)
    assert (done.returncode, done.stderr) == (2, f"synth: --slice {part}: {reason}\n")


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (("--on", "ray"), "--on"),
        (("--until", "3"), "--until"),
        (("--fresh",), "--fresh"),
        (("--retry-failed",), "--retry-failed"),
        (("--update",), "--update"),
        (("--stale", "fresh"), "--stale fresh (or SYNTH_STALE)"),
        (("--stale", "update"), "--stale update (or SYNTH_STALE)"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_is_about_the_whole_output_is_refused_with_a_slice(
    tmp_path: Path, questions: Path, given: tuple[str, ...], named: str
) -> None:
    done = type_synth(*command(questions, tmp_path / "out"), *NOWHERE, "--slice", "0/2", *given, folder=tmp_path)
    reason = "is about the whole output, of which --slice 0/2 is a part: leave one of the two out"
    assert (done.returncode, done.stderr) == (2, f"synth: {named} {reason}\n")
    assert not (tmp_path / "out.partial").exists()
