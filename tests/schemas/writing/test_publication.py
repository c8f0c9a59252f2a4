"""A dataset directory appears whole or not at all, and is never overwritten by a run with other settings."""

import json
from pathlib import Path

import pyarrow as pa
import pytest
from datasets import DatasetDict, load_from_disk

from synth.schemas.dataset import Dataset
from synth.schemas.errors import InputError, Stale, SynthError, UsageError
from synth.schemas.shards import Shard, ShardWriter
from synth.schemas.writing.publication import OutputClaim

SCHEMA = pa.schema([("id", pa.string()), ("number", pa.int64())])
IDENTITY = {"stage": "test", "options": {"n": 4, "temperature": 0.7}}


def shard(claim: OutputClaim, name: str, numbers: list[int]) -> Shard:
    writer = ShardWriter(claim.layout.shards / name, SCHEMA)
    writer.write(pa.table({"id": [f"row-{n}" for n in numbers], "number": numbers}, schema=SCHEMA))
    return writer.close()


def publish(out: Path, identity: dict[str, object] = IDENTITY, *, fresh: bool = False, numbers: int = 5) -> None:
    claim = OutputClaim.open(out, identity, remake="fresh" if fresh else None)
    assert claim is not None
    shards = [
        shard(claim, "a.arrow", list(range(numbers))),
        shard(claim, "b.arrow", []),
        shard(claim, "c.arrow", [9]),
    ]
    claim.publish(shards, [shard(claim, "r.arrow", [7])], {"note": "made"})
    claim.close()


def test_datasets_opens_the_directory_without_conversion(tmp_path: Path) -> None:
    publish(tmp_path / "out")
    opened = load_from_disk(str(tmp_path / "out"))
    assert opened["number"][:] == [0, 1, 2, 3, 4, 9]
    assert [Path(file["filename"]).name for file in opened.cache_files] == ["data-00000-of-00001.arrow"]
    assert load_from_disk(str(tmp_path / "out" / "rejected"))["number"][:] == [7]


def test_the_run_record_holds_a_checksum_of_every_shard(tmp_path: Path) -> None:
    import xxhash

    publish(tmp_path / "out")
    dataset = Dataset.open(tmp_path / "out")
    assert dataset.run is not None
    assert dataset.run["note"] == "made"
    for recorded, path in zip(dataset.run["shards"], dataset.shards, strict=True):
        assert recorded["xxh3"] == xxhash.xxh3_128(path.read_bytes()).hexdigest()
        assert recorded["bytes"] == path.stat().st_size


def test_parts_are_dataset_directories_whose_files_the_whole_refers_to(tmp_path: Path) -> None:
    claim = OutputClaim.open(tmp_path / "out", IDENTITY)
    assert claim is not None
    parts = {"even": [[0, 2], [4]], "odd": [[]], "rest": [[1, 3]]}
    shards = []
    for part, tables in parts.items():
        (claim.layout.shards / part).mkdir()
        shards += [shard(claim, f"{part}/{n}.arrow", numbers).within(part) for n, numbers in enumerate(tables)]
    claim.publish(shards, [shard(claim, "r.arrow", [7])], {})
    claim.close()
    out = tmp_path / "out"
    assert load_from_disk(str(out))["number"][:] == [0, 2, 4, 1, 3]
    opened = DatasetDict.load_from_disk(str(out))
    assert {name: part["number"][:] for name, part in opened.items()} == {"even": [0, 2, 4], "odd": [], "rest": [1, 3]}
    dataset = Dataset.open(out)
    assert [path.relative_to(out).as_posix() for path in dataset.shards] == [
        f"{part}/data-00000-of-00001.arrow" for part in parts
    ]
    assert [*dataset.checksums] == dataset.shards
    assert dataset.shard_rows == [3, 0, 2]


def test_what_was_kept_is_published_be_it_a_file_or_a_folder(tmp_path: Path) -> None:
    claim = OutputClaim.open(tmp_path / "out", IDENTITY)
    assert claim is not None
    (claim.layout.kept.path / "folder").mkdir()
    (claim.layout.kept.path / "folder" / "a.txt").write_text("a")
    (claim.layout.kept.path / "b.txt").write_text("b")
    claim.publish([shard(claim, "a.arrow", [1])], [], {})
    claim.close()
    assert (tmp_path / "out" / "folder" / "a.txt").read_text() == "a"
    assert (tmp_path / "out" / "b.txt").read_text() == "b"


