"""The record of a run names its inputs so that they are found from anywhere."""

from pathlib import Path

import pytest

from synth.schemas.specs import from_record, to_record


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """work/ as the current directory, with a link to data/ beside it."""
    (tmp_path / "data").mkdir()
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "link").symlink_to("../data")
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path


@pytest.mark.parametrize(
    ("typed", "recorded"),
    [
        ("q.jsonl", "../q.jsonl"),
        ("./made/", "../made"),
        ("../data/*/part-?.jsonl", "../../data/*/part-?.jsonl"),
        ("link/q.jsonl", "../../data/q.jsonl"),
        ("link", "../link"),
        (".", ".."),
        ("..", "../.."),
        ("/data/q.jsonl", "/data/q.jsonl"),
        ("hf:openai/gsm8k:main:train", "hf:openai/gsm8k:main:train"),
        ("-", "-"),
        ("packages:", "packages:"),
    ],
)
def test_paths_are_recorded_relative_to_the_output(tree: Path, typed: str, recorded: str) -> None:
    assert tree.is_dir()
    assert to_record(typed, Path("out")) == recorded


@pytest.mark.parametrize("typed", ["q.jsonl", "../data/q.jsonl", "link/q.jsonl", "link"])
@pytest.mark.parametrize("out", ["out", "link/out", "../data/deep/out"])
@pytest.mark.parametrize("reader", ["work", "data", "work/link", "."])
def test_a_recorded_path_is_found_from_anywhere(
    tree: Path, monkeypatch: pytest.MonkeyPatch, typed: str, out: str, reader: str
) -> None:
    meant, where = Path(typed).resolve(), Path(out).resolve()
    recorded = to_record(typed, Path(out))
    monkeypatch.chdir(tree / reader)
    assert Path(from_record(recorded, where)).resolve() == meant


def test_the_shorter_path_is_shown(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = to_record("q.jsonl", Path("out"))
    assert from_record(recorded, tree / "work" / "out") == "q.jsonl"
    monkeypatch.chdir("/")
    assert from_record(recorded, tree / "work" / "out") == str(tree / "work" / "q.jsonl").removeprefix("/")
    monkeypatch.chdir("/usr/lib")
    assert from_record(recorded, tree / "work" / "out") == str(tree / "work" / "q.jsonl")
