"""Files of Python source and of plain text as rows."""

from pathlib import Path

import pytest

from schemas.errors import InputError
from schemas.inputs import locate
from schemas.records import PROGRAM
from schemas.sources import Source
from schemas.text_files import PACKAGES


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
