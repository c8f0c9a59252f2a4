"""Copies of objects: fetched once, as far as they are needed, in parts, and never taken for complete too early."""

import os
import re
import shutil
from pathlib import Path

import pytest

from synth.schemas.errors import InputError
from synth.schemas.stores import transfer
from synth.schemas.stores.copies import Copy, as_needed, entries, present
from synth.schemas.stores.places import origin
from synth.schemas.stores.store import Store, Stored
from tests.object_store import Bucket


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    (folder / "deep").mkdir(parents=True)
    for number in range(6):
        (folder / f"part-{number}").write_bytes(os.urandom(1000 + number))
    (folder / "deep" / "empty").touch()
    return folder


def here(copy: Copy) -> list[str]:
    """The files that were fetched."""
    return sorted(file.relative_to(copy.path).as_posix() for file in copy.objects if file.exists())


def test_a_copy_has_the_bytes_and_tells_the_urls(bucket: Bucket, files: Path) -> None:
    copy = Copy.of(bucket.upload(files, "data/files") + "/")
    assert here(copy) == []
    assert entries(copy.path) == ([copy.path / f"part-{number}" for number in range(6)], [copy.path / "deep"])
    present(list(copy.objects))
    for file in files.rglob("*"):
        if file.is_file():
            assert (copy.path / file.relative_to(files)).read_bytes() == file.read_bytes()
    assert origin(copy.path / "deep" / "empty") == f"{bucket.url}/data/files/deep/empty"
    assert origin(files) == str(files)


def test_a_file_of_many_parts_is_put_together(bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "PART", 1000)
    (file := tmp_path / "file").write_bytes(os.urandom(99_999))
    copy = Copy.of(bucket.upload(file, "file"))
    assert copy.is_file
    present([copy.path])
    assert copy.path.read_bytes() == file.read_bytes()


def test_files_are_fetched_shortly_before_they_are_needed(bucket: Bucket, files: Path) -> None:
    copy = Copy.of(bucket.upload(files, "files"))
    needed = as_needed(entries(copy.path)[0])
    next(needed)
    assert here(copy) == ["part-0"]
    next(needed)
    assert here(copy) == ["part-0", "part-1", "part-2"]
    assert [file.name for file in needed] == ["part-2", "part-3", "part-4", "part-5"]


def test_what_was_fetched_is_found_again_until_an_object_changes(bucket: Bucket, files: Path) -> None:
    url = bucket.upload(files, "files")
    first = Copy.of(url)
    present(entries(first.path)[0])
    assert Copy.of(url) == first
    (files / "part-3").write_bytes(b"new")
    bucket.upload(files, "files")
    second = Copy.of(url)
    assert here(second) == []
    present([second.path / "part-3"])
    assert (second.path / "part-3").read_bytes() == b"new"
    assert len(here(first)) == 6


def test_nothing_is_left_of_a_file_that_could_not_be_fetched(
    bucket: Bucket, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "PART", 100)
    copy = Copy.of(bucket.upload(files, "files"))
    read = Store.read

    def fail_late(store: Store, stored: Stored, start: int, end: int) -> memoryview:
        return read(store, stored, start, end - (start == 500))

    monkeypatch.setattr(Store, "read", fail_late)
    early = f"{bucket.url}/files/part-0 ended early: 99 bytes came instead of 100"
    with pytest.raises(InputError, match=re.escape(early)):
        present([copy.path / "part-0"])
    assert list(copy.path.iterdir()) == []
    monkeypatch.undo()


def test_a_folder_without_room_is_named_with_the_way_to_another(bucket: Bucket, files: Path) -> None:
    copy = Copy.of(bucket.upload(files, "files"))
    # A file in place of a folder fails as a full disk does, whoever runs the test.
    copy.path.joinpath("deep").touch()
    with pytest.raises(InputError, match="set XDG_CACHE_HOME to a folder that has room for it"):
        present([copy.path / "deep" / "empty"])


def test_a_copy_that_somebody_removed_is_made_again(bucket: Bucket, files: Path) -> None:
    url = bucket.upload(files, "files")
    present(list(Copy.of(url).objects))
    shutil.rmtree(os.environ["XDG_CACHE_HOME"])
    copy = Copy.of(url)
    present([copy.path / "part-0"])
    assert here(copy) == ["part-0"]


def test_an_object_that_was_deleted_is_named(bucket: Bucket, files: Path) -> None:
    copy = Copy.of(bucket.upload(files, "files"))
    Store.of(bucket.url)[0].delete(["files/part-0"])
    with pytest.raises(InputError, match=re.escape(f"there is no object {bucket.url}/files/part-0")):
        present([copy.path / "part-0"])
    with pytest.raises(InputError, match=re.escape(f"there is no object {bucket.url}/files/part-9")):
        present([copy.path / "part-9"])
