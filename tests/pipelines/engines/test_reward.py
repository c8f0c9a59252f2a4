"""A reward model scores conversations as transformers does, whatever else is in their batch."""

import asyncio
import json
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from synth.pipelines.engines import Message, PromptRefused, PromptTooLong, RequestFailed
from synth.pipelines.engines import reward as module
from synth.pipelines.engines.reward import Conversation, Reward, RewardModel
from synth.schemas.errors import EngineFailed, UsageError
from tests.pipelines.reward import CONTEXT, reward_model, transformers_scores

Chat = tuple[Message, ...]


def chat(question: str, answer: str) -> Chat:
    return Message(role="user", content=question), Message(role="assistant", content=answer)


CHATS = [chat(f"What is {i} + {i}?", f"{2 * i} " * (1 + 7 * i % 40)) for i in range(60)]


def answers(model: RewardModel, chats: Sequence[Chat]) -> list[Any]:
    async def ask() -> list[Any]:
        await model.start()
        try:
            return await asyncio.gather(*(model.answer(Conversation(one)) for one in chats), return_exceptions=True)
        finally:
            await model.close()

    return asyncio.run(ask())


@pytest.mark.parametrize("padded", [True, False])
def test_scores_are_those_of_transformers(tmp_path: Path, padded: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = reward_model(tmp_path / "model", padded=padded)
    monkeypatch.setattr(module, "BATCH_TOKENS", {"cuda": 500, "cpu": 500})
    found = answers(RewardModel(folder), CHATS)
    assert [one.score for one in found] == pytest.approx(transformers_scores(folder, CHATS), abs=1e-4)
    assert max(one.score for one in found) - min(one.score for one in found) > 0.1
    assert len({one.tokens for one in found}) > 5


def test_conversations_of_similar_length_share_a_batch_of_bounded_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches: list[list[int]] = []
    scores = RewardModel._scores

    def watched(self: RewardModel, batch: list[list[int]]) -> list[float]:
        batches.append([len(tokens) for tokens in batch])
        return scores(self, batch)

    monkeypatch.setattr(RewardModel, "_scores", watched)
    monkeypatch.setattr(module, "BATCH_TOKENS", {"cuda": 500, "cpu": 500})
    answers(RewardModel(reward_model(tmp_path / "model")), CHATS)
    assert sum(map(len, batches)) == len(CHATS)
    assert all(max(batch) * len(batch) <= 500 or len(batch) == 1 for batch in batches)
    # All that waits is sorted; the first request may be alone.
    assert sum(max(batch) * len(batch) for batch in batches) < 1.2 * sum(map(sum, batches))
    assert len(batches) < len(CHATS) / 2


def test_a_conversation_that_cannot_be_scored_fails_alone(tmp_path: Path) -> None:
    folder = Path(reward_model(tmp_path / "model"))
    template = "{% if messages[0].content == 'no' %}{{ raise_exception('not this') }}{% endif %}"
    (folder / "chat_template.jinja").write_text(template + (folder / "chat_template.jinja").read_text())
    long, refused, fine = answers(RewardModel(str(folder)), [chat("a", "b " * CONTEXT), chat("no", "x"), CHATS[0]])
    assert isinstance(long, PromptTooLong)
    assert f"the reward model takes {CONTEXT}" in str(long)
    assert isinstance(refused, PromptRefused)
    assert "not this" in str(refused)
    assert isinstance(fine, Reward)


def test_a_score_that_is_no_number_fails_its_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RewardModel, "_scores", lambda _, batch: [float("nan")] * len(batch))
    (found,) = answers(RewardModel(reward_model(tmp_path / "model")), CHATS[:1])
    assert isinstance(found, RequestFailed)
    assert "the score nan" in str(found)


def test_a_model_that_dies_fails_all_that_wait_and_all_later_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> list[float]:
        raise RuntimeError("out of memory")

    async def ask(model: RewardModel) -> list[Any]:
        await model.start()
        waiting = [model.answer(Conversation(one)) for one in CHATS]
        under_way = await asyncio.gather(*waiting, return_exceptions=True)
        later = await asyncio.gather(model.answer(Conversation(CHATS[0])), return_exceptions=True)
        await model.close()
        return [*under_way, *later]

    monkeypatch.setattr(RewardModel, "_scores", die)
    found = asyncio.run(ask(RewardModel(reward_model(tmp_path / "model"))))
    assert {(type(one), str(one)) for one in found} == {(EngineFailed, "the reward model has died: out of memory")}


def test_what_is_no_reward_model_is_refused(tmp_path: Path) -> None:
    def refusal(name: str) -> str:
        with pytest.raises(UsageError) as raised:
            answers(RewardModel(name), CHATS[:1])
        return str(raised.value)

    assert "--reward-model tiny is a Qwen2ForCausalLM with 2 outputs" in refusal("tiny")
    assert "with 3 outputs" in refusal(reward_model(tmp_path / "three", labels=3))
    assert "has no chat template" in refusal(reward_model(tmp_path / "bare", template=False))
    assert "--reward-model nowhere: there is no such directory" in refusal("nowhere")
    headless = Path(reward_model(tmp_path / "headless"))
    from safetensors.torch import load_file, save_file

    weights = load_file(headless / "model.safetensors")
    del weights["score.weight"]
    save_file(weights, headless / "model.safetensors", {"format": "pt"})
    assert "is not complete: its files lack score.weight" in refusal(str(headless))
    broken = Path(reward_model(tmp_path / "broken"))
    (broken / "model.safetensors").write_bytes(b"")
    with pytest.raises(EngineFailed, match="broken cannot be loaded"):
        answers(RewardModel(str(broken)), CHATS[:1])


def test_its_weights_identify_it_and_it_pickles(tmp_path: Path) -> None:
    folder = reward_model(tmp_path / "model")
    before = RewardModel(folder).identity()
    assert pickle.loads(pickle.dumps(RewardModel(folder))).identity() == before
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    (tmp_path / "model" / "config.json").write_text(json.dumps({**config, "rope_theta": 5.0}))
    assert RewardModel(folder).identity()["revision"] != before["revision"]
