"""`synth` as a process: started, watched, killed; then, in this process, finished or refused."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from tests.command import type_synth
from tests.counting_server import CountingServer
from tests.faults import smaller_chunks
from tests.faults.campaign import Asked, asked_for, finished_rows, record_of, recorded, shard_bytes

CHUNK_ROWS = 16
# Answers are flushed twice a second; what was asked for this long before a kill may be asked for again.
UNFLUSHED_SECONDS = 1.0


def start(*arguments: object, chunk_rows: int = CHUNK_ROWS, given: int | None = None) -> subprocess.Popen[str]:
    """With the file descriptor `given` as its standard input."""
    command = [sys.executable, smaller_chunks.__file__, str(chunk_rows), *map(str, arguments)]
    return subprocess.Popen(command, stdin=given, stderr=subprocess.PIPE, text=True, start_new_session=True)


def end(process: subprocess.Popen[str], timeout: float = 60) -> tuple[int, str]:
    """Exit code, and what it said on stderr, which is never a traceback."""
    said = process.communicate(timeout=timeout)[1]
    assert "Traceback" not in said, said
    return process.returncode, said


def typed(*arguments: object, chunk_rows: int = CHUNK_ROWS) -> tuple[int, str]:
    """Exit code, and what it said on stderr, of a command that nobody kills, without a process of its own."""
    with smaller_chunks.chunks_of(chunk_rows):
        done = type_synth(*arguments, folder=Path.cwd())
    return done.returncode, done.stderr


def finish(*arguments: object, chunk_rows: int = CHUNK_ROWS) -> str:
    code, said = typed(*arguments, chunk_rows=chunk_rows)
    assert code == 0, said
    return said


def refused(code: int, *arguments: object) -> str:
    """Run what must end with this exit code; the one sentence that it says."""
    return sentence(code, typed(*arguments))


def sentence(code: int, ended: tuple[int, str]) -> str:
    found, said = ended
    assert found == code, said
    assert said.startswith("synth: ")
    assert said.count("\n") == 1, said
    return said


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline, "the run did not get that far"
        time.sleep(0.01)


def kill(process: subprocess.Popen[str]) -> None:
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def kill_in_the_middle(
    folder: Path, command: Sequence[object], server: CountingServer, answers: int, rows: int
) -> None:
    """Kill `command` (its output, which is its last word, left out) once so many answers are recorded, and repeat it.

    Of its input of so many `rows`, it has made nothing by then. No recorded answer is asked for again, and what comes
    out is what an unbroken run makes.
    """
    out, partial, whole = folder / "out", folder / "out.partial", folder / "whole"
    process = start(*command, out, chunk_rows=rows)
    wait_until(lambda: len(recorded(partial)) >= answers, process)
    kill(process)
    kept = recorded(partial)
    assert not out.exists()
    server.asked.clear()
    finish(*command, out, chunk_rows=rows)
    again = list(map(asked_for, server.asked))
    assert not kept & set(again)
    server.delay = 0
    server.asked.clear()
    finish(*command, whole, chunk_rows=rows)
    assert sorted(map(asked_for, server.asked)) == sorted([*kept, *again])
    assert shard_bytes(out) == shard_bytes(whole)
    assert record_of(out)["counts"] == record_of(whole)["counts"]


def write_questions(path: Path, rows: int) -> Path:
    path.write_text(
        "".join(
            json.dumps({"id": f"q-{i}", "question": f"What is {i}?", "answer": f"#### {i % 3}"}) + "\n"
            for i in range(rows)
        )
    )
    return path


@dataclass
class Tally:
    """What a command that was killed again and again came to."""

    runs: int = 0
    kills: int = 0
    resumes: int = 0
    asked: int = 0
    repeated: int = 0
    # The most that the kills may have cost: what was in flight and what was not flushed.
    allowed: int = 0

    def add(self, other: "Tally") -> None:
        for field in fields(Tally):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))


def kill_again_and_again(
    folder: Path,
    command: Sequence[object],
    rows: int,
    server: CountingServer | None,
    rng: random.Random,
    kills: int,
    longest: float,
) -> Tally:
    """Kill `command` (its output left out) at random moments, then let it end; all that must hold is asserted."""
    out, partial, whole = folder / "out", folder / "out.partial", folder / "whole"
    tally = Tally(runs=1)
    repeated_command = [*command[:3], out, *command[3:]]
    finish(*command[:3], whole, *command[3:])
    if server:
        server.asked.clear()
        server.times.clear()
    kept: set[Asked] = set()
    finished: set[int] = set()
    while tally.kills < kills and not out.exists():
        before = len(server.asked) if server else 0
        process = start(*repeated_command)
        tally.resumes += 1
        time.sleep(rng.uniform(0.2, longest))
        if process.poll() is None:
            kill(process)
            tally.kills += 1
        else:
            assert end(process)[0] == 0
        if server:
            check_nothing_repeated(server, before, kept, finished, rows)
            now = time.monotonic()
            tally.allowed += 8 + sum(at > now - UNFLUSHED_SECONDS - 0.5 for at in server.times)
        kept |= recorded(partial)
        finished |= finished_rows(partial, CHUNK_ROWS)
    before = len(server.asked) if server else 0
    finish(*repeated_command)
    if server:
        check_nothing_repeated(server, before, kept, finished, rows)
        asked = list(map(asked_for, server.asked))
        tally.asked, tally.repeated = len(asked), len(asked) - len(set(asked))
        assert tally.repeated <= tally.allowed
    assert shard_bytes(out) == shard_bytes(whole)
    assert record_of(out)["counts"] == record_of(whole)["counts"]
    return tally


def check_nothing_repeated(
    server: CountingServer, before: int, kept: set[Asked], finished: set[int], rows: int
) -> None:
    after = [asked_for(body) for body in list(server.asked)[before:]]
    assert not kept & set(after), "answers that lay in a journal were asked for again"
    done = {f"What is {index}?" for index in finished if index < rows}
    again = [prompt for prompt, _ in after if any(question in prompt for question in done)]
    assert not again, "rows that had finished were asked about again"
