import re
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest

from synth.pipelines.runtime.options import Options
from synth.pipelines.runtime.runner import Run
from synth.pipelines.tables.filter import Filter
from synth.schemas.dataset import Dataset
from synth.schemas.errors import UsageError
from tests.pipelines.passing import passed
from tests.rows import Rows, write_rows

ROWS: Rows = [
    {"id": "a", "text": "one apple", "score": 5, "tags": ["fruit"]},
    {"id": "b", "text": "two pears", "score": 3, "tags": ["fruit", "many"]},
    {"id": "c", "text": "nothing", "score": None, "tags": []},
]


def kept(folder: Path, where: str, rows: Rows = ROWS) -> list[str]:
    found, rejected = passed(Filter(where), [write_rows(folder / "rows.jsonl", rows)], folder / "out", fresh=True)
    assert rejected == [], "rows that are left out are counted, not copied"
    assert all(row in rows for row in found)
    return [row["id"] for row in found]


@pytest.mark.parametrize(
    ("where", "ids"),
    [
        ("score > 3", ["a"]),
        ("score IS NULL OR score < 4", ["b", "c"]),
        ("text LIKE '%pear%' AND list_contains(tags, 'many')", ["b"]),
        ("length(text) > 7 -- longer than 'nothing'", ["a", "b"]),
        ("score", ["a", "b"]),
        ("id IN (SELECT max(id) FROM rows)", ["c"]),
    ],
)
def test_the_rows_that_meet_the_condition_come_through(tmp_path: Path, where: str, ids: list[str]) -> None:
    assert kept(tmp_path, where) == ids


def test_rows_are_counted_by_why_they_are_left_out(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "rows.jsonl", ROWS)
    counts = Run(Filter("score > 3"), [str(source)], tmp_path / "out", Options()).execute().counts
    assert (counts.produced, counts.reasons) == (1, {"not_met": 1, "condition_is_null": 1})


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("scor > 3", '--where scor > 3: Referenced column "scor" not found'),
        ("score >", "syntax error"),
        ("text > 3", "Cannot compare"),
        ("sum(score) > 3", "not a condition on single rows"),
        (" ", "--where: the condition is empty"),
        ("text = (SELECT content FROM read_text('/etc/hosts'))", "Cannot access file"),
    ],
)
def test_a_wrong_condition_is_a_usage_error_that_leaves_nothing_behind(
    tmp_path: Path, where: str, message: str
) -> None:
    source = write_rows(tmp_path / "rows.jsonl", ROWS)
    with pytest.raises(UsageError, match=message) as error:
        Run(Filter(where), [str(source)], tmp_path / "out", Options()).execute()
    assert "\n" not in str(error.value)
    assert [path.name for path in tmp_path.iterdir()] == ["rows.jsonl"]


PAGE = (Path(__file__).parents[3] / "docs" / "tables.md").read_text()
SHOWN = re.findall(r"^\| `([^`]+)` \| [wt]", PAGE.partition("## `filter`")[2].partition("## `sample`")[0], re.MULTILINE)


@pytest.mark.parametrize("where", SHOWN)
def test_the_conditions_of_the_page_select_rows(tmp_path: Path, where: str) -> None:
    chat = [{"role": "user", "content": "?"}]
    plain = {
        "score": 1,
        "lang": "fr",
        "question": "Why?",
        "answer": "",
        "tags": [],
        "messages": chat,
        "meta": {"source": ""},
    }
    rich = {"score": 5, "lang": "en", "question": "A Proof?", "answer": "42", "tags": ["math"], "messages": chat * 3}
    rows = [{"id": "plain", **plain, "meta": {"source": ""}}, {"id": "rich", **rich, "meta": {"source": "web"}}]
    assert kept(tmp_path, where, rows) == ["rich"]


def test_values_of_every_type_come_through_unchanged(tmp_path: Path) -> None:
    table = pa.table(
        {
            "id": ["a", "b"],
            "big": pa.array([Decimal("1.5"), None], pa.decimal256(60, 3)),
            "long": pa.array(["x", "y"], pa.large_string()),
            "kind": pa.array(["u", "u"]).dictionary_encode(),
            "nested": pa.array([[{"x": 1}], None], pa.list_(pa.struct([("x", pa.int8())]))),
        }
    )
    with pa.ipc.new_stream(tmp_path / "rows.arrow", table.schema) as stream:
        stream.write_table(table)
    Run(Filter("id = 'b'"), [str(tmp_path / "rows.arrow")], tmp_path / "out", Options()).execute()
    Run(Filter("true"), [str(tmp_path / "rows.arrow")], tmp_path / "all", Options()).execute()
    everything = Dataset.open(tmp_path / "all").table
    assert Dataset.open(tmp_path / "out").table.equals(everything.slice(1))
    assert everything.to_pylist() == table.to_pylist()


def test_a_filtered_dataset_can_be_filtered_again(tmp_path: Path) -> None:
    passed(Filter("score > 2"), [write_rows(tmp_path / "rows.jsonl", ROWS)], tmp_path / "some")
    found, _ = passed(Filter("score > 4"), [tmp_path / "some"], tmp_path / "fewer")
    assert found == ROWS[:1]
