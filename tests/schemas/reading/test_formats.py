"""Files of rows: what is tolerated in them, and what is said of what cannot be read."""

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import zstandard
from pyarrow import feather, parquet

from synth.schemas.errors import InputError
from synth.schemas.reading.formats import read, schema_of

ROWS: list[dict[str, Any]] = [{"id": "a", "question": "How many?"}, {"id": "b", "question": "Wie viele Äpfel?"}]
LINES = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS).encode()


def rows(path: Path) -> list[Any]:
    return [row for batch in read(path) for row in batch.rows]


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        rows(path)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_json_object_with_one_list_and_jsonl_called_json_are_read(tmp_path: Path) -> None:
    (tmp_path / "wrapped.json").write_text(json.dumps({"version": 1, "data": ROWS}))
    (tmp_path / "lines.json").write_bytes(LINES)
    assert rows(tmp_path / "wrapped.json") == ROWS
    assert rows(tmp_path / "lines.json") == ROWS


def test_blank_lines_a_byte_order_mark_and_crlf_are_tolerated(tmp_path: Path) -> None:
    text = b"\xef\xbb\xbf\r\n" + LINES.replace(b"\n", b"\r\n \r\n")
    (tmp_path / "rows.jsonl").write_bytes(text)
    assert rows(tmp_path / "rows.jsonl") == ROWS


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b'{"question": "q"', "is not JSON: unexpected end of data at column 17"),
        (b'{"a": 1} {"b": 2}', "is not JSON: unexpected content after document"),
        (b'{"answer": NaN}', "is not JSON: unexpected character"),
        (b'{"answer": "\\ud83d"}', "holds half of a surrogate pair, which is no character, at column"),
        (b'{"answer": 1, "answer": 2}', "has the key 'answer' twice in one object"),
        (b'{"deep": [{"a" : 1, "b": 1e999, "a" : 2}]}', "has the key 'a' twice in one object"),
        (b'{"answer": 1e999, "a": "\\udc00"}', "holds half of a surrogate pair"),
        (b'{"a": "caf\xe9"}', "is not UTF-8 text: byte 0xe9 at position 11"),
        (b"[1, 2]", "is a list, where each line must be one JSON object"),
        (b"null", "is null, where each line must be one JSON object"),
    ],
)
def test_a_bad_line_is_named_with_its_number(tmp_path: Path, line: bytes, said: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(LINES[: LINES.index(b"\n") + 1] + b"\n" + line + b"\n")
    assert f"{path}:3 {said}" in refusal(path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[{"a": 1},', "is not JSON: unexpected end of data"),
        ('{"a": 1}', "is an object with 0 lists, where one must have the rows"),
        ('{"a": [], "b": []}', "is an object with 2 lists"),
        ("3", "is a number, where a list of objects is needed"),
        ('[{"a": 1}, 2]', "is a number, where each row must be an object"),
        ('[\n{"a": "\x00"}]', "of line 2"),
    ],
)
def test_a_json_document_of_another_shape_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "rows.json").write_text(text)
    assert said in refusal(tmp_path / "rows.json")


def test_a_broken_csv_file_is_named_with_its_row(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(b'question,answer\nq,"1\n2"\nq,1,2\n')
    assert refusal(path) == f"{path}:4 has 3 fields, where the header has 2"
    path.write_bytes(b"question,answer\nq\n")
    assert refusal(path) == f"{path}:2 has 1 field, where the header has 2"
    path.write_bytes(b"question,answer\nq,1\ncaf\xe9,1\n")
    assert f"{path}:3 is not UTF-8 text: byte 0xe9 at position 4" in refusal(path)
    path.write_bytes(b"question,answer,answer\nq,1,2\n")
    assert "has two columns named answer" in refusal(path)


def test_a_table_with_two_columns_of_one_name_is_refused(tmp_path: Path) -> None:
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["x", "x"])
    parquet.write_table(table, tmp_path / "rows.parquet")
    feather.write_feather(table, str(tmp_path / "rows.feather"))
    for name in ("rows.parquet", "rows.feather"):
        assert refusal(tmp_path / name) == f"{tmp_path}/{name} has two columns named x"
        with pytest.raises(InputError, match="has two columns named x"):
            schema_of(tmp_path / name)


