"""Runs that start from a finished output: failed rows, kept answers, intact chunks."""

import json
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest
from datasets import load_from_disk

from synth.pipelines.engines.echo import EchoEngine
from synth.pipelines.runtime.runner import Options, Run, Summary
from synth.pipelines.runtime.stage import Rejected, Row, Tools
from synth.schemas.dataset import Dataset
from synth.schemas.errors import EngineFailed, InputError, Partial, SynthError
from tests.pipelines.runtime.asking import Ask, CountingEngine, ask, questions


@dataclass(frozen=True)
class Careful(Ask):
    """Asks like `Ask` and parses the answers with a parser that can be fixed."""

    mended: ClassVar[bool] = False

    async def process(self, row: Row, tools: Tools) -> AsyncIterator[Row | Rejected]:
        first = await tools.llm.generate(({"role": "user", "content": row["query"]},), self.sampling)
        if "7" in row["query"] and not self.mended:
            raise ValueError("the parser stumbles over a 7")
        yield {"id": f"{row['id']}/answer", "query": first.text.upper() if self.mended else first.text}


def careful(folder: Path, engine: EchoEngine, **options: object) -> Summary:
    spec = questions(folder, [f"question {i}" for i in range(20)])
    return Run(Careful(), [spec], folder / "out", Options(**options), engine=engine).execute()  # type: ignore[arg-type]


def test_only_failed_rows_of_a_published_output_are_retried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert careful(tmp_path, CountingEngine(), max_failures=2, chunk_rows=6).counts.failed == 2
    assert careful(tmp_path, CountingEngine(), max_failures=2).already_done
    with pytest.raises(Partial, match="2 of 20 rows failed"):
        careful(tmp_path, CountingEngine(), retry_failed=True)
    assert Dataset.open(tmp_path / "out").table.num_rows == 18, "a try that fails leaves the output as it was"
    monkeypatch.setattr(Careful, "mended", True)
    engine = CountingEngine()
    counts = careful(tmp_path, engine, retry_failed=True).counts
    assert (counts.produced, counts.failed) == (20, 0)
    assert engine.asked == [], "the answers of failed rows are kept"
    out = Dataset.open(tmp_path / "out")
    assert out.rejected is None
    assert [text.isupper() for text in out.table["query"].to_pylist()] == [i in (7, 17) for i in range(20)]
    assert careful(tmp_path, engine, retry_failed=True).already_done


def test_kept_answers_are_a_dataset_and_read_again_without_requests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    careful(tmp_path, CountingEngine(), max_failures=2, chunk_rows=6)
    answers = load_from_disk(str(tmp_path / "out" / "answers"))
    assert sorted(answers["row"]) == sorted(f"q-{i}" for i in range(20))
    assert len(answers.cache_files) == 1, "those of all chunks are joined"
    monkeypatch.setattr(Careful, "mended", True)
    for _ in range(2):
        engine = CountingEngine()
        counts = careful(tmp_path, engine, update=True).counts
        assert (counts.produced, engine.asked) == (20, [])
        assert all(text.isupper() for text in Dataset.open(tmp_path / "out").table["query"].to_pylist())


@pytest.mark.parametrize(("bytes_of_a_file", "files"), [(1, 7), (500_000_000, 1)])
def test_a_retry_keeps_the_answers_of_all_rows_in_input_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bytes_of_a_file: int, files: int
) -> None:
    monkeypatch.setattr("synth.schemas.writing.data_files.BYTES_PER_FILE", bytes_of_a_file)
    careful(tmp_path, CountingEngine(), max_failures=2, chunk_rows=3)
    before = load_from_disk(str(tmp_path / "out" / "answers"))[:]
    monkeypatch.setattr(Careful, "mended", True)
    careful(tmp_path, CountingEngine(), retry_failed=True)
    answers = load_from_disk(str(tmp_path / "out" / "answers"))
    assert answers[:] == before
    assert len(answers.cache_files) == files
    engine = CountingEngine()
    careful(tmp_path, engine, update=True)
    assert engine.asked == []


def test_an_output_of_a_version_that_recorded_chunks_in_another_way_is_refused(tmp_path: Path) -> None:
    careful(tmp_path, CountingEngine(), max_failures=2)
    records = tmp_path / "out" / "failed" / "chunks.json"
    record = json.loads(records.read_text())
    del record["chunks"][0]["answers"]
    records.write_text(json.dumps(record))
    with pytest.raises(SynthError, match="written by another version of synth: use --fresh"):
        careful(tmp_path, CountingEngine(), retry_failed=True)
    assert Dataset.open(tmp_path / "out").table.num_rows == 18


def test_an_engine_is_not_started_if_every_answer_is_recorded(tmp_path: Path) -> None:
    class Absent(EchoEngine):
        async def start(self) -> None:
            raise EngineFailed("it should not be needed")

    ask(tmp_path, ["one"])
    assert ask(tmp_path, ["one"], Absent(), update=True).counts.produced == 1


def test_a_damaged_input_is_refused_and_a_chunk_that_was_cut_off_is_redone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    texts = ["one", "two", "three", "crash"]
    with pytest.raises(Partial):
        ask(tmp_path, texts, chunk_rows=2)
    shard = next(tmp_path.glob("out.partial/shards/00000.????????.arrow"))
    os.truncate(shard, shard.stat().st_size - 1)
    engine = CountingEngine()
    ask(tmp_path, texts, engine, max_failures=1)
    assert engine.asked == [], "its answers are kept"
    assert "rows 0 to 1 is incomplete" in caplog.text
    assert Dataset.open(tmp_path / "out").table.num_rows == 3
    flip(tmp_path / "out" / "data-00000-of-00001.arrow")
    with pytest.raises(InputError, match=r"data-00000-of-00001.arrow is damaged"):
        Run(Ask(), [str(tmp_path / "out")], tmp_path / "next", Options(), engine=engine).execute()


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-64] ^= 1
    path.write_bytes(content)
