"""Two servers share a run: one of them dies and comes back, and no row notices."""

import threading
from pathlib import Path

from tests.faults.campaign import record_of, shard_bytes
from tests.faults.faulty_server import FaultyServer, faulty_server
from tests.faults.processes import end, finish, start, wait_until, write_questions

ROWS = 120
BEFORE_THE_END = 20


def command(source: Path, out: Path, *servers: FaultyServer) -> tuple[object, ...]:
    addresses = [word for server in servers for word in ("--base-url", server.url)]
    return ("reject", "sample", source, out, "-n", 3, "--in-flight", 8, "--engine-arg", "concurrency=4", *addresses)


def test_nothing_is_lost_when_one_of_two_servers_dies_and_it_is_used_again_when_it_is_back(tmp_path: Path) -> None:
    questions = write_questions(tmp_path / "questions.jsonl", ROWS)
    with faulty_server() as server:
        finish(*command(questions, tmp_path / "whole", server))
    is_back = threading.Event()

    def steady(number: int) -> str | None:
        """The one that lives goes on to the end only when the other one is at work again."""
        if number > ROWS // 2:
            is_back.wait(60)
        return None

    def back(number: int) -> str | None:
        if number > 3:
            is_back.set()
        return None

    with faulty_server(steady) as lives:
        with faulty_server(lambda number: None if number < BEFORE_THE_END else "closed") as dies:
            port = dies.server_address[1]
            process = start(*command(questions, tmp_path / "out", dies, lives))
            wait_until(lambda: dies.received > BEFORE_THE_END, process)
        with faulty_server(back, port) as revived:
            code, said = end(process)
            assert code == 0, said
            answered = [dies.answered, lives.answered, revived.answered]
    assert shard_bytes(tmp_path / "out") == shard_bytes(tmp_path / "whole")
    counts = record_of(tmp_path / "out")["counts"]
    assert (counts["produced"], counts["failed"]) == (ROWS, 0)
    assert all(answered)
    everything = [one for by_server in answered for one in by_server]
    assert len(everything) == len(set(everything)) == ROWS


def test_a_server_that_is_dead_from_the_start_costs_one_line(tmp_path: Path) -> None:
    questions = write_questions(tmp_path / "questions.jsonl", 10)
    with faulty_server() as dead:
        pass
    with faulty_server() as lives:
        # Of its own, because pytest keeps the warnings of this one.
        code, said = end(start(*command(questions, tmp_path / "out", dead, lives)))
        assert code == 0, said
        assert len(lives.answered) == 10
    assert said.count(f"the run goes on without {dead.url} until it answers") == 1
