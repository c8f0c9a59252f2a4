"""The examples of docs/contributing.md, a recipe, an engine, a jail and a format, are added and run here."""

import importlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import synth
from synth.cli import run_code  # noqa: F401  before the page's jail is added, since its help names the jails
from synth.cli.main import app
from synth.schemas.dataset import Dataset
from tests.jails import why_not

PAGE = Path(__file__).parents[1] / "docs" / "contributing.md"
BLOCK = re.compile(r"`([\w/]+\.\w+)`:\n\n```\w*\n(.*?)```", re.DOTALL)
ENTRY = re.compile(r"    (.+),  # in (\w+)\n")


@pytest.fixture
def added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files of the page beside those of the package, and its entries in the tables."""
    for name, text in BLOCK.findall(PAGE.read_text()):
        if entries := ENTRY.findall(text):
            module = importlib.import_module(_module(name))
            for entry, table in entries:
                known = getattr(module, table)
                if isinstance(known, tuple):
                    monkeypatch.setattr(module, table, (*known, _attribute(name, entry)))
                    continue
                key, _, value = entry.partition(": ")
                added = value.strip('"') if value.startswith('"') else _attribute(name, value)
                monkeypatch.setitem(known, key.strip('"'), added)
            continue
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        for parent in path.relative_to(tmp_path).parents:
            if (PAGE.parents[1] / parent).is_dir() and parent != Path():
                package = importlib.import_module(_module(str(parent)))
                monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path / parent)])


def _module(name: str) -> str:
    return ".".join((synth.__name__, *Path(name).with_suffix("").parts)).removesuffix(".__init__")


def _attribute(registry: str, value: str) -> Any:
    """`parrot.opened`, in a module beside the registry."""
    module, _, attribute = value.partition(".")
    return getattr(importlib.import_module(_module(f"{Path(registry).parent}/{module}")), attribute)


def run(*words: object) -> Any:
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    assert done.exit_code == 0, done.output
    return done


@pytest.mark.usefixtures("added")
def test_a_recipe_and_an_engine(tmp_path: Path) -> None:
    (tmp_path / "questions.jsonl").write_text(json.dumps({"id": "q", "question": "What is left?"}) + "\n")
    run("shout", tmp_path / "questions.jsonl", tmp_path / "louder", "--engine", "parrot", "-n", 3)
    assert list(Dataset.open(tmp_path / "louder").rows()) == [
        {"id": "q/louder", "query": "Say this louder: What is left?!!!"}
    ]
    listed = run("shout", "--help").output
    assert "Say each question louder." in listed
    assert "-n, --marks INTEGER" in listed
    assert "shout" in run("--help").output
    assert "Exclamation marks." in run("schema", "shout").output


@pytest.mark.usefixtures("added")
def test_a_jail(tmp_path: Path) -> None:
    if reason := why_not("bwrap"):
        pytest.skip(reason)
    (tmp_path / "double.py").write_text("def double(x):\n    return 2 * x\n")
    done = run("run-code", tmp_path / "double.py", "--input", "21", "--jail", "patient")
    assert "42" in done.output
    assert "in a patient jail" in " ".join(done.output.split())


@pytest.mark.usefixtures("added")
def test_a_format(tmp_path: Path) -> None:
    (tmp_path / "poem.par").write_text("One\ntwo\n\nthree")
    run("import", tmp_path / "poem.par", tmp_path / "out")
    assert list(Dataset.open(tmp_path / "out").rows(["text"])) == [{"text": "One\ntwo"}, {"text": "three"}]
