"""An HTTP server with scripted replies, which records its requests."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any


@dataclass
class Reply:
    body: Any = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    hang_up: bool = False


@dataclass
class Script:
    """Replies to POST in order, repeating the last one; `models` answers GET /v1/models.

    Where `respond` is given, it makes the reply to the body of a request instead.
    """

    url: str = ""
    replies: list[Reply] = field(default_factory=list)
    respond: Callable[[dict[str, Any]], Reply] | None = None
    # The replies to a key, from the header `Authorization` or `api-key`, which come before all others.
    to_key: dict[str, list[Reply]] = field(default_factory=dict)
    # The keys to which it lists models; None for all.
    lists_to: set[str] | None = None
    models: Reply = field(default_factory=lambda: Reply({"data": [{"id": "m"}]}))
    asked: list[dict[str, Any]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    under_way: int = 0
    most_under_way: int = 0


def completion(*texts: str, **more: Any) -> dict[str, Any]:
    choices = [
        {"index": i, "message": {"content": text}, "finish_reason": "stop", **more} for i, text in enumerate(texts)
    ]
    return {"choices": choices, "usage": {"prompt_tokens": 5, "completion_tokens": 10}}


def _key(headers: Mapping[str, str]) -> str:
    return headers.get("api-key") or headers.get("Authorization", "").removeprefix("Bearer ")


@contextmanager
def scripted_server(port: int = 0) -> Iterator[Script]:
    script = Script()
    lock, choosing = Lock(), Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            is_known = script.lists_to is None or _key(self.headers) in script.lists_to
            self._answer(script.models if is_known else Reply(status=401))

        def do_POST(self) -> None:
            script.paths.append(self.path)
            script.headers.append({name.title(): value for name, value in self.headers.items()})
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            script.asked.append(body)
            with lock:
                script.under_way += 1
                script.most_under_way = max(script.most_under_way, script.under_way)
            with choosing:
                if own := script.to_key.get(_key(self.headers)):
                    reply = own.pop(0) if len(own) > 1 else own[0]
                elif script.respond:
                    reply = script.respond(body)
                else:
                    reply = script.replies.pop(0) if len(script.replies) > 1 else script.replies[0]
            self._answer(reply, self._end)

        def _end(self) -> None:
            with lock:
                script.under_way -= 1

        def _answer(self, reply: Reply, end: Callable[[], None] = lambda: None) -> None:
            body = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body) + 100 * reply.hang_up))
            self.end_headers()
            # Before the client has the whole answer and sends its next request.
            end()
            if reply.status not in (204, 304):
                # The client has given up and closed the connection.
                with suppress(BrokenPipeError):
                    self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        script.url = f"http://127.0.0.1:{server.server_port}/v1"
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield script
        finally:
            server.shutdown()
            thread.join()
