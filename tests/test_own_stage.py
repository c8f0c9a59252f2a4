"""The page on steps of one's own: its class is run from a file, and as a command of an installed package."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.command import SYNTH, run_synth
from tests.pages.page import Page
from tests.rows import rejected_of, rows_of, write_rows

PAGE = Page("docs/own-stage.md")
CODE = PAGE.files["louder.py"]
(ENTRY,) = re.findall(r"```toml\n(.*?)```", PAGE.text, re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_rows(tmp_path / "questions.jsonl", [{"id": "a", "query": "Why?"}, {"id": "b", "query": "HOW?"}])
    (tmp_path / "louder.py").write_text(CODE)
    return tmp_path


def test_a_class_in_a_file_is_a_command(folder: Path) -> None:
    run = ("run", "louder.py:Louder", "questions.jsonl", "out", "--marks", 3, "--engine", "echo")
    done = run_synth(*run, folder=folder)
    assert done.returncode == 0, done.stderr
    (row,) = rows_of(folder / "out")
    assert (row["id"], row["query"][-4:]) == ("a", "]!!!")
    assert [row["reason"] for row in rejected_of(folder / "out")] == ["loud_enough"]
    assert "nothing to do" in run_synth(*run, folder=folder).stderr
    assert "Exclamation marks." in run_synth("run", "louder.py:Louder", "--help", folder=folder).stdout
    assert "complete, nothing would run" in run_synth("why", "out", folder=folder).stdout


def test_changed_code_makes_an_output_stale(folder: Path) -> None:
    run = ("run", "louder.py:Louder", "questions.jsonl", "out", "--engine", "echo")
    assert run_synth(*run, folder=folder).returncode == 0
    (folder / "louder.py").write_text(CODE.replace('"!" *', '"?" *'))
    done = run_synth(*run, folder=folder)
    assert (done.returncode, "the code of the step changed" in done.stderr) == (4, True)
    assert run_synth(*run, "--update", folder=folder).returncode == 0
    assert rows_of(folder / "out")[0]["query"].endswith("]?")


@pytest.mark.parametrize(
    ("place", "says"),
    [
        ("nowhere.py:Louder", "nowhere.py does not exist"),
        ("louder.py:Quieter", "louder.py:Quieter is not a stage"),
        ("louder.py", "louder.py: expected FILE.py:CLASS or MODULE:CLASS"),
        ("json.py:Louder", "json.py: there is a module json already"),
        ("broken.py:Louder", "broken.py cannot be imported: ZeroDivisionError"),
        ("nothing.here:Louder", "nothing.here:Louder cannot be imported"),
    ],
)
def test_what_is_no_stage_is_a_usage_error(folder: Path, place: str, says: str) -> None:
    (folder / "broken.py").write_text("1 / 0\n")
    (folder / "json.py").write_text(CODE)
    done = run_synth("run", place, "questions.jsonl", "out", folder=folder)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert says in line


def test_an_installed_package_adds_a_command(folder: Path) -> None:
    package = folder / "source" / "my_package"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "louder.py").write_text(CODE)
    project = '[project]\nname = "my-package"\nversion = "1"\n\n[tool.setuptools]\npackages = ["my_package"]\n\n'
    (folder / "source" / "pyproject.toml").write_text(project + ENTRY)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "--target", folder / "site", folder / "source"], check=True)
    path = os.pathsep.join([str(folder / "site"), *filter(None, [os.environ.get("PYTHONPATH")])])

    def synth(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [SYNTH, *arguments]
        environment = {**os.environ, "PYTHONPATH": path}
        return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)

    done = synth("louder", "questions.jsonl", "out", "--engine", "echo")
    assert done.returncode == 0, done.stderr
    assert rows_of(folder / "out")[0]["query"].endswith("]!")
    assert "louder" in synth("--help").stdout
    assert "Say each question louder." in synth("louder", "--help").stdout
