"""What `synth push` does to a hub: rows that `datasets.load_dataset` reads back, in one commit, and nothing lost."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import datasets
import pytest

from synth.schemas.errors import InputError, UsageError
from tests.command import SYNTH, run_synth, synth
from tests.hub import READER, Hub, Repository, hub
from tests.rows import write_rows

NAME = "alice/muffins"
LOAD = """
import json, sys
import datasets
name, config, *rest = sys.argv[1:]
for split, rows in datasets.load_dataset(name, config, **dict(word.split("=") for word in rest)).items():
    features = {column: str(feature) for column, feature in rows.features.items()}
    print(json.dumps({"split": split, "rows": rows.to_list(), "features": features}, default=str))
"""


@pytest.fixture
def server() -> Iterator[Hub]:
    with hub() as running:
        yield running


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """200 rows from two questions; a third cannot be read and is rejected."""
    rows = [{"id": f"q-{n}", "question": f"What is {n}+2?", "answer": f"#### {n + 2}"} for n in range(2)]
    write_rows(tmp_path / "questions.jsonl", [*rows, {"id": "q-2", "question": ["What?"], "answer": "#### 1"}])
    options = ("--engine", "echo", "--keep-answers", "--bad-rows", "reject")
    synth("reject", "sample", tmp_path / "questions.jsonl", tmp_path / "out", *options)
    return tmp_path / "out"


def push(server: Hub, folder: Path, *words: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return run_synth("push", *words, folder=folder, **{**server.environment(folder), **environment})


def pushed(server: Hub, folder: Path, *words: object) -> str:
    """The last line of a push that must succeed."""
    done = push(server, folder, *words)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    return done.stderr.splitlines()[-1]


def refused(server: Hub, folder: Path, *words: object, code: int = 2, **environment: str) -> str:
    """The sentence of a push that must fail, before which only files are named."""
    done = push(server, folder, *words, **environment)
    assert done.returncode == code, done.stderr
    *files, sentence = done.stderr.splitlines()
    assert all(file.endswith(".parquet") for file in files), done.stderr
    return sentence


def rows_in(directory: Path) -> Any:
    """The rows on disk, in the form of `loaded`."""
    return json.loads(json.dumps(datasets.load_from_disk(directory).to_list(), default=str))


def loaded(server: Hub, folder: Path, config: str = "default", *words: str) -> dict[str, dict[str, Any]]:
    """What `datasets.load_dataset` has of each split, in a process that knows only this hub."""
    done = subprocess.run(
        [sys.executable, "-c", LOAD, NAME, config, *words],
        env={**os.environ, **server.environment(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return {found["split"]: found for found in map(json.loads, done.stdout.splitlines())}


def test_load_dataset_reads_the_rows_back_with_their_types(server: Hub, tmp_path: Path) -> None:
    features = datasets.Features(
        {
            "text": datasets.Value("string"),
            "mood": datasets.ClassLabel(names=["sad", "glad"]),
            "turns": datasets.List({"role": datasets.Value("string"), "seen": datasets.Value("timestamp[us, tz=UTC]")}),
        }
    )
    row = {"text": "Straße\n| 'x'", "mood": 1, "turns": [{"role": "user", "seen": datetime(2024, 7, 1, tzinfo=UTC)}]}
    datasets.Dataset.from_list([row, {**row, "turns": None}], features).save_to_disk(tmp_path / "saved")
    said = pushed(server, tmp_path, "saved", NAME)
    assert said == f"{server.url}/datasets/{NAME}: 2 rows in 2 files"
    (found,) = loaded(server, tmp_path).values()
    assert found["split"] == "train"
    assert found["features"] == {name: str(feature) for name, feature in features.items()}
    assert found["rows"] == rows_in(tmp_path / "saved")


def test_the_card_and_the_record_come_with_the_rows_in_one_commit(server: Hub, tmp_path: Path, out: Path) -> None:
    pushed(server, tmp_path, out, NAME, "--license", "mit")
    files = server.files(NAME)
    assert set(files) == {".gitattributes", "README.md", "synth.json", "data/train-00000-of-00001.parquet"}
    assert server.commits(NAME) == ["initial commit", "Push 200 rows with synth"]
    assert b'license: "mit"' in files["README.md"]
    assert b"# muffins" in files["README.md"]
    record = json.loads(files["synth.json"])
    assert record["inputs"] == ["questions.jsonl"]
    assert str(tmp_path).encode() not in files["synth.json"] + files["README.md"]


def test_rejected_rows_and_answers_are_configs_of_their_own(server: Hub, tmp_path: Path, out: Path) -> None:
    pushed(server, tmp_path, out, NAME, "--with-rejected", "--with-answers")
    (rows,) = loaded(server, tmp_path).values()
    (rejected,) = loaded(server, tmp_path, "rejected").values()
    (answers,) = loaded(server, tmp_path, "answers").values()
    assert rows["rows"] == rows_in(out)
    assert rejected["rows"] == rows_in(out / "rejected")
    assert answers["rows"] == rows_in(out / "answers")


def test_a_repeated_push_sends_nothing_and_makes_no_commit(server: Hub, tmp_path: Path, out: Path) -> None:
    pushed(server, tmp_path, out, NAME)
    sent, commits = list(server.uploaded), server.commits(NAME)
    said = pushed(server, tmp_path, out, NAME)
    assert said == f"{server.url}/datasets/{NAME}: nothing to do, the hub has these files"
    assert (server.uploaded, server.commits(NAME)) == (sent, commits)


def test_only_files_with_changed_rows_are_sent_again(server: Hub, tmp_path: Path) -> None:
    program = (
        "import synth.schemas.writing.data_files as files; files.BYTES_PER_FILE = 1; "
        "from synth.cli.main import main; main()"
    )

    def push_in_small_files(rows: list[dict[str, int]]) -> None:
        datasets.Dataset.from_list(rows).save_to_disk(tmp_path / "d", num_shards=3)
        subprocess.run(
            [sys.executable, "-c", program, "push", "d", NAME],
            cwd=tmp_path,
            env={**os.environ, **server.environment(tmp_path)},
            capture_output=True,
            check=True,
        )

    push_in_small_files([{"n": n} for n in range(6)])
    assert len(server.uploaded) == 3
    push_in_small_files([{"n": n} for n in (0, 1, 2, 3, 4, 50)])
    assert len(server.uploaded) == 4
    assert len([path for path in server.files(NAME) if path.endswith("-of-00003.parquet")]) == 3
    (found,) = loaded(server, tmp_path).values()
    assert [row["n"] for row in found["rows"]] == [0, 1, 2, 3, 4, 50]


def test_splits_are_pushed_together_and_none_is_dropped_in_silence(server: Hub, tmp_path: Path, out: Path) -> None:
    write_rows(tmp_path / "other.jsonl", [{"id": "a", "text": "b"}])
    synth("import", tmp_path / "other.jsonl", tmp_path / "other")
    pushed(server, tmp_path, "train=out", "test=out", NAME)
    assert {split: len(found["rows"]) for split, found in loaded(server, tmp_path).items()} == {
        "train": 200,
        "test": 200,
    }
    assert {"synth-train.json", "synth-test.json"} < set(server.files(NAME))
    said = refused(server, tmp_path, out, NAME)
    assert "has the split test on the hub, too: name all splits in one push, as in train=" in said
    for mine in ("notes/data.parquet", "synthetic.json"):
        server.edit(NAME, mine, b"mine")
    pushed(server, tmp_path, "train=out", "test=out", NAME, "--with-rejected")
    said = pushed(server, tmp_path, "train=out", "test=out", NAME)
    assert said.endswith("400 rows in 5 files, 2 old files removed")
    assert {"notes/data.parquet", "synthetic.json"} < set(server.files(NAME))


def test_a_branch_is_made_and_main_left_alone(server: Hub, tmp_path: Path, out: Path) -> None:
    said = pushed(server, tmp_path, out, NAME, "--revision", "draft", "--private")
    assert said.startswith(f"{server.url}/datasets/{NAME}/tree/draft: 200 rows")
    assert set(server.files(NAME)) == {".gitattributes"}
    assert len(loaded(server, tmp_path, "default", "revision=draft")["train"]["rows"]) == 200
    assert server.repositories[NAME].private


def test_private_rows_do_not_go_into_a_public_dataset(server: Hub, tmp_path: Path, out: Path) -> None:
    pushed(server, tmp_path, out, NAME)
    commits = server.commits(NAME)
    assert f"{NAME} is public on the hub" in refused(server, tmp_path, out, NAME, "--private")
    assert server.commits(NAME) == commits


def test_a_card_edited_on_the_hub_is_kept_unless_another_is_named(server: Hub, tmp_path: Path, out: Path) -> None:
    pushed(server, tmp_path, out, NAME)
    edited = server.files(NAME)["README.md"].replace(b"# muffins", b"# Muffins of Ann")
    server.edit(NAME, "README.md", edited)
    assert "was written by hand" in refused(server, tmp_path, out, NAME, "--license", "mit")
    assert server.files(NAME)["README.md"] == edited
    (tmp_path / "mine.md").write_text("# Mine\n")
    with pytest.raises(UsageError, match="apply only without --card"):
        synth("push", out, NAME, "--card", "mine.md", "--tag", "x")
    done = push(server, tmp_path, out, NAME, "--card", "mine.md")
    assert "empty or missing yaml metadata" in done.stderr
    assert server.files(NAME)["README.md"] == b"# Mine\n"
    (tmp_path / "wrong.md").write_text("---\n- a\n---\n")
    said = refused(server, tmp_path, out, NAME, "--card", "wrong.md", code=1)
    assert said == "synth: the hub refuses the dataset: Invalid metadata in README.md. - metadata is not a mapping"
    with pytest.raises(UsageError, match=r"--card absent.md cannot be read: No such file or directory"):
        synth("push", out, NAME, "--card", "absent.md")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("out", "muffins"), "muffins is not of the form USER/NAME"),
        (("out", "alice/my muffins"), "alice/my muffins cannot be a name on the hub: use letters, digits"),
        (("absent", NAME), "absent is not a dataset directory"),
        (("begun", NAME), "begun is not finished"),
        (("empty", NAME), "empty has no rows"),
        (("out", NAME), "there is no token for the hub: log in with `hf auth login`, or set HF_TOKEN"),
    ],
)
def test_what_cannot_be_pushed_is_refused_before_the_hub_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: Path, words: tuple[str, ...], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "no-token"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    (tmp_path / "begun.partial").mkdir()
    synth("filter", out, "empty", "--where", "id = 'no'")
    with pytest.raises(UsageError, match=re.escape(said)):
        synth("push", *words)


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"HF_TOKEN": "hf_wrong"}, "the hub does not accept the token"),
        ({"HF_TOKEN": READER}, f"the token may not write to {NAME}"),
        ({"HF_HUB_OFFLINE": "1"}, "HF_HUB_OFFLINE is set"),
        ({"HF_ENDPOINT": "http://127.0.0.1:9"}, "http://127.0.0.1:9 cannot be reached"),
    ],
)
def test_a_hub_that_cannot_be_written_to_is_one_sentence_at_once(
    server: Hub, tmp_path: Path, out: Path, environment: dict[str, str], said: str
) -> None:
    started = time.monotonic()
    sentence = refused(server, tmp_path, out, NAME, code=1, **environment)
    assert sentence.startswith(f"synth: {said}")
    # The client would try again for half a minute.
    assert time.monotonic() - started < 20
    assert NAME not in server.repositories


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (409, f"{NAME} was changed by somebody else at the same time (no /commit/ today): repeat the command"),
        (
            503,
            "the hub answers with status 503 (no /commit/ today); repeating the command uploads only what is missing",
        ),
    ],
)
def test_a_hub_that_takes_no_commit_is_one_sentence_and_keeps_what_was_sent(
    server: Hub, tmp_path: Path, out: Path, status: int, said: str
) -> None:
    server.failing["/commit/"] = status
    assert said in refused(server, tmp_path, out, NAME, code=1)
    server.failing.clear()
    pushed(server, tmp_path, out, NAME)
    assert len(server.uploaded) == 1


def test_what_somebody_else_pushed_in_the_meantime_is_not_overwritten(server: Hub, tmp_path: Path, out: Path) -> None:
    server.meanwhile = lambda: server.edit(NAME, "notes.md", b"mine")
    said = refused(server, tmp_path, out, NAME, code=1)
    assert said.startswith(f"synth: {NAME} was changed by somebody else at the same time")
    server.meanwhile = lambda: None
    pushed(server, tmp_path, out, NAME)
    assert {"notes.md", "synth.json"} < set(server.files(NAME))


def test_a_hub_that_keeps_parquet_with_the_code_gets_it_too(server: Hub, tmp_path: Path, out: Path) -> None:
    repository = server.repositories[NAME] = Repository(private=False)
    repository.add("main", {".gitattributes": b""}, "initial commit")
    pushed(server, tmp_path, out, NAME)
    assert not server.uploaded
    assert loaded(server, tmp_path)["train"]["rows"] == rows_in(out)


def test_a_damaged_shard_is_not_pushed(out: Path) -> None:
    (shard,) = out.glob("data-*.arrow")
    content = shard.read_bytes()
    shard.write_bytes(content[:-100] + bytes(100))
    with pytest.raises(InputError, match="is damaged"):
        synth("push", out, NAME)


@pytest.mark.parametrize(("end", "during"), [(signal.SIGINT, "/upload/"), (signal.SIGKILL, "/commit/")])
def test_a_push_that_breaks_off_shows_nothing_and_is_finished_by_the_next(
    server: Hub, tmp_path: Path, out: Path, end: signal.Signals, during: str
) -> None:
    (tmp_path / "temporary").mkdir()
    server.held.add(during)
    environment = {**os.environ, **server.environment(tmp_path), "TMPDIR": str(tmp_path / "temporary")}
    with subprocess.Popen([SYNTH, "push", out, NAME], env=environment, stderr=subprocess.PIPE, text=True) as running:
        while not any(during in asked for asked in server.asked):
            time.sleep(0.05)
        running.send_signal(end)
        _, said = running.communicate(timeout=60)
    assert running.returncode == (130 if end == signal.SIGINT else -signal.SIGKILL), said
    assert "Traceback" not in said
    if end == signal.SIGINT:
        assert not list((tmp_path / "temporary").iterdir())
    assert server.commits(NAME) == ["initial commit"]
    server.held.clear()
    pushed(server, tmp_path, out, NAME)
    assert len(server.uploaded) == 1
    assert len(loaded(server, tmp_path)["train"]["rows"]) == 200
