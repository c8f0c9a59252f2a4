"""`kill -9` in the middle of the rounds of an extension: they go on where they were, and nothing is paid for twice."""

from pathlib import Path

import pytest

from synth.schemas.dataset import Dataset
from tests.counting_server import counting_server
from tests.faults.campaign import asked_for, record_of, recorded, shard_bytes
from tests.faults.processes import finish, kill, start, wait_until
from tests.pipelines.self_lengthen.writing import prose
from tests.rows import write_rows

DRAFTS = 8
# All rows in one chunk, so that every answer lies in its journal until the end.
WHOLE = DRAFTS


def says(seed: int) -> str:
    """Texts of two to six paragraphs, a third of them unfinished: rounds are refused, and tries begin anew."""
    text = prose(2 + seed % 5, about=seed)
    return text if seed % 3 else text.removesuffix(".")


@pytest.mark.parametrize("answers", [1, 60])
def test_an_extension_goes_on_in_the_middle_of_a_round(tmp_path: Path, answers: int) -> None:
    drafts = tmp_path / "drafts.jsonl"
    rows = [{"id": f"d{i}", "instruction": f"Write {i}", "response": prose(4, about=f"d{i}")} for i in range(DRAFTS)]
    write_rows(drafts, rows)
    with counting_server(delay=0.05, says=says) as server:
        how = ("--base-url", server.url, "--tries", 6, "--growth", 1.8)
        command = ("self-lengthen", "extend", drafts, tmp_path / "out", *how, "--in-flight", 4)
        process = start(*command, chunk_rows=WHOLE)
        wait_until(lambda: len(recorded(tmp_path / "out.partial")) >= answers, process)
        kill(process)
        kept = recorded(tmp_path / "out.partial")
        assert not (tmp_path / "out").exists()
        server.asked.clear()
        finish(*command, chunk_rows=WHOLE)
        again = list(map(asked_for, server.asked))
        assert not kept & set(again)
        server.delay = 0
        server.asked.clear()
        finish("self-lengthen", "extend", drafts, tmp_path / "whole", *how, chunk_rows=WHOLE)
        assert sorted(map(asked_for, server.asked)) == sorted([*kept, *again])
    assert shard_bytes(tmp_path / "out") == shard_bytes(tmp_path / "whole")
    assert record_of(tmp_path / "out")["counts"] == record_of(tmp_path / "whole")["counts"]
    assert max(Dataset.open(tmp_path / "out").table["tries"].to_pylist()) > 1
