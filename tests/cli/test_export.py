"""What `synth export` writes: values that read back as what they were, and prompts with all that belongs to them."""

import json
import shutil
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from synth.schemas.errors import InputError, UsageError
from tests.command import synth
from tests.rows import rows_of, write_rows

FEATURES = datasets.Features(
    {
        "id": datasets.Value("string"),
        "picture": datasets.Image(),
        "facts": datasets.Json(),
        "mood": datasets.ClassLabel(names=["sad", "glad"]),
        "moods": datasets.List(datasets.ClassLabel(names=["low", "high"])),
        "price": datasets.Value("decimal128(12, 2)"),
        "weight": datasets.Value("float32"),
        "seen": datasets.Value("timestamp[ns, tz=Europe/Rome]"),
        "count": datasets.Value("uint64"),
    }
)
FEATURED: dict[str, Any] = {
    "id": "a",
    "picture": {"bytes": b"\x89PNG\r\n\x1a\n\xff", "path": None},
    "facts": {"x": [1, None], "big": 12345678901234567890},
    "mood": 1,
    "moods": [0, 1],
    "price": Decimal("1.10"),
    "weight": 0.1,
    "seen": datetime(2024, 7, 1, 12, tzinfo=UTC),
    "count": 2**63 - 1,
}


@pytest.fixture
def featured(tmp_path: Path) -> Path:
    datasets.Dataset.from_list([FEATURED], FEATURES).save_to_disk(tmp_path / "saved")
    synth("import", tmp_path / "saved", tmp_path / "featured")
    return tmp_path / "featured"


def test_parquet_keeps_features_so_that_datasets_has_them_again(tmp_path: Path, featured: Path) -> None:
    synth("export", featured, tmp_path / "out.parquet")
    found = datasets.Dataset.from_parquet(str(tmp_path / "out.parquet"), cache_dir=str(tmp_path / "cache"))
    assert found.features == FEATURES
    assert found.data.to_pylist() == datasets.load_from_disk(featured).data.to_pylist()


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_bytes_are_refused_by_name_where_a_format_has_none(tmp_path: Path, featured: Path, form: str) -> None:
    said = r"picture is bytes in row 1 of .*featured: write Parquet \(--format parquet\), or leave the column out"
    with pytest.raises(InputError, match=said):
        synth("export", featured, tmp_path / f"out.{form}")
    assert not list(tmp_path.glob("*out*"))


def test_json_classes_decimals_and_times_are_what_they_were_in_jsonl(tmp_path: Path, featured: Path) -> None:
    columns = "facts,mood,moods,price,weight,seen,count"
    result = synth("export", featured, tmp_path / "out.jsonl", "--columns", columns)
    assert (tmp_path / "out.jsonl").read_text() == (
        '{"facts":{"x":[1,null],"big":12345678901234567890},"mood":1,"moods":[0,1],"price":"1.10","weight":0.1,'
        '"seen":"2024-07-01T12:00:00.000000000Z","count":9223372036854775807}\n'
    )
    assert result.stderr.splitlines()[1:] == [
        "mood has class numbers: 0 is sad, 1 is glad; Parquet has the names",
        "moods has class numbers: 0 is low, 1 is high; Parquet has the names",
    ]


def test_cells_of_csv_are_what_they_were(tmp_path: Path, featured: Path) -> None:
    synth("export", featured, tmp_path / "out.csv", "--columns", "facts,mood,price,weight,seen,count")
    assert (tmp_path / "out.csv").read_text() == (
        '"facts","mood","price","weight","seen","count"\n'
        '"{""x"":[1,null],""big"":12345678901234567890}",1,"1.10",0.1,"2024-07-01T12:00:00.000000000Z",9223372036854775807\n'
    )


@pytest.mark.parametrize(("number", "named"), [(float("nan"), "NaN"), (float("-inf"), "infinite")])
def test_numbers_that_json_has_not_are_refused_and_not_made_null(tmp_path: Path, number: float, named: str) -> None:
    rows = [{"score": 0.5, "all": [1.0]}, {"score": number, "all": [number]}]
    datasets.Dataset.from_list(rows).save_to_disk(tmp_path / "d")
    for column in ("score", "all"):
        with pytest.raises(InputError, match=rf"{column} is {named} in row 2 of .*: write Parquet"):
            synth("export", tmp_path / "d", tmp_path / "out.jsonl", "--columns", column)
    synth("export", tmp_path / "d", tmp_path / "out.csv", "--columns", "score")
    assert float((tmp_path / "out.csv").read_text().splitlines()[2]) == number or number != number
    synth("export", tmp_path / "d", tmp_path / "out.parquet")
    assert str(parquet.read_table(tmp_path / "out.parquet").to_pylist()) == str(rows)


def test_a_null_of_the_only_column_is_no_row_of_csv(tmp_path: Path) -> None:
    datasets.Dataset.from_list([{"text": "a"}, {"text": None}, {"text": ""}]).save_to_disk(tmp_path / "d")
    with pytest.raises(
        InputError, match=r"text is null in row 2 of .*d, which a CSV file of one column cannot represent"
    ):
        synth("export", tmp_path / "d", tmp_path / "out.csv")
    synth("export", tmp_path / "d", tmp_path / "out.jsonl")
    assert (tmp_path / "out.jsonl").read_text() == '{"text":"a"}\n{"text":null}\n{"text":""}\n'


