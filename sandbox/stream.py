"""The host's side of a worker's stream: strictly alternating questions and answers."""

import asyncio
from collections.abc import Callable
from typing import cast

__all__ = ["Broken", "Stream"]


class Broken(Exception):
    """The stream ended or violated the protocol; kill the worker."""


# Bytes received at once. For a new buffer each time, as `asyncio.Protocol` has it, the system maps and clears 64 pages.
_BLOCK = 1 << 16


class Stream(asyncio.BufferedProtocol):
    """Exchanges frames: a length (four bytes, big-endian) and that many bytes. One question at a time."""

    def __init__(self, unwrap: Callable[[bytes], bytes]) -> None:
        self._unwrap = unwrap
        self._block = memoryview(bytearray(_BLOCK))
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._most = 0
        self._answer: asyncio.Future[bytes] | None = None
        self._broken: Broken | None = None

    async def ask(self, question: bytes, most: int) -> bytes:
        """Send a frame and wait for an answer of at most `most` bytes. Raises `Broken`."""
        if self._broken is not None or self._transport is None:
            raise self._broken or Broken("it is not connected")
        self._answer, self._most = asyncio.get_running_loop().create_future(), most
        self._transport.write(question)
        return await self._answer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # The transports of other event loops have its methods, but are not its subclasses.
        self._transport = cast(asyncio.Transport, transport)

    def get_buffer(self, _: int) -> memoryview:
        return self._block

    def buffer_updated(self, nbytes: int) -> None:
        received = self._unwrap(bytes(self._block[:nbytes]))
        if not received:
            return
        self._buffer += received
        if self._answer is None or self._answer.done():
            self._break("it spoke without being asked")
            return
        if len(self._buffer) < 4:
            return
        size = int.from_bytes(self._buffer[:4], "big")
        if size > self._most or len(self._buffer) > 4 + size:
            self._break("it said more than was asked")
        elif len(self._buffer) == 4 + size:
            answer, self._buffer = bytes(self._buffer[4:]), bytearray()
            self._answer.set_result(answer)

    def connection_lost(self, exc: Exception | None) -> None:
        self._break("it ended" if exc is None else str(exc))

    def _break(self, reason: str) -> None:
        self._broken = self._broken or Broken(reason)
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(self._broken)
        self.close()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()
