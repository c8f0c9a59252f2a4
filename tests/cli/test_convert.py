"""`synth import` and `synth export`: into a dataset directory and out of it."""

import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import datasets
import orjson
import pytest
import zstandard
from pyarrow import parquet

from synth.schemas.dataset import Dataset
from synth.schemas.errors import InputError, Stale, UsageError
from synth.schemas.records import QUERY
from synth.schemas.shards import ShardWriter
from synth.schemas.writing.publication import OutputClaim
from tests.command import SYNTH, invoke, synth
from tests.rows import rows_of, write_rows

ROWS: list[dict[str, Any]] = [
    {"id": "a", "query": "One?", "response": "1", "score": 0.5, "tags": ["x", 'y"z'], "meta": {"n": 1, "s": None}},
    {"id": "b", "query": 'Zwei,\n"drei"?', "response": "2", "score": None, "tags": [], "meta": None},
]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    write_rows(tmp_path / "rows.jsonl", ROWS)
    synth("import", tmp_path / "rows.jsonl", tmp_path / "rows")
    return tmp_path / "rows"


def test_an_import_is_a_directory_that_datasets_opens(directory: Path) -> None:
    assert datasets.load_from_disk(directory).to_list() == ROWS
    run = Dataset.open(directory).run or {}
    assert run["identity"]["stage"] == "import"
    assert run["input_rows"] == run["counts"]["produced"] == run["counts"]["outputs"] == 2
    assert not directory.with_name("rows.partial").exists()


def test_an_import_makes_ids_renames_columns_and_stops_at_the_limit(tmp_path: Path) -> None:
    (tmp_path / "seeds.csv").write_text("problem,level\nOne?,1\nTwo?,2\nThree?,3\n")
    result = synth("import", tmp_path / "seeds.csv", tmp_path / "out", "--column", "question=problem", "--limit", "2")
    assert rows_of(tmp_path / "out") == [
        {"id": "seeds-0", "question": "One?", "level": "1"},
        {"id": "seeds-1", "question": "Two?", "level": "2"},
    ]
    assert result.stderr.splitlines()[-1] == "  columns: id, question, level"


def test_a_directory_of_datasets_is_imported_with_its_types(tmp_path: Path) -> None:
    rows = [{"n": 1, "tags": ["x"]}, {"n": 2, "tags": []}]
    datasets.Dataset.from_list(rows).save_to_disk(tmp_path / "saved")
    synth("import", tmp_path / "saved", tmp_path / "out")
    assert list(Dataset.open(tmp_path / "out").rows(["n", "tags"])) == rows


def test_an_import_that_is_complete_is_left_alone_and_another_one_refused(tmp_path: Path, directory: Path) -> None:
    assert "is complete already" in synth("import", tmp_path / "rows.jsonl", directory).stderr
    with pytest.raises(Stale, match="limit was null and is now 1"):
        synth("import", tmp_path / "rows.jsonl", directory, "--limit", "1")
    synth("import", tmp_path / "rows.jsonl", directory, "--limit", "1", "--fresh")
    assert len(rows_of(directory)) == 1


def test_a_refused_import_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"id": "a"}\n{"id": "a"}\n')
    with pytest.raises(InputError, match=r"id 'a' stands in .*rows.jsonl:1 and again in .*rows.jsonl:2"):
        synth("import", tmp_path / "rows.jsonl", tmp_path / "out")
    assert [entry.name for entry in tmp_path.iterdir()] == ["rows.jsonl"]


@pytest.mark.parametrize("name", ["out.jsonl", "out.jsonl.gz", "out.jsonl.zst", "out.parquet"])
def test_an_exported_file_imports_as_the_same_rows(tmp_path: Path, directory: Path, name: str) -> None:
    assert synth("export", directory, tmp_path / name).stderr == f"{tmp_path / name}: 2 rows\n"
    synth("import", tmp_path / name, tmp_path / "again")
    assert rows_of(tmp_path / "again") == ROWS


def test_the_same_rows_give_the_same_compressed_bytes(tmp_path: Path, directory: Path) -> None:
    for name in ("one", "two"):
        synth("export", directory, tmp_path / f"{name}.jsonl.gz")
    assert (tmp_path / "one.jsonl.gz").read_bytes() == (tmp_path / "two.jsonl.gz").read_bytes()
    assert gzip.decompress((tmp_path / "one.jsonl.gz").read_bytes()).count(b"\n") == 2


def test_lists_and_objects_are_json_in_csv_cells(tmp_path: Path, directory: Path) -> None:
    synth("export", directory, tmp_path / "out.csv")
    synth("import", tmp_path / "out.csv", tmp_path / "again")
    first, second = rows_of(tmp_path / "again")
    assert (json.loads(first["tags"]), json.loads(first["meta"])) == (["x", 'y"z'], {"n": 1, "s": None})
    assert (second["query"], second["score"], second["meta"]) == (ROWS[1]["query"], "", "")


