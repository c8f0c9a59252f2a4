"""Single requests that a server refuses or fails at cost their own rows alone, and the run ends in one go."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli.main import app
from schemas.dataset import Dataset
from tests.faults.campaign import record_of

ROWS = 50
CONTEXT = 64
# What the server does with prompts that hold these words.
FLAGGED, CHOKING = "forbidden", "choking"

Reply = tuple[int, dict[str, Any]]


def reply(body: dict[str, Any]) -> Reply:
    """One prompt is flagged, one makes the server fail, one is too long; others get one right answer and one wrong."""
    prompt = body["prompt"]
    if FLAGGED in prompt:
        return 400, {"error": {"message": "the prompt violates the content policy", "code": "content_filter"}}
    if CHOKING in prompt:
        return 500, {"error": {"message": "invalid byte at index 12"}}
    if len(prompt.split()) > CONTEXT:
        return 400, {
            "message": f"This model's maximum context length is {CONTEXT} tokens. However, your request has "
            f"{len(prompt.split())} input tokens. Please reduce the length of the input messages."
        }
    texts = [f"It is\n#### {(body['seed'] + sample) % 2}" for sample in range(body.get("n", 1))]
    choices = [{"index": i, "text": text, "finish_reason": "stop"} for i, text in enumerate(texts)]
    return 200, {"choices": choices, "usage": {"prompt_tokens": 9, "completion_tokens": 5}}


@contextmanager
def serving(answer: Callable[[dict[str, Any]], Reply]) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._send(200, {"data": [{"id": "m"}]})

        def do_POST(self) -> None:
            self._send(*answer(json.loads(self.rfile.read(int(self.headers["Content-Length"])))))

        def _send(self, status: int, body: dict[str, Any]) -> None:
            payload = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    words = {7: FLAGGED, 20: CHOKING, 33: "long " * CONTEXT}
    rows = [{"id": f"q-{i}", "question": f"What is {i}? {words.get(i, '')}", "answer": "#### 1"} for i in range(ROWS)]
    path = tmp_path / "questions.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def synth(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, [*map(str, arguments)])
    return (result.exit_code if result.exception is None or result.exit_code else 1), f"{result.exception or ''}"


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.engines.shared.FIRST_PAUSE", 0.01)


def test_a_run_with_three_bad_requests_ends_in_one_go_and_names_them(tmp_path: Path, questions: Path) -> None:
    out = tmp_path / "samples"
    with serving(reply) as url:
        code, said = synth("reject", "sample", questions, out, "-n", 2, "--base-url", url, "--max-failures", 3)
    assert (code, said) == (0, "")
    counts = record_of(out)["counts"]
    assert (counts["produced"], counts["rejected"], counts["failed"]) == (47, 0, 3)
    assert counts["failures"] == {"refused": 1, "engine_error": 1, "prompt_too_long": 1}
    rejected = Dataset.open(out / "rejected").table.to_pylist()
    assert {row["id"]: row["reason"] for row in rejected} == {
        "q-7": "refused",
        "q-20": "engine_error",
        "q-33": "prompt_too_long",
    }
    details = {row["id"]: row["detail"] for row in rejected}
    assert "content policy" in details["q-7"]
    assert "invalid byte at index 12" in details["q-20"]

    assert synth("reject", "select", out, tmp_path / "accepted", "--no-gold") == (0, "")
    judged = record_of(tmp_path / "accepted")["counts"]
    assert judged["outputs"] == 47
    assert judged["reasons"] == {"wrong_answer": 47}


def test_more_failures_than_allowed_leave_the_run_unpublished_and_are_the_only_rows_asked_again(
    tmp_path: Path, questions: Path
) -> None:
    out = tmp_path / "samples"
    asked: list[str] = []

    def recording(body: dict[str, Any]) -> Reply:
        asked.append(body["prompt"])
        return reply(body)

    with serving(recording) as url:
        command = ("reject", "sample", questions, out, "-n", 2, "--base-url", url)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("pipelines.engines.shared.SharedEngine.most_faults", 1)
            result = CliRunner().invoke(app, [*map(str, (*command, "--max-failures", 2))])
            assert "3 of 50 rows failed" in str(result.exception)
            asked.clear()
            assert synth(*command, "--max-failures", 3) == (0, "")
    assert all(FLAGGED in prompt or CHOKING in prompt or len(prompt) > 200 or prompt == "Hello" for prompt in asked)
    assert record_of(out)["counts"]["produced"] == 47


def test_failed_rows_are_tried_again_and_nothing_else(tmp_path: Path, questions: Path) -> None:
    out = tmp_path / "samples"
    command = ("reject", "sample", questions, out, "-n", 2, "--max-failures", 3)
    with serving(reply) as url:
        assert synth(*command, "--base-url", url) == (0, "")

    def lenient(body: dict[str, Any]) -> Reply:
        return reply({**body, "prompt": "What is it?"})

    with serving(lenient) as url:
        assert synth(*command, "--base-url", url, "--retry-failed") == (0, "")
    assert record_of(out)["counts"]["produced"] == ROWS


def test_what_is_wrong_with_every_request_ends_the_run_at_once(tmp_path: Path, questions: Path) -> None:
    refusing = (422, {"detail": [{"loc": ["body", "seed"], "msg": "Extra inputs are not permitted"}]})
    with serving(lambda _: refusing) as url:
        code, said = synth("reject", "sample", questions, tmp_path / "out", "-n", 1, "--base-url", url)
    assert code == 1
    assert "seed" in said
