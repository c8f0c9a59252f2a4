"""A server that speaks as much of the OpenAI protocol as the contests need, and does next to nothing else.

It answers every request with the same few words, after `--delay` seconds, or after `--slow` seconds where the body says
"slow". With `--slots` that many requests are under way and the others wait in order. `GET /counts` tells what it has
seen, `GET /asked` how many answers to each order (see `contest.QUESTION`) it was asked for, those of a request with `n`
counted one by one. It is written on asyncio's bare protocol and runs in a process of its own, so that it is not what is
measured.
usage: loopback.py [--delay S] [--slow S] [--slots N] [--port N]; prints its port.
"""

import argparse
import asyncio
import json
import re
import subprocess
import sys
import time
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.request import urlopen

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CLOSE = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)
_SAMPLES = re.compile(rb'"n": *(\d+)')
_ORDER = re.compile(rb"Order (\d+) ")


def _text(sample: int) -> str:
    """The same answer by another calculation for each sample of a request."""
    return f"There are {24 - sample}+{sample} = <<{24 - sample}+{sample}=24>>24 buns left in the evening.\n#### 24"


@cache
def _completion(samples: int, chat: bool) -> bytes:
    choices = [
        {"index": index, "finish_reason": "stop", "logprobs": None}
        | ({"message": {"role": "assistant", "content": _text(index)}} if chat else {"text": _text(index)})
        for index in range(samples)
    ]
    usage = {"prompt_tokens": 40, "completion_tokens": 20 * samples, "total_tokens": 40 + 20 * samples}
    answer = {"id": "1", "object": "chat.completion", "created": 0, "model": "loopback"}
    return json.dumps({**answer, "choices": choices, "usage": usage}).encode()


_MODELS = json.dumps({"object": "list", "data": [{"id": "loopback", "object": "model"}]}).encode()


class Counts:
    """`repeats` are requests whose body was seen before; `first` is when the first one came (monotonic seconds)."""

    def __init__(self) -> None:
        self.requests = self.repeats = self.in_flight = self.peak = 0
        self.first: float | None = None
        self.asked: Counter[str] = Counter()
        self._seen: set[int] = set()

    def arrive(self, body: bytes, samples: int) -> None:
        self.first = self.first or time.monotonic()
        self.requests += 1
        self.in_flight += 1
        self.peak = max(self.peak, self.in_flight)
        self.repeats += hash(body) in self._seen
        self._seen.add(hash(body))
        if order := _ORDER.search(body):
            self.asked[order[1].decode()] += samples

    def as_json(self) -> bytes:
        seen = {"requests": self.requests, "repeats": self.repeats, "peak": self.peak, "first": self.first}
        return json.dumps(seen).encode()


class Connection(asyncio.Protocol):
    def __init__(self, counts: Counts, delay: float, slow: float, ends: deque[float] | None) -> None:
        self._counts = counts
        self._delay = delay
        self._slow = slow
        # When the requests in the slots end.
        self._ends = ends
        self._unread = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    def data_received(self, data: bytes) -> None:
        self._unread += data
        while (end := self._unread.find(b"\r\n\r\n")) >= 0:
            head = self._unread[:end]
            length = int(match[1]) if (match := _LENGTH.search(head)) else 0
            if len(self._unread) < end + 4 + length:
                return
            body = self._unread[end + 4 : end + 4 + length]
            self._unread = self._unread[end + 4 + length :]
            self._request(head, body)

    def _request(self, head: bytes, body: bytes) -> None:
        method, path, _ = head.split(b" ", 2)
        close = _CLOSE.search(head) is not None
        if method == b"GET":
            self._say(self._what(path), close)
            return
        samples = int(match[1]) if (match := _SAMPLES.search(body)) else 1
        self._counts.arrive(body, samples)
        answer = _completion(samples, path.endswith(b"/chat/completions"))
        delay = self._slow if self._slow and b" slow " in body else self._delay
        loop = asyncio.get_running_loop()
        if self._ends is not None:
            begin = max(loop.time(), self._ends[0])
            self._ends.append(begin + delay)
            loop.call_at(begin + delay, self._answer, answer, close)
        elif delay:
            loop.call_later(delay, self._answer, answer, close)
        else:
            self._answer(answer, close)

    def _what(self, path: bytes) -> bytes:
        if path.endswith(b"/models"):
            return _MODELS
        return json.dumps(self._counts.asked).encode() if path.endswith(b"/asked") else self._counts.as_json()

    def _answer(self, answer: bytes, close: bool) -> None:
        self._counts.in_flight -= 1
        self._say(answer, close)

    def _say(self, body: bytes, close: bool) -> None:
        if self._transport.is_closing():
            return
        self._transport.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        )
        if close:
            self._transport.close()


async def serve(delay: float, slow: float, slots: int, port: int) -> None:
    counts = Counts()
    ends = deque([0.0] * slots, slots) if slots else None
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(counts, delay, slow, ends), "127.0.0.1", port, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@dataclass(frozen=True)
class Loopback:
    port: int

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def counts(self) -> dict[str, Any]:
        return self._get("counts")

    def asked(self) -> dict[str, int]:
        """How many answers to each order were asked for."""
        return self._get("asked")

    def _get(self, what: str) -> dict[str, Any]:
        with urlopen(f"http://127.0.0.1:{self.port}/{what}") as answer:
            told: dict[str, Any] = json.load(answer)
        return told


def start(delay: float = 0, slow: float = 0, slots: int = 0, port: int = 0) -> tuple[subprocess.Popen[str], Loopback]:
    """A fresh server that listens, at any port if that is 0."""
    options = [f"--delay={delay}", f"--slow={slow}", f"--slots={slots}", f"--port={port}"]
    server = subprocess.Popen([sys.executable, __file__, *options], stdout=subprocess.PIPE, text=True)
    assert server.stdout
    return server, Loopback(int(server.stdout.readline()))


@contextmanager
def serving(delay: float = 0, slow: float = 0) -> Iterator[Loopback]:
    """A fresh server, its counts at nothing, for as long as the block runs."""
    server, loopback = start(delay, slow)
    try:
        yield loopback
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--delay", type=float, default=0)
    arguments.add_argument("--slow", type=float, default=0)
    arguments.add_argument("--slots", type=int, default=0)
    arguments.add_argument("--port", type=int, default=0)
    given = arguments.parse_args()
    asyncio.run(serve(given.delay, given.slow, given.slots, given.port))
