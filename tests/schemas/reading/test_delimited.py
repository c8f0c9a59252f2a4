"""CSV and TSV: every record is one row, or is named with its line. Python's csv module is the witness."""

import csv
import gzip
import io
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from synth.schemas.errors import InputError
from synth.schemas.reading.formats import delimited, read

UNCLOSED = "has a quotation mark that opens a field and none that closes it before a comma or the end of a line"

# Few characters, so that what has a meaning in these files is often beside itself.
CELL = st.text(st.sampled_from('ab,"\t\r\n é\0'), max_size=6)
TABLE = st.integers(1, 3).flatmap(
    lambda width: st.lists(st.lists(CELL, min_size=width, max_size=width), min_size=1, max_size=8)
)
SOUP = st.text(st.sampled_from('a,"\n\r'), max_size=30)
slow_file_system = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def rows(path: Path) -> list[list[str]]:
    return [list(row.values()) for batch in read(path) for row in batch.rows.to_pylist()]


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        rows(path)
    return str(caught.value)


def names(width: int) -> list[str]:
    return [f"c{number}" for number in range(width)]


# Where lines end with a line feed alone, the csv module does not quote a carriage return, though it ends a row.
WAYS = st.sampled_from([("\n", csv.QUOTE_ALL), ("\r\n", csv.QUOTE_ALL), ("\r\n", csv.QUOTE_MINIMAL)])


@slow_file_system
@given(table=TABLE, way=WAYS)
def test_what_a_csv_writer_writes_is_read_back(tmp_path: Path, table: list[list[str]], way: tuple[str, Any]) -> None:
    path = tmp_path / "rows.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator=way[0], quoting=way[1]).writerows([names(len(table[0])), *table])
    assert rows(path) == table


@slow_file_system
@given(text=SOUP, block=st.integers(1, 40))
def test_any_text_is_read_as_the_csv_module_reads_it_or_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, block: int
) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(b"x,y\n" + text.encode())
    with monkeypatch.context() as patch:
        # Rows lie across the borders of blocks in any way.
        patch.setattr(delimited, "BLOCK", block)
        try:
            expected = [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row]
        except csv.Error:
            assert UNCLOSED in refusal(path) or "where the header has 2" in refusal(path)
            return
        if any(len(row) != 2 for row in expected):
            assert "where the header has 2" in refusal(path)
        else:
            assert rows(path) == expected


@slow_file_system
@given(
    table=st.integers(2, 3).flatmap(
        lambda width: st.lists(
            st.lists(st.text(st.sampled_from("ab\"', é"), max_size=5), min_size=width, max_size=width),
            min_size=1,
            max_size=8,
        )
    ),
    block=st.integers(1, 40),
)
def test_tsv_cells_are_what_stands_between_tabs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, table: list[list[str]], block: int
) -> None:
    path = tmp_path / "rows.tsv"
    path.write_text("".join("\t".join(row) + "\n" for row in [names(len(table[0])), *table]), encoding="utf-8")
    with monkeypatch.context() as patch:
        patch.setattr(delimited, "BLOCK", block)
        assert rows(path) == table


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('x,y\n1,"open\n2,b\n3,c\n', 2),
        ('x,y\n1,"two\nlines","open\n2,b\n', 3),
        ('x,y\n1,a\n2,"b"c\n3,d\n', 3),
        ('x,y\n1,"open\n2,"closed"\n', 2),
        ('x,y\r\n1,"a\r\nb"\r\n2,"open\r\n', 4),
        ('x,"y\n1,2\n', 1),
    ],
)
def test_a_quotation_mark_that_swallows_rows_is_named_with_its_line(tmp_path: Path, text: str, line: int) -> None:
    (tmp_path / "rows.csv").write_bytes(text.encode())
    assert refusal(tmp_path / "rows.csv").startswith(f"{tmp_path}/rows.csv:{line} {UNCLOSED}")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x,y\n1,2\n3\n", ":3 has 1 field, where the header has 2"),
        ('x,y\n\n"1\n2",3\n4,5,6\n', ":5 has 3 fields, where the header has 2"),
        ("x,x\n1,2\n", " has two columns named x"),
        (",\n1,2\n", " has two columns named with an empty text"),
    ],
)
def test_other_faults_are_named(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "rows.csv").write_text(text)
    assert refusal(tmp_path / "rows.csv") == f"{tmp_path}/rows.csv{said}"


