"""One module knows what lies in a directory."""

import ast
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from synth.schemas.layout import Layout
from synth.schemas.writing.shelf import Shelf

ROOT = Path(__file__).parents[2]
FILES = ("synth.json", "state.json", "dataset_info.json", "progress.json", "chunks.json", "failed.json")
FOLDERS = ("rejected", "answers", "failed", "shards", "work", "kept", "whole", "replaced", "lock")


def spelled(tree: ast.AST) -> Iterator[str]:
    """The names of a directory's contents that a module spells: files anywhere but in sentences, folders in paths."""
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=str(text)) if text in FILES or text.endswith((".partial", ".tmp", ".rejected")):
                yield text
            case ast.BinOp(op=ast.Div(), right=ast.Constant(value=str(text))) if text in FOLDERS:
                yield text


@pytest.mark.parametrize("package", ["cli", "pipelines", "sandbox", "schemas"])
def test_no_other_module_spells_a_name(package: str) -> None:
    homes = {ROOT / "schemas" / "layout.py", ROOT / "schemas" / "atomic.py"}
    found = {
        str(path.relative_to(ROOT)): names
        for path in (ROOT / package).rglob("*.py")
        if path not in homes and (names := list(spelled(ast.parse(path.read_text()))))
    }
    assert found == {}


def test_chunks_are_numbered_alike_everywhere(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "out").partial
    leased = layout.data(17, "3f9c21d0"), layout.rejected(17, "3f9c21d0")
    for path in (*leased, layout.published(17), layout.kept.answers_of(17)):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    layout.journals(17, "3f9c21d0").folder.mkdir(parents=True)
    assert layout.published_chunks() == [17]
    assert layout.kept.kept_answers() == [layout.kept.answers_of(17)]
    assert layout.all_journals() == layout.journals_of(17) == [layout.journals(17, "3f9c21d0")]
    assert layout.path == tmp_path / "out.partial"


@pytest.mark.parametrize(
    ("name", "look"),
    [
        ("work/00017", lambda out: Layout(out).partial.all_journals()),
        ("work", lambda out: Layout(out).partial.begun_chunks()),
        ("slices", lambda out: Layout(out).partial.slices()),
        ("prior", lambda out: Layout(out).partial.prior_answers()),
        ("work/00017", lambda out: Shelf(out).has_work()),
    ],
)
def test_a_folder_that_a_run_removes_meanwhile_has_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, look: Callable[[Path], object]
) -> None:
    removed = tmp_path / "out.partial" / name
    removed.mkdir(parents=True)
    scan = os.scandir

    def scan_too_late(path: Any) -> Any:
        if Path(path) == removed:
            removed.rmdir()
        return scan(path)

    monkeypatch.setattr(os, "scandir", scan_too_late)
    assert not look(tmp_path / "out")
    assert not removed.exists()
