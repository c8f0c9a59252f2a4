"""The job that is compared with other tools, on synth alone: they are not installed for the tests."""

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "side_by_side.py"


def test_the_job_of_synth_loses_nothing_when_it_is_killed_and_the_others_are_said_to_be_missing(tmp_path: Path) -> None:
    environments = ["--peers", str(tmp_path / "peers"), "--data-juicer", str(tmp_path / "data-juicer")]
    command = [sys.executable, str(SCRIPT), "--questions", "120", "--vllm-questions", "0", *environments]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0, ran.stderr
    rows = {line.split()[0]: line for line in ran.stdout.splitlines() if line}
    *_, lost, doubled, _ = rows["synth"].split()
    assert (lost, doubled) == ("0", "0")
    assert all("make peers" in rows[name] for name in ("datatrove", "curator", "distilabel", "data-juicer"))
