"""`kill -9` in the middle of indexing and retrieving: the command repeated ends as one that was never killed."""

import json
import random
import shutil
import signal
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from synth.pipelines.query_of_cc.index_reader import OpenedIndex
from synth.schemas.dataset import Dataset
from synth.schemas.errors import InputError
from tests.faults.forking import Death, Forks
from tests.pipelines.retrieval.meanings import MODEL, needs_model

WORDS = ["moon", "tides", "rise", "sea", "cells", "leaf", "divide", "day", "twice", "of", "the", "a"]
INDEX, RETRIEVE = ("query-of-cc", "index"), ("query-of-cc", "retrieve")
DENSE = ("--dense", MODEL, "--no-bm25", "--passage-words", 10, "--faiss", "ivf")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory, forks: Forks) -> Path:
    """A corpus and its index, queries and what they find; and a small corpus."""
    folder = tmp_path_factory.mktemp("corpus")
    rng = random.Random(0)
    texts = [" ".join(rng.choices(WORDS, k=number % 40)) for number in range(300)]
    lines = [json.dumps({"id": f"d{number}", "text": text}) + "\n" for number, text in enumerate(texts)]
    (folder / "corpus.jsonl").write_text("".join(lines))
    (folder / "small.jsonl").write_text("".join(lines[:60]))
    with (folder / "queries.jsonl").open("w") as file:
        for number in range(50):
            text = " ".join(rng.sample(WORDS, 2)) if number % 9 else "?"
            file.write(json.dumps({"id": f"q{number}", "text": text, "domain": f"x{number % 3}"}) + "\n")
    assert forks.run(*INDEX, folder / "corpus.jsonl", folder / "index") == 0
    assert forks.run(*RETRIEVE, folder / "queries.jsonl", folder / "index", folder / "docs") == 0
    return folder


def outcome(path: Path) -> tuple[list[bytes], object]:
    dataset = Dataset.open(path)
    assert dataset.run
    return [shard.read_bytes() for shard in dataset.shards], dataset.run["counts"]


def vectors(path: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in (path / "dense").iterdir()}


def kill_at_random(forks: Forks, command: Sequence[object], folder: Path, kills: int) -> None:
    """Run `command` to `folder/whole`; kill it at random moments on its way to `folder/out`, then let it end there."""
    begun = time.monotonic()
    assert forks.run(*command, folder / "whole") == 0
    longest = time.monotonic() - begun
    rng = random.Random(str(command[1]))
    out = folder / "out"
    while kills:
        forks.start(*command, out)
        time.sleep(rng.uniform(0.1, 0.9) * longest)
        if forks.kill() == -signal.SIGKILL:
            kills -= 1
        if not out.exists():
            with pytest.raises(InputError, match=r"is not finished|is not a dataset directory"):
                OpenedIndex(out)
        elif kills:
            # It had ended already: from the start, and sooner.
            shutil.rmtree(out)
            longest *= 0.8
    assert forks.run(*command, out) == 0
    assert not (folder / "out.partial").exists()


@pytest.mark.parametrize(
    "death",
    [
        Death("Bm25Writer", "commit", 1, before=True),
        Death("Bm25Writer", "commit", 4, before=False),
        Death("Bm25Writer", "add", 200, before=True),
        Death("Bm25Writer", "close", 1, before=False),
        Death("os", "link", 5, before=True),
    ],
)
def test_an_index(forks: Forks, corpus: Path, tmp_path: Path, death: Death) -> None:
    command = (*INDEX, corpus / "corpus.jsonl", tmp_path / "index")
    assert forks.run(*command, death=death) == -signal.SIGKILL
    assert forks.run(*RETRIEVE, corpus / "queries.jsonl", tmp_path / "index", tmp_path / "docs") == 2
    assert forks.run(*command) == 0
    assert outcome(tmp_path / "index") == outcome(corpus / "index")
    assert forks.run(*RETRIEVE, corpus / "queries.jsonl", tmp_path / "index", tmp_path / "docs") == 0
    assert outcome(tmp_path / "docs") == outcome(corpus / "docs")


