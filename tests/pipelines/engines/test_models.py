from pathlib import Path

import pytest

from pipelines.engines.models import locate, revision_of
from schemas.errors import UsageError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text("{}")
    (model / "model.safetensors").write_bytes(bytes(20 << 20))
    return model


def test_a_directory_is_itself_and_a_hub_name_stays_a_name(folder: Path) -> None:
    assert locate(str(folder)) == str(folder)
    assert locate("Qwen/Qwen2.5-7B-Instruct") == "Qwen/Qwen2.5-7B-Instruct"


@pytest.mark.parametrize("name", ["no/such/model", "./model", "model", "/model", "~/no-such-model"])
def test_a_directory_that_does_not_exist_is_named_with_the_flag(name: str) -> None:
    with pytest.raises(UsageError, match=f"--model {name}: there is no such directory"):
        locate(name)


def test_a_directory_without_a_model_and_a_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"not a model directory: it has no config\.json"):
        locate(str(tmp_path))
    (tmp_path / "weights.gguf").touch()
    with pytest.raises(UsageError, match="is a file"):
        locate(str(tmp_path / "weights.gguf"))


def test_the_revision_of_a_directory_changes_with_its_weights(folder: Path) -> None:
    before = revision_of(str(folder))
    assert revision_of(str(folder)) == before
    weights = folder / "model.safetensors"
    weights.write_bytes(b"\1" * weights.stat().st_size)
    assert revision_of(str(folder)) != before


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "chat_template.jinja"])
def test_the_revision_of_a_directory_changes_with_any_small_file(folder: Path, name: str) -> None:
    before = revision_of(str(folder))
    (folder / name).write_text('{"changed": true}')
    assert revision_of(str(folder)) != before


def test_hidden_files_and_the_place_of_the_directory_do_not_matter(folder: Path) -> None:
    before = revision_of(str(folder))
    (folder / ".cache").mkdir()
    (folder / ".cache" / "note").write_text("downloaded today")
    moved = folder.rename(folder.with_name("moved"))
    assert revision_of(str(moved)) == before


def test_a_hub_name_is_its_snapshot_once_the_local_cache_has_all_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    assert locate("some/model") == "some/model"
    assert revision_of("some/model") is None

    commit = "0123456789abcdef0123456789abcdef01234567"
    snapshot = tmp_path / "models--some--model" / "snapshots" / commit
    snapshot.mkdir(parents=True)
    (tmp_path / "models--some--model" / "refs").mkdir()
    (tmp_path / "models--some--model" / "refs" / "main").write_text(commit)
    (snapshot / "config.json").write_text("{}")
    (snapshot / "model.safetensors.index.json").write_text(
        '{"weight_map": {"a": "1.safetensors", "b": "2.safetensors"}}'
    )
    (snapshot / "1.safetensors").touch()
    assert locate("some/model") == "some/model"

    (snapshot / "2.safetensors").touch()
    assert locate("some/model") == str(snapshot)
    assert locate("some/model", commit) == str(snapshot)
    assert revision_of(str(snapshot)) == commit
