"""Values of any type for a reader: no literal of Python, and JSON that any parser reads."""

import json
import re
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import datasets
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth.cli.readable import json_text, readable
from tests.command import invoke

PNG = b"\x89PNG\r\n\x1a\n" + bytes(5000)
ROW: dict[str, Any] = {
    "id": "a",
    "blob": b"\xff\x00z",
    "image": {"bytes": PNG, "path": None},
    "seen": datetime(2024, 2, 3, 4, 5),
    "price": Decimal("1.10"),
    "took": timedelta(seconds=90),
    "nested": [{"ok": True, "none": None, "at": date(2024, 2, 3), "raw": b"it's", "odd": float("nan")}],
    "odd": float("inf"),
}


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (b"", "<0 bytes>"),
        (b"a", "<1 byte: 61>"),
        (b"\xff\x00z", "<3 bytes: ff 00 7a>"),
        (b"it's \\ " * 200, "<69 74 27 73 20 5c 20 69 …, 1,400 bytes, hash "),
        (PNG, "<PNG image, 5,008 bytes, hash "),
        (b"\xff\xd8\xff" + bytes(20), "<JPEG image, 23 bytes, hash "),
        (b"RIFF\0\0\0\0WAVE" + bytes(20), "<WAV audio, 32 bytes, hash "),
        (datetime(2024, 2, 3, tzinfo=UTC), "2024-02-03 00:00:00+00:00"),
        (time(1, 2), "01:02:00"),
        (Decimal("1.10"), "1.10"),
        (float("-inf"), "-Infinity"),
        (12345678901234567890123, 12345678901234567890123),
    ],
)
def test_each_kind_of_value_is_said_in_words(value: Any, shown: Any) -> None:
    found = readable(value)
    assert found == shown or (shown.endswith(" hash ") and re.fullmatch(r"[0-9a-f]{8}>", found.removeprefix(shown)))


LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    st.binary(),
    st.decimals(),
    st.datetimes(),
    st.dates(),
    st.timedeltas(),
)


@given(st.recursive(LEAVES, lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)), max_leaves=8))
def test_whatever_it_is_the_text_is_json(value: Any) -> None:
    def refuse(constant: str) -> None:
        raise ValueError(constant)

    assert json.loads(json_text(value), parse_constant=refuse) == readable(value)


@given(st.binary(), st.binary())
def test_bytes_that_differ_are_shown_differently(one: bytes, other: bytes) -> None:
    assert (readable(one) == readable(other)) == (one == other)


@pytest.fixture
def pair(tmp_path: Path) -> tuple[str, str]:
    changed = {**ROW, "image": {"bytes": PNG + b"!", "path": None}, "nested": [{**ROW["nested"][0], "odd": None}]}
    for name, row in (("one", ROW), ("two", changed)):
        datasets.Dataset.from_list([row]).save_to_disk(tmp_path / name)
    return str(tmp_path / "one"), str(tmp_path / "two")


@pytest.mark.parametrize("command", ["show", "diff", "diff --json", "trace", "trace --json", "stats", "stats --json"])
def test_no_command_prints_a_literal_of_python(pair: tuple[str, str], command: str) -> None:
    name, *flags = command.split()
    arguments = {"diff": pair, "trace": ("a", pair[0])}.get(name, pair[:1])
    result = invoke(name, *arguments, *flags)
    assert result.exit_code == (1 if name == "diff" else 0)
    if flags:
        json.loads(result.stdout, parse_constant=lambda constant: pytest.fail(constant))
    for literal in ("b'", "\\x", "None", "True", "Decimal(", "datetime.", "nan"):
        assert literal not in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80 or flags


def test_show_says_what_bytes_are(pair: tuple[str, str]) -> None:
    shown = invoke("show", pair[0]).stdout
    assert "blob <3 bytes: ff 00 7a>" in shown
    assert '"bytes": "<PNG image, 5,008 bytes, hash ' in shown
    assert "seen 2024-02-03 04:05:00   price 1.10   took 0:01:30" in shown


def test_diff_tells_apart_what_begins_alike_and_nan_from_null(pair: tuple[str, str]) -> None:
    (row,) = json.loads(invoke("diff", *pair, "--json").stdout)["different"]
    assert list(row["columns"]) == ["image", "nested"]
    assert row["columns"]["nested"]["a"][0]["odd"] == "NaN"
    assert row["columns"]["nested"]["b"][0]["odd"] is None
