"""What a user may name as input, and what is said of what is not there, or not whole, or not clear."""

import os
from pathlib import Path

import datasets
import pytest

from synth.schemas.errors import InputError
from synth.schemas.reading.inputs import locate
from synth.schemas.writing.publication import OutputClaim


def refusal(spec: str | Path) -> str:
    with pytest.raises(InputError) as caught:
        list(locate(str(spec)).batches())
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_name_is_what_files_are_called_without_their_suffixes(tmp_path: Path) -> None:
    (tmp_path / "many").mkdir()
    for name in ("gsm8k-train.jsonl.gz", "v1.5.csv", "many/part-0.jsonl", "many/part-1.jsonl"):
        (tmp_path / name).write_bytes(b"")
    assert locate(str(tmp_path / "gsm8k-train.jsonl.gz")).name == "gsm8k-train"
    assert locate(str(tmp_path / "v1.5.csv")).name == "v1.5"
    assert locate(str(tmp_path / "many" / "..") + "/many/").name == "many"
    assert locate(str(tmp_path / "many" / "part-*.jsonl")).name == "part"
    assert locate(str(tmp_path / "many" / "*.jsonl")).name == "many"


def test_a_hub_name_is_loaded_through_datasets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "train.jsonl").write_text('{"question": "q"}\n')
    found = locate(f"hf:{tmp_path / 'mine'}:train")
    assert found.name == "mine-train"
    assert [batch.rows.to_pylist() for batch in found.batches()] == [[{"question": "q"}]]  # type: ignore[union-attr]
    assert locate(f"hf:{tmp_path / 'mine'}:default").name == "mine-default-train"
    assert "has the splits train: name one" in refusal(f"hf:{tmp_path / 'mine'}:default:test")
    assert "cannot be loaded" in refusal(f"hf:{tmp_path / 'none'}")
    assert "is not of the form hf:NAME[:CONFIG][:SPLIT]" in refusal("hf:")


def test_what_is_not_there_is_said_to_be_so(tmp_path: Path) -> None:
    assert refusal(tmp_path / "none.jsonl") == f"{tmp_path}/none.jsonl does not exist"
    os.mkfifo(pipe := tmp_path / "pipe.jsonl")
    assert refusal(pipe) == f"{pipe} can be read only once, as a pipe: make it standard input, `- < {pipe}`"
    assert refusal(tmp_path / "*.jsonl") == f"no file matches {tmp_path}/*.jsonl"
    (tmp_path / "notes.odt").write_text("hello")
    assert "notes.odt has none of the extensions that can be read: .jsonl" in refusal(tmp_path / "notes.odt")
    (tmp_path / "empty").mkdir()
    assert "empty has no dataset and no file that can be read" in refusal(tmp_path / "empty")


def test_a_directory_that_is_still_being_written_is_refused(tmp_path: Path) -> None:
    OutputClaim.open(tmp_path / "out", {"stage": "test"}).close()  # type: ignore[union-attr]
    assert "out is not finished" in refusal(tmp_path / "out")
    assert "out.partial is not finished" in refusal(tmp_path / "out.partial")


def test_directories_that_could_mean_several_things_are_refused(tmp_path: Path) -> None:
    (tmp_path / "both").mkdir()
    (tmp_path / "both" / "a.jsonl").write_text("{}\n")
    (tmp_path / "both" / "a.csv").write_text("question,answer\n")
    assert "has files of several formats, such as a.csv and a.jsonl" in refusal(tmp_path / "both")
    split = datasets.Dataset.from_list([{"question": "q"}])
    datasets.DatasetDict({"train": split, "test": split}).save_to_disk(tmp_path / "splits")
    assert f"has the splits test, train: name one of them, such as {tmp_path}/splits/test" in refusal(
        tmp_path / "splits"
    )
