"""A loopback server that speaks the OpenAI protocol, says the same to all, and remembers what it was asked."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeVar

S = TypeVar("S", bound=ThreadingHTTPServer)


def solution(seed: int) -> str:
    return f"First {seed % 5}+2=<<{seed % 5}+2={seed % 5 + 2}>>.\n#### {seed % 3}"


class CountingServer(ThreadingHTTPServer):
    """`asked` holds every request body; `delay` seconds pass before each answer, which `says` makes of the seed.

    A new `delay` holds for requests that wait already, too.

    Its tokens are characters, of which it makes them without being asked for an answer. In the scores of a text, those
    that are rare in English cost the most.
    """

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, delay: float, says: Callable[[int], str]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self._delay = delay
        self._delayed = threading.Condition()
        self.says = says
        self.asked: list[dict[str, Any]] = []
        # When each was asked, on the clock `time.monotonic`.
        self.times: list[float] = []

    @property
    def delay(self) -> float:
        return self._delay

    @delay.setter
    def delay(self, seconds: float) -> None:
        with self._delayed:
            self._delay = seconds
            self._delayed.notify_all()

    def wait(self) -> None:
        begun = time.monotonic()
        with self._delayed:
            while (left := begun + self._delay - time.monotonic()) > 0:
                self._delayed.wait(left)

    @property
    def host(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    @property
    def url(self) -> str:
        return f"{self.host}/v1"

    def text(self, body: dict[str, Any], seed: int) -> str:  # noqa: ARG002
        """What is answered to a request as the sample of this seed."""
        return self.says(seed)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed leaves a broken connection, which is what these tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: CountingServer

    def do_GET(self) -> None:
        self._send({"data": [{"id": "counted"}]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path.endswith("/tokenize"):
            self._send({"tokens": list(map(ord, body["prompt"]))})
            return
        self.server.times.append(time.monotonic())
        self.server.asked.append(body)
        self.server.wait()
        if body.get("echo"):
            found = [[None, *map(_logprob, window[1:])] for window in body["prompt"]]
            self._send({"choices": [{"index": i, "logprobs": {"token_logprobs": one}} for i, one in enumerate(found)]})
            return
        # Without a seed it never draws the same again.
        seed = body.get("seed", len(self.server.asked))
        texts = [self.server.text(body, seed + i) for i in range(body.get("n", 1))]
        choices = [
            {"index": i, "text": text, "message": {"content": text}, "finish_reason": "stop"}
            for i, text in enumerate(texts)
        ]
        self._send({"choices": choices, "usage": {"prompt_tokens": 5, "completion_tokens": 7 * len(texts)}})

    def _send(self, answer: dict[str, Any]) -> None:
        payload = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, *_: object) -> None:
        pass


def _logprob(token: int) -> float:
    return -0.25 * (1 + " etaoinshrdlu".find(chr(token)) % 14)


@contextmanager
def counting_server(delay: float = 0.0, says: Callable[[int], str] = solution) -> Iterator[CountingServer]:
    with serving(CountingServer(delay, says)) as server:
        yield server


@contextmanager
def serving(server: S) -> Iterator[S]:
    """A server that answers in a thread of its own."""
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
