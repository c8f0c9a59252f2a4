"""`kill -9` in the middle of indexing and retrieving: the command repeated ends as one that was never killed."""

import json
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from schemas.dataset import Dataset
from tests.pipelines.retrieval.meanings import MODEL, needs_model

WORDS = ["moon", "tides", "rise", "sea", "cells", "leaf", "divide", "day", "twice", "of", "the", "a"]
# The command itself, in small steps, killed when the method of this name is called for the n-th time, or has been.
PROGRAM = """
import os, signal
import pipelines.query_of_cc.index as index, pipelines.query_of_cc.retrieve as retrieve
import pipelines.retrieval.dense as dense
from pipelines.retrieval.bm25 import Bm25Writer
from pipelines.retrieval.vectors import VectorWriter
from pipelines.tables import _TableOutput
from cli.main import main

index.CHARACTERS_PER_COMMIT = 2_000
dense.PASSAGES_AT_A_TIME = 32
retrieve.QUERIES_AT_A_TIME, retrieve.TABLES_AT_A_TIME, retrieve.HITS_AT_A_TIME = 8, 1, 200
owner, name, number, before = {owner}, {name!r}, {number}, {before}
method, calls = getattr(owner, name), 0

def dying(*arguments, **named):
    global calls
    calls += 1
    if before and calls == number:
        os.kill(os.getpid(), signal.SIGKILL)
    result = method(*arguments, **named)
    if calls == number:
        os.kill(os.getpid(), signal.SIGKILL)
    return result

setattr(owner, name, dying)
main()
"""


def run(*arguments: object, owner: str = "index", name: str = "_batches", number: int = -1, before: bool = True) -> int:
    program = PROGRAM.format(owner=owner, name=name, number=number, before=before)
    command = [sys.executable, "-c", program, "query-of-cc", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    rng = random.Random(0)
    with (folder / "corpus.jsonl").open("w") as file:
        for number in range(600):
            text = " ".join(rng.choices(WORDS, k=number % 40))
            file.write(json.dumps({"id": f"d{number}", "text": text}) + "\n")
    with (folder / "queries.jsonl").open("w") as file:
        for number in range(50):
            text = " ".join(rng.sample(WORDS, 2)) if number % 9 else "?"
            file.write(json.dumps({"id": f"q{number}", "text": text, "domain": f"x{number % 3}"}) + "\n")
    assert run("index", folder / "corpus.jsonl", folder / "index") == 0
    assert run("retrieve", folder / "queries.jsonl", folder / "index", folder / "docs") == 0
    return folder


def outcome(path: Path) -> tuple[list[bytes], object]:
    dataset = Dataset.open(path)
    assert dataset.run
    return [shard.read_bytes() for shard in dataset.shards], dataset.run["counts"]


@pytest.mark.parametrize(
    ("owner", "name", "number", "before"),
    [
        ("Bm25Writer", "commit", 1, True),
        ("Bm25Writer", "commit", 4, False),
        ("Bm25Writer", "add", 500, True),
        ("Bm25Writer", "close", 1, False),
        ("os", "link", 5, True),
    ],
)
def test_an_index(corpus: Path, tmp_path: Path, owner: str, name: str, number: int, before: bool) -> None:
    command = ("index", corpus / "corpus.jsonl", tmp_path / "index")
    assert run(*command, owner=owner, name=name, number=number, before=before) == -signal.SIGKILL
    assert run("retrieve", corpus / "queries.jsonl", tmp_path / "index", tmp_path / "docs") == 2
    assert run(*command) == 0
    assert outcome(tmp_path / "index") == outcome(corpus / "index")
    assert run("retrieve", corpus / "queries.jsonl", tmp_path / "index", tmp_path / "docs") == 0
    assert outcome(tmp_path / "docs") == outcome(corpus / "docs")


@needs_model
def test_an_index_of_vectors(corpus: Path, tmp_path: Path) -> None:
    small = tmp_path / "small.jsonl"
    small.write_text("".join((corpus / "corpus.jsonl").read_text().splitlines(keepends=True)[:150]))
    command = ("index", small, "--dense", MODEL, "--no-bm25", "--passage-words", 10, "--faiss", "ivf")
    assert run(*command, tmp_path / "whole") == 0
    for owner, name, number, before in (("VectorWriter", "append", 3, True), ("dense", "finish", 1, True)):
        killed = run(*command, tmp_path / "index", owner=owner, name=name, number=number, before=before)
        assert killed == -signal.SIGKILL
    assert run(*command, tmp_path / "index") == 0
    assert outcome(tmp_path / "index") == outcome(tmp_path / "whole")
    for file in (tmp_path / "whole" / "dense").iterdir():
        assert (tmp_path / "index" / "dense" / file.name).read_bytes() == file.read_bytes(), file.name


@pytest.mark.parametrize(("number", "before"), [(5, True), (60, False)])
def test_an_index_that_extends_another(corpus: Path, tmp_path: Path, number: int, before: bool) -> None:
    lines = (corpus / "corpus.jsonl").read_text().splitlines(keepends=True)
    for name, part in (("first", lines[:300]), ("second", lines[300:])):
        (tmp_path / f"{name}.jsonl").write_text("".join(part))
    assert run("index", tmp_path / "first.jsonl", tmp_path / "first") == 0
    before_it = outcome(tmp_path / "first")
    command = ("index", tmp_path / "second.jsonl", tmp_path / "index", "--extend", tmp_path / "first")
    assert run(*command, owner="Bm25Writer", name="add", number=number, before=before) == -signal.SIGKILL
    assert run(*command) == 0
    assert outcome(tmp_path / "first") == before_it
    for name in ("index", "first"):
        assert run("retrieve", corpus / "queries.jsonl", tmp_path / name, tmp_path / f"docs-{name}") == 0
    assert Dataset.open(tmp_path / "docs-index").table.equals(Dataset.open(corpus / "docs").table)
    assert not Dataset.open(tmp_path / "docs-first").table.equals(Dataset.open(corpus / "docs").table)


@pytest.mark.parametrize(
    ("owner", "name", "number", "before"),
    [
        ("retrieve", "_found", 1, True),
        ("retrieve", "_lay_by", 3, True),
        ("retrieve", "_lay_by", 3, False),
        ("_TableOutput", "write_table", 2, True),
        ("os", "link", 1, True),
    ],
)
def test_retrieved_documents(corpus: Path, tmp_path: Path, owner: str, name: str, number: int, before: bool) -> None:
    command = ("retrieve", corpus / "queries.jsonl", corpus / "index", tmp_path / "docs")
    assert run(*command, owner=owner, name=name, number=number, before=before) == -signal.SIGKILL
    assert not (tmp_path / "docs").exists()
    assert run(*command) == 0
    assert outcome(tmp_path / "docs") == outcome(corpus / "docs")
