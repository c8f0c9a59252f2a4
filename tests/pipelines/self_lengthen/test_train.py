import json
import shlex
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from datasets import load_from_disk

from synth.pipelines.engines.models import locate
from synth.pipelines.runtime import fine_tuning
from synth.pipelines.runtime.fine_tuning import FineTuneConfig
from synth.pipelines.runtime.options import Options
from synth.pipelines.runtime.runner import Run, Summary
from synth.pipelines.self_lengthen.train import Train
from synth.schemas.errors import InputError, Stale, SynthError, UsageError

QUICKLY = FineTuneConfig(full=True, epochs=2, learning_rate=3e-3, batch=3)
COPY = "import json, shutil, sys; shutil.copytree(sys.argv[2], sys.argv[3]); print(open(sys.argv[1]).read())"
COPYING = f"{shlex.quote(sys.executable)} -c {shlex.quote(COPY)} {{data}} {{base}} {{out}}"


def chat(*texts: str) -> list[dict[str, str]]:
    return [{"role": ("user", "assistant")[place % 2], "content": text} for place, text in enumerate(texts)]


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """Six chats, of which one has no answer."""
    path = tmp_path / "rows.jsonl"
    chats = [*(chat(f"What comes after {n}?", f"After {n} comes {n + 1}.") for n in range(5)), chat("And?")]
    path.write_text("".join(json.dumps({"id": f"r{n}", "messages": turns}) + "\n" for n, turns in enumerate(chats)))
    return path


@pytest.fixture
def extra() -> None:
    pytest.importorskip("accelerate", reason="the extra `train` is not installed")
    pytest.importorskip("peft", reason="the extra `train` is not installed")


def train(rows: Path, out: Path, model: Path, recipe: FineTuneConfig = QUICKLY, **options: Any) -> Summary:
    given = asdict(recipe) | ({"rank": None} if recipe.full else {})
    return Run(Train(str(model), **given, **options), [str(rows)], out, Options()).execute()


@pytest.mark.usefixtures("extra")
def test_the_output_holds_a_model_and_a_row_for_each_step(rows: Path, random_model: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    out = tmp_path / "out"
    summary = train(rows, out, random_model)
    steps = load_from_disk(str(out))
    assert steps["step"] == [1, 2, 3, 4]
    assert steps["loss"][-1] < steps["loss"][0]
    assert summary.counts.produced == 5
    assert summary.counts.reasons == {"no_assistant_turn": 1}
    assert load_from_disk(str(out / "rejected"))["id"] == ["r5"]
    assert summary.counts.tallies["tokens_learnt"] == 5 * len("After 0 comes 1.!")
    assert {"torch", "transformers", "accelerate", "peft"} <= summary.record["software"].keys()
    assert locate(str(out)) == str(out / "model")
    assert AutoModelForCausalLM.from_pretrained(out / "model").config.num_hidden_layers == 2
    old, new = (AutoTokenizer.from_pretrained(folder) for folder in (random_model, out / "model"))
    assert old.apply_chat_template(chat("Hi"), tokenize=False) == new.apply_chat_template(chat("Hi"), tokenize=False)
    assert not (tmp_path / "out.partial").exists()
    assert train(rows, out, random_model).already_done


@pytest.mark.usefixtures("extra")
def test_what_was_trained_can_be_trained_further(rows: Path, random_model: Path, tmp_path: Path) -> None:
    train(rows, tmp_path / "first", random_model)
    train(rows, tmp_path / "second", tmp_path / "first")
    first, second = (load_from_disk(str(tmp_path / name))["loss"] for name in ("first", "second"))
    assert second[0] < first[0]


@pytest.mark.usefixtures("extra")
def test_a_training_that_was_begun_is_not_gone_on_with_otherwise(
    rows: Path, random_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fine_tuning, "SAVE_SECONDS", 0.0)
    monkeypatch.setattr(fine_tuning.Reader, "save", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        train(rows, tmp_path / "out", random_model)
    with pytest.raises(Stale, match=r"epochs was 2 and is now 3"):
        train(rows, tmp_path / "out", random_model, FineTuneConfig(full=True, epochs=3, learning_rate=3e-3, batch=3))
    monkeypatch.undo()
    train(rows, tmp_path / "out", random_model)
    assert load_from_disk(str(tmp_path / "out"))["step"] == [1, 2, 3, 4]


def test_a_micro_batch_that_does_not_divide_the_batch_is_refused(random_model: Path) -> None:
    with pytest.raises(UsageError, match="--micro-batch 3 does not divide --batch 8"):
        Train(str(random_model), batch=8, micro_batch=3)


@pytest.mark.usefixtures("extra")
def test_chats_of_which_none_can_be_learnt_from_are_an_error(random_model: Path, tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text(json.dumps({"messages": chat("Hi")}) + "\n")
    with pytest.raises(InputError, match="cannot be trained on any row: the first is rejected as no_assistant_turn"):
        train(rows, tmp_path / "out", random_model)
    assert not (tmp_path / "out").exists()


def test_rows_that_are_no_chats_are_an_error(random_model: Path, tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text(json.dumps({"text": "Hi"}) + "\n")
    with pytest.raises(InputError, match=r"messages.*--column"):
        train(rows, tmp_path / "out", random_model)
    rows.write_text(json.dumps({"messages": "Hi"}) + "\n")
    with pytest.raises(InputError, match="messages"):
        train(rows, tmp_path / "out", random_model)


def test_another_trainer_gets_the_chats_and_the_model_and_writes_one(
    rows: Path, random_model: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "my out"
    summary = train(rows, out, random_model, command=COPYING)
    told = capfd.readouterr()
    assert not told.out
    assert [json.loads(line)["messages"] for line in told.err.split("\n") if line.startswith("{")] == [
        *(chat(f"What comes after {n}?", f"After {n} comes {n + 1}.") for n in range(5)),
        chat("And?"),
    ]
    assert summary.counts.produced == 6
    assert locate(str(out)) == str(out / "model")
    with pytest.raises(Stale, match="command was"):
        train(rows, out, random_model, command=f"{COPYING} --more")
    # What the other trainer is not told has no part in what it makes.
    assert train(rows, out, random_model, FineTuneConfig(epochs=9), command=COPYING).already_done


@pytest.mark.parametrize(
    ("command", "error", "says"),
    [
        ("trainer {data} {base}", UsageError, r"needs the placeholder \{out\}"),
        ("trainer '{out}", UsageError, "cannot be parsed"),
        (
            "trainer {out} {model}",
            UsageError,
            r"cannot be parsed \('model'\); its placeholders are \{data\}, \{base\}, \{out\}",
        ),
        ("no-such-trainer {out}", UsageError, "cannot be run: no-such-trainer: No such file"),
        ("false {out}", SynthError, "ended with exit code 1"),
        ("true {out}", SynthError, "wrote no model"),
    ],
)
def test_a_trainer_that_cannot_be_run_or_writes_nothing_is_an_error(
    command: str, error: type[SynthError], says: str, rows: Path, random_model: Path, tmp_path: Path
) -> None:
    with pytest.raises(error, match=says):
        train(rows, tmp_path / "out", random_model, command=command)
    assert not (tmp_path / "out").exists()
