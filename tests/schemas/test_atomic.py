"""A file is there whole or not at all, whoever else writes it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from synth.schemas.atomic import atomic, remove_unfinished, temporary_beside


def break_off(path: Path, write: Callable[[Path], None]) -> None:
    with atomic(path) as temporary:
        write(temporary)
        raise ZeroDivisionError


def test_a_file_appears_when_its_block_ends(tmp_path: Path) -> None:
    with atomic(tmp_path / "file", durable=True) as temporary:
        temporary.write_text("new")
        assert not (tmp_path / "file").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_after_an_error_the_old_file_is_there_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    with pytest.raises(ZeroDivisionError):
        break_off(tmp_path / "file", Path.touch)
    assert (tmp_path / "file").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_folder_appears_with_all_that_it_holds_or_not(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        break_off(tmp_path / "folder", lambda folder: (folder / "below").mkdir(parents=True))
    assert list(tmp_path.iterdir()) == []
    with atomic(tmp_path / "folder") as temporary:
        (temporary / "below").mkdir(parents=True)
    assert (tmp_path / "folder" / "below").is_dir()


def test_two_that_write_one_file_do_not_meet(tmp_path: Path) -> None:
    with atomic(tmp_path / "file") as first, atomic(tmp_path / "file") as second:
        first.write_text("first")
        second.write_text("second")
    assert (tmp_path / "file").read_text() == "first"


def test_what_killed_processes_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    kept = tmp_path / "folder" / "file.tmp"
    kept.parent.mkdir()
    kept.touch()
    temporary_beside(kept).touch()
    (temporary_beside(tmp_path / "folder") / "below").mkdir(parents=True)
    remove_unfinished(tmp_path)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file.tmp", "folder"]