def test_an_index_at_random_moments(forks: Forks, corpus: Path, tmp_path: Path) -> None:
    kill_at_random(forks, (*INDEX, corpus / "corpus.jsonl"), tmp_path, kills=4)
    assert outcome(tmp_path / "out") == outcome(corpus / "index")
    assert forks.run(*RETRIEVE, corpus / "queries.jsonl", tmp_path / "out", tmp_path / "docs") == 0
    assert outcome(tmp_path / "docs") == outcome(corpus / "docs")


@needs_model
def test_an_index_of_vectors(embedding_forks: Forks, corpus: Path, tmp_path: Path) -> None:
    command = (*INDEX, *DENSE, corpus / "small.jsonl")
    kill_at_random(embedding_forks, command, tmp_path, kills=2)
    for death in (Death("VectorWriter", "append", 3, before=True), Death("dense", "finish", 1, before=True)):
        assert embedding_forks.run(*command, tmp_path / "index", death=death) == -signal.SIGKILL
        with pytest.raises(InputError, match="is not finished"):
            OpenedIndex(tmp_path / "index")
    assert embedding_forks.run(*command, tmp_path / "index") == 0
    for name in ("out", "index"):
        assert outcome(tmp_path / name) == outcome(tmp_path / "whole")
        assert vectors(tmp_path / name) == vectors(tmp_path / "whole")


@pytest.mark.parametrize(("number", "before"), [(5, True), (60, False)])
def test_an_index_that_extends_another(forks: Forks, corpus: Path, tmp_path: Path, number: int, before: bool) -> None:
    lines = (corpus / "corpus.jsonl").read_text().splitlines(keepends=True)
    for name, part in (("first", lines[:150]), ("second", lines[150:])):
        (tmp_path / f"{name}.jsonl").write_text("".join(part))
    assert forks.run(*INDEX, tmp_path / "first.jsonl", tmp_path / "first") == 0
    before_it = outcome(tmp_path / "first")
    command = (*INDEX, tmp_path / "second.jsonl", tmp_path / "index", "--extend", tmp_path / "first")
    assert forks.run(*command, death=Death("Bm25Writer", "add", number, before)) == -signal.SIGKILL
    assert forks.run(*command) == 0
    assert outcome(tmp_path / "first") == before_it
    for name in ("index", "first"):
        assert forks.run(*RETRIEVE, corpus / "queries.jsonl", tmp_path / name, tmp_path / f"docs-{name}") == 0
    assert Dataset.open(tmp_path / "docs-index").table.equals(Dataset.open(corpus / "docs").table)
    assert not Dataset.open(tmp_path / "docs-first").table.equals(Dataset.open(corpus / "docs").table)


@pytest.mark.parametrize(
    "death",
    [
        Death("retrieve", "_by_document", 1, before=True),
        Death("retrieve", "_save", 3, before=True),
        Death("retrieve", "_save", 3, before=False),
        Death("Output", "write_table", 2, before=True),
        Death("os", "link", 1, before=True),
    ],
)
def test_retrieved_documents(forks: Forks, corpus: Path, tmp_path: Path, death: Death) -> None:
    command = (*RETRIEVE, corpus / "queries.jsonl", corpus / "index", tmp_path / "docs")
    assert forks.run(*command, death=death) == -signal.SIGKILL
    assert not (tmp_path / "docs").exists()
    assert forks.run(*command) == 0
    assert outcome(tmp_path / "docs") == outcome(corpus / "docs")


def test_retrieved_documents_at_random_moments(forks: Forks, corpus: Path, tmp_path: Path) -> None:
    kill_at_random(forks, (*RETRIEVE, corpus / "queries.jsonl", corpus / "index"), tmp_path, kills=4)
    assert outcome(tmp_path / "out") == outcome(corpus / "docs")
