"""The loop of `examples/tools.mk` ends when two rounds select the same tasks."""

import os
import shutil
import subprocess
from pathlib import Path

from tests.command import SYNTH
from tests.counting_server import counting_server
from tests.rows import rows_of

EXAMPLES = Path(__file__).parents[3] / "examples"
REPLIES = ('[{"name": "weather", "arguments": {"city": "Oslo"}}]', "[]")


def test_rounds_go_on_until_they_select_the_same_tasks(tmp_path: Path) -> None:
    for name in ("tools.mk", "tool-tasks.jsonl"):
        shutil.copy(EXAMPLES / name, tmp_path / name)
    with counting_server(says=lambda seed: REPLIES[seed % 2]) as server:
        variables = {
            "SYNTH": SYNTH,
            "ENGINE": f"--base-url {server.url}",
            "MODEL": "tiny",
            "TRAINING": "--train-command 'cp -r {base} {out}'",
        }
        words = ["make", "--silent", "--file", "tools.mk", *(f"{name}={value}" for name, value in variables.items())]
        done = subprocess.run(words, cwd=tmp_path, env={**os.environ}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "Round 2 selects the tasks of the round before."
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["tools-1", "tools-2"]
    selected = {row["task_id"] for row in rows_of(tmp_path / "out" / "tools-2" / "lessons")}
    assert selected == {"weather-one", "nothing-fits", "missing-value"}
