"""`kill -9` at random moments: what is repeated goes on, and ends in the same bytes."""

import json
import subprocess
import sys
import time
from pathlib import Path
from random import Random

import pytest

from tests.faults.processes import end, kill
from tests.pipelines.passing import shards
from tests.pipelines.runtime.text.drawing import altered, drawn
from tests.rows import write_rows

# The command itself, in such small portions that a run of seconds has many.
SYNTH = """
from synth.pipelines.dedup import fingerprints
from synth.pipelines.runtime import portions
fingerprints.SECONDS_PER_SYNC, portions.portions.__defaults__ = 0, (128, 4 << 20)
from synth.cli.main import main
main()
"""


def start(*arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", SYNTH, *map(str, arguments)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)


@pytest.mark.parametrize("command", ["dedup", "decontaminate"])
def test_a_run_that_is_killed_again_and_again_ends_as_one_that_was_not(tmp_path: Path, command: str) -> None:
    rng = Random(11)
    bases = [drawn(rng, 150) for _ in range(2_000)]
    rows = [{"id": f"r-{i}", "text": altered(rng, rng.choice(bases), 1)} for i in range(6_000)]
    source = write_rows(tmp_path / "rows.jsonl", rows)
    options = ["--against", write_rows(tmp_path / "eval.jsonl", rows[::50])] if command == "decontaminate" else []
    whole, out = tmp_path / "whole", tmp_path / "out"
    begun = time.monotonic()
    assert end(start(command, source, whole, *options))[0] == 0
    longest = time.monotonic() - begun
    made = tmp_path / "out.partial" / "work" / "made.json"
    laid_by = kills = 0
    while kills < 3 and not out.exists():
        process = start(command, source, out, *options)
        time.sleep(rng.uniform(0.3 * longest, longest))
        kill(process)
        kills += 1
        if made.exists():
            before, laid_by = laid_by, json.loads(made.read_text())["rows"]
            assert laid_by >= before
    assert end(start(command, source, out, *options))[0] == 0
    assert shards(out) == shards(whole)
    assert not (tmp_path / "out.partial").exists()
