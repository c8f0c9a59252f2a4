from typing import Any

import pyarrow as pa
import pytest

from synth.pipelines.runtime.text.columns import Texts, text_columns, texts_of, url_column
from synth.schemas.errors import InputError

CHAT = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
SHARED = pa.list_(pa.struct([("from", pa.string()), ("value", pa.string())]))


def schema(**types: Any) -> pa.Schema:
    return pa.schema([("id", pa.string()), *types.items()])


def test_the_text_of_a_document_is_found_by_its_names() -> None:
    text = pa.string()
    assert text_columns(schema(title=text, raw_content=text, content=text), ()) == ("content",)
    assert text_columns(schema(n=pa.int64(), body=text), ()) == ("body",)
    assert text_columns(schema(n=pa.int64(), messages=CHAT), ()) == ("messages",)
    assert text_columns(schema(a=text, b=pa.large_string()), ("b", "a")) == ("b", "a")


@pytest.mark.parametrize("kind", [pa.int64(), pa.binary(), pa.list_(pa.int64()), pa.struct([("content", pa.string())])])
def test_other_columns_hold_no_text(kind: pa.DataType) -> None:
    with pytest.raises(InputError, match="no column with text or messages, only id, text"):
        text_columns(schema(text=kind), ())
    with pytest.raises(InputError, match=r"--text text: .* and no other column has"):
        text_columns(schema(text=kind), ("text",))


def test_an_address_is_text() -> None:
    assert url_column(schema(url=pa.int64(), source_url=pa.string())) == "source_url"
    assert url_column(schema(address=pa.string())) is None


def test_every_column_and_every_message_is_a_text() -> None:
    table = pa.table(
        {
            "text": pa.array(["a", None]),
            "chat": pa.array([[{"role": "u", "content": "b"}, {"role": "a", "content": None}], None], CHAT),
            "shared": pa.array([[], [{"from": "u", "value": "c"}]], SHARED),
            "choices": pa.array([["d", None], None], pa.list_(pa.string())),
        }
    )
    found = texts_of(table, ["text", "chat", "shared", "choices"])
    assert found == [["a", "b", "", "d", ""], ["", "", "c", ""]]
    together = pa.concat_tables([table, table.slice(1)])
    texts = Texts(together, ["text", "shared"])
    assert [texts[row] for row in (2, 0, 1)] == [["", "c"], ["a"], ["", "c"]]
