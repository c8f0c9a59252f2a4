"""`kill -9` while programs run: no jail is left, and the same command goes on without running any program again."""

import time
from pathlib import Path

import pytest

from synth.schemas.answers import ANSWERS
from synth.schemas.journal import read_journal
from tests.faults.campaign import record_of, shard_bytes
from tests.faults.processes import finish, kill, start, wait_until
from tests.jails import JAILS, living_descendants, why_not
from tests.rows import write_rows

FUNCTIONS = 40
# Some are still running whenever the command is killed; each verdict holds the time that it took, like no other.
CODE = "import time\ndef f(x):\n    time.sleep(0.02)\n    return [{number}, x, 0.1 * x]\n"


@pytest.mark.parametrize("kind", JAILS)
def test_execute_killed_in_the_middle(tmp_path: Path, kind: str) -> None:
    if reason := why_not(kind):
        pytest.skip(reason)
    source, out = write_functions(tmp_path / "inputs.jsonl"), tmp_path / "out"
    options = ("--jail", kind, "--jails", 2, "--keep-answers")
    before = set(living_descendants())
    process = start("case2code", "execute", source, out, *options, chunk_rows=FUNCTIONS)
    wait_until(lambda: len(verdicts(tmp_path / "out.partial")) >= 10, process)
    started = set(living_descendants()) - before
    kill(process)
    until = time.monotonic() + 2
    while (left := started & set(living_descendants())) and time.monotonic() < until:
        time.sleep(0.01)
    # The command itself and two workers.
    assert len(started) >= 3
    assert not left
    kept = verdicts(tmp_path / "out.partial")
    assert 10 <= len(kept) < 2 * FUNCTIONS

    finish("case2code", "execute", source, out, *options, chunk_rows=FUNCTIONS)
    there = verdicts(out)
    assert len(there) == 2 * FUNCTIONS
    assert kept.items() <= there.items()
    finish("case2code", "execute", source, tmp_path / "whole", *options, chunk_rows=FUNCTIONS)
    assert shard_bytes(out) == shard_bytes(tmp_path / "whole")
    assert record_of(out)["counts"] == record_of(tmp_path / "whole")["counts"]


def write_functions(path: Path) -> Path:
    rows = [
        {
            "id": f"f-{number}",
            "code": CODE.format(number=number),
            "func_name": "f",
            "example_inputs": ["dict(x=1)", "dict(x=2)", "dict(x=3)"],
            "input_origins": ["types"] * 3,
            "tries": 0,
        }
        for number in range(FUNCTIONS)
    ]
    write_rows(path, rows)
    return path


def verdicts(folder: Path) -> dict[tuple[str, bytes], str]:
    """What the sandbox answered, as it is recorded, by the row that asked and what it asked."""
    found: dict[tuple[str, bytes], str] = {}
    for path in [*folder.glob("work/*/*/answers.arrow"), *folder.glob("answers/*.arrow")]:
        for row in read_journal(path, ANSWERS).to_pylist():
            assert (row["row"], row["request_hash"]) not in found
            found[row["row"], row["request_hash"]] = row["answer"]
    return found
