"""Run programs with tests in the sandbox, each pair in a separate process."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from msgspec.structs import replace

from synth.pipelines.dstc.drafts import join_program
from synth.pipelines.dstc.matrix import Cells
from synth.pipelines.runtime.stage import Tools
from synth.sandbox.program import Program
from synth.sandbox.verdict import Limits, Verdict

__all__ = ["Trials"]

# Appended to a program and called after it, so that programs that exit early do not pass.
_LAST = "_all_of_it_has_run"
_LAST_LINES = f"\n\ndef {_LAST}():\n    return True\n"
# The machine or the sandbox stopped these or never started them: no verdict on the program.
_UNJUDGED = {"killed", "quarantined", "refused"}


@dataclass(frozen=True)
class Trials:
    """A program passes if it runs to its last line. It is loaded as a module, so `__name__` is not `__main__`.

    With `repeat` it is rerun in another process with other seeds and another clock, except after a timeout: endless
    programs would dominate the run time.
    """

    tools: Tools
    limits: Limits
    repeat: bool

    async def faults(self, codes: Mapping[int, str]) -> dict[int, str]:
        """Why programs fail even without a test, by sample number; those that run are left out."""
        verdicts = await asyncio.gather(*(self._run(code) for code in codes.values()))
        return {
            number: f"by itself it ends as {verdict.status}: {verdict.detail}".rstrip(": ")
            for number, verdict in zip(codes, verdicts, strict=True)
            if not _passes(verdict)
        }

    async def matrix(self, codes: Mapping[int, str], tests: Mapping[int, str]) -> Cells:
        """Whether each program passes each test; None if runs differ or have no verdict.

        Runs one program at a time: other rows keep the jails busy, and the queue stays bounded.
        """
        cells: dict[tuple[int, int], bool | None] = {}
        for number, code in codes.items():
            judged = await asyncio.gather(*(self._judge(join_program(code, test)) for test in tests.values()))
            cells.update(zip([(number, test) for test in tests], judged, strict=True))
        return cells

    async def _judge(self, program: str) -> bool | None:
        verdict = await self._run(program)
        if self.repeat and verdict.status not in {*_UNJUDGED, "timeout"}:
            rerun = await self._run(program, profile=1)
            if _passes(rerun) != _passes(verdict):
                return None
        return None if verdict.status in _UNJUDGED else _passes(verdict)

    async def _run(self, program: str, profile: int = 0) -> Verdict:
        asked = Program.of(program + _LAST_LINES, _LAST, limits=self.limits)
        return await self.tools.sandbox.run(replace(asked, profile=profile))


def _passes(verdict: Verdict) -> bool:
    return verdict.status == "ok" and all(outcome and outcome.kind == "value" for outcome in verdict.outcomes)
