"""A journal keeps every whole batch and nothing else, wherever it is cut and whichever byte goes wrong."""

from pathlib import Path

import pyarrow as pa
import pytest

from synth.schemas.errors import SynthError
from synth.schemas.journal import Journal, join_journals, journal_batches, read_batch

SCHEMA = pa.schema([("number", pa.int64()), ("text", pa.string())])
BATCHES = [[(10 * batch + i, f"text {i}") for i in range(10)] for batch in range(5)]


def rows_in(path: Path) -> list[tuple[int, str]]:
    journal = Journal(path, SCHEMA)
    journal.close()
    return [(row["number"], row["text"]) for row in journal.recovered.to_pylist()]


@pytest.fixture
def written(tmp_path: Path) -> Path:
    path = tmp_path / "journal.arrow"
    journal = Journal(path, SCHEMA)
    for batch in BATCHES:
        journal.write(batch)
    journal.close()
    return path


def test_a_journal_is_an_arrow_stream(written: Path) -> None:
    assert pa.ipc.open_stream(written.read_bytes()).read_all().num_rows == 50


def test_what_is_appended_after_reopening_follows_what_lay_there(written: Path) -> None:
    journal = Journal(written, SCHEMA)
    journal.write([(99, "later")])
    journal.close()
    assert rows_in(written) == [row for batch in BATCHES for row in batch] + [(99, "later")]


def test_a_journal_cut_at_any_byte_keeps_its_whole_batches_and_takes_new_ones(written: Path) -> None:
    whole = written.read_bytes()
    lengths = set()
    for length in range(len(whole) + 1):
        written.write_bytes(whole[:length])
        journal = Journal(written, SCHEMA)
        kept = journal.recovered.num_rows // 10
        lengths.add(kept)
        assert journal.recovered.num_rows % 10 == 0
        journal.write([(99, "later")])
        journal.close()
        assert rows_in(written) == [row for batch in BATCHES[:kept] for row in batch] + [(99, "later")]
    assert lengths == {0, 1, 2, 3, 4, 5}


def test_a_wrong_byte_ends_a_journal_before_its_batch(written: Path) -> None:
    whole = written.read_bytes()
    header = len(SCHEMA.serialize())
    batch_length = (len(whole) - header) // 5
    for position in range(header, len(whole)):
        spoilt = bytearray(whole)
        spoilt[position] ^= 0x41
        written.write_bytes(spoilt)
        intact = (position - header) // batch_length
        assert rows_in(written) == [row for batch in BATCHES[:intact] for row in batch]


def test_values_that_do_not_fit_their_column_leave_the_journal_as_it_was(written: Path) -> None:
    journal = Journal(written, SCHEMA)
    with pytest.raises(pa.ArrowException):
        journal.write([(1, "fits"), ("does not", "fit")])
    journal.close()
    assert len(rows_in(written)) == 50


def test_a_journal_of_another_schema_is_refused_not_emptied(written: Path) -> None:
    before = written.read_bytes()
    with pytest.raises(SynthError, match="another version"):
        Journal(written, pa.schema([("other", pa.int64())]))
    assert written.read_bytes() == before


def test_joined_journals_are_one_journal_of_the_same_batches(tmp_path: Path, written: Path) -> None:
    second = tmp_path / "second.arrow"
    journal = Journal(second, SCHEMA, compression="zstd")
    journal.write([(99, "later")])
    journal.close()
    joined = tmp_path / "joined.arrow"
    join_journals([written, second], joined, SCHEMA)
    assert rows_in(joined) == [row for batch in BATCHES for row in batch] + [(99, "later")]
    batches = list(journal_batches(joined, SCHEMA))
    assert [batch.num_rows for _, batch in batches] == [10, 10, 10, 10, 10, 1]
    for start, batch in batches:
        assert read_batch(joined, SCHEMA, start) == batch


def test_a_journal_of_other_columns_is_not_joined(tmp_path: Path, written: Path) -> None:
    other = pa.schema([("number", pa.int64())])
    with pytest.raises(SynthError, match="was written by another version of synth"):
        join_journals([written], tmp_path / "joined.arrow", other)
    assert not (tmp_path / "joined.arrow").exists()
