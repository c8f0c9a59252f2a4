"""JSON values come in with all their digits and keys, or not at all."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from synth.schemas.reading.formats.exact import BadJSON, Number, parse, text_of
from synth.schemas.reading.sources import Source
from synth.schemas.records import ROW

NUMBERS = st.one_of(
    st.integers(),
    st.integers(-(2**65), 2**65),
    st.floats(allow_nan=False, allow_infinity=False),
    st.decimals(allow_nan=False, allow_infinity=False),
    st.builds(
        lambda whole, fraction, exponent: f"{whole}.{fraction}e{exponent}",
        st.integers(-99, 99),
        st.integers(0, 10**20),
        st.integers(-400, 400),
    ),
).map(str)
KEYS = st.text(st.sampled_from('ab":\\ é'), max_size=3)


def _objects(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """JSON texts of lists and objects, written in any way, in which a key may stand twice."""
    blank = st.sampled_from(["", " ", "\t"])
    pair = st.builds(
        lambda key, escape, before, after, value: f"{json.dumps(key, ensure_ascii=escape)}{before}:{after}{value}",
        KEYS, st.booleans(), blank, blank, inner,
    )  # fmt: skip
    return st.one_of(
        st.lists(inner, max_size=3).map(lambda items: f"[{','.join(items)}]"),
        st.lists(pair, max_size=3).map(lambda pairs: f"{{{', '.join(pairs)}}}"),
    )


TEXTS = KEYS.map(json.dumps) | st.sampled_from([r'"\u0022:1,\u0022b\u0022:"', r'"a\": 1"'])
JSON = st.recursive(NUMBERS | TEXTS | st.sampled_from(["null", "true"]), _objects, max_leaves=8)


def by_hand(text: str) -> Any:
    """A JSON text by Python's own decoder, numbers as they are written, objects as their pairs."""
    return json.loads(text, parse_int=Number, parse_float=Number, object_pairs_hook=tuple)


def has_a_key_twice(value: Any) -> bool:
    if isinstance(value, tuple):
        names = [name for name, _ in value]
        return len(set(names)) < len(names) or any(has_a_key_twice(inner) for _, inner in value)
    return isinstance(value, list) and any(map(has_a_key_twice, value))


def same(read: Any, written: Any) -> bool:
    """Whether a value that was read is the one that was written, digit by digit."""
    if isinstance(written, tuple):
        return isinstance(read, dict) and list(read) == [n for n, _ in written] and all(
            same(read[name], inner) for name, inner in written
        )  # fmt: skip
    if isinstance(written, list):
        return isinstance(read, list) and len(read) == len(written) and all(map(same, read, written))
    if isinstance(written, Number):
        if isinstance(read, float):
            digits = len(Decimal(written.text).as_tuple().digits)
            return Decimal(written.text) in (Decimal(repr(read)), Decimal(f"{read:.{digits}g}"))
        return str(read) == written.text or (written.text == "-0" and read == 0)
    return type(read) is type(written) and bool(read == written)


@settings(deadline=None, max_examples=400)
@given(JSON)
def test_a_value_has_the_digits_and_keys_of_its_text(text: str) -> None:
    written = by_hand(text)
    if has_a_key_twice(written):
        with pytest.raises(BadJSON, match="twice in one object"):
            parse(text.encode())
    else:
        read = parse(text.encode())
        assert same(read, written)
        assert same(parse(text_of(read).encode()), by_hand(text_of(read)))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from(["a", "b", "c"]), JSON, max_size=3), min_size=1, max_size=5))
def test_rows_of_any_values_are_read_as_they_are_or_as_json_text(tmp_path: Path, rows: list[dict[str, str]]) -> None:
    path, scratch = tmp_path / "rows.jsonl", tmp_path / "scratch"
    path.write_text("".join(f"{{{', '.join(f'{json.dumps(k)}: {v}' for k, v in row.items())}}}\n" for row in rows))
    written = [by_hand(line) for line in path.read_text().splitlines()]
    source = Source(str(path), ROW, {}, None, rejects=True)
    if all(map(has_a_key_twice, written)):
        return
    reading = source.read(scratch)
    assert [has_a_key_twice(row) for row in written].count(True) == reading.bad.num_rows
    columns = {column.name: column for column in source.record.columns}
    for read, row in zip(reading.table.to_pylist(), (row for row in written if not has_a_key_twice(row)), strict=True):
        for name, value in row:
            if columns[name].json:
                assert (read[name] is None and value is None) or same(parse(read[name].encode()), value)
            elif columns[name].numeric and isinstance(value, Number):
                assert Decimal(read[name]) == Decimal(value.text)
            else:
                assert _without_nulls(read[name]) == _without_nulls(_python(value))


def _python(value: Any) -> Any:
    if isinstance(value, tuple):
        return {name: _python(inner) for name, inner in value}
    if isinstance(value, list):
        return [_python(inner) for inner in value]
    if isinstance(value, Number):
        return int(value.text) if value.is_whole else float(value.text)
    return value


def _without_nulls(value: Any) -> Any:
    """A value in which keys that are null are absent: in a typed column each object has the keys of all."""
    if isinstance(value, dict):
        kept = {name: _without_nulls(inner) for name, inner in value.items()}
        return {name: inner for name, inner in kept.items() if inner is not None}
    if isinstance(value, list):
        return [_without_nulls(inner) for inner in value]
    return value
