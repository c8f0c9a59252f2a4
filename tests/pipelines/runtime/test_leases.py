"""Two workers that both believe to have a chunk: one was thought dead and goes on, a zombie.

Whatever their order, the chunk is published once, with all its rows, and the record says what the shards hold. The two
share a directory, or an object store, where each has journals on a disk of its own.
"""

import threading
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

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
from synth.schemas.stores.places import output_at
from synth.schemas.writing.store_shelf import StoreShelf, shelf_of

ROWS = 40
COLUMNS = pa.schema([("id", pa.string()), ("text", pa.string())])
TABLE = pa.table({"id": [f"q-{row}" for row in range(ROWS)], "text": ["?"] * ROWS}, schema=COLUMNS)
FORM = LineFormat(COLUMNS, rejected_schema(COLUMNS, COLUMNS, raw=False, asks=True))


@pytest.fixture
def place(tmp_path: Path) -> PartialLayout:
    return workplace(tmp_path / "out")


def workplace(out: Path) -> PartialLayout:
    layout = Layout(out).partial
    for folder in (layout.shards, layout.work, layout.kept.path):
        folder.mkdir(parents=True)
    # Which knows the folders of this machine from now on.
    shelf_of(out)
    return layout


class Places(NamedTuple):
    """Where the two workers have the chunk: in one directory, or on two machines that share a store."""

    first: PartialLayout
    second: PartialLayout

    @property
    def share_journals(self) -> bool:
        return self.first == self.second


@pytest.fixture(params=["directory", "store"])
def places(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Places:
    if request.param == "directory":
        place = workplace(tmp_path / "out")
        return Places(place, place)
    url = f"{request.getfixturevalue('bucket').url}/out"
    machines = []
    for name in ("one", "other"):
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / name))
        machines.append(workplace(output_at(url)))
    first, second = (shelf_of(place.out.path) for place in machines)
    first.begin({"identity": "of a run"})
    second.look()
    return Places(*machines)


def worker(place: PartialLayout) -> Chunk:
    """A worker that begins, or goes on with, the chunk."""
    chunk = Chunk(0, TABLE, 0, ROWS, FORM, place)
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


def check_both(places: Places) -> None:
    """Whoever of the two sums up finds the same."""
    for place in places:
        view, published = Chunk(0, TABLE, 0, ROWS, FORM, place), worker_view(place)
        shelf_of(place.out.path).fetch(view.missing(published))
        view.tidy(published)
        check(place)
    if not places.share_journals:
        shelf = shelf_of(places.first.out.path)
        assert isinstance(shelf, StoreShelf)
        names = [path.name for path in shelf.listed(places.first.path)]
        assert len(names) == 4, "the loser's objects are gone"
        assert sum(published.lease in name for name in names) == 3


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


def test_the_second_goes_on_where_the_first_was_and_publishes_before_it(places: Places) -> None:
    zombie = worker(places.first)
    process(zombie, range(15))
    second = worker(places.second)
    if places.share_journals:
        assert [row for row, _ in second.pending()] == list(range(15, ROWS)), "nothing finished is repeated"
    finish(second)
    process(zombie, range(15, ROWS))
    assert zombie.is_lost == places.share_journals
    zombie.close()
    zombie.publish(keep_answers=True)
    check_both(places)


def test_the_first_goes_on_while_the_second_works_and_publishes_if_it_has_its_journals(places: Places) -> None:
    zombie = worker(places.first)
    process(zombie, range(15))
    second = worker(places.second)
    process(zombie, range(15, ROWS))
    zombie.close()
    zombie.publish(keep_answers=True)
    assert (Chunk.published(zombie) is None) == places.share_journals, "they were taken over"
    finish(second)
    check_both(places)


def test_both_publish_at_once(places: Places) -> None:
    """The second one begins after the first has read its journals to publish them."""
    first, at_once = worker(places.first), threading.Barrier(2, timeout=10)
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
    second = worker(places.second)
    process(second, [row for row, _ in second.pending()])
    second.close()
    assert second.is_done
    at_once.wait()
    second.publish(keep_answers=True)
    publishing.join()
    check_both(places)


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