def test_columns_are_chosen_and_ordered(tmp_path: Path) -> None:
    rows = [{"id": "a", "query": "One?", "score": 0.5}, {"id": "b", "query": "Two?", "score": None}]
    datasets.Dataset.from_list(rows).save_to_disk(tmp_path / "d")
    result = synth("export", tmp_path / "d", "-", "--columns", "score,id")
    assert result.stdout == '{"score":0.5,"id":"a"}\n{"score":null,"id":"b"}\n'
    with pytest.raises(InputError, match=r"--columns nope: .*d has no such column, only id, query"):
        synth("export", tmp_path / "d", "-", "--columns", "id,nope")


def test_columns_named_alike_are_refused(tmp_path: Path) -> None:
    schema = pa.schema([("a", pa.string()), ("a", pa.string())])
    datasets.Dataset.from_list([{"a": "x"}]).save_to_disk(tmp_path / "d")
    with pa.ipc.new_stream(str(next((tmp_path / "d").glob("*.arrow"))), schema) as stream:
        stream.write_table(pa.Table.from_arrays([pa.array(["x"]), pa.array(["y"])], schema=schema))
    for name in ("out.jsonl", "out.csv", "out.parquet"):
        with pytest.raises(InputError, match="has several columns named a, which no file can tell apart"):
            synth("export", tmp_path / "d", tmp_path / name)


TASKS = [
    {"instruction": "Put into Welsh.", "input": "Good night", "output": "Nos da"},
    {"instruction": "Name a bird.", "input": " ", "output": "Wren"},
]


@pytest.mark.parametrize(
    ("shape", "column", "content"), [("messages", "messages", "content"), ("sharegpt", "conversations", "value")]
)
def test_the_input_of_an_instruction_is_part_of_what_the_user_says(
    tmp_path: Path, shape: str, column: str, content: str
) -> None:
    datasets.Dataset.from_list(TASKS).save_to_disk(tmp_path / "d")
    for options in ((), ("--prompt-column", "instruction")):
        result = synth("export", tmp_path / "d", "-", "--as", shape, *options)
        rows = [json.loads(line)[column] for line in result.stdout.splitlines()]
        assert [[turn[content] for turn in turns] for turns in rows] == [
            ["Put into Welsh.\n\nGood night", "Nos da"],
            ["Name a bird.", "Wren"],
        ]


def test_an_input_that_is_left_out_by_name_is_left_out(tmp_path: Path) -> None:
    datasets.Dataset.from_list(TASKS).save_to_disk(tmp_path / "d")
    result = synth("export", tmp_path / "d", "-", "--as", "messages", "--columns", "instruction,output")
    assert json.loads(result.stdout.splitlines()[0])["messages"][0]["content"] == "Put into Welsh."


def test_system_and_history_are_turns_before_the_prompt(tmp_path: Path) -> None:
    row = {"system": "Be brief.", "history": [["Hi", "Hello"]], **TASKS[0]}
    datasets.Dataset.from_list([row, {**row, "system": None, "history": None}]).save_to_disk(tmp_path / "d")
    first, second = synth("export", tmp_path / "d", "-", "--as", "sharegpt").stdout.splitlines()
    assert [(turn["from"], turn["value"]) for turn in json.loads(first)["conversations"]] == [
        ("system", "Be brief."),
        ("human", "Hi"),
        ("gpt", "Hello"),
        ("human", "Put into Welsh.\n\nGood night"),
        ("gpt", "Nos da"),
    ]
    assert [turn["from"] for turn in json.loads(second)["conversations"]] == ["human", "gpt"]
    synth("export", tmp_path / "d", tmp_path / "out.jsonl", "--as", "llama-factory")
    assert json.loads((tmp_path / "out.jsonl").read_text().splitlines()[0]) == row
    listed = json.loads((tmp_path / "dataset_info.json").read_text())["out"]["columns"]
    assert (listed["system"], listed["history"]) == ("system", "history")


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"history": "earlier"}, "history in .* belongs to the prompt and is string, where a list of pairs of texts"),
        ({"history": [["a", "b"], ["c"]]}, "history is not a list of pairs of texts in row 1 of "),
        ({"input": {"a": 1}}, "input in .* belongs to the prompt and is struct.*, where text is needed: leave it out"),
        ({"system": b"x"}, "system is bytes in row 1 of .*: it cannot be the text of a prompt or response"),
    ],
)
def test_what_belongs_to_a_prompt_and_cannot_be_written_is_refused(
    tmp_path: Path, columns: dict[str, Any], said: str
) -> None:
    datasets.Dataset.from_list([{**TASKS[0], **columns}]).save_to_disk(tmp_path / "d")
    with pytest.raises(InputError, match=said):
        synth("export", tmp_path / "d", "-", "--as", "messages")


