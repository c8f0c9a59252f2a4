"""Commands that read object stores as they read the disk: the same rows, and URLs wherever an input is named."""

import json
import os
from collections.abc import Sequence
from pathlib import Path

import datasets
import pytest

from synth.pipelines.runtime import output
from synth.pipelines.tables import import_
from synth.schemas.reading.inputs import locate
from synth.schemas.writing import data_files
from tests.command import invoke, run_synth, synth
from tests.object_store import Bucket
from tests.rows import rejected_of, rows_of, write_rows

ROWS = [
    {"id": f"q-{number}", "question": f"What is {number} + {number}?", "answer": f"#### {2 * number}"}
    for number in range(60)
]


@pytest.fixture
def local(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with `questions`, a dataset directory of six shards."""
    (folder := tmp_path / "local").mkdir()
    monkeypatch.chdir(folder)
    datasets.Dataset.from_list(ROWS).save_to_disk(folder / "questions", num_shards=6)
    return folder


@pytest.fixture
def questions(bucket: Bucket, local: Path) -> str:
    return bucket.upload(local / "questions", "data/questions")


def fetched() -> list[str]:
    """The names of the objects in the cache, without what describes a dataset."""
    files = Path(os.environ["XDG_CACHE_HOME"]).rglob("*")
    return sorted(file.name for file in files if file.is_file() and file.suffix != ".json")


def recorded_inputs(out: Path) -> Sequence[str]:
    inputs: Sequence[str] = json.loads((out / "synth.json").read_text())["inputs"]
    return inputs


def test_a_stage_reads_a_dataset_and_records_its_url(questions: str, local: Path) -> None:
    synth("reject", "sample", questions, "from-store", "--engine", "echo", "-n", 2)
    synth("reject", "sample", "questions", "from-disk", "--engine", "echo", "-n", 2)
    assert rows_of("from-store") == rows_of("from-disk")
    assert recorded_inputs(Path("from-store")) == [questions]
    assert os.environ["XDG_CACHE_HOME"] not in (local / "from-store" / "synth.json").read_text()
    assert os.environ["AWS_SECRET_ACCESS_KEY"] not in (local / "from-store" / "synth.json").read_text()


def test_a_run_over_an_unchanged_input_is_complete_wherever_the_cache_is(
    bucket: Bucket, questions: str, local: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ("reject", "sample", questions, "out", "--engine", "echo")
    run_synth(*command)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another"))
    assert "complete" in run_synth(*command).stderr
    assert invoke("why", "out").exit_code == 0
    datasets.Dataset.from_list(ROWS[1:]).save_to_disk("changed", num_shards=6)
    bucket.upload(local / "changed", "data/questions")
    assert invoke("why", "out").exit_code == 4


@pytest.mark.parametrize("name", ["q.jsonl", "q.csv", "q.parquet"])
def test_a_file_is_read_in_any_format(bucket: Bucket, local: Path, name: str) -> None:
    synth("export", "questions", name)
    url = bucket.upload(local / name, f"data/{name}")
    synth("import", url, "imported")
    assert rows_of("imported") == ROWS


def test_a_prefix_with_files_of_one_format_is_read_in_order(bucket: Bucket, local: Path) -> None:
    for number in range(3):
        write_rows(local / "many" / f"part-{number}.jsonl", ({"question": f"{number}-{row}"} for row in range(4)))
    url = bucket.upload(local / "many", "data/many")
    synth("import", url, "imported", "--file-column", "file")
    rows = rows_of("imported")
    assert [row["question"] for row in rows] == [f"{number}-{row}" for number in range(3) for row in range(4)]
    assert [row["id"] for row in rows] == [f"many-{number}" for number in range(12)]
    assert {row["file"] for row in rows} == {"part-0", "part-1", "part-2"}
    write_rows(local / "many" / "more.csv", [])
    bucket.upload(local / "many", "data/many")
    assert str(invoke("import", url, "other").exception).startswith(f"{url} has files of several formats")


def test_texts_below_a_prefix_are_a_row_each(bucket: Bucket, local: Path) -> None:
    for name in ("one.txt", "deep/two.txt"):
        (local / "texts" / name).parent.mkdir(parents=True, exist_ok=True)
        (local / "texts" / name).write_text(f"I am {name}.")
    synth("import", bucket.upload(local / "texts", "texts"), "imported")
    assert {row["id"]: row["content"] for row in rows_of("imported")} == {
        "deep/two.txt": "I am deep/two.txt.",
        "one.txt": "I am one.txt.",
    }
    synth("import", f"{bucket.url}/texts/one.txt", "single")
    assert [row["content"] for row in rows_of("single")] == ["I am one.txt."]


def test_show_fetches_only_the_shards_of_the_rows_that_it_shows(questions: str) -> None:
    shown = synth("show", questions, "-n", 3, "--json")
    assert [json.loads(line) for line in shown.stdout.splitlines()] == ROWS[:3]
    assert questions in shown.stderr
    assert fetched() == ["data-00000-of-00006.arrow"]
    assert len(synth("show", questions, "-n", 11, "--json").stdout.splitlines()) == 11
    assert fetched() == [f"data-0000{shard}-of-00006.arrow" for shard in range(3)]


def test_a_trial_of_the_first_rows_fetches_only_their_shards(
    bucket: Bucket, local: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (import_, output, data_files):
        monkeypatch.setattr(module, "ROWS_PER_SHARD", 10)
    synth("import", "questions", "imported")
    url = bucket.upload(local / "imported", "imported")
    (local / "ask.md").write_text("{{ question }}")
    trial = ("--limit", 10, "--engine", "echo")
    synth("reject", "sample", url, "samples", *trial)
    synth("map", url, "mapped", "--prompt", "ask.md", *trial)
    assert fetched() == ["data-00000-of-00006.arrow"]
    synth("map", url, "more", "--prompt", "ask.md", *trial, "--limit", 11)
    assert fetched() == ["data-00000-of-00006.arrow", "data-00001-of-00006.arrow"]


def test_rejected_rows_are_shown_under_their_url(bucket: Bucket, local: Path) -> None:
    write_rows(local / "q.jsonl", [{"question": "Fine?", "answer": "#### 1"}, {"question": None, "answer": "#### 1"}])
    synth("reject", "sample", "q.jsonl", "out", "--engine", "echo", "--bad-rows", "reject")
    url = bucket.upload(local / "out", "out")
    shown = synth("show", url, "--rejected")
    assert f"{url}/rejected  1 row  null_value 1" in shown.stderr
    assert "null_value" in shown.stdout


def test_what_looks_at_data_sees_the_same_as_on_disk(questions: str, local: Path) -> None:
    on_disk = json.loads(synth("stats", "questions", "--json").stdout)
    in_store = json.loads(synth("stats", questions, "--json").stdout)
    assert in_store[0]["input"] == questions
    assert {**in_store[0], "input": ""} == {**on_disk[0], "input": ""}
    synth("export", "questions", "disk.jsonl", "--as", "rows")
    synth("export", questions, "store.jsonl", "--where", "id is not null")
    assert (local / "store.jsonl").read_bytes() == (local / "disk.jsonl").read_bytes()
    compared = invoke("diff", questions, "questions", "--json")
    assert compared.exit_code == 0
    assert json.loads(compared.stdout)["a"] == questions
    (found,) = json.loads(synth("trace", "q-7", questions, "--json").stdout)["rows"]
    assert (found["directory"], found["row"]) == (questions, ROWS[7])
    synth("report", questions, "-o", "page.html")
    assert os.environ["XDG_CACHE_HOME"] not in (local / "page.html").read_text()


def test_the_inputs_of_a_run_that_was_moved_to_a_store_are_beside_it(bucket: Bucket, local: Path) -> None:
    synth("reject", "sample", "questions", "samples", "--engine", "echo", "--keep-answers")
    url = bucket.upload(local / "samples", "data/samples")
    dataset = locate(url).dataset
    assert dataset
    assert (dataset.run or {})["inputs"] == [f"{bucket.url}/data/questions"]
    (sample,) = json.loads(synth("trace", rows_of("samples")[7]["id"], url, "--json").stdout)["rows"]
    assert sample["answers"]


def test_faults_of_rows_are_located_by_url(bucket: Bucket, local: Path) -> None:
    (local / "bad.jsonl").write_text('{"question": "a", "answer": "#### 1"}\n{"question": \n')
    url = bucket.upload(local / "bad.jsonl", "bad.jsonl")
    assert str(invoke("reject", "sample", url, "out", "--engine", "echo").exception).startswith(f"{url}:2 ")
    synth("reject", "sample", url, "lenient", "--engine", "echo", "--bad-rows", "reject")
    assert [row["detail"].partition(" ")[0] for row in rejected_of("lenient")] == [f"{url}:2"]
    (local / "twice.jsonl").write_text('{"id": "a", "question": "a", "answer": "#### 1"}\n' * 2)
    url = bucket.upload(local / "twice.jsonl", "twice.jsonl")
    message = str(invoke("reject", "sample", url, "twice", "--engine", "echo").exception)
    assert url in message
    assert os.environ["XDG_CACHE_HOME"] not in message


def test_a_damaged_shard_is_named_by_its_url(bucket: Bucket, local: Path) -> None:
    synth("import", "questions", "imported")
    (shard,) = (local / "imported").glob("*.arrow")
    shard.write_bytes(shard.read_bytes().replace(b"What is 7 + 7?", b"What is 7 + 8?"))
    url = bucket.upload(local / "imported", "imported")
    message = str(invoke("reject", "sample", url, "out", "--engine", "echo").exception)
    assert message.startswith(f"{url}/{shard.name} is damaged: its checksum is not the one in {url}/synth.json; ")


def test_what_is_no_dataset_is_said_to_be_none(bucket: Bucket, local: Path) -> None:
    url = bucket.upload(write_rows(local / "q.jsonl", ROWS), "plain/q.jsonl")
    folder = f"{bucket.url}/plain"
    assert str(invoke("export", folder, "out.jsonl").exception).startswith(f"{folder} is not a dataset directory: ")
    assert str(invoke("diff", url, url).exception).startswith(f"{url} is not a dataset directory: ")
    datasets.DatasetDict({"train": datasets.Dataset.from_list(ROWS)}).save_to_disk("splits")
    splits = bucket.upload(local / "splits", "splits")
    assert str(invoke("show", splits).exception) == (
        f"{splits} has the splits train: name one of them, such as {splits}/train"
    )
    assert len(synth("show", f"{splits}/train", "--json").stdout.splitlines()) == 3


def test_an_output_in_a_store_is_refused_before_anything_is_written(local: Path) -> None:
    for command in (("import", "questions", "s3://any/out"), ("export", "questions", "s3://any/out.jsonl")):
        refused = invoke(*command)
        assert refused.exit_code == 1
        assert "is in an object store, where only steps that process row by row can write" in str(refused.exception)
    assert [entry.name for entry in local.iterdir()] == ["questions"]
