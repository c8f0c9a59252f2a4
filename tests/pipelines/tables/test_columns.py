from pathlib import Path
from typing import Any

import pytest

from synth.pipelines.tables.columns import Columns
from synth.schemas.errors import UsageError
from tests.pipelines.passing import passed
from tests.rows import Rows, write_rows

ROWS: Rows = [
    {"id": "a", "question": "1 + 1?", "answer": "2", "n": 1},
    {"id": "b", "question": "?", "answer": "", "n": 2},
]


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({"keep": ("answer", "question")}, ["id", "answer", "question"]),
        ({"keep": ("n", "id")}, ["n", "id"]),
        ({"drop": ("n",)}, ["id", "question", "answer"]),
        ({"rename": {"response": "answer"}}, ["id", "question", "response", "n"]),
        ({"keep": ("n",), "rename": {"question": "n"}}, ["id", "question"]),
        ({"drop": ("question",), "rename": {"question": "answer"}}, ["id", "question", "n"]),
        ({"rename": {"question": "answer", "answer": "question"}}, ["id", "answer", "question", "n"]),
    ],
)
def test_columns_are_kept_dropped_and_renamed(tmp_path: Path, options: dict[str, Any], names: list[str]) -> None:
    found, _ = passed(Columns(**options), [write_rows(tmp_path / "rows.jsonl", ROWS)], tmp_path / "out")
    assert [list(row) for row in found] == [names, names]
    old_names = options.get("rename", {})
    assert found == [{name: row[old_names.get(name, name)] for name in names} for row in ROWS]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"keep": ("anser",)}, "--keep anser: the input has no such column, only id, question, answer, n"),
        ({"drop": ("id",)}, "the column id stays"),
        ({"keep": ("n",), "drop": ("answer",)}, "exclude each other"),
        ({}, "no column would change"),
        ({"rename": {"question": "answer"}}, "two columns would be called question"),
        ({"drop": ("n",), "rename": {"number": "n"}}, "--rename n: the column is not kept"),
    ],
)
def test_what_cannot_be_done_is_a_usage_error(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        passed(Columns(**options), [write_rows(tmp_path / "rows.jsonl", ROWS)], tmp_path / "out")