@pytest.mark.parametrize(
    ("shape", "first"),
    [
        ("messages", {"messages": [{"role": "user", "content": "One?"}, {"role": "assistant", "content": "1"}]}),
        ("sharegpt", {"conversations": [{"from": "human", "value": "One?"}, {"from": "gpt", "value": "1"}]}),
        ("alpaca", {"instruction": "One?", "input": "", "output": "1"}),
    ],
)
def test_prompts_and_responses_are_written_as_trainers_read_them(
    tmp_path: Path, directory: Path, shape: str, first: dict[str, Any]
) -> None:
    synth("export", directory, tmp_path / "out.jsonl", "--as", shape)
    assert json.loads((tmp_path / "out.jsonl").read_text().splitlines()[0]) == first
    synth("export", directory, tmp_path / "out.parquet", "--as", shape)
    assert parquet.read_table(tmp_path / "out.parquet").to_pylist()[0] == first


def test_the_columns_of_prompt_and_response_can_be_named(tmp_path: Path, directory: Path) -> None:
    options = ("--as", "alpaca", "--prompt-column", "id", "--response-column", "score")
    with pytest.raises(InputError, match=r"score is null in row 2 of .*rows"):
        synth("export", directory, tmp_path / "out.jsonl", *options)
    assert not list(tmp_path.glob("*out.jsonl*"))
    synth("export", directory, tmp_path / "out.jsonl", *options[:-1], "query")
    assert json.loads((tmp_path / "out.jsonl").read_text().splitlines()[0])["output"] == "One?"


def test_an_alpaca_input_column_is_kept(tmp_path: Path) -> None:
    datasets.Dataset.from_list([{"instruction": "Add.", "input": "1 2", "output": "3"}]).save_to_disk(tmp_path / "d")
    result = synth("export", tmp_path / "d", "-", "--as", "alpaca")
    assert json.loads(result.stdout) == {"instruction": "Add.", "input": "1 2", "output": "3"}


def test_columns_that_cannot_be_prompt_and_response_are_refused(tmp_path: Path, directory: Path) -> None:
    datasets.Dataset.from_list([{"text": "x", "answer": "y"}]).save_to_disk(tmp_path / "d")
    with pytest.raises(
        InputError, match=r"has none of the columns query, .*, only text, answer: name one with --prompt"
    ):
        synth("export", tmp_path / "d", "-", "--as", "messages")
    with pytest.raises(InputError, match="has no column nope, only text, answer: name one with --response-column"):
        synth("export", tmp_path / "d", "-", "--as", "messages", "--prompt-column", "text", "--response-column", "nope")
    with pytest.raises(InputError, match=r"tags in .* is list<.*>, where text is needed: name another with --prompt"):
        synth("export", directory, "-", "--as", "messages", "--prompt-column", "tags")


def test_standard_output_gets_jsonl_and_nothing_else(directory: Path) -> None:
    result = synth("export", directory, "-")
    assert [json.loads(line) for line in result.stdout.splitlines()] == ROWS
    assert result.stderr == ""


def test_a_file_is_replaced_only_when_asked_and_only_by_a_whole_one(tmp_path: Path, directory: Path) -> None:
    out = tmp_path / "out.jsonl"
    out.write_text("precious")
    with pytest.raises(UsageError, match=r"out.jsonl exists: use --force to replace it"):
        synth("export", directory, out)
    with pytest.raises(InputError, match="score is null"):
        synth("export", directory, out, "--force", "--as", "alpaca", "--response-column", "score")
    assert out.read_text() == "precious"
    synth("export", directory, out, "--force")
    assert out.read_text().count("\n") == 2
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["out.jsonl", "rows", "rows.jsonl"]


def test_files_that_cannot_be_written_are_refused(tmp_path: Path, directory: Path) -> None:
    with pytest.raises(
        UsageError, match=r"out.txt has none of the extensions .jsonl, .ndjson, .parquet, .csv: use --format"
    ):
        synth("export", directory, tmp_path / "out.txt")
    synth("export", directory, tmp_path / "out.txt", "--format", "csv")
    with pytest.raises(UsageError, match=f"there is no directory {tmp_path}/none"):
        synth("export", directory, tmp_path / "none" / "out.csv")
    with pytest.raises(UsageError, match="it is a directory"):
        synth("export", directory, directory, "--format", "csv", "--force")
    with pytest.raises(InputError, match="is not a dataset directory"):
        synth("export", tmp_path, tmp_path / "out.csv")


def test_an_empty_dataset_is_exported_as_an_empty_file(tmp_path: Path) -> None:
    claim = OutputClaim.open(tmp_path / "empty", {"stage": "test"})
    assert claim
    writer = ShardWriter(claim.layout.shards / "0.arrow", QUERY.schema)
    claim.publish([writer.close()], [], {})
    claim.close()
    for name in ("out.jsonl", "out.parquet", "out.csv"):
        assert ": 0 rows" in synth("export", tmp_path / "empty", tmp_path / name).stderr
    assert parquet.read_table(tmp_path / "out.parquet").column_names == ["id", "query"]


