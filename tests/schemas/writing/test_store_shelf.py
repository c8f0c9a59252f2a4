"""What two machines see of one output in an object store."""

import os
from pathlib import Path

import pytest

from synth.schemas.errors import SynthError
from synth.schemas.stores.places import output_at
from synth.schemas.writing.publication import OutputClaim
from synth.schemas.writing.store_shelf import StoreShelf
from tests.object_store import Bucket

IDENTITY = {"stage": "test"}


def machine(bucket: Bucket, disk: Path) -> StoreShelf:
    os.environ["XDG_STATE_HOME"] = str(disk)
    shelf = StoreShelf(output_at(f"{bucket.url}/out"))
    shelf.partial.path.mkdir(parents=True)
    shelf.look()
    return shelf


def test_of_two_that_begin_at_once_one_does(bucket: Bucket, tmp_path: Path) -> None:
    one, other = machine(bucket, tmp_path / "one"), machine(bucket, tmp_path / "other")
    one.begin({"identity": IDENTITY})
    with pytest.raises(
        SynthError, match=f"{bucket.url}/out was just begun by another synth process: repeat the command"
    ):
        other.begin({"identity": IDENTITY})
    other.look()
    other.begin({"identity": IDENTITY, "command": ["again"]})
    assert other.begun()["run"] == one.begun()["run"]


def test_chunks_of_a_run_that_was_started_over_do_not_meet_those_of_the_new_one(bucket: Bucket, tmp_path: Path) -> None:
    one, other = machine(bucket, tmp_path / "one"), machine(bucket, tmp_path / "other")
    one.begin({"identity": IDENTITY})
    other.look()
    other.clear()
    other.begin({"identity": IDENTITY})
    for shelf in (one, other):
        shelf.partial.shards.mkdir()
        assert shelf.create(shelf.partial.published(0), {"of": str(shelf.partial.path)}, [])
    with pytest.raises(SynthError, match="was just written by another synth process: repeat the command"):
        one.publish()
    other.update()
    assert str(other.partial.path) in other.partial.published(0).read_text()


def test_a_run_that_could_not_begin_leaves_nothing(bucket: Bucket, tmp_path: Path) -> None:
    os.environ["XDG_STATE_HOME"] = str(tmp_path)
    out = output_at(f"{bucket.url}-gone/out")
    with pytest.raises(SynthError, match="does not exist"):
        OutputClaim.open(out, IDENTITY)
    assert not out.with_name("out.partial").exists()