def test_json_that_is_nested_beyond_measure_is_refused(tmp_path: Path) -> None:
    for depth in (300, 5000):
        (tmp_path / "rows.jsonl").write_text(f'{{"x": 1e999, "d": {"[" * depth}{"]" * depth}}}\n')
        assert "rows.jsonl:1 " in refusal(tmp_path / "rows.jsonl")


def test_damaged_files_are_named_with_their_format(tmp_path: Path) -> None:
    text = b"".join(LINES.replace(b"many", b"%d" % number) for number in range(500))
    for name, content in {
        "cut.jsonl.gz": gzip.compress(text)[:-20],
        "not.jsonl.gz": text,
        "cut.jsonl.zst": zstandard.compress(text)[:-20],
        "not.parquet": text,
        "not.arrow": text,
        "cut.arrow": b"ARROW1\0\0",
        "empty.parquet": b"",
        "empty.arrow": b"",
    }.items():
        (tmp_path / name).write_bytes(content)
        assert f"{name} cannot be read as " in refusal(tmp_path / name)


def record(number: int, text: bytes, kind: str = "conversion") -> bytes:
    head = (
        f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Target-URI: http://a.example/{number}\r\n"
        f"WARC-Record-ID: <urn:uuid:{number}>\r\nContent-Type: text/plain\r\nContent-Length: {len(text)}\r\n\r\n"
    )
    return head.encode() + text + b"\r\n\r\n"


RECORDS = [
    record(0, b"software: x\r\n", "warcinfo"),
    record(1, "Größe\n東京".encode()),
    record(2, b"caf\xe9 \x00 " * 90),
]
WET_ROWS = [
    {"id": "<urn:uuid:1>", "url": "http://a.example/1", "text": "Größe\n東京"},
    {"id": "<urn:uuid:2>", "url": "http://a.example/2", "text": "caf\ufffd \x00 " * 90},
]


def test_a_wet_archive_is_read_however_it_is_compressed(tmp_path: Path) -> None:
    for name, content in {
        "plain.warc.wet": b"".join(RECORDS),
        "by-record.warc.wet.gz": b"".join(map(gzip.compress, RECORDS)),
        "at-once.warc.wet.gz": gzip.compress(b"".join(RECORDS)),
    }.items():
        (tmp_path / name).write_bytes(content)
        assert rows(tmp_path / name) == WET_ROWS
    (tmp_path / "none.warc.wet.gz").write_bytes(gzip.compress(RECORDS[0]))
    assert rows(tmp_path / "none.warc.wet.gz") == []


@pytest.mark.parametrize("cut", [1, 9, 60, 150])
def test_a_wet_archive_that_is_cut_off_is_named_as_such(tmp_path: Path, cut: int) -> None:
    (tmp_path / "a.warc.wet.gz").write_bytes(b"".join(map(gzip.compress, RECORDS))[:-cut])
    assert "a.warc.wet.gz cannot be read as WET: " in refusal(tmp_path / "a.warc.wet.gz")


def test_a_damaged_wet_archive_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.warc.wet").write_bytes(b"".join(RECORDS)[:-100])
    assert "a.warc.wet cannot be read as WET: it is cut off in the record <urn:uuid:2>" in refusal(
        tmp_path / "a.warc.wet"
    )
    (tmp_path / "a.warc.wet").write_bytes(b"hello" * 100)
    assert "a.warc.wet cannot be read as WET: Invalid WARC header" in refusal(tmp_path / "a.warc.wet")
    (tmp_path / "a.warc.wet.gz").write_bytes(b"hello" * 100)
    assert "a.warc.wet.gz cannot be read as WET: Not a gzipped file" in refusal(tmp_path / "a.warc.wet.gz")
