"""`synth judge --reward-model` scores the conversation in each row, whatever its layout."""

import json
from pathlib import Path
from typing import Any

import pytest

from synth.pipelines.engines.reward import Conversation, Reward, RewardModel
from synth.pipelines.prompted.judge import Judge
from synth.pipelines.runtime.options import Options
from synth.pipelines.runtime.runner import Run, Summary
from synth.schemas.dataset import Dataset
from synth.schemas.errors import InputError, Partial, Stale, UsageError
from tests.command import type_synth
from tests.pipelines.reward import reward_model, transformers_scores
from tests.rows import Rows, rejected_of, rows_of, write_rows

ROWS: Rows = [{"id": f"r-{i}", "question": f"What is {i}?", "response": "It is. " * (1 + i)} for i in range(8)]


@pytest.fixture
def model(tmp_path: Path) -> str:
    return reward_model(tmp_path / "model")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """The conversations that are scored."""
    seen: list[tuple[Any, ...]] = []
    answer = RewardModel.answer

    async def watched(self: RewardModel, request: Conversation) -> Reward:
        seen.append(request.messages)
        return await answer(self, request)

    monkeypatch.setattr(RewardModel, "answer", watched)
    return seen


def scored(
    folder: Path, rows: Rows, model: str, *, keep: str | None = None, into: str = "score", **how: Any
) -> Summary:
    source = write_rows(folder / "rows.jsonl", rows)
    stage = Judge(reward_model=model, keep=keep, into=into)
    return Run(stage, [str(source)], folder / "out", Options(**how)).execute()


def turns(*texts: str) -> list[dict[str, str]]:
    return [{"role": ("user", "assistant")[i % 2], "content": text} for i, text in enumerate(texts)]


def test_rows_get_the_scores_of_the_model_and_need_no_rubric(tmp_path: Path, model: str) -> None:
    summary = scored(tmp_path, ROWS, model)
    found = rows_of(tmp_path / "out")
    expected = transformers_scores(model, [turns(row["question"], row["response"]) for row in ROWS])
    assert [row.pop("score") for row in found] == pytest.approx(expected, abs=1e-4)
    assert found == ROWS
    assert summary.record["means"]["score"] == pytest.approx(sum(expected) / 8, abs=1e-4)
    assert summary.counts.tallies["scored_tokens"] > 100
    assert (Dataset(tmp_path / "out").run or {})["identity"]["reward_model"]["model"] == model
    assert summary.record["cost"]["engine_seconds"] > 0


def test_rows_below_the_condition_are_rejected_with_their_score(tmp_path: Path, model: str) -> None:
    scored(tmp_path, ROWS, model, into="reward")
    scores = [row["reward"] for row in rows_of(tmp_path / "out")]
    bound = sorted(scores)[4]
    scored(tmp_path, ROWS, model, into="reward", keep=f"reward >= {bound - 1e-4}", fresh=True)
    assert [row["reward"] for row in rows_of(tmp_path / "out")] == pytest.approx(
        [s for s in scores if s >= bound], abs=1e-4
    )
    assert rejected_of(tmp_path / "out")[0]["detail"].startswith("reward ")


def test_every_usual_layout_is_read_as_a_conversation(tmp_path: Path, model: str, asked: list[tuple[Any, ...]]) -> None:
    layouts: dict[str, tuple[dict[str, Any], list[dict[str, str]]]] = {
        "chat": ({"messages": turns("Hello?", "Yes.", "And?", "No.")}, turns("Hello?", "Yes.", "And?", "No.")),
        "math": ({"question": "1 + 1?", "answer": "2"}, turns("1 + 1?", "2")),
        "samples": ({"question": "1 + 1?", "answer": "#### 2", "response": "two"}, turns("1 + 1?", "two")),
        "alpaca": ({"instruction": "Add.", "input": "1, 1", "output": "2"}, turns("Add.\n\n1, 1", "2")),
        "system": (
            {"system": "Be brief.", "prompt": "Why?", "response": "So."},
            [{"role": "system", "content": "Be brief."}, *turns("Why?", "So.")],
        ),
    }
    for name, (row, conversation) in layouts.items():
        scored(tmp_path / name, [{"id": "r", **row}], model)
        assert list(asked[-1]) == conversation, name


