import os
import re
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth.pipelines.engines.models import locate, revision_of
from synth.schemas.errors import UsageError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text("{}")
    (model / "model.safetensors").write_bytes(bytes(20 << 20))
    return model


def test_a_directory_and_a_hub_name_are_located(folder: Path) -> None:
    assert locate(str(folder)) == str(folder)
    assert locate("Qwen/Qwen2.5-7B-Instruct") == "Qwen/Qwen2.5-7B-Instruct"


@pytest.mark.parametrize(
    "name",
    [
        *("no/such/model", "./model", "model", "/model", "~/no-such-model", "model/", "owner/model/", "owner//model"),
        *("/", "../model", "-owner/model", "owner/model-", "own er/model", "owner/my model", "owner/model:latest"),
        *("owner/my--model", "owner/my..model", "owner/model.git", "owner/" + "m" * 97, "höhe/model", "owner\\model"),
    ],
)
def test_a_directory_that_does_not_exist_is_named_with_the_flag(name: str) -> None:
    with pytest.raises(UsageError, match=f"--model {re.escape(name)}(: there is no such| is not a model) directory"):
        locate(name)


@pytest.mark.parametrize("name", ["", " ", "\t"])
def test_a_blank_name_is_shown_in_quotes(name: str) -> None:
    with pytest.raises(UsageError, match=re.escape(f"--model {name!r}: there is no such directory")):
        locate(name)


@given(st.text(max_size=30) | st.text("ab/.-~ ", max_size=12))
def test_any_name_is_located_or_refused(name: str) -> None:
    with suppress(UsageError):
        assert locate(name) in (name, str(Path(name).expanduser()))


def test_the_syntax_of_hub_names_is_that_of_the_hub() -> None:
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    for name in ("a/b", "A_b/c.d-e_f", "_a/_", "0/1", "a/" + "b" * 96):
        validate_repo_id(name)
        assert locate(name) == name
    for name in ("a/b-", "a/.b", "a-/b", "a--b/c", "a/b.git", "a/" + "b" * 97):
        with pytest.raises(HFValidationError):
            validate_repo_id(name)
        with pytest.raises(UsageError):
            locate(name)


def test_a_dangling_link_and_an_unknown_home_are_reported(tmp_path: Path) -> None:
    (tmp_path / "model").symlink_to(tmp_path / "moved")
    with pytest.raises(UsageError, match=r"--model .*/model is a link to .*/moved, which does not exist"):
        locate(str(tmp_path / "model"))
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(UsageError, match=r"--model .*/loop"):
        locate(str(tmp_path / "loop"))
    with pytest.raises(UsageError, match=r"--model '~nobody-of-that-name/m' cannot be read"):
        locate("~nobody-of-that-name/m")
    with pytest.raises(UsageError, match=r"--model 'mmm.* cannot be read: File name too long"):
        locate("m" * 300)


def test_an_unreadable_directory_is_reported(folder: Path) -> None:
    is_root = os.geteuid() == 0
    folder.chmod(0)
    if is_root:  # root may read everything, so become another user
        os.seteuid(65534)
    try:
        with pytest.raises(UsageError, match=r"--model .* cannot be read: Permission denied"):
            locate(str(folder))
    finally:
        if is_root:
            os.seteuid(0)
        folder.chmod(0o755)


def test_an_unreadable_file_is_reported(folder: Path) -> None:
    # The first page of a process's memory is never mapped.
    (folder / "vocabulary").symlink_to("/proc/self/mem")
    with pytest.raises(UsageError, match=r"the model .* cannot be read: .*Input/output error"):
        revision_of(str(folder))


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


def test_hidden_files_and_the_path_of_the_directory_do_not_matter(folder: Path) -> None:
    before = revision_of(str(folder))
    (folder / ".cache").mkdir()
    (folder / ".cache" / "note").write_text("downloaded today")
    moved = folder.rename(folder.with_name("moved"))
    assert revision_of(str(moved)) == before


def test_a_hub_name_resolves_to_a_complete_cached_snapshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert locate("some/model") == "some/model"
    with pytest.raises(UsageError, match="--model some/model is not on this machine, and the hub is not asked"):
        revision_of("some/model")

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
    # What is there may be enough for the library that loads it.
    assert revision_of("some/model") is None

    (snapshot / "2.safetensors").touch()
    assert locate("some/model") == str(snapshot)
    assert locate("some/model", commit) == str(snapshot)
    assert revision_of(str(snapshot)) == commit
