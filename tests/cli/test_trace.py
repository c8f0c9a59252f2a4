"""`synth trace`: a row's ancestors through the directories that it went through, and what the model was asked."""

import json
import subprocess
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pytest
from pyarrow import parquet

from synth.pipelines.engines.echo import EchoEngine
from synth.pipelines.prompted.map import Map
from synth.pipelines.reject.sample import FOLDER, SamplePaths
from synth.pipelines.runtime.options import Options
from synth.pipelines.runtime.prompts import Prompt
from synth.pipelines.runtime.runner import Run
from tests.command import SYNTH, run_synth
from tests.command import type_synth as synth
from tests.rows import write_rows


def trace(*arguments: object, folder: Path) -> list[dict[str, Any]]:
    done = synth("trace", *arguments, "--json", folder=folder)
    assert done.returncode == 0, done.stderr
    rows: list[dict[str, Any]] = json.loads(done.stdout)["rows"]
    return rows


def found(rows: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(row["id"], row["directory"]) for row in rows]


@pytest.fixture
def chain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """questions.jsonl > samples (with its answers) > accepted, named from the folder in which they lie."""
    monkeypatch.chdir(tmp_path)
    questions = [{"id": f"q-{i}", "question": f"What is {i}+1? ünï", "answer": f"#### {i + 1}"} for i in range(9)]
    questions += [{"id": "q-none", "question": "Which?\x1b[2J", "answer": ""}]
    write_rows(Path("questions.jsonl"), questions)
    stage = SamplePaths(prompt=Prompt.load("chat", FOLDER), n=6, temperature=0.5)
    engine = EchoEngine(reply="2+1=<<2+1=3>>3\n#### 3")
    Run(stage, ["questions.jsonl"], Path("samples"), Options(keep_answers=True), engine=engine).execute()
    assert synth("reject", "select", "samples", "accepted", "--no-gold", folder=tmp_path).returncode == 0
    return tmp_path


def test_ancestors_come_oldest_first_from_directories_that_need_not_be_named(chain: Path) -> None:
    rows = trace("q-2/path-0", "accepted", folder=chain)
    assert found(rows) == [("q-2", "questions.jsonl"), ("q-2/path-0", "samples"), ("q-2/path-0", "accepted")]
    seed, sample, kept = rows
    assert seed["row"]["answer"] == "#### 3"
    assert (sample["stage"], sample["model"]) == ("reject sample", "echo")
    assert (sample["options"]["n"], sample["options"]["prompt"]) == (6, "chat")
    assert sample["finished"]
    assert sample["row"]["sample"] == 0
    assert (kept["stage"], kept["row"]["origin"]) == ("reject select", "sampled")
    assert found(trace("q-2/path-0", "accepted", "samples/", "questions.jsonl", folder=chain)) == [
        ("q-2", "questions.jsonl"),
        ("q-2/path-0", "samples"),
        ("q-2/path-0", "accepted"),
    ]


def test_inputs_are_found_from_anywhere_and_after_all_was_moved(
    chain: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (chain / "below").mkdir()
    named = [("q-2", "../questions.jsonl"), ("q-2/path-0", "../samples"), ("q-2/path-0", "../accepted")]
    assert found(trace("q-2/path-0", "../accepted", folder=chain / "below")) == named
    for name in ("questions.jsonl", "samples", "accepted"):
        (chain / name).rename(elsewhere / name)
    (chain / "link").symlink_to(elsewhere / "accepted")
    ids = [identifier for identifier, _ in named]
    assert [one for one, _ in found(trace("q-2/path-0", "link", folder=chain))] == ids
    assert json.loads(synth("stats", "accepted", "--json", folder=elsewhere).stdout)[0]["inputs"] == ["samples"]


def test_inputs_in_a_record_without_a_folder_are_as_they_were_typed(chain: Path) -> None:
    record = json.loads((chain / "accepted" / "synth.json").read_text())
    assert record.pop("folder") == ".."
    (chain / "accepted" / "synth.json").write_text(json.dumps({**record, "inputs": ["samples"]}))
    assert [name for _, name in found(trace("q-2/path-0", "accepted", folder=chain))][1:] == ["samples", "accepted"]


def test_standard_input_is_not_read_again(tmp_path: Path) -> None:
    rows = "".join(f'{{"id": "q-{i}", "question": "What?", "answer": "#### 1"}}\n' for i in range(3))
    sample = ("reject", "sample", "-", "samples", "--engine", "echo", "-n", 1)
    assert run_synth(*sample, folder=tmp_path, given=rows).returncode == 0
    done = run_synth("trace", "q-2/path-0", "samples", "--json", folder=tmp_path, given=rows)
    assert found(json.loads(done.stdout)["rows"]) == [("q-2/path-0", "samples")]


def test_rejected_rows_are_found_with_their_reasons(chain: Path) -> None:
    rows = trace("q-2/path-3", "accepted", folder=chain)
    assert found(rows)[-1] == ("q-2/path-3", "accepted/rejected")
    assert rows[-1]["rejected"]
    assert (rows[-1]["row"]["reason"], rows[-1]["row"]["detail"]) == ("duplicate", "same calculation as q-2/path-0")
    (_, filtered) = trace("q-none", "samples", folder=chain)
    assert filtered["row"]["reason"] == "no_gold"


def test_prompts_and_answers_come_with_the_rows_that_were_made_of_them(chain: Path) -> None:
    seed, sample, kept = trace("q-2/path-4", "accepted", folder=chain)
    assert seed["answers"] == kept["answers"] == []
    (asked,) = sample["answers"]
    assert asked["row"] == "q-2"
    assert [turn["role"] for turn in asked["prompt"]] == ["system", "user"]
    assert asked["prompt"][1]["content"] == "What is 2+1? ünï"
    assert asked["sampling"]["temperature"] == 0.5
    assert [one["sample"] for one in asked["samples"]] == list(range(6))
    assert asked["samples"][4] == {
        "sample": 4,
        "text": "2+1=<<2+1=3>>3\n#### 3",
        "tokens": 3,
        "finish_reason": "stop",
        "reasoning": None,
        "stop": None,
    }


def test_retries_continue_the_count_of_samples(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [{"id": "r", "topic": "bees"}])
    stage = Map(Prompt("{{ topic }}", "mine.md"), n=2, tries=3)
    Run(stage, [str(source)], tmp_path / "out", Options(), engine=EchoEngine(reply=" ")).execute()
    asked = trace("r", "out", folder=tmp_path)[-1]["answers"]
    assert [[one["sample"] for one in request["samples"]] for request in asked] == [[0, 1], [2], [3], [4], [5]]


def test_a_reader_sees_panels_of_80_columns_the_turns_and_the_sample_of_the_row(chain: Path) -> None:
    done = synth("trace", "q-2/path-4", "accepted", folder=chain)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0] == "questions.jsonl"
    assert lines[1].startswith("╭─ q-2 ─")
    assert "samples  reject sample  echo  prompt=chat n=6 temperature=0.5" in done.stdout
    for words in (
        "request for q-2:",
        "user What is 2+1? ünï",
        "sample 4: 3 tokens, stop",
        "5 other samples: see --json",
    ):
        assert words in done.stdout
    assert "sample 3: " not in done.stdout


