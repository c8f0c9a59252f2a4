"""The sandbox of a run as all its rows share it."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from synth.sandbox.verdict import Limits, Verdict
from synth.schemas.answers import key_of

if TYPE_CHECKING:
    from synth.sandbox.pool import Sandbox

__all__ = ["SharedSandbox"]


class SharedSandbox:
    """It starts when the first program is to be run, so that a run whose verdicts are all recorded starts no jail."""

    def __init__(self, sandbox: "Sandbox") -> None:
        from synth.sandbox.determinants import source_digest

        self._sandbox = sandbox
        self.key = key_of({**sandbox.determinants(), "code": source_digest()})
        self._start: asyncio.Task[None] | None = None

    async def run(
        self,
        program: str,
        entry: str,
        inputs: Sequence[tuple[list[Any], Mapping[str, Any]]],
        *,
        limits: Limits,
        profile: int,
        reverse: bool,
    ) -> Verdict:
        """See `synth.sandbox.pool.Sandbox.run`. Raises `SandboxUnavailable`."""
        if self._start is None:
            self._start = asyncio.create_task(self._sandbox.start())
        if not self._start.done():
            await asyncio.shield(self._start)
        self._start.result()
        calls = [(list(args), dict(kwargs)) for args, kwargs in inputs]
        return await self._sandbox.run(program, entry, calls, limits=limits, profile=profile, reverse=reverse)

    async def close(self) -> None:
        if self._start is None:
            return
        if not self._start.done():
            self._start.cancel()
        await asyncio.gather(self._start, return_exceptions=True)
        await self._sandbox.close()
