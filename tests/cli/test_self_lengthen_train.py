"""`synth self-lengthen train` as it is run: killed, gone on with, and its model under real vLLM."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from datasets import load_from_disk

from tests.command import run_synth

# The same command, but that it keeps what it learnt after every step.
SAVING = "import synth.pipelines.runtime.fine_tuning as t; t.SAVE_SECONDS = 0; from synth.cli.main import main; main()"
ANSWERS = {"Write about the sea.": "Waves come, and waves go.", "Write about a hill.": "Up, up, and down."}


@pytest.fixture
def chats(tmp_path: Path) -> Path:
    path = tmp_path / "chats.jsonl"
    messages = [
        [{"role": "user", "content": asked}, {"role": "assistant", "content": answer}]
        for asked, answer in ANSWERS.items()
    ]
    path.write_text("".join(json.dumps({"messages": turns}) + "\n" for turns in messages))
    return path


def test_a_killed_training_goes_on_and_vllm_says_what_was_learnt(
    chats: Path, random_model: Path, tmp_path: Path
) -> None:
    pytest.importorskip("accelerate", reason="the extra `train` is not installed")
    pytest.importorskip("peft", reason="the extra `train` is not installed")
    options = ["--epochs", "60", "--batch", "2", "--learning-rate", "0.003"]
    command = ["self-lengthen", "train", str(chats), "trained", "--model", str(random_model), *options]
    process = subprocess.Popen([sys.executable, "-c", SAVING, *command], cwd=tmp_path, stderr=subprocess.PIPE)
    checkpoints = tmp_path / "trained.partial" / "work" / "checkpoints"
    while process.poll() is None and not any(checkpoints.glob("*/whole")):
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    _, told = process.communicate()
    assert process.returncode == -signal.SIGKILL, told.decode()
    assert not (tmp_path / "trained").exists()

    done = run_synth(*command, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert not done.stdout
    assert "60 rows from 2 of 2 input rows" in done.stderr
    losses = load_from_disk(str(tmp_path / "trained"))["loss"]
    assert len(losses) == 60
    assert losses[-1] < 0.1

    (tmp_path / "asked.jsonl").write_text("".join(json.dumps({"instruction": asked}) + "\n" for asked in ANSWERS))
    drawn = ["-n", "1", "--no-check", "--temperature", "0", "--repetition-penalty", "1", "--max-tokens", "40"]
    draft = ["self-lengthen", "draft", "asked.jsonl", "drafts", "--model", "trained", *drawn]
    done = run_synth(*draft, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert load_from_disk(str(tmp_path / "drafts"))["response"] == list(ANSWERS.values())


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ([], "--model"),
        (["--model", "nowhere"], "there is no such directory"),
        (["--model", "."], "it has no config.json"),
        (["--model", "tiny", "--epochs", "0"], "--epochs"),
        (["--model", "tiny", "--train-command", "mine {data}"], "{out}"),
        (
            ["--model", "tiny", "--train-command", "mine {out}", "--epochs", "2"],
            "--epochs applies only without",
        ),
        (["--model", "tiny", "--rank", "4"], "--rank applies only to adapters"),
    ],
)
def test_wrong_options_are_named(options: list[str], says: str, chats: Path, tmp_path: Path) -> None:
    done = run_synth("self-lengthen", "train", chats, "trained", *options, folder=tmp_path)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.glob("trained*"))