def test_what_could_move_the_cursor_is_shown_as_text(chain: Path) -> None:
    assert r"Which?\x1b[2J" in synth("trace", "q-none", "samples", folder=chain).stdout


def test_an_id_that_is_nowhere_is_refused_naming_near_ones(chain: Path) -> None:
    done = synth("trace", "q-2/path-9", "accepted", folder=chain)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("synth: no row q-2/path-9 in accepted or their inputs; similar ids: q-2/path-0,")
    done = synth("trace", "zzz", "accepted", folder=chain)
    assert done.stderr == "synth: no row zzz in accepted or their inputs\n"


def test_an_input_that_has_gone_is_said_and_the_rest_is_told(chain: Path) -> None:
    (chain / "questions.jsonl").rename(chain / "elsewhere.jsonl")
    done = run_synth("trace", "q-2/path-0", "accepted", "--json", folder=chain)
    assert found(json.loads(done.stdout)["rows"]) == [("q-2/path-0", "samples"), ("q-2/path-0", "accepted")]
    assert done.stderr == "an input of the run is skipped: questions.jsonl does not exist\n"


@pytest.mark.parametrize("form", ["jsonl", "parquet", "dataset"])
def test_rows_without_ids_are_found_by_those_that_a_run_gives_them(tmp_path: Path, form: str) -> None:
    rows = [{"question": f"What is {i}?", "answer": "#### 1"} for i in range(30)]
    source = {"jsonl": "seeds.jsonl", "parquet": "seeds.parquet", "dataset": "seeds"}[form]
    if form == "jsonl":
        write_rows(tmp_path / source, rows)
    elif form == "parquet":
        parquet.write_table(pa.Table.from_pylist(rows), tmp_path / source)
    else:
        datasets.Dataset.from_list(rows).save_to_disk(tmp_path / source)
    synth("reject", "sample", source, "samples", "--engine", "echo", "-n", 1, folder=tmp_path)
    assert found(trace("seeds-17/path-0", "samples", folder=tmp_path)) == [
        ("seeds-17", source),
        ("seeds-17/path-0", "samples"),
    ]
    assert trace("seeds-17", source, folder=tmp_path)[0]["row"]["question"] == "What is 17?"


def test_ids_that_were_read_from_another_column_are_found_there(tmp_path: Path) -> None:
    rows = [{"id": "other", "number": i, "question": f"What is {i}?", "answer": "#### 1"} for i in range(5)]
    write_rows(tmp_path / "seeds.jsonl", rows)
    ids = ("--column", "id=number")
    synth("reject", "sample", "seeds.jsonl", "samples", *ids, "--engine", "echo", "-n", 1, folder=tmp_path)
    seed, _ = trace("3/path-0", "samples", folder=tmp_path)
    assert seed["row"]["question"] == "What is 3?"


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("nowhere", "nowhere does not exist"),
        ("out", "out is not finished"),
        ("out.partial", "out.partial is not finished"),
        ("empty", "empty has no dataset"),
    ],
)
def test_a_place_that_cannot_be_looked_into_is_refused(tmp_path: Path, place: str, words: str) -> None:
    (tmp_path / "out.partial").mkdir()
    (tmp_path / "empty").mkdir()
    done = synth("trace", "a", place, folder=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr


def test_directories_that_datasets_wrote_are_looked_into_whatever_their_ids_are(tmp_path: Path) -> None:
    datasets.Dataset.from_dict({"id": [7, 8], "text": ["a", "b"]}).save_to_disk(tmp_path / "numbers")
    datasets.Dataset.from_dict({"id": [[7], [8]]}).save_to_disk(tmp_path / "lists")
    datasets.Dataset.from_dict({"id": []}).save_to_disk(tmp_path / "numbers" / "rejected")
    (row,) = trace("8", "numbers", "lists", folder=tmp_path)
    assert (row["row"]["text"], row["stage"], row["options"]) == ("b", None, {})
    assert "no row 9 in lists" in synth("trace", "9", "lists", folder=tmp_path).stderr


def test_a_reader_that_goes_away_is_no_error(chain: Path) -> None:
    done = subprocess.run(
        ["bash", "-c", f"{SYNTH} trace q-2/path-0 accepted | head -n 1"],
        cwd=chain,
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("questions.jsonl\n", "")
