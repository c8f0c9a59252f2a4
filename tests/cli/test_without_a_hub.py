"""Models and datasets of the hub: what it does not have, or cannot be asked for, is one sentence and takes no time."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.command import run_synth
from tests.hub import Hub, hub
from tests.rows import write_rows

NOBODY = "http://127.0.0.1:9"
# Far less than the shortest series of retries, and more than an import of vLLM or torch.
SECONDS = 20.0


@pytest.fixture
def server() -> Iterator[Hub]:
    with hub() as running:
        yield running


def said(folder: Path, *words: str, code: int, **environment: str) -> str:
    """The only line on stderr of a command that ends soon, with an empty cache."""
    write_rows(folder / "rows.jsonl", [{"id": "a", "question": "1?", "answer": "#### 1", "text": "one", "tags": ["a"]}])
    where = {"HF_HOME": str(folder / "cache"), "HF_ENDPOINT": NOBODY, "NO_PROXY": "127.0.0.1", **environment}
    began = time.monotonic()
    done = run_synth(*words, folder=folder, **where)
    assert time.monotonic() - began < SECONDS
    assert done.returncode == code, done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


MODEL = "reject sample rows.jsonl out --model some/name"
NAMED = {
    "--model": MODEL,
    "--dense": "query-of-cc index rows.jsonl out --dense some/name",
    "--embedder": "instag normalize rows.jsonl out --embedder some/name",
    "--reward-model": "judge rows.jsonl out --reward-model some/name",
    "--tokenizer": "mix rows.jsonl out --by tokens --tokenizer some/name",
    "hf:": "show hf:some/name",
}


@pytest.mark.parametrize("named", NAMED)
def test_a_name_is_refused_at_once_where_the_hub_cannot_be_reached(tmp_path: Path, named: str) -> None:
    sentence = said(tmp_path, *NAMED[named].split(), code=2)
    assert named in sentence
    assert "is not on this machine, and the hub cannot be reached ([Errno 111] Connection refused)" in sentence
    assert not (tmp_path / "out.partial").exists()


@pytest.mark.parametrize("named", ["--model", "hf:"])
def test_a_name_that_the_hub_does_not_know_is_told_from_a_hub_that_fails(
    tmp_path: Path, server: Hub, named: str
) -> None:
    words = NAMED[named].split()
    kind = "model" if named == "--model" else "dataset"
    sentence = said(tmp_path, *words, code=2, HF_ENDPOINT=server.url)
    assert f"the hub has no {kind} of this name, or it is private and needs HF_TOKEN" in sentence
    server.failing["/api/"] = 503
    assert "the hub answers with status 503" in said(tmp_path, *words, code=2, HF_ENDPOINT=server.url)


def test_the_hub_is_not_asked_where_the_user_has_forbidden_it(tmp_path: Path, server: Hub) -> None:
    sentence = said(tmp_path, *MODEL.split(), code=2, HF_ENDPOINT=server.url, HF_HUB_OFFLINE="1")
    assert "is not on this machine, and the hub is not asked, because HF_HUB_OFFLINE is set" in sentence
    assert not server.asked


def test_a_dataset_is_downloaded_and_read_again_without_a_network(tmp_path: Path, server: Hub) -> None:
    write_rows(tmp_path / "mine.jsonl", [{"id": f"r-{i}", "text": f"text {i}"} for i in range(3)])
    environment = server.environment(tmp_path)
    for command in ("filter mine.jsonl mine --where true", "push mine me/mine"):
        assert run_synth(*command.split(), folder=tmp_path, **environment).returncode == 0

    def shown() -> subprocess.CompletedProcess[str]:
        done = run_synth("show", "hf:me/mine:train", "-n", "9", "--columns", "text", folder=tmp_path, **environment)
        assert done.returncode == 0, done.stderr
        assert all(f"text {i}" in done.stdout for i in range(3))
        return done

    assert shown().stderr == "hf:me/mine:train  id, text\n"
    server.shutdown()
    server.server_close()
    began = time.monotonic()
    lines = shown().stderr.splitlines()
    assert time.monotonic() - began < SECONDS
    assert "hf:me/mine:train is read as it was last downloaded: the hub cannot be reached" in lines[0]
    assert lines[1:] == ["hf:me/mine:train  id, text"]
