"""A loopback server that misbehaves as it is told to, one request at a time, and answers well otherwise.

An answer depends on the request alone, so that the bytes that come out of a run show whether each row got its own.
"""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

# What to do with a request of this number instead of answering it; None answers it.
Plan = Callable[[int], str | None]


class FaultyServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256
    allow_reuse_address = True

    def __init__(self, port: int, plan: Plan) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.plan = plan
        self.answered: list[tuple[str, int]] = []
        self.received = 0
        self.lock = threading.Lock()
        self.ended = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that gave up leaves a broken connection, which is what these tests are about."""


def answer(prompt: str, seed: int, n: int) -> dict[str, Any]:
    texts = [
        f"{prompt[-20:]} gives <<1+{(seed + i) % 7}={(seed + i) % 7 + 1}>>\n#### {(seed + i) % 3}" for i in range(n)
    ]
    choices = [{"index": i, "text": text, "finish_reason": "stop"} for i, text in enumerate(texts)]
    return {"choices": choices, "usage": {"prompt_tokens": 5, "completion_tokens": 7 * n}}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FaultyServer

    def do_GET(self) -> None:
        self._send(json.dumps({"data": [{"id": "faulty"}]}).encode())

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            number, self.server.received = self.server.received, self.server.received + 1
        fault = self.server.plan(number)
        right = answer(body["prompt"], body["seed"], body.get("n", 1))
        payload = json.dumps(right).encode()
        match fault:
            case None:
                self.server.answered.append((body["prompt"], body["seed"]))
                self._send(payload)
            case "429":
                self._send(b'{"error": {"message": "slow down"}}', 429, {"Retry-After": "0.1"})
            case "500":
                self._send(b"<html>oops</html>", 500)
            case "half":
                self._send(payload[: len(payload) // 2], length=len(payload))
                self.close_connection = True
            case "closed":
                self.close_connection = True
            case "garbage":
                self._send(b"\x00\xff garbage")
            case "not HTTP":
                self.wfile.write(b"\x00\xff garbage\r\n\r\n")
                self.close_connection = True
            case "late":
                # The wrong answer comes when the client has given up, on the connection on which it waited.
                time.sleep(3)
                self._send(json.dumps(answer("somebody else's", 0, body.get("n", 1))).encode())
            case "few choices":
                self.server.answered.append((body["prompt"], body["seed"]))
                self._send(json.dumps(answer(body["prompt"], body["seed"], 1)).encode())
            case "no choices":
                self._send(json.dumps({**right, "choices": []}).encode())
            case "an error with status 200":
                self._send(b'{"error": {"message": "the provider is down", "code": 502}}')
            case "malformed":
                self._send(
                    json.dumps({**right, "choices": [{"index": 0, "text": {"a": 1}, "finish_reason": "stop"}]}).encode()
                )
            case "no counts":
                self.server.answered.append((body["prompt"], body["seed"]))
                self._send(
                    json.dumps({**right, "usage": {"prompt_tokens": "many", "completion_tokens": None}}).encode()
                )
            case "hangs":
                self.server.ended.wait()

    def _send(self, payload: bytes, status: int = 200, headers: dict[str, str] | None = None, length: int = 0) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(length or len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def faulty_server(plan: Plan = lambda _number: None, port: int = 0) -> Iterator[FaultyServer]:
    server = FaultyServer(port, plan)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.ended.set()
        server.shutdown()
        server.server_close()
        thread.join()
