"""The package as pip installs it: all in `synth`, with its data, beside folders of the same names as ours."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.structure import PACKAGES, ROOT

MAIN = "from synth.cli.main import main; main()"
# What a build reads, and beside it what must stay out.
SOURCES = ("pyproject.toml", "README.md", "LICENSE", ".src", *PACKAGES, "tests", "tiny_model")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds what pip puts into site-packages, built from a copy, so that nothing is left in ours."""
    folder = tmp_path_factory.mktemp("installed")
    (folder / "source").mkdir()
    for name in SOURCES:
        source, copy = ROOT / name, folder / "source" / name
        if source.is_dir():
            shutil.copytree(source, copy, symlinks=True, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        else:
            shutil.copy(source, copy)
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "--wheel-dir", folder, folder / "source"], check=True)
    (wheel,) = folder.glob("synth_recipes-*.whl")
    with ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """Somebody else's project, whose packages are called as the folders of our repository, and cannot be imported."""
    for package in PACKAGES:
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text("raise ImportError('this is another project')\n")
    return tmp_path


def python(*arguments: str, path: tuple[Path, ...]) -> str:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path))}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=path[0], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_all_of_it_is_in_one_package(site: Path) -> None:
    package, about = sorted(entry.name for entry in site.iterdir())
    assert (package, about.endswith(".dist-info")) == ("synth", True)
    assert sorted(entry.name for entry in (site / "synth").iterdir()) == sorted(PACKAGES)


def test_every_file_of_the_packages_is_installed(site: Path) -> None:
    """Prompts, the page of a report and the embedded model among them."""
    for package in PACKAGES:
        ours = {file.relative_to(ROOT) for file in (ROOT / package).rglob("*.*") if "__pycache__" not in file.parts}
        installed = {file.relative_to(site / "synth") for file in (site / "synth" / package).rglob("*.*")}
        assert ours == installed


def test_folders_of_the_same_names_on_the_path_do_not_matter(site: Path, foreign: Path) -> None:
    found = python("-c", "import synth.cli.main; print(synth.cli.main.__file__)", path=(foreign, site))
    assert found.strip() == str(site / "synth" / "cli" / "main.py")
    assert python("-c", MAIN, "--version", path=(foreign, site)).startswith("synth ")


def test_what_is_installed_runs_a_recipe_and_shows_it(site: Path, foreign: Path) -> None:
    (foreign / "questions.jsonl").write_text('{"question": "What is 3+4?", "answer": "#### 7"}\n')
    sample = ("reject", "sample", "questions.jsonl", "samples", "--engine", "echo", "-n", "2")
    python("-c", MAIN, *sample, path=(foreign, site))
    assert "What is 3+4?" in python("-c", MAIN, "show", "samples", path=(foreign, site))