def test_each_instance_of_self_instruct_is_a_row(tmp_path: Path) -> None:
    instances = [{"input": "3, 1, 2", "output": "1, 2, 3"}, {"input": "", "output": "Nothing to sort."}]
    datasets.Dataset.from_list([{"id": "t", "instruction": "Sort.", "instances": instances}]).save_to_disk(
        tmp_path / "d"
    )
    rows = [json.loads(line) for line in synth("export", tmp_path / "d", "-", "--as", "alpaca").stdout.splitlines()]
    assert rows == [{"instruction": "Sort.", **instance} for instance in instances]


def test_a_class_or_a_number_is_a_response_by_its_name_or_its_digits(featured: Path) -> None:
    for column, text in (
        ("mood", "glad"),
        ("price", "1.10"),
        ("weight", "0.1"),
        ("facts", '{"x":[1,null],"big":12345678901234567890}'),
    ):
        options = ("--prompt-column", "id", "--response-column", column)
        row = json.loads(synth("export", featured, "-", "--as", "alpaca", *options).stdout)
        assert row == {"instruction": "a", "input": "", "output": text}


def test_chats_begin_with_the_system_prompt_that_stands_beside_them(tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "Eins?"}, {"role": "assistant", "content": "1"}]
    datasets.Dataset.from_list([{"messages": turns, "system": "Count.", "tools": "[]"}]).save_to_disk(tmp_path / "d")
    assert json.loads(synth("export", tmp_path / "d", "-", "--as", "messages").stdout) == {
        "messages": [{"role": "system", "content": "Count."}, *turns],
        "tools": "[]",
    }


def test_chats_with_two_system_prompts_are_refused(tmp_path: Path) -> None:
    turns = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Eins?"}]
    datasets.Dataset.from_list([{"messages": turns, "system": said} for said in ("Be kind.", None)]).save_to_disk(
        tmp_path / "same"
    )
    lines = synth("export", tmp_path / "same", "-", "--as", "messages").stdout.splitlines()
    assert [json.loads(line) for line in lines] == [{"messages": turns}] * 2
    datasets.Dataset.from_list([{"messages": turns, "system": "Be brief."}]).save_to_disk(tmp_path / "other")
    with pytest.raises(InputError, match=r"messages begins with a system prompt other than system in row 1 of .*other"):
        synth("export", tmp_path / "other", "-", "--as", "messages")


def test_a_conversation_stays_one(tmp_path: Path) -> None:
    said = [{"from": "human", "value": "Eins?"}, {"from": "gpt", "value": "1"}]
    datasets.Dataset.from_list([{"conversations": said, "source": "x"}]).save_to_disk(tmp_path / "d")
    assert json.loads(synth("export", tmp_path / "d", "-", "--as", "sharegpt").stdout) == {"conversations": said}


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=15)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "text": st.one_of(TEXT, st.sampled_from(["", '"', "a\r\nb", "\u2028", "null", "007", "\0", " x "])),
                "count": st.integers(-(2**63), 2**63 - 1),
                "score": st.floats(allow_nan=False, allow_infinity=False),
                "flag": st.booleans(),
                "tags": st.lists(TEXT, min_size=1, max_size=3),
                "meta": st.fixed_dictionaries({"a": st.one_of(st.none(), TEXT), "b": st.integers(0, 9)}),
            }
        ),
        min_size=1,
        max_size=5,
    )
)
def test_random_rows_come_back_through_import(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    rows = [{"id": f"r{number}", **row} for number, row in enumerate(rows)]
    shutil.rmtree(tmp_path / "d", ignore_errors=True)
    datasets.Dataset.from_list(rows).save_to_disk(tmp_path / "d")
    for name in ("out.jsonl", "out.parquet", "out.csv"):
        synth("export", tmp_path / "d", tmp_path / name, "--force")
        synth("import", tmp_path / name, tmp_path / "again", "--fresh")
        found = rows_of(tmp_path / "again")
        if name == "out.csv":
            for row in found:
                row.update({column: json.loads(row[column]) for column in rows[0] if column not in ("id", "text")})
        assert found == rows


def test_only_rows_that_meet_a_condition_are_exported(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [{"n": number, "text": "x" * number} for number in range(5)])
    synth("import", source, tmp_path / "rows")
    synth("export", tmp_path / "rows", tmp_path / "some.jsonl", "--where", "length(text) BETWEEN 2 AND 3")
    assert [json.loads(line)["n"] for line in (tmp_path / "some.jsonl").read_text().splitlines()] == [2, 3]
    with pytest.raises(UsageError, match="--where m = 1: Referenced column"):
        synth("export", tmp_path / "rows", tmp_path / "none.jsonl", "--where", "m = 1")


def test_a_value_that_cannot_be_written_is_named_by_its_place_among_the_matches(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [{"n": number} for number in (1, 2, None)])
    synth("import", source, tmp_path / "rows")
    with pytest.raises(InputError, match=r"n is null in row 2 of the rows of .*/rows that match,"):
        synth("export", tmp_path / "rows", tmp_path / "n.csv", "--where", "n IS NULL OR n = 2", "--columns", "n")
