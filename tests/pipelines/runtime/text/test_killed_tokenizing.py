"""`kill -9` while documents are tokenized: tokens are not made again, and the bytes are those of an unbroken run."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.processes import end, kill, wait_until
from tests.pipelines.passing import shards
from tests.rows import write_rows

DOCUMENTS, IN_A_PORTION = 300, 15
# The command itself, in such small portions that a run of seconds has many.
SYNTH = f"""
from synth.pipelines.runtime.text import tokenizing
tokenizing.ROWS_PER_PORTION = {IN_A_PORTION}
from synth.cli.main import main
main()
"""


COMMANDS = {
    "pack buckets": ["--min", "4", "--max", "9", "--cut", "random", "--keep-tail"],
    "pack sequences": ["--context-tokens", "512"],
}


def start(name: str, source: Path, out: Path) -> subprocess.Popen[str]:
    options = ["--tokenizer", "tiny", *COMMANDS[name]]
    command = [sys.executable, "-c", SYNTH, *name.split(), str(source), str(out), *options]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_run_that_is_killed_again_and_again_ends_as_one_that_was_not(tmp_path: Path, name: str) -> None:
    texts = (f"The sum of {n} and {n} is {2 * n}. " * (10 + 9 * (n % 90)) for n in range(DOCUMENTS))
    source = write_rows(tmp_path / "documents.jsonl", [{"id": f"d{n}", "text": text} for n, text in enumerate(texts)])
    assert end(start(name, source, tmp_path / "whole"))[0] == 0
    out, work = tmp_path / "out", tmp_path / "out.partial" / "work"

    def made() -> dict[str, int]:
        return {file.name: file.stat().st_ino for file in work.glob("[!.]*.arrow")}

    before: dict[str, int] = {}
    for portions in (1, 4):
        process = start(name, source, out)
        wait_until(lambda portions=portions: len(made()) >= portions, process)
        kill(process)
        assert before.items() <= made().items()
        before = made()
    assert len(before) < DOCUMENTS / IN_A_PORTION
    assert end(start(name, source, out))[0] == 0
    assert shards(out) == shards(tmp_path / "whole")
    assert not (tmp_path / "out.partial").exists()
