"""A disk that is full or cannot be written: one sentence, nothing lost, and the command goes on when it can."""

import json
import os
import random
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.counting_server import counting_server
from tests.faults.campaign import asked_for, record_of, recorded, shard_bytes
from tests.faults.processes import end, sentence, start, write_questions


def mount(*arguments: object) -> None:
    subprocess.run(["mount", *map(str, arguments)], check=True, capture_output=True)


@contextmanager
def small_disk(folder: Path, kilobytes: int) -> Iterator[Path]:
    folder.mkdir()
    try:
        mount("-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", folder)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("a file system can be mounted only by root, where the machine allows it")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


# Processes of their own: what cannot be written to a full disk stays open in them until they end, and keeps it busy.
def finish(*command: object) -> str:
    code, said = end(start(*command))
    assert code == 0, said
    return said


def refused(*command: object) -> str:
    return sentence(1, end(start(*command)))


@pytest.mark.parametrize(
    ("kilobytes", "options"), [(8, ()), (64, ()), (64, ("--keep-answers",)), (120, ("--keep-answers",)), (200, ())]
)
def test_a_disk_that_is_full_ends_the_run_and_room_lets_it_go_on(
    tmp_path: Path, kilobytes: int, options: tuple[str, ...]
) -> None:
    source = write_questions(tmp_path / "questions.jsonl", 150)
    with counting_server() as server, small_disk(tmp_path / "disk", kilobytes) as disk:
        command = ("-n", 8, "--in-flight", 8, "--base-url", server.url, *options)
        finish("reject", "sample", source, tmp_path / "whole", *command)
        server.asked.clear()
        said = refused("reject", "sample", source, disk / "out", *command)
        assert "No space left on device" in said
        assert not (disk / "out").exists()
        kept, before = recorded(disk), len(server.asked)
        mount("-o", "remount,size=16m", disk)
        finish("reject", "sample", source, disk / "out", *command)
        assert shard_bytes(disk / "out") == shard_bytes(tmp_path / "whole")
        assert record_of(disk / "out")["counts"] == record_of(tmp_path / "whole")["counts"]
        assert not kept & set(map(asked_for, server.asked[before:]))
        if options:
            assert recorded(disk / "out") == set(map(asked_for, server.asked))


def test_a_target_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    source = write_questions(tmp_path / "questions.jsonl", 4)
    command = ("-n", 1, "--engine", "echo")
    with small_disk(tmp_path / "disk", 1024) as disk:
        finish("reject", "sample", source, disk / "there", *command)
        (disk / "begun.partial").mkdir()
        mount("-o", "remount,ro", disk)
        for out in ("out", "begun"):
            said = refused("reject", "sample", source, disk / out, *command)
            assert f"{out}.partial" in said
            assert "Read-only file system" in said
        assert "complete already" in finish("reject", "sample", source, disk / "there", *command)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_named(tmp_path: Path) -> None:
    source = write_questions(tmp_path / "questions.jsonl", 4)
    (tmp_path / "closed").mkdir(mode=0o500)
    assert "Permission denied" in refused("reject", "sample", source, tmp_path / "closed" / "out", "--engine", "echo")


def test_an_index_on_a_full_disk_goes_on_when_there_is_room(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus.jsonl"
    rng = random.Random(0)
    texts = (" ".join(f"w{rng.randrange(10**6)}" for _ in range(100)) for _ in range(3000))
    corpus.write_text("".join(json.dumps({"id": f"d{n}", "text": text}) + "\n" for n, text in enumerate(texts)))
    finish("query-of-cc", "index", corpus, tmp_path / "whole")
    with small_disk(tmp_path / "disk", 5600) as disk:
        said = refused("query-of-cc", "index", corpus, disk / "index")
        assert "No space left on device" in said
        mount("-o", "remount,size=64m", disk)
        finish("query-of-cc", "index", corpus, disk / "index")
        assert shard_bytes(disk / "index") == shard_bytes(tmp_path / "whole")
        assert record_of(disk / "index")["counts"] == record_of(tmp_path / "whole")["counts"]
