"""The tree keeps its structure, and the checks that say so see what breaks it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import structure


@pytest.mark.parametrize("name", structure.CHECKS)
def test_the_tree(name: str) -> None:
    assert structure.CHECKS[name]() == []


# A file in which nothing is wrong, beside one in which something is; and what is found.
FAULTS = {
    "import cycles": (
        {"schemas/a.py": "import synth.schemas.b", "schemas/b.py": "from synth.schemas import a"},
        ["schemas.a <-> schemas.b"],
    ),
    "import cycles through imports inside functions or for types": (
        {"schemas/a.py": "from synth.schemas.b import x", "schemas/b.py": "def x():\n    import synth.schemas.a\n"},
        ["schemas.a <-> schemas.b"],
    ),
    "imports upwards or between recipes": (
        {
            "cli/main.py": "from synth.pipelines.one.stage import One",
            "pipelines/one/stage.py": "from synth.pipelines.runtime import run\nimport synth.pipelines.two.stage\n",
            "pipelines/two/stage.py": "if TYPE_CHECKING:\n    from synth.cli.main import app\n",
            "pipelines/runtime/run.py": "def f():\n    from synth.pipelines.one.stage import One\n",
            "sandbox/pool.py": "from synth.schemas.errors import Error\nfrom synth.schemas.record import Record\n",
            "schemas/errors.py": "from synth.sandbox import pool",
            "schemas/record.py": "",
        },
        [
            "pipelines.one.stage imports pipelines.two.stage",
            "pipelines.two.stage imports cli.main",
            "pipelines.runtime.run imports pipelines.one.stage",
            "sandbox.pool imports schemas.record",
            "schemas.errors imports sandbox.pool",
        ],
    ),
    "class names used twice": ({"cli/a.py": "class A: ...", "schemas/a.py": "class A: ..."}, ["A in cli.a, schemas.a"]),
    "files of more than 400 lines": ({"cli/a.py": "\n" * 401, "tests/b.py": "\n" * 400}, ["cli/a.py: 401"]),
    "modules imported without synth.": (
        {
            "tests/a.py": "import synth.cli.main, cli.main",
            "tests/b.py": "SOURCE = 'from schemas.errors import Error'",
            "docs/a.md": "    import synth.cli\n    import cli\n",
        },
        ["tests/a.py: cli.main", "tests/b.py: schemas.errors.Error", "docs/a.md: import cli"],
    ),
    "advice to install this package from PyPI": (
        {
            "docs/a.md": "pip install synth\npip install '.[train]' -c synth/lock\n",
            "cli/a.py": 'CURE = "synth-recipes[gpu]"',
        },
        ["cli/a.py: synth-recipes[g", "docs/a.md: pip install synth"],
    ),
}


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(structure, "ROOT", tmp_path)
    structure.modules.cache_clear()
    yield tmp_path
    structure.modules.cache_clear()


@pytest.mark.parametrize("name", FAULTS)
def test_what_is_wrong_is_found(tree: Path, name: str) -> None:
    files, findings = FAULTS[name]
    for file, text in files.items():
        (tree / file).parent.mkdir(parents=True, exist_ok=True)
        (tree / file).write_text(text)
    assert sorted(structure.CHECKS[name]()) == sorted(findings)