def test_an_output_of_no_rows_can_be_opened(tmp_path: Path) -> None:
    claim = OutputClaim.open(tmp_path / "out", IDENTITY)
    assert claim is not None
    claim.publish([shard(claim, "a.arrow", [])], [], {})
    claim.close()
    assert load_from_disk(str(tmp_path / "out")).num_rows == 0


def test_nothing_appears_before_publication(tmp_path: Path) -> None:
    claim = OutputClaim.open(tmp_path / "out", IDENTITY)
    assert claim is not None
    shard(claim, "a.arrow", [1])
    claim.close()
    assert not (tmp_path / "out").exists()
    with pytest.raises(InputError, match=r"not finished: .*out\.partial"):
        Dataset.open(tmp_path / "out")


def test_a_crash_between_any_two_steps_of_publication_is_mended_by_repeating_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every rename that publication makes fails in turn; the repeated call ends in the same directory."""
    rename = Path.rename
    step, finished = 0, False
    while not finished:
        out = tmp_path / f"out-{step}"
        claim = OutputClaim.open(out, IDENTITY)
        assert claim is not None
        shards = [shard(claim, "a.arrow", [1]), shard(claim, "b.arrow", [2])]
        rejected = [shard(claim, "r.arrow", [3])]
        calls = 0

        def failing(self: Path, target: Path) -> Path:
            nonlocal calls
            calls += 1
            if calls > step:  # noqa: B023
                raise OSError("power cut")
            return rename(self, target)

        monkeypatch.setattr(Path, "rename", failing)
        try:
            claim.publish(shards, rejected, {})
            finished = True
        except OSError:
            monkeypatch.setattr(Path, "rename", rename)
            assert not out.exists()
            claim.publish(shards, rejected, {})
        claim.close()
        monkeypatch.setattr(Path, "rename", rename)
        assert Dataset.open(out).table["number"].to_pylist() == [1, 2]
        step += 1
    assert step > 5


def test_the_same_run_again_has_nothing_to_do(tmp_path: Path) -> None:
    publish(tmp_path / "out")
    assert OutputClaim.open(tmp_path / "out", IDENTITY) is None


@pytest.mark.parametrize("complete", [True, False])
def test_other_settings_are_refused_with_what_changed(tmp_path: Path, complete: bool) -> None:
    if complete:
        publish(tmp_path / "out")
    else:
        claim = OutputClaim.open(tmp_path / "out", IDENTITY)
        assert claim is not None
        (claim.layout.work / "answers.arrow").write_bytes(b"paid for")
        claim.close()
    changed = {"stage": "test", "options": {"n": 8, "temperature": 1.0}}
    with pytest.raises(Stale, match=r"n was 4 and is now 8 and temperature was 0.7 and is now 1.0; --stale") as stale:
        OutputClaim.open(tmp_path / "out", changed)
    assert stale.value.exit_code == 4


def test_a_run_that_came_to_nothing_does_not_stand_in_the_way_of_one_with_other_settings(tmp_path: Path) -> None:
    begun = OutputClaim.open(tmp_path / "out", IDENTITY)
    assert begun is not None
    begun.close()
    publish(tmp_path / "out", {"stage": "other"})
    assert (Dataset.open(tmp_path / "out").run or {})["identity"] == {"stage": "other"}


def test_fresh_replaces_what_other_settings_made(tmp_path: Path) -> None:
    publish(tmp_path / "out")
    publish(tmp_path / "out", {"stage": "other"}, fresh=True, numbers=2)
    assert Dataset.open(tmp_path / "out").table["number"].to_pylist() == [0, 1, 9]
    assert not (tmp_path / "out.partial").exists()


@pytest.mark.parametrize("fresh", [True, False])
def test_a_directory_that_synth_did_not_write_is_never_replaced(tmp_path: Path, fresh: bool) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match="synth"):
        OutputClaim.open(tmp_path / "out", IDENTITY, remake="fresh" if fresh else None)
    assert (tmp_path / "out" / "thesis.txt").read_text() == "years of work"


def test_two_processes_do_not_build_the_same_directory(tmp_path: Path) -> None:
    claim = OutputClaim.open(tmp_path / "out", IDENTITY)
    with pytest.raises(SynthError, match="another synth process"):
        OutputClaim.open(tmp_path / "out", IDENTITY)
    assert claim is not None
    claim.close()


def test_a_run_record_is_readable_json(tmp_path: Path) -> None:
    publish(tmp_path / "out")
    assert json.loads((tmp_path / "out" / "synth.json").read_text())["identity"] == IDENTITY
