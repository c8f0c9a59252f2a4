"""`synth stats`: what a reader and a script see of datasets, of any making."""

import json
import subprocess
from pathlib import Path
from typing import Any

import datasets
import pytest

from tests.command import SYNTH
from tests.command import type_synth as synth
from tests.rows import write_rows

ROOT = Path(__file__).parents[2]


def stats(*arguments: object, folder: Path) -> str:
    done = synth("stats", *arguments, folder=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert max(map(len, done.stdout.splitlines())) <= 80
    return done.stdout


def document(*arguments: object, folder: Path) -> list[dict[str, Any]]:
    return list(json.loads(stats(*arguments, "--json", folder=folder)))


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `samples`, made by `reject sample`, and `accepted`, made of it by `reject select`."""
    folder = tmp_path_factory.mktemp("chain")
    questions = ROOT / "examples" / "questions.jsonl"
    assert synth("reject", "sample", questions, "samples", "--engine", "echo", "-n", 4, folder=folder).returncode == 0
    assert synth("reject", "select", "samples", "accepted", folder=folder).returncode == 0
    return folder


def test_a_run_tells_what_became_of_its_input_and_what_it_cost(chain: Path) -> None:
    text = stats("samples", folder=chain)
    assert "320 in 1 shard" in text
    assert "reject sample" in text
    assert "80 rows: 80 accepted (100.0%), 0 rejected, 0 failed" in text
    assert "3,497 prompt, 14,308 completion, 44.7 a row" in text


def test_rejected_rows_are_counted_by_reason_with_their_share(chain: Path) -> None:
    text = stats("accepted", folder=chain)
    assert "320 rows: 0 accepted, 320 rejected (100.0%), 0 failed" in text
    (line,) = [line for line in text.splitlines() if line.startswith("no_answer")]
    assert line.split() == ["no_answer", "█" * 16, "320", "100.0%"]


def test_every_column_has_its_line_and_its_bars(chain: Path) -> None:
    lines = stats("samples", folder=chain).splitlines()
    (position,) = [number for number, line in enumerate(lines) if line.startswith("response ")]
    assert lines[position].rstrip().endswith("221 to 332 characters")
    assert lines[position + 1].startswith("string, 320 distinct")
    assert lines[position + 1].rstrip().endswith("median 268, 90% 290")
    assert "█" in lines[position + 1]
    (line,) = [line for line in lines if line.startswith("finish_reason")]
    assert line.split() == ["finish_reason", "stop", "█" * 16, "320", "100.0%"]


def test_json_is_one_list_with_an_object_for_each_input(chain: Path) -> None:
    samples, accepted = document("samples", "accepted", folder=chain)
    assert (samples["input"], samples["stage"], samples["rows"], samples["files"]) == (
        "samples",
        "reject sample",
        320,
        1,
    )
    assert samples["bytes"] == sum(file.stat().st_size for file in (chain / "samples").glob("*.arrow"))
    assert accepted["counts"]["reasons"] == {"no_answer": 320}
    columns = {column["name"]: column for column in samples["columns"]}
    assert columns["id"]["distinct"] == 320
    assert columns["response"]["spread"]["maximum"] == 332
    assert sum(columns["response"]["spread"]["bins"]) == 320
    assert columns["finish_reason"]["values"] == {"stop": 320}


def test_a_directory_of_datasets_and_a_file_need_no_run_record(tmp_path: Path) -> None:
    datasets.Dataset.from_list([{"text": "häßlich"}, {"text": None}]).save_to_disk(tmp_path / "saved")
    text = stats("saved", folder=tmp_path)
    assert "2 in 1 shard" in text
    assert "7 characters" in text
    assert "1 null (50.0%)" in text
    assert "made by" not in text
    (tmp_path / "rows.jsonl").write_text('{"n": 1}\n{"n": 3}\n{"n": 1000000}\n')
    assert "1 to 1,000,000" in stats("rows.jsonl", folder=tmp_path)
    datasets.Dataset.from_dict({"text": []}).save_to_disk(tmp_path / "empty")
    assert "0 in 0 shards" in stats("empty", folder=tmp_path)


def test_columns_that_are_null_in_every_row_are_only_named(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.jsonl", [{"a": None, "text": "abc", "b": None}] * 2)
    text = stats("rows.jsonl", folder=tmp_path)
    assert "null in every row: a, b" in text
    assert "2 nulls" not in text
    assert "text" in text


def test_what_comes_from_data_is_shown_literally_and_fits_the_width(tmp_path: Path) -> None:
    rows = [{"[red]" + "x" * 60: "\x1b[31m[bold]" + "\n" + "日本" * 12, "long": "y" * 100_000}] * 4
    write_rows(tmp_path / "rows.jsonl", rows)
    text = stats("rows.jsonl", folder=tmp_path)
    assert r"\x1b[31m[bold]\n" in text
    assert "[red]xxx" in text
    assert "100,000 characters" in text


def test_what_cannot_be_read_is_refused_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "half.partial").mkdir()
    (tmp_path / "notes.odt").write_text("no rows")
    for name, words in (("half", "is not finished"), ("nowhere", "does not exist"), ("notes.odt", "extensions")):
        done = synth("stats", name, folder=tmp_path)
        assert (done.returncode, done.stdout) == (2, "")
        (line,) = done.stderr.splitlines()
        assert words in line


def test_a_reader_that_goes_away_is_no_error(chain: Path) -> None:
    done = subprocess.run(
        ["bash", "-c", f"{SYNTH} stats samples accepted | head -n 1"], cwd=chain, capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == ("samples\n", "")


def test_a_table_has_a_line_for_each_run_and_for_each_recipe(chain: Path) -> None:
    text = stats("--table", "samples", "accepted", folder=chain)
    header, recipe, sampled, selected = (line.split() for line in text.splitlines())
    assert header == ["step", "rows", "in", "rows", "out", "tokens", "time", "not", "kept"]
    assert recipe[:4] == ["RFT", "80", "80", "18"]
    assert sampled[:5] == ["reject", "sample", "80", "320", "18"]
    assert selected[:4] == ["reject", "select", "320", "80"]
    assert selected[-2:] == ["no_answer", "320"]


def test_steps_of_no_recipe_belong_to_that_whose_rows_they_read(chain: Path) -> None:
    assert synth("sample", "samples", "few", "-n", 5, folder=chain).returncode == 0
    assert synth("sample", ROOT / "examples" / "questions.jsonl", "others", "-n", 7, folder=chain).returncode == 0
    lines = stats("--table", "samples", "few", "others", folder=chain).splitlines()
    assert [line[:12].rstrip() for line in lines] == ["step", "RFT", "  reject sam", "  sample", "sample"]
    assert lines[1].split()[1:3] == ["80", "5"]


def test_a_table_shows_what_was_not_made(chain: Path) -> None:
    lines = stats("--table", "samples", "nowhere", folder=chain).splitlines()
    assert lines[-1].split() == ["nowhere", "not", "made"]


def test_a_file_that_no_run_made_is_not_called_missing(chain: Path) -> None:
    (chain / "mine.jsonl").write_text('{"text": "mine"}\n')
    assert "no record of a run" in stats("--table", "mine.jsonl", folder=chain)


def test_a_table_is_not_json(chain: Path) -> None:
    ended = synth("stats", "--table", "--json", "samples", folder=chain)
    assert (ended.returncode, ended.stderr) == (2, "synth: --table and --json: give one of them\n")
