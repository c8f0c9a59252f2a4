"""`examples/Makefile` is what people copy: changes reach what depends on them and nothing else, and nothing is lost."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from datasets import DatasetDict, load_from_disk

from docs.resume import REPLY
from tests.command import SYNTH
from tests.counting_server import CountingServer, counting_server
from tests.pipelines.retrieval.meanings import MODEL, needs_model

ROOT = Path(__file__).parents[1]
QUESTIONS = 6


@pytest.fixture
def examples(tmp_path: Path) -> Path:
    """A copy of the folder with a few questions."""
    folder = tmp_path / "examples"
    shutil.copytree(ROOT / "examples", folder, ignore=shutil.ignore_patterns("out"))
    questions = folder / "questions.jsonl"
    questions.write_text("".join(questions.read_text().splitlines(keepends=True)[:QUESTIONS]))
    return folder


@pytest.fixture
def server() -> Iterator[CountingServer]:
    """It answers each prompt with both a list of evolved questions and a solution."""
    with counting_server(says=lambda seed: f"{REPLY}#### {seed % 3}") as server:
        yield server


def command(*words: str, synth: str = SYNTH) -> list[str]:
    return ["make", "--silent", f"SYNTH={synth}", f"PYTHON={sys.executable}", "SAMPLES=4", *words]


def make(folder: Path, *words: str, synth: str = SYNTH, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, **environment}
    return subprocess.run(
        command(*words, synth=synth), cwd=folder, env=env, capture_output=True, text=True, check=False
    )


def asking(server: CountingServer) -> str:
    return f"ENGINE=--base-url {server.url}"


def made(folder: Path) -> dict[str, int]:
    """When the rows of each dataset were written. (A record is touched when its dataset is found complete.)"""
    return {shard.parent.name: shard.stat().st_mtime_ns for shard in folder.glob("out/*/data-00000-*.arrow")}


def test_a_change_remakes_what_depends_on_it_and_nothing_else(examples: Path, server: CountingServer) -> None:
    def remade(before: dict[str, int], *options: str) -> set[str]:
        server.asked.clear()
        done = make(examples, "-j2", "augmented", "accepted", asking(server), *options)
        assert done.returncode == 0, done.stderr
        after = made(examples)
        return {name for name in after if before.get(name) != after[name]}

    everything = {"evolved", "augmented", "samples", "accepted"}
    assert remade({}) == everything

    # Of times alone: nothing.
    first = made(examples)
    for file in examples.glob("*.*"):
        file.touch()
    assert remade(first) == set()
    assert server.asked == []

    # Of an option: two more samples of each question are asked for.
    assert remade(first, "SAMPLES=6") == {"samples", "accepted"}
    assert sum(asked.get("n", 1) for asked in server.asked) == 2 * QUESTIONS

    # Of a row of the input: all that is asked is about it, and so about nothing that was asked before.
    second = made(examples)
    questions = examples / "questions.jsonl"
    questions.write_text(questions.read_text().replace("Luis", "Nobody"))
    assert {"evolved", "samples", "accepted"} <= remade(second, "SAMPLES=6")
    assert server.asked
    assert all("Nobody" in json.dumps(asked) for asked in server.asked)


def test_a_killed_make_goes_on_and_asks_for_nothing_twice(examples: Path, server: CountingServer) -> None:
    server.delay = 0.3
    running = subprocess.Popen(
        command("accepted", f"{asking(server)} --engine-arg concurrency=1"), cwd=examples, start_new_session=True
    )
    try:
        while len(server.asked) < 3:
            assert running.poll() is None
            time.sleep(0.05)
        # The journal is flushed twice a second.
        time.sleep(1)
    finally:
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()
    assert not (examples / "out" / "samples").exists()
    server.delay = 0
    done = make(examples, "accepted", asking(server))
    assert done.returncode == 0, done.stderr
    asked = [json.dumps(body, sort_keys=True) for body in server.asked]
    # Those that the kill met under way, or whose answer it met on the way to the disk, are asked for again.
    assert len(asked) - len(set(asked)) <= 3
    assert len(asked) < 2 * len(set(asked))
    assert (examples / "out" / "accepted" / "synth.json").is_file()


def spans(folder: Path) -> list[tuple[float, float]]:
    """When the steps began and ended, in order."""
    return sorted(tuple(map(float, line.split())) for line in (folder / "spans").read_text().splitlines())  # type: ignore[misc]


def test_engines_run_one_at_a_time_but_a_server_is_shared(examples: Path) -> None:
    timed = examples / "timed"
    timed.write_text("#!/bin/sh\nbegan=$(date +%s.%N)\nsleep 1\necho $began $(date +%s.%N) >> spans\n")
    timed.chmod(0o755)
    assert make(examples, "-j3", "evolved", "samples", "calls", synth="./timed").returncode == 0
    alone = spans(examples)
    assert len(alone) == 3
    assert all(one[1] <= other[0] for one, other in pairwise(alone))

    (examples / "spans").unlink()
    assert make(examples, "-j3", "evolved", "samples", "calls", "ENGINE=--base-url x", synth="./timed").returncode == 0
    shared = spans(examples)
    assert shared[1][0] < shared[0][1]


def test_without_a_jail_the_demo_says_so_and_leaves_out_what_needs_one(examples: Path, tmp_path: Path) -> None:
    with_jail = make(examples, "--dry-run", "demo")
    if "left out" in with_jail.stdout:
        pytest.skip(with_jail.stdout.splitlines()[0])
    assert "case2code execute" in with_jail.stdout
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("make", "sh"):
        (tools / name).symlink_to(shutil.which(name) or "")
    dry = make(examples, "--dry-run", "demo", PATH=str(tools), DOCKER_HOST="unix:///nowhere")
    assert dry.returncode == 0, dry.stderr
    (said,) = [line for line in dry.stdout.splitlines() if "left out" in line]
    assert "apt-get install bubblewrap" in said
    steps = set(re.findall(r"synth ([a-z0-9-]+(?: [a-z]+\b(?![./]))?)", dry.stdout))
    assert {"case2code inputs", "instag tag", "stats"} <= steps
    assert not {"case2code execute", "case2code compose", "case2code evaluate"} & steps


@needs_model
def test_a_corpus_becomes_sequences_to_pretrain_on(examples: Path) -> None:
    done = make(examples, "--file", "pretraining.mk", f"EMBEDDER={MODEL}", "DOCUMENTS=60")
    assert done.returncode == 0, done.stderr
    out = examples / "out" / "pretraining"
    clean, ordered, sequences = (load_from_disk(str(out / step)) for step in ("clean-corpus", "ordered", "sequences"))
    assert {name.partition("/repeat-")[0] for name in ordered["id"]} <= set(clean["id"])
    assert set(sequences["document"]) <= set(ordered["id"])
    buckets = DatasetDict.load_from_disk(str(out / "sequences"))
    assert sum(map(len, buckets.values())) == len(sequences) > 0
    assert all(len(row["tokens"]) == (1 << row["bucket"]) + 1 for row in sequences)


@pytest.mark.parametrize("server", ["exec sleep 600", "trap '' TERM; while :; do sleep 0.1; done"])
def test_a_command_runs_beside_a_server_that_ends_with_it(tmp_path: Path, server: str) -> None:
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\ncase $1 in -c) echo 4242;; *) echo $$ > server; {server};; esac\n")
    python.chmod(0o755)
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    command = ["bash", ROOT / "examples" / "serving.sh", tmp_path, "sh", "-c", 'sleep 1; echo "$ENGINE"; exit 3']
    env = {**os.environ, "PYTHON": str(python)}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert done.stdout.startswith("--base-url http://127.0.0.1:4242/v1 --model ")
    deadline = time.monotonic() + 5
    while is_running((tmp_path / "server").read_text().strip()):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def is_running(process: str) -> bool:
    """Whether it still does anything; one that was killed is listed until whoever inherited it looks."""
    try:
        state = Path("/proc", process, "stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"
