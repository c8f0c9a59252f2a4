"""`kill -9` between the votes on a question, or among the samples of many: no answer is paid for twice."""

import json
from pathlib import Path

import pytest

from tests.counting_server import counting_server
from tests.faults.campaign import asked_for, record_of, recorded, shard_bytes
from tests.faults.processes import finish, kill, start, wait_until
from tests.rows import write_rows

QUESTIONS = 12


def says(seed: int) -> str:
    """A verdict, or for a third of the samples nothing that can be read; every fifth has the answer in it."""
    time = "yes" if seed % 2 else "no"
    verdict = {"reason": "Lima" if seed % 5 else "So.", "intent": "no", "knowledge": "yes", "time": time}
    return json.dumps(verdict) if seed % 3 else "Well, Lima."


@pytest.mark.parametrize("answers", [1, 20])
@pytest.mark.parametrize(
    "options",
    [
        ("self", "-n", 3),
        ("label", "--votes", 3, "--temperature", 0.7, "--no-schema", "--tries", 2),
    ],
    ids=lambda options: options[0],
)
def test_a_probe_goes_on_in_the_middle_of_a_question(tmp_path: Path, options: tuple[object, ...], answers: int) -> None:
    name, *how = options
    rows = [{"id": f"q{n}", "question": f"What is {n}?", "answer": "Lima", "self": n % 2} for n in range(QUESTIONS)]
    source = write_rows(tmp_path / "rows.jsonl", rows)
    with counting_server(delay=0.05, says=says) as server:
        how += ["--base-url", server.url]
        answers = min(answers, QUESTIONS // 2) if name == "self" else answers
        command = ("probe", name, source, tmp_path / "out", *how, "--in-flight", 2)
        process = start(*command, chunk_rows=QUESTIONS)
        wait_until(lambda: len(recorded(tmp_path / "out.partial")) >= answers, process)
        kill(process)
        kept = recorded(tmp_path / "out.partial")
        assert not (tmp_path / "out").exists()
        server.asked.clear()
        finish(*command, chunk_rows=QUESTIONS)
        again = list(map(asked_for, server.asked))
        assert not kept & set(again)
        server.delay = 0
        server.asked.clear()
        finish("probe", name, source, tmp_path / "whole", *how, chunk_rows=QUESTIONS)
        assert sorted(map(asked_for, server.asked)) == sorted([*kept, *again])
    assert shard_bytes(tmp_path / "out") == shard_bytes(tmp_path / "whole")
    assert record_of(tmp_path / "out")["counts"] == record_of(tmp_path / "whole")["counts"]
