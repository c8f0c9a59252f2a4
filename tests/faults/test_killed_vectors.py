"""`kill -9` while texts are embedded, clustered or ordered: what is repeated goes on, and ends in the same bytes."""

import time
from pathlib import Path
from random import Random

import numpy as np
import pytest

from tests.faults.forking import Forks
from tests.pipelines.passing import shards
from tests.pipelines.retrieval.meanings import MODEL, SENTENCES, needs_model
from tests.pipelines.retrieval.test_nearest import clustered
from tests.rows import write_rows

pytest.importorskip("faiss", reason="FAISS is not installed")


def contents(folder: Path) -> dict[str, bytes]:
    """What lies beside the rows."""
    beside = (path for name in ("vectors", "clusters") for path in sorted((folder / name).glob("*")))
    return {f"{path.parent.name}/{path.name}": path.read_bytes() for path in beside}


def killed_again_and_again(forks: Forks, folder: Path, command: str, source: Path, *options: object) -> None:
    rng = Random(5)
    whole, out = folder / "whole", folder / "out"
    begun = time.monotonic()
    assert forks.run(*command.split(), source, whole, *options) == 0
    longest = time.monotonic() - begun
    for _ in range(3):
        if not out.exists():
            forks.start(*command.split(), source, out, *options)
            time.sleep(rng.uniform(0.2, 1.0) * longest)
            forks.kill()
    assert forks.run(*command.split(), source, out, *options) == 0
    assert shards(out) == shards(whole)
    assert contents(out) == contents(whole)
    assert not (folder / "out.partial").exists()


@needs_model
def test_embedding_that_is_killed(embedding_forks: Forks, tmp_path: Path) -> None:
    rows = [{"id": str(at), "text": text} for at, text in enumerate(SENTENCES * 3)]
    source = write_rows(tmp_path / "rows.jsonl", rows)
    killed_again_and_again(embedding_forks, tmp_path, "embed", source, "--embedder", MODEL, "--max-tokens", 16)


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("select clusterclip", ("--clusters", 60, "--max-repeats", 3, "-n", 5000)),
        ("pack neighbors", ("--neighbors", 5)),
        ("pack neighbors", ("--method", "code", "--text", "text")),
    ],
)
def test_clustering_and_ordering_that_is_killed(
    forks: Forks, tmp_path: Path, command: str, options: tuple[object, ...]
) -> None:
    vectors = np.concatenate([clustered(3000, 24, 200, 1.0), clustered(200, 24, 1, 0.05)]).round(4)
    rows = [{"id": f"d{at}", "text": f"text {at % 900}", "v": v} for at, v in enumerate(vectors.tolist())]
    source = write_rows(tmp_path / "rows.jsonl", rows)
    killed_again_and_again(forks, tmp_path, command, source, "--vectors", "v", *options)
