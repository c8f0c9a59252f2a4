import os
import signal
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from synth.pipelines.engines import Message
from synth.pipelines.runtime import fine_tuning
from synth.pipelines.runtime.fine_tuning import Chat, FineTuneConfig, Reader, fine_tune, is_small
from synth.pipelines.runtime.stage import Reject
from synth.schemas.errors import Interrupted, UsageError

pytest.importorskip("accelerate", reason="the extra `train` is not installed")
pytest.importorskip("peft", reason="the extra `train` is not installed")

CHATS = [(f"What comes after {n}?", f"After {n} comes {n + 1}.") for n in (1, 20, 3, 400, 5, 60)]
QUICKLY = FineTuneConfig(full=True, epochs=3, learning_rate=3e-3, batch=2)
STEPS = 9


def turns(*texts: str) -> list[Message]:
    return [Message(role=("user", "assistant")[place % 2], content=text) for place, text in enumerate(texts)]


@pytest.fixture(scope="module")
def reader(random_model: Path) -> Reader:
    return Reader(str(random_model), 10_000)


@pytest.fixture(scope="module")
def chats(reader: Reader) -> list[Chat]:
    return [reader.read(turns(*chat)) for chat in CHATS]


def weights(folder: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    return dict(load_file(folder / "model.safetensors"))


def same(one: Path, other: Path) -> bool:
    return (one / "model.safetensors").read_bytes() == (other / "model.safetensors").read_bytes()


def learnt_text(chat: Chat, model: Path) -> str:
    from transformers import AutoTokenizer

    tokens = [token for token, learnt in zip(chat.tokens, chat.mask, strict=True) if learnt]
    return str(AutoTokenizer.from_pretrained(model).decode(tokens))


def with_template(model: Path, folder: Path, template: str) -> str:
    """A copy of the model with another chat template."""
    import shutil

    from transformers import AutoTokenizer

    shutil.copytree(model, folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.chat_template = template
    tokenizer.save_pretrained(folder)
    return str(folder)


def test_only_assistant_turns_and_their_ends_are_trained(reader: Reader, random_model: Path) -> None:
    chat = reader.read([Message(role="system", content="Be kind."), *turns("Hi", "Hello!", "How are you?", "Well.")])
    assert learnt_text(chat, random_model) == "Hello!<|im_end|>Well.<|im_end|>"
    assert not chat.cut


def test_a_chat_without_an_answer_is_rejected(reader: Reader) -> None:
    for messages in ([], turns("Hi")):
        with pytest.raises(Reject, match="no_assistant_turn"):
            reader.read(messages)


def test_a_long_chat_is_truncated_if_part_of_an_answer_remains(random_model: Path) -> None:
    reader = Reader(str(random_model), 40)
    chat = reader.read(turns("Hi", "a" * 100))
    assert len(chat.tokens) == len(chat.mask) == 40
    assert chat.cut
    with pytest.raises(Reject, match=r"cut: the first token to learn comes after 1\d\d, and 40 are read"):
        reader.read(turns("a" * 100, "Hi"))


def test_chats_are_truncated_to_the_context_of_the_model(reader: Reader) -> None:
    assert len(reader.read(turns("Hi", "a" * 1000)).tokens) == 512


def test_turns_that_the_chat_template_refuses_or_rewrites_are_rejected(random_model: Path, tmp_path: Path) -> None:
    strict = Reader(with_template(random_model, tmp_path / "strict", "{{ raise_exception('users only') }}"), 100)
    with pytest.raises(Reject, match="template: users only"):
        strict.read(turns("Hi", "Hello!"))
    last_only = "{% for m in messages %}{{ m.role[0] }}{% if loop.last %}{{ m.content }}{% endif %}{% endfor %}"
    forgetful = Reader(with_template(random_model, tmp_path / "forgetful", last_only), 100)
    with pytest.raises(Reject, match="rewritten: turn 2"):
        forgetful.read(turns("Hi", "Hello!", "And?", "Yes."))


def test_a_model_without_chat_support_is_refused(random_model: Path, tmp_path: Path) -> None:
    import shutil

    bare = tmp_path / "bare"
    shutil.copytree(random_model, bare)
    config = (bare / "tokenizer_config.json").read_text()
    (bare / "tokenizer_config.json").write_text(config.replace("chat_template", "no_template"))
    with pytest.raises(UsageError, match="has no chat template"):
        Reader(str(bare), 100)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="cannot be loaded"):
        Reader(str(tmp_path / "empty"), 100)


def test_is_small_depends_on_the_size_of_the_weights(random_model: Path, tmp_path: Path) -> None:
    assert is_small(str(random_model))
    assert not is_small("Some/Hub-Name")
    with (tmp_path / "model.safetensors").open("wb") as file:
        file.truncate(1 << 30)
    assert not is_small(str(tmp_path))


@pytest.fixture(scope="module")
def trained(random_model: Path, chats: list[Chat], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """A model trained without interruption, and the logs of its steps."""
    folder = tmp_path_factory.mktemp("trained")
    return folder / "out", fine_tune(str(random_model), chats, QUICKLY, 0, folder / "work", folder / "out")


def test_the_loss_falls(trained: tuple[Path, Any]) -> None:
    _, logs = trained
    assert [log["step"] for log in logs] == list(range(1, STEPS + 1))
    assert logs[-1]["epoch"] == QUICKLY.epochs
    assert logs[-1]["loss"] < 0.7 * logs[0]["loss"]
    rates = [log["learning_rate"] for log in logs]
    assert max(rates) == pytest.approx(QUICKLY.learning_rate, rel=0.1)
    assert rates[-1] < rates[STEPS // 2] < rates[2]


def test_the_loss_covers_only_assistant_tokens(random_model: Path, chats: list[Chat], tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(random_model, dtype=torch.float32)
    losses = []
    for chat in chats:
        with torch.no_grad():
            odds = model(torch.tensor([chat.tokens])).logits[0, :-1].log_softmax(-1)
        for place, (token, learnt) in enumerate(zip(chat.tokens[1:], chat.mask[1:], strict=True)):
            if learnt:
                losses.append(-odds[place, token].item())
    recipe = FineTuneConfig(full=True, epochs=1, batch=len(chats))
    (log,) = fine_tune(str(random_model), chats, recipe, 0, tmp_path / "work", tmp_path / "out")
    assert log["loss"] == pytest.approx(sum(losses) / len(losses), rel=1e-3)


def test_padded_chats_that_go_through_the_model_at_once_change_nothing(
    chats: list[Chat], random_model: Path, trained: tuple[Path, Any], tmp_path: Path
) -> None:
    assert len({len(chat.tokens) for chat in chats}) > 1
    _, single = trained
    at_once = replace(QUICKLY, micro_batch=2)
    logs = fine_tune(str(random_model), chats, at_once, 0, tmp_path / "work", tmp_path / "out")
    assert [log["loss"] for log in logs] == pytest.approx([log["loss"] for log in single], rel=1e-3)


def test_steps_end_a_training_in_the_middle_of_an_epoch(chats: list[Chat], random_model: Path, tmp_path: Path) -> None:
    logs = fine_tune(str(random_model), chats, replace(QUICKLY, steps=4), 0, tmp_path / "work", tmp_path / "out")
    assert [log["step"] for log in logs] == [1, 2, 3, 4]
    assert logs[-1]["epoch"] == pytest.approx(4 / 3)
    assert logs[-1]["learning_rate"] < logs[1]["learning_rate"]


def test_adapters_change_all_linear_layers_and_nothing_else(
    random_model: Path, chats: list[Chat], tmp_path: Path
) -> None:
    recipe = FineTuneConfig(rank=4, epochs=2, learning_rate=3e-3, batch=2)
    logs = fine_tune(str(random_model), chats, recipe, 0, tmp_path / "work", tmp_path / "out")
    assert logs[-1]["loss"] < logs[0]["loss"]
    before, after = weights(random_model), weights(tmp_path / "out")
    assert before.keys() == after.keys()
    changed = {name for name in before if not before[name].equal(after[name])}
    assert changed == {name for name in before if "_proj.weight" in name}


def test_weights_keep_their_precision(random_model: Path, chats: list[Chat], tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    half = tmp_path / "half"
    AutoModelForCausalLM.from_pretrained(random_model, dtype=torch.bfloat16).save_pretrained(half)
    AutoTokenizer.from_pretrained(random_model).save_pretrained(half)
    for name, recipe in (("all", FineTuneConfig(full=True, epochs=1)), ("adapters", FineTuneConfig(epochs=1))):
        fine_tune(str(half), chats, recipe, 0, tmp_path / f"{name}-work", tmp_path / name)
        assert {weight.dtype for weight in weights(tmp_path / name).values()} == {torch.bfloat16}


@pytest.mark.parametrize("recipe", [QUICKLY, FineTuneConfig(rank=4, epochs=3, learning_rate=3e-3, batch=2)])
def test_a_killed_training_resumes_to_the_same_weights(
    recipe: FineTuneConfig, random_model: Path, chats: list[Chat], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fine_tuning, "SAVE_SECONDS", 0.0)
    whole, killed, work = tmp_path / "whole", tmp_path / "killed", tmp_path / "work"
    logs = fine_tune(str(random_model), chats, recipe, 0, tmp_path / "whole-work", whole)

    class Killed(Exception):
        pass

    def kill(share: float) -> None:
        if share > 0.5:
            raise Killed

    with pytest.raises(Killed):
        fine_tune(str(random_model), chats, recipe, 0, work, killed, kill)
    # As left by a kill during writing.
    (work / "checkpoint-6").mkdir()
    (work / "checkpoint-6" / "trainer_state.json").write_text("{")
    seen: list[float] = []
    again = fine_tune(str(random_model), chats, recipe, 0, work, killed, seen.append)
    assert seen[0] == 5 / STEPS
    assert [log["loss"] for log in again] == [log["loss"] for log in logs]
    assert same(whole, killed)


def test_ctrl_c_finishes_the_step_and_saves_a_checkpoint(
    random_model: Path, chats: list[Chat], trained: tuple[Path, Any], tmp_path: Path
) -> None:
    def interrupt(share: float) -> None:
        if share > 0.4:
            os.kill(os.getpid(), signal.SIGINT)

    handler = signal.getsignal(signal.SIGINT)
    train = partial(fine_tune, str(random_model), chats, QUICKLY, 0, tmp_path / "work", tmp_path / "out")
    with pytest.raises(Interrupted, match="repeat the command to continue"):
        train(interrupt)
    assert signal.getsignal(signal.SIGINT) == handler
    assert not (tmp_path / "out").exists()
    seen: list[float] = []
    train(seen.append)
    assert seen[0] == 5 / STEPS
    assert same(trained[0], tmp_path / "out")


def test_without_the_extra_the_error_says_what_to_install(
    random_model: Path, chats: list[Chat], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "synth.pipelines.runtime.fine_tuning.find_spec", lambda name: None if name == "peft" else find_spec(name)
    )
    with pytest.raises(UsageError, match=r"training needs peft: pip install .*, or use --train-command"):
        fine_tune(str(random_model), chats, QUICKLY, 0, tmp_path / "work", tmp_path / "out")
