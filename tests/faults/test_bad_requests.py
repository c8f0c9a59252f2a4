"""Single requests that a server refuses or fails at cost their own rows alone, and the run ends in one go."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from synth.pipelines.runtime.shared import NEUTRAL
from synth.schemas.dataset import Dataset
from synth.schemas.errors import SynthError
from tests.command import invoke
from tests.faults.campaign import record_of
from tests.pipelines.engines.scripted_server import Reply, Script, scripted_server
from tests.rows import write_rows

ROWS = 50
CONTEXT = 64
# What the server does with prompts that hold these words.
FLAGGED, CHOKING = "forbidden", "choking"


def reply(body: dict[str, Any]) -> Reply:
    """One prompt is flagged, one makes the server fail, one is too long; others get one right answer and one wrong."""
    prompt = body["prompt"]
    if FLAGGED in prompt:
        return Reply({"error": {"message": "the prompt violates the content policy", "code": "content_filter"}}, 400)
    if CHOKING in prompt:
        return Reply({"error": {"message": "invalid byte at index 12"}}, 500)
    if len(prompt.split()) > CONTEXT:
        words = f"This model's maximum context length is {CONTEXT} tokens. However, your request has "
        return Reply({"message": f"{words}{len(prompt.split())} input tokens. Please reduce the length."}, 400)
    texts = [f"It is\n#### {(body['seed'] + sample) % 2}" for sample in range(body.get("n", 1))]
    choices = [{"index": i, "text": text, "finish_reason": "stop"} for i, text in enumerate(texts)]
    return Reply({"choices": choices, "usage": {"prompt_tokens": 9, "completion_tokens": 5}})


@pytest.fixture
def server() -> Iterator[Script]:
    with scripted_server() as script:
        script.respond = reply
        yield script


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    words = {7: FLAGGED, 20: CHOKING, 33: "long " * CONTEXT}
    rows = [{"id": f"q-{i}", "question": f"What is {i}? {words.get(i, '')}", "answer": "#### 1"} for i in range(ROWS)]
    return write_rows(tmp_path / "questions.jsonl", rows)


def synth(*arguments: object) -> tuple[int, str]:
    result = invoke(*arguments)
    error = result.exception
    return (error.exit_code if isinstance(error, SynthError) else result.exit_code), f"{error or ''}"


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("synth.pipelines.runtime.shared.FIRST_PAUSE", 0.01)


def test_a_run_with_three_bad_requests_ends_in_one_go_and_names_them(
    tmp_path: Path, questions: Path, server: Script
) -> None:
    out = tmp_path / "samples"
    done = synth("reject", "sample", questions, out, "-n", 2, "--base-url", server.url, "--max-failures", 3)
    assert done == (0, "")
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
    tmp_path: Path, questions: Path, server: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("synth.pipelines.runtime.shared.SharedEngine.most_faults", 1)
    out = tmp_path / "samples"
    command = ("reject", "sample", questions, out, "-n", 2, "--base-url", server.url)
    code, said = synth(*command, "--max-failures", 2)
    assert code == 3
    assert "3 of 50 rows failed" in said
    server.asked.clear()
    assert synth(*command, "--max-failures", 3) == (0, "")
    asked = [body["prompt"] for body in server.asked if body["prompt"] != NEUTRAL]
    assert all(FLAGGED in prompt or CHOKING in prompt or "long long" in prompt for prompt in asked)
    assert record_of(out)["counts"]["produced"] == 47


def test_failed_rows_are_tried_again_and_nothing_else(tmp_path: Path, questions: Path, server: Script) -> None:
    out = tmp_path / "samples"
    command = ("reject", "sample", questions, out, "-n", 2, "--max-failures", 3, "--base-url", server.url)
    assert synth(*command) == (0, "")
    server.asked.clear()
    server.respond = lambda body: reply({**body, "prompt": "What is it?"})
    assert synth(*command, "--retry-failed") == (0, "")
    assert len(server.asked) == 3
    assert record_of(out)["counts"]["produced"] == ROWS


def test_what_is_wrong_with_every_request_ends_the_run_at_once(tmp_path: Path, questions: Path, server: Script) -> None:
    server.respond = lambda _: Reply({"detail": [{"loc": ["body", "seed"], "msg": "Extra inputs are forbidden"}]}, 422)
    code, said = synth("reject", "sample", questions, tmp_path / "out", "-n", 1, "--base-url", server.url)
    assert code == 1
    assert said.endswith("; --no-seeds leaves it out")
