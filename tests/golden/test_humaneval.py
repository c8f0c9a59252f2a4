"""HumanEval's own solutions pass their own tests in every jail: it forbids nothing that honest programs need."""

import asyncio
import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from synth.sandbox.pool import Sandbox
from synth.sandbox.program import Program
from synth.sandbox.verdict import Limits
from tests.jails import JAILS, summary_of, why_not

HUMANEVAL = Path(__file__).parents[2].parent / "shared" / "data" / "humaneval.jsonl.gz"

pytestmark = pytest.mark.skipif(not HUMANEVAL.is_file(), reason="HumanEval is not beside the repository")


@pytest.mark.parametrize("kind", JAILS)
def test_every_canonical_solution_passes_and_an_empty_one_does_not(kind: str) -> None:
    if reason := why_not(kind):
        pytest.skip(reason)
    with gzip.open(HUMANEVAL, "rt", encoding="utf-8") as lines:
        tasks = [json.loads(line) for line in lines]
    assert len(tasks) == 164

    async def run_all() -> tuple[list[str], list[str]]:
        async with Sandbox(kind) as sandbox:

            async def judged(task: dict[str, Any], solution: str) -> str:
                entry = f"\ndef judged():\n    return check({task['entry_point']})\n"
                program = f"{task['prompt']}{solution}\n{task['test']}{entry}"
                return summary_of(await sandbox.answer(Program.of(program, "judged", limits=Limits(seconds=30.0))))

            solutions = asyncio.gather(*(judged(task, task["canonical_solution"]) for task in tasks))
            return await solutions, await asyncio.gather(*(judged(task, "    pass\n") for task in tasks[:20]))

    passed, empty = asyncio.run(run_all())
    failures = {task["task_id"]: outcome for task, outcome in zip(tasks, passed, strict=True) if outcome != "None"}
    assert failures == {}
    assert "None" not in empty
