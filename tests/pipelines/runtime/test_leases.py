"""Two workers that both believe to have a chunk: one was thought dead and goes on, a zombie.

Whatever their order, the chunk is published once, with all its rows, and the record says what the shards hold.
"""

import threading
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pytest

from synth.pipelines.runtime.chunk import Chunk, Failure
from synth.pipelines.runtime.counts import REJECTED_OUTPUT, Published
from synth.pipelines.runtime.lines import LineFormat, rejected_schema
from synth.pipelines.runtime.outcomes import Rejected
from synth.schemas.answers import ANSWERS
from synth.schemas.dataset import read_shard
from synth.schemas.errors import SynthError
from synth.schemas.journal import read_journal
from synth.schemas.layout import Layout, PartialLayout

ROWS = 40
COLUMNS = pa.schema([("id", pa.string()), ("text", pa.string())])
FORM = LineFormat(COLUMNS, rejected_schema(COLUMNS, COLUMNS, raw=False, asks=True))


@pytest.fixture
def place(tmp_path: Path) -> PartialLayout:
    layout = Layout(tmp_path / "out").partial
    for folder in (layout.shards, layout.work, layout.kept.path):
        folder.mkdir(parents=True)
    return layout


def worker(place: PartialLayout) -> Chunk:
    """A worker that begins, or goes on with, the chunk."""
    table = pa.table({"id": [f"q-{row}" for row in range(ROWS)], "text": ["?"] * ROWS}, schema=COLUMNS)
    chunk = Chunk(0, table, 0, ROWS, FORM, place)
    chunk.open()
    return chunk


def process(chunk: Chunk, rows: Iterable[int]) -> None:
    """Every fifth row is rejected, and every row has an answer."""
    for row in rows:
        chunk.answers.record(f"q-{row}", b"request", 1, b"answer")
        if row % 5 == 0:
            chunk.reject(row, Rejected({"id": f"q-{row}"}, "fifth"), [], {})
        else:
            chunk.finish(row, [{"id": f"q-{row}/a", "text": "!"}], 1, {})
    chunk.flush()


def finish(chunk: Chunk) -> None:
    process(chunk, [row for row, _ in chunk.pending()])
    chunk.close()
    chunk.publish(keep_answers=True)


def check(place: PartialLayout) -> None:
    published = worker_view(place)
    data = read_shard(place.shards / published.data.filename)
    rejected = read_shard(place.shards / published.rejected.filename)
    assert data["id"].to_pylist() == [f"q-{row}/a" for row in range(ROWS) if row % 5]
    assert rejected["id"].to_pylist() == [f"q-{row}" for row in range(0, ROWS, 5)]
    assert (published.counts.produced, published.counts.rejected) == (data.num_rows, rejected.num_rows)
    assert all(shard.is_whole(place.shards / shard.filename) for shard in published.shards)
    answers = read_journal(place.kept.answers_of(0), ANSWERS)["row"].to_pylist()
    assert sorted(answers) == sorted(f"q-{row}" for row in range(ROWS))
    assert len(list(place.shards.iterdir())) == 3, "the loser's shards are gone"
    assert place.begun_chunks() == []


def worker_view(place: PartialLayout) -> Published:
    published = Chunk(0, pa.table({"id": [], "text": []}, schema=COLUMNS), 0, 0, FORM, place).published()
    assert published
    return published


def test_the_second_goes_on_where_the_first_was_and_publishes_before_it(place: PartialLayout) -> None:
    zombie = worker(place)
    process(zombie, range(15))
    second = worker(place)
    assert [row for row, _ in second.pending()] == list(range(15, ROWS)), "nothing finished is repeated"
    finish(second)
    process(zombie, range(15, ROWS))
    assert zombie.is_lost
    zombie.close()
    zombie.publish(keep_answers=True)
    check(place)


def test_the_first_goes_on_while_the_second_works_and_cannot_publish(place: PartialLayout) -> None:
    zombie = worker(place)
    process(zombie, range(15))
    second = worker(place)
    process(zombie, range(15, ROWS))
    zombie.close()
    zombie.publish(keep_answers=True)
    assert Chunk.published(zombie) is None, "its journals were taken over"
    finish(second)
    check(place)


def test_both_publish_at_once(place: PartialLayout) -> None:
    """The second one begins after the first has read its journals to publish them."""
    first, at_once = worker(place), threading.Barrier(2, timeout=10)
    process(first, range(ROWS))
    first.close()
    read = first._read

    def held() -> pa.Table:
        lines = read()
        at_once.wait()
        at_once.wait()
        return lines

    first._read = held  # type: ignore[method-assign]
    publishing = threading.Thread(target=first.publish, kwargs={"keep_answers": True})
    publishing.start()
    at_once.wait()
    second = worker(place)
    second.close()
    assert second.is_done
    at_once.wait()
    second.publish(keep_answers=True)
    publishing.join()
    check(place)


def test_answers_of_another_lease_are_taken_over(place: PartialLayout) -> None:
    first = worker(place)
    process(first, range(5))
    slower = place.journals(0, "slower")
    slower.folder.mkdir()
    for name in ("answers", "rows"):
        getattr(slower, name).write_bytes(getattr(first.journals, name).read_bytes())
    first.answers.record("q-30", b"request", 1, b"an answer")
    process(first, range(5, 10))
    third = worker(place)
    assert third.answers.knows("q-30")
    assert [row for row, _ in third.pending()] == list(range(10, ROWS))
    first.close()
    third.close()


def test_a_chunk_whose_journal_lacks_a_row_is_not_published(place: PartialLayout) -> None:
    chunk = worker(place)
    process(chunk, range(ROWS - 1))
    chunk.close()
    with pytest.raises(SynthError, match="of the 40 rows from 0 on 39 are in their journal"):
        chunk.publish()
    assert list(place.shards.iterdir()) == []


def test_a_publication_that_was_interrupted_after_its_record_is_completed(
    place: PartialLayout, monkeypatch: pytest.MonkeyPatch
) -> None:
    chunk = worker(place)
    process(chunk, range(ROWS - 1))
    chunk.fail(ROWS - 1, Failure("q-39", "it failed", "traceback"))
    chunk.close()
    monkeypatch.setattr(chunk, "tidy", lambda _: None)
    chunk.publish(keep_answers=True)
    assert place.begun_chunks() == [0]
    monkeypatch.undo()
    for _ in range(2):
        chunk.tidy(worker_view(place))
    assert place.begun_chunks() == []
    assert place.kept.kept_answers() == [place.kept.answers_of(0)]
    assert place.kept.failed_journals(0).rows.is_file()
    assert place.kept.failed_journals(0).answers.is_file()
    assert REJECTED_OUTPUT not in read_journal(place.kept.failed_journals(0).rows, FORM.schema)["_kind"].to_pylist()
