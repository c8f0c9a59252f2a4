"""One output belongs to one process at a time, and no other can do it harm."""

from pathlib import Path

import pytest

from tests.counting_server import counting_server
from tests.faults.campaign import record_of, shard_bytes
from tests.faults.processes import end, finish, refused, start, wait_until, write_questions


def test_the_second_process_is_refused_and_the_first_is_unharmed(tmp_path: Path) -> None:
    source = write_questions(tmp_path / "questions.jsonl", 40)
    with counting_server() as server:
        # Long enough for four others to come, on a busy machine, too.
        server.delay = 30.0
        options = ("-n", 2, "--base-url", server.url, "--in-flight", 4)
        command = ("reject", "sample", source, tmp_path / "out", *options)
        first = start(*command)
        wait_until(lambda: len(server.asked) >= 4, first)
        assert "out is being written by another synth process" in refused(1, *command)
        assert "another synth process" in refused(1, *command, "--fresh")
        said = refused(2, "reject", "select", tmp_path / "out", tmp_path / "next")
        assert "out is not finished" in said
        assert "out.partial is not finished" in refused(
            2, "reject", "select", f"{tmp_path / 'out.partial'}", tmp_path / "n"
        )
        server.delay = 0.0
        assert end(first)[0] == 0
        assert len(server.asked) == 40
        record_of(tmp_path / "out")
        finish("reject", "sample", source, tmp_path / "whole", *options)
    assert shard_bytes(tmp_path / "out") == shard_bytes(tmp_path / "whole")


@pytest.mark.parametrize("flags", [(), ("--retry-failed",)])
def test_while_one_process_makes_a_complete_output_anew_another_is_refused(
    tmp_path: Path, flags: tuple[str, ...]
) -> None:
    source = write_questions(tmp_path / "questions.jsonl", 20)
    with counting_server() as server:
        command = ("reject", "sample", source, tmp_path / "out", "-n", 2, "--base-url", server.url, "--in-flight", 4)
        finish(*command)
        before = shard_bytes(tmp_path / "out")
        # Long enough for the other one to come, on a busy machine, too.
        server.delay = 30.0
        anew = start(*command, "--fresh")
        wait_until(lambda: len(server.asked) >= 24, anew)
        assert "another synth process" in refused(1, *command, *flags)
        server.delay = 0.0
        code, said = end(anew)
        assert code == 0, said
        assert len(server.asked) == 40
    assert shard_bytes(tmp_path / "out") == before
