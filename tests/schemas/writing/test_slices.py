"""How slices join one output: the first one begins it, and none undoes what another has done."""

import fcntl
import json
from pathlib import Path
from typing import Any

import pytest

from synth.schemas.errors import Stale, SynthError
from synth.schemas.layout import Layout
from synth.schemas.slices import Slice
from synth.schemas.writing.publication import OutputClaim
from synth.schemas.writing.slices import SliceClaim
from tests.command import type_synth
from tests.rows import write_rows

IDENTITY = {"stage": "test", "options": {"n": 4}}
OTHER = {"stage": "test", "options": {"n": 5}}


def join(folder: Path, number: int, of: int = 2, identity: Any = IDENTITY) -> SliceClaim:
    claim = SliceClaim.join(folder / "out", identity, Slice(number, of), command=["made"])
    assert claim
    return claim


def leave_work(folder: Path) -> Path:
    """The record of a published chunk, as good as any."""
    record = Layout(folder / "out").partial.published(0)
    record.write_text("{}")
    return record


def test_all_have_the_settings_and_the_chunks_of_the_first(tmp_path: Path) -> None:
    first, second = join(tmp_path, 0), join(tmp_path, 1)
    assert second.in_chunks(256) == first.in_chunks(512) == 256
    first.close()
    assert join(tmp_path, 0).in_chunks(512) == 256
    for _ in ("without any work", "with some"):
        with pytest.raises(Stale, match=r"options\.n 4 -> 5.*: remove it to start over|a slice only goes on"):
            join(tmp_path, 1, identity=OTHER)
        leave_work(tmp_path)


def test_what_a_run_with_other_settings_has_left_is_removed_only_if_it_is_no_work(tmp_path: Path) -> None:
    join(tmp_path, 0).close()
    join(tmp_path, 0, identity=OTHER).close()
    work = leave_work(tmp_path)
    with pytest.raises(Stale):
        join(tmp_path, 0)
    join(tmp_path, 1, identity=OTHER).close()
    assert work.exists()


def test_remains_without_a_record_are_removed(tmp_path: Path) -> None:
    join(tmp_path, 0).close()
    work = leave_work(tmp_path)
    Layout(tmp_path / "out").partial.record.unlink()
    join(tmp_path, 0).close()
    assert not work.exists()


def test_a_slice_that_ends_makes_room_for_all_others(tmp_path: Path) -> None:
    claim = join(tmp_path, 0)
    with pytest.raises(SynthError, match=r"slice 0/2 of .*out is being written by another synth process"):
        join(tmp_path, 0)
    with pytest.raises(SynthError, match=r"slice 0/2 of .*out is still being written, .* use --slice I/2"):
        join(tmp_path, 0, of=3)
    with pytest.raises(SynthError, match=r"1 slice of .*out is still being written"):
        OutputClaim.open(tmp_path / "out", IDENTITY)
    claim.close()
    join(tmp_path, 0, of=3).close()
    whole = OutputClaim.open(tmp_path / "out", IDENTITY)
    assert whole
    with pytest.raises(SynthError, match="is being written by a synth process without --slice"):
        join(tmp_path, 0)
    whole.close()


def test_where_locks_reach_no_other_machine_nothing_is_undone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fcntl, "flock", lambda *_: None)
    join(tmp_path, 0)
    work = leave_work(tmp_path)
    join(tmp_path, 0)
    join(tmp_path, 1)
    assert work.exists()


def test_of_two_that_begin_at_the_same_moment_one_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fcntl, "flock", lambda *_: None)
    begin = SliceClaim._make_folders

    def while_another_begins(claim: SliceClaim) -> None:
        monkeypatch.setattr(SliceClaim, "_make_folders", begin)
        join(tmp_path, 1, identity=OTHER)
        leave_work(tmp_path)
        begin(claim)

    monkeypatch.setattr(SliceClaim, "_make_folders", while_another_begins)
    with pytest.raises(Stale, match="a slice only goes on with the settings of the others"):
        join(tmp_path, 0)
    partial = Layout(tmp_path / "out").partial
    assert json.loads(partial.record.read_text())["identity"] == OTHER
    assert partial.published_chunks() == [0]


def test_an_output_in_an_object_store_has_no_slices(tmp_path: Path) -> None:
    write_rows(tmp_path / "questions.jsonl", [{"id": "q-1", "question": "Why?", "answer": "#### 1"}])
    command = ("reject", "sample", "questions.jsonl", "s3://bucket/out", "--engine", "echo", "--slice", "0/2")
    done = type_synth(*command, folder=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("synth: s3://bucket/out is in an object store, where slices cannot see one another: ")
