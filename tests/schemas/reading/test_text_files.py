"""Files of Python source and of plain text as rows."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from synth.schemas.errors import InputError
from synth.schemas.reading.inputs import locate
from synth.schemas.reading.sources import Source
from synth.schemas.records import PROGRAM
from synth.schemas.specs import PACKAGES

ROOT = Path(__file__).parents[3]


def rows(spec: Path | str, scratch: Path) -> dict[str, str]:
    table = Source(str(spec), PROGRAM, {}, None).table(scratch / "scratch.arrow")
    return dict(zip(table["id"].to_pylist(), table["content"].to_pylist(), strict=True))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    files = {
        "src/b.py": b"b = 1\n",
        "src/a/one.py": b"one = 1\r\n",
        "src/a/notes.txt": b"no source",
        "src/.git/hidden.py": b"",
        "src/site-packages/other.py": b"",
        "src/latin.py": b"# coding: latin-1\nname = '\xe9'\n",
        "src/bad.py": b"name = '\xff'\n",
        "src/odd.py": b"# coding: klingon\n",
        "src/empty.py": b"",
    }
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    return tmp_path / "src"


def test_a_folder_gives_a_row_for_each_file_below_it_named_by_its_path(folder: Path) -> None:
    assert rows(folder, folder.parent) == {
        "bad.py": "name = '\ufffd'\n",
        "b.py": "b = 1\n",
        "empty.py": "",
        "latin.py": "# coding: latin-1\nname = 'é'\n",
        "odd.py": "# coding: klingon\n",
        "a/one.py": "one = 1\r\n",
    }


def test_a_file_and_a_glob(folder: Path) -> None:
    assert list(rows(folder / "b.py", folder.parent)) == ["b.py"]
    assert list(rows(folder / "**" / "o*.py", folder.parent)) == ["a/one.py", "odd.py", "site-packages/other.py"]


def test_plain_text_is_read_where_there_is_no_source(folder: Path) -> None:
    texts = folder.parent / "texts"
    (texts / "a").mkdir(parents=True)
    (texts / "b.txt").write_bytes(b"\xef\xbb\xbfone\r\n")
    (texts / "a" / "c.txt").write_bytes(b"tw\xff")
    assert rows(texts, folder.parent) == {"b.txt": "one\r\n", "a/c.txt": "tw\ufffd"}
    assert rows(texts / "b.txt", folder.parent) == {"b.txt": "one\r\n"}
    assert rows(texts / "**" / "*.txt", folder.parent) == {"a/c.txt": "tw\ufffd", "b.txt": "one\r\n"}
    assert rows(folder / "**" / "*.txt", folder.parent) == {"notes.txt": "no source"}


def test_what_the_files_hold_and_are_called_is_what_counts(folder: Path) -> None:
    before = locate(str(folder)).digest
    moved = folder.rename(folder.with_name("elsewhere"))
    assert locate(str(moved)).digest == before
    (moved / "b.py").rename(moved / "c.py")
    assert locate(str(moved)).digest != before


def test_files_of_rows_go_before_files_of_source(folder: Path) -> None:
    (folder / "rows.jsonl").write_text('{"id": "x", "content": "y = 1"}\n')
    assert rows(folder, folder.parent) == {"x": "y = 1"}


def test_a_folder_with_neither_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"\.py or \.txt"):
        locate(str(tmp_path))


def test_installed_packages_come_after_the_standard_library() -> None:
    names = locate(PACKAGES).names
    assert "stdlib/bisect.py" in names
    assert "site-packages/pyarrow/__init__.py" in names
    assert names.index("stdlib/bisect.py") < names.index("site-packages/pyarrow/__init__.py")
    assert not any("site-packages/" in name for name in names if name.startswith("stdlib/"))


def test_what_cannot_be_read_is_left_out_and_named(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    whole = rows(folder, folder.parent)
    (folder / "gone.py").symlink_to("nowhere.py")
    (folder / "loop.py").symlink_to("loop.py")
    (folder / "a" / "package.py").mkdir()
    os.mkfifo(folder / "pipe.py")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "socket.py"))
    # It can be opened, and not be read.
    (folder / "memory.py").symlink_to("/proc/self/mem")
    (folder.parent / "scratch.arrow").unlink()
    assert rows(folder, folder.parent) == whole
    (told,) = caplog.messages
    assert told.startswith("5 files skipped: gone.py (No such file or directory), loop.py (Too many levels of ")
    assert told.endswith("memory.py (Input/output error) and 2 more")
    caplog.clear()
    assert list(rows(folder / "*.py", folder.parent)) == ["b.py", "bad.py", "empty.py", "latin.py", "odd.py"]
    assert caplog.messages == [told]


def test_a_link_to_a_file_is_that_file(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    (folder / "link.py").symlink_to("b.py")
    assert rows(folder, folder.parent)["link.py"] == "b = 1\n"
    assert caplog.messages == []


def test_a_file_that_goes_after_it_was_listed_is_left_out(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    (folder / "b.py").rename(folder / "c.py")
    listed = locate(str(folder))
    (folder / "c.py").unlink()
    assert [row["id"] for batch in listed.batches() for row in batch.rows] == [
        "bad.py",
        "empty.py",
        "latin.py",
        "odd.py",
        "a/one.py",
    ]
    assert caplog.messages == ["1 file skipped: c.py (No such file or directory)"]
    # As that of what is there.
    assert listed.digest == locate(str(folder)).digest


def test_a_folder_of_which_nothing_can_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "one.py").symlink_to("nowhere")
    os.mkfifo(tmp_path / "two.py")
    message = r"no file can be read: one\.py \(No such file or directory\), two\.py \(not a regular file\)"
    with pytest.raises(InputError, match=message):
        locate(str(tmp_path))


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user cannot become another one")
def test_what_this_user_may_not_read_is_left_out_and_named(folder: Path) -> None:
    (folder / "secret.py").write_text("secret = 1\n")
    (folder / "secret.py").chmod(0o600)
    (folder / "closed").mkdir(mode=0o700)
    as_nobody = """
import os, sys
from synth.schemas.reading.text_files import files_below, readable
from pathlib import Path
os.chdir(sys.argv[1])
os.setuid(65534)
print(*readable(files_below(Path("."), ".py")))
"""
    done = subprocess.run(
        [sys.executable, "-c", as_nobody, str(folder)], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout == "b.py bad.py empty.py latin.py odd.py a/one.py\n"
    assert done.stderr == (
        "1 file skipped: closed/ (Permission denied)\n1 file skipped: secret.py (Permission denied)\n"
    )


@pytest.mark.parametrize("codec", ["rot13", "hex", "undefined", "idna", "..", "unicode_escape"])
def test_a_codec_that_does_not_decode_text_counts_as_none(tmp_path: Path, codec: str) -> None:
    content = f"# coding: {codec}\nname = 1\n"
    (tmp_path / "odd.py").write_text(content)
    assert rows(tmp_path / "odd.py", tmp_path) == {"odd.py": content}
