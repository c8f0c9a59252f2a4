"""`synth self-lengthen instruct | draft | extend`, from the command line."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from synth.schemas.dataset import Dataset
from synth.schemas.errors import InputError, Stale, UsageError
from tests.command import synth
from tests.pipelines.self_lengthen.writing import prose
from tests.rows import write_rows

SEEDS: list[dict[str, Any]] = [
    {"id": "a", "query": "Write about the sea in winter.", "language": None},
    {"id": "b", "query": "Tell the story of an old bridge.", "language": None},
    {"id": "c", "query": "写一篇关于茶的文章。", "language": "zh"},
]


self_lengthen = partial(synth, "self-lengthen")


def options(out: Path) -> dict[str, Any]:
    run = Dataset.open(out).run
    assert run
    found: dict[str, Any] = run["identity"]["options"]
    return found


@pytest.fixture
def seeds(tmp_path: Path) -> Path:
    return write_rows(tmp_path / "seeds.jsonl", SEEDS)


def test_instructions_are_written_after_the_seeds_of_the_input(tmp_path: Path, seeds: Path) -> None:
    """The echo engine says "yes" to everything, so that its instructions are one word long."""
    done = self_lengthen("instruct", seeds, tmp_path / "out", "-n", 4, "--engine", "echo", "--engine-arg", "reply=yes")
    assert "rejected: 3 (too_short 2, too_few_seeds 1)" in done.stderr
    dataset = Dataset.open(tmp_path / "out")
    assert dataset.rejected
    rejected = dataset.rejected.table.to_pylist()
    assert {row["id"] for row in rejected} >= {"a", "b", "c", "a/i0/t0", "a/i1/t9", "b/i0/t0"}
    assert {frozenset(row["examples"]) for row in rejected if row["examples"]} == {frozenset("ab")}


def test_seeds_are_read_as_the_run_reads_its_rows(tmp_path: Path, seeds: Path) -> None:
    """`--column` and `--limit` hold for both; with other seeds it is another run."""
    renamed = write_rows(tmp_path / "renamed.jsonl", [{"id": row["id"], "text": row["query"]} for row in SEEDS])
    command = ("--engine", "echo", "--tries", 1, "--limit", 2)
    self_lengthen("instruct", renamed, tmp_path / "renamed", "--column", "instruction=text", *command)
    self_lengthen("instruct", seeds, tmp_path / "out", *command)
    tried = [Dataset.open(tmp_path / name).rejected for name in ("renamed", "out")]
    pairs = [[row["examples"] for row in rejected.rows()] for rejected in tried if rejected]
    assert pairs[0] == pairs[1]
    assert {frozenset(pair) for pair in pairs[0] if pair} == {frozenset("ab")}
    with pytest.raises(InputError, match="has no column"):
        self_lengthen("instruct", renamed, tmp_path / "bad", *command)
    with pytest.raises(Stale, match="limit"):
        self_lengthen("instruct", seeds, tmp_path / "out", "--engine", "echo", "--tries", 1)


def test_the_defaults_are_the_paper_s(tmp_path: Path, seeds: Path) -> None:
    for name in ("draft", "instruct"):
        self_lengthen(name, seeds, tmp_path / name, "--engine", "echo", "--tries", 1)
    drawn = {"temperature": 0.7, "top_p": 0.8, "top_k": 20, "repetition_penalty": 1.1}
    for name, more in (
        ("draft", {"max_tokens": 16_384, "stop": []}),
        ("instruct", {"max_tokens": 1024, "stop": ["\n\n", "\n4.", "\n4、"]}),
    ):
        assert options(tmp_path / name).items() >= {**drawn, **more}.items()


def test_stops_can_be_given_with_line_breaks(tmp_path: Path, seeds: Path) -> None:
    self_lengthen(
        "draft", seeds, tmp_path / "out", "--engine", "echo", "--no-check", "--stop", r"\n\n\n", "--stop", "winter"
    )
    assert options(tmp_path / "out")["stop"] == ["\n\n\n", "winter"]
    assert Dataset.open(tmp_path / "out").table["response"].to_pylist()[0] == "Write about the sea in"


def test_drafts_are_extended_and_keep_their_columns(tmp_path: Path) -> None:
    drafts = write_rows(tmp_path / "drafts.jsonl", [{"prompt": "Write", "output": prose(4), "source": "web"}])
    reply = ("--engine", "echo", "--engine-arg", f"reply={prose(12, about='longer')}")
    done = self_lengthen("extend", drafts, tmp_path / "out", "-n", 1, *reply)
    assert "mean words 240.0000, words before 80.0000" in " ".join(done.stderr.split())
    (row,) = Dataset.open(tmp_path / "out").table.to_pylist()
    assert (row["id"], row["draft_id"], row["source"]) == ("drafts-0/x0", "drafts-0", "web")
    assert (row["instruction"], row["initial"]) == ("Write", prose(4))


def test_other_prompts(tmp_path: Path, seeds: Path) -> None:
    mine = tmp_path / "mine.md"
    mine.write_text("# user\nIn {{ language }}: {{ instruction }}\n")
    self_lengthen("draft", seeds, tmp_path / "out", "-n", 1, "--engine", "echo", "--no-check", "--prompt", mine)
    response, _, chinese = Dataset.open(tmp_path / "out").table["response"].to_pylist()
    assert response.startswith("In en: Write about the sea in winter.")
    assert chinese.startswith("In zh: ")
    with pytest.raises(UsageError, match=r"--judge-prompt nothing: no such file, .* draft, extend, instruct, .*suited"):
        self_lengthen("instruct", seeds, tmp_path / "bad", "--engine", "echo", "--judge-prompt", "nothing")