def test_bytes_that_are_no_utf8_are_named_in_quoted_fields_too(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_bytes(b'x,y\n1,"a\nb"\n2,"caf\xe9"\n')
    assert refusal(tmp_path / "rows.csv") == f"{tmp_path}/rows.csv:4 is not UTF-8 text: byte 0xe9 at position 7"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("name", ["rows.csv", "rows.tsv", "rows.jsonl", "rows.json", "rows.csv.gz", "rows.jsonl.zst"])
def test_other_encodings_are_named_with_the_command_that_converts_them(
    tmp_path: Path, name: str, encoding: str
) -> None:
    text = ("x,y\n1,2\n" if "sv" in name else '{"x": 1}\n').encode(encoding)
    packed = {".gz": gzip.compress, ".zst": zstandard.compress}.get(Path(name).suffix, bytes)(text)
    (tmp_path / name).write_bytes(packed)
    said = refusal(tmp_path / name)
    assert said.startswith(f"{tmp_path}/{name} is {encoding[:6].upper()}")
    assert f"{tmp_path}/{name} | iconv -f {encoding[:6].upper()}" in said


def test_a_byte_order_mark_empty_names_and_zero_bytes_are_tolerated(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv.zst"
    path.write_bytes(zstandard.compress(b'\xef\xbb\xbf"",y\r\n0,"a\0""b"""\r\n'))
    (batch,) = read(path)
    assert batch.rows.to_pylist() == [{"": "0", "y": 'a\0"b"'}]


def test_a_header_alone_has_no_rows(tmp_path: Path) -> None:
    for name in ("rows.csv", "rows.tsv"):
        (tmp_path / name).write_text("x")
        assert list(read(tmp_path / name)) == []


def test_fields_may_be_long_and_lie_across_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delimited, "BLOCK", 1000)
    table = [[str(number), '"\n,' * number * 300] for number in range(20)]
    with (tmp_path / "rows.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["x", "y"], *table])
    assert rows(tmp_path / "rows.csv") == table
    monkeypatch.setattr(delimited, "LONGEST_ROW", 5000)
    (tmp_path / "rows.csv").write_text('x,y\n1,"open\n' + "2,b\n" * 5000)
    assert f"rows.csv:2 {UNCLOSED}" in refusal(tmp_path / "rows.csv")
    (tmp_path / "rows.csv").write_text("x,y\n1," + "b" * 20_000)
    assert f"rows.csv:2 is longer than {delimited.LONGEST_ROW >> 20} MiB" in refusal(tmp_path / "rows.csv")


def test_a_lenient_reading_goes_on_after_a_bad_row(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_bytes(b'x,y\n1,"open\n2,b\n3\n4,"d"\n5,\xff\n6,"f\ng"\n')
    (batch,) = read(tmp_path / "rows.csv", lenient=True)
    assert batch.rows.to_pylist() == [{"x": "2", "y": "b"}, {"x": "4", "y": "d"}, {"x": "6", "y": "f\ng"}]
    assert [(bad.index, bad.raw) for bad in batch.bad] == [(0, '1,"open\n'), (2, "3\n"), (4, "5,\ufffd\n")]
    assert [batch.index(number) for number in range(3)] == [1, 3, 5]
    assert [batch.place(number) for number in range(3)] == [f"{tmp_path}/rows.csv:{line}" for line in (3, 5, 7)]