def test_a_reader_that_goes_away_leaves_no_traceback(tmp_path: Path) -> None:
    rows = [{"text": "word " * 50}] * 20_000
    (tmp_path / "rows.jsonl.zst").write_bytes(zstandard.compress(b"".join(orjson.dumps(row) + b"\n" for row in rows)))
    synth("import", tmp_path / "rows.jsonl.zst", tmp_path / "rows")
    command = f"{sys.executable} -c 'from synth.cli.main import main; main()' export {tmp_path}/rows - | head -n 1"
    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert json.loads(result.stdout) == {"id": "rows-0", **rows[0]}
    assert result.stderr == ""


CHATS = [{"id": "a", "messages": [{"role": "user", "content": "Eins?"}, {"role": "assistant", "content": "1"}]}]


@pytest.fixture
def chats(tmp_path: Path) -> Path:
    write_rows(tmp_path / "chats.jsonl", CHATS)
    synth("import", tmp_path / "chats.jsonl", tmp_path / "chats")
    return tmp_path / "chats"


def test_chats_stay_what_they_are(tmp_path: Path, chats: Path) -> None:
    synth("export", chats, tmp_path / "out.jsonl", "--as", "messages")
    assert [orjson.loads(line) for line in (tmp_path / "out.jsonl").read_bytes().splitlines()] == [
        {"messages": CHATS[0]["messages"]}
    ]


def test_llama_factory_gets_chats_with_the_list_that_it_finds_them_by(tmp_path: Path, chats: Path) -> None:
    result = synth("export", chats, tmp_path / "extender.jsonl", "--as", "llama-factory")
    assert [orjson.loads(line) for line in (tmp_path / "extender.jsonl").read_bytes().splitlines()] == [
        {"messages": CHATS[0]["messages"]}
    ]
    assert result.stderr.endswith("dataset_info.json lists it as extender\n")
    assert orjson.loads((tmp_path / "dataset_info.json").read_bytes()) == {
        "extender": {
            "file_name": "extender.jsonl",
            "formatting": "sharegpt",
            "columns": {"messages": "messages"},
            "tags": {
                "role_tag": "role",
                "content_tag": "content",
                "user_tag": "user",
                "assistant_tag": "assistant",
                "system_tag": "system",
            },
        }
    }


def test_llama_factory_gets_other_rows_as_alpaca_and_what_is_listed_stays(tmp_path: Path, directory: Path) -> None:
    listed = {"mine": {"hf_hub_url": "somebody/mine"}, "rows": {"file_name": "old.json"}}
    (tmp_path / "dataset_info.json").write_bytes(orjson.dumps(listed))
    synth("export", directory, tmp_path / "rows.parquet", "--as", "llama-factory")
    rows = parquet.read_table(tmp_path / "rows.parquet").to_pylist()
    assert rows[0] == {"instruction": "One?", "input": "", "output": "1"}
    assert orjson.loads((tmp_path / "dataset_info.json").read_bytes()) == {
        "mine": listed["mine"],
        "rows": {
            "file_name": "rows.parquet",
            "columns": {"prompt": "instruction", "query": "input", "response": "output"},
        },
    }


@pytest.mark.parametrize("name", ["-", "rows.csv", "rows.jsonl.gz", "rows.txt"])
def test_llama_factory_must_know_a_file_by_its_name(tmp_path: Path, directory: Path, name: str) -> None:
    with pytest.raises(UsageError, match=r"only files that end in .jsonl or .parquet"):
        synth("export", directory, name if name == "-" else tmp_path / name, "--as", "llama-factory")


def test_the_description_of_a_dataset_directory_is_not_taken_for_a_list(directory: Path) -> None:
    before = (directory / "dataset_info.json").read_bytes()
    with pytest.raises(UsageError, match="is not a list of datasets for LLaMA-Factory: write to another directory"):
        synth("export", directory, directory / "rows.jsonl", "--as", "llama-factory")
    assert (directory / "dataset_info.json").read_bytes() == before
    assert not (directory / "rows.jsonl").exists()


@pytest.mark.parametrize("names", [("", "rows.jsonl"), ("rows", "")])
def test_an_empty_name_is_no_file_and_no_dataset(names: tuple[str, str]) -> None:
    done = invoke("export", *names)
    assert isinstance(done.exception, UsageError)
    assert "is a shell variable not set?" in str(done.exception)


def test_an_export_into_head_ends_as_a_closed_pipe_does(tmp_path: Path) -> None:
    datasets.Dataset.from_dict({"id": list(map(str, range(100_000)))}).save_to_disk(tmp_path / "rows")
    pipe = f"{SYNTH} export {tmp_path / 'rows'} - | head -n 1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", pipe], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ('{"id":"0"}\n141\n', "")