def test_a_row_without_a_response_is_rejected_and_one_that_is_too_long_fails(tmp_path: Path, model: str) -> None:
    rows = [
        {"id": "none", "question": "Well?", "response": None},
        {"id": "blank", "question": "Well?", "response": " "},
        {"id": "long", "question": "Well?", "response": "word " * 500},
        ROWS[0],
    ]
    with pytest.raises(Partial, match=r"1 of 4 rows failed \(prompt_too_long 1\)"):
        scored(tmp_path, rows, model)
    summary = scored(tmp_path, rows, model, max_failures=1)
    assert summary.counts.reasons == {"no_response": 2}
    assert summary.counts.failures == {"prompt_too_long": 1}
    (rejected, *_) = rejected_of(tmp_path / "out")
    assert rejected["detail"] == "no answer comes last: the turns are of user"
    chats = [{"id": "open", "messages": turns("Hello?")}]
    assert scored(tmp_path / "chats", chats, model).counts.reasons == {"no_response": 1}


def test_scores_are_kept_and_reused_and_the_model_is_not_loaded_for_them(
    tmp_path: Path, model: str, asked: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    scored(tmp_path, ROWS, model)
    assert len(asked) == 8
    scored(tmp_path, [*ROWS, {**ROWS[0], "id": "new"}], model, stale="update")
    assert len(asked) == 9

    def load(_: RewardModel) -> None:
        raise AssertionError("it is not needed")

    monkeypatch.setattr(RewardModel, "_load", load)
    scored(tmp_path, [*ROWS, {**ROWS[0], "id": "new"}], model, keep="score > 0", stale="update")
    assert len(asked) == 9
    config = json.loads((Path(model) / "config.json").read_text())
    (Path(model) / "config.json").write_text(json.dumps({**config, "rms_norm_eps": 1e-5}))
    with pytest.raises(Stale, match="the reward model revision was"):
        scored(tmp_path, [*ROWS, {**ROWS[0], "id": "new"}], model, keep="score > 0")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "--rubric is missing: the rubric file (or name a --reward-model, which needs none)"),
        (("--reward-model", "nowhere"), "--reward-model nowhere: there is no such directory"),
        (("--reward-model", "model", "--votes", "3"), "--votes applies only without --reward-model"),
        (("--reward-model", "model", "--model", "tiny"), "--model applies only without --reward-model"),
        (("--reward-model", "model", "--keep", "score_votes > 3"), "--keep score_votes > 3: "),
        (("--reward-model", "model", "--budget-tokens", "9"), "--budget-tokens applies only without --reward-model"),
        (("--reward-model", "tiny"), "--reward-model tiny is a Qwen2ForCausalLM"),
    ],
)
def test_what_cannot_be_scored_is_said_in_a_sentence(
    tmp_path: Path, model: str, words: tuple[str, ...], message: str
) -> None:
    assert Path(model).is_dir()
    write_rows(tmp_path / "rows.jsonl", ROWS)
    done = type_synth("judge", "rows.jsonl", "out", *words, folder=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "out.partial").exists()


def test_columns_that_are_no_conversation_are_named(tmp_path: Path, model: str) -> None:
    with pytest.raises(
        InputError, match=r"none of query, question, .* only id, text: name the one to read with --column"
    ):
        scored(tmp_path, [{"id": "r", "text": "x"}], model)
    with pytest.raises(InputError, match="response is int64 in the input, where text is needed"):
        scored(tmp_path, [{"id": "r", "prompt": "x", "response": 3}], model)
    source = write_rows(tmp_path / "mine.jsonl", [{"id": "r", "ask": "x", "say": "y"}])
    columns = ("--column", "question=ask", "--column", "response=say")
    done = type_synth("judge", source, "named", "--reward-model", model, *columns, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert rows_of(tmp_path / "named")[0]["score"] is not None


def test_an_output_by_a_rubric_has_the_identity_that_it_had_before(tmp_path: Path) -> None:
    (tmp_path / "rubric.md").write_text("Good? {{ question }}")
    write_rows(tmp_path / "rows.jsonl", ROWS)
    judge = ("judge", "rows.jsonl", "out", "--rubric", "rubric.md", "--engine", "echo")
    assert type_synth(*judge, folder=tmp_path).returncode == 0
    identity = (Dataset(tmp_path / "out").run or {})["identity"]
    assert "reward_model" not in {*identity, *identity["options"]}
    with pytest.raises(UsageError, match="--rubric is missing"):
        Judge()
