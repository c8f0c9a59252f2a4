"""Chats of which parts are not learnt, as trainers read them."""

import json
from pathlib import Path
from typing import Any

import pytest

from synth.pipelines.engines.models import TINY_FOLDER
from synth.schemas.errors import InputError, UsageError
from tests.command import synth
from tests.rows import write_rows

FIRST, CHECK, LAST = "It is B.", "\nThat is wrong.", "\nIt is C."
TURNS = [{"role": "user", "content": "Which?"}, {"role": "assistant", "content": FIRST + CHECK + LAST}]
PARTS = [{"text": FIRST, "loss": 0}, {"text": CHECK, "loss": 1}, {"text": LAST, "loss": 1}]
CORRECTED = {"id": "a", "messages": TURNS, "segments": PARTS}
PLAIN = {"id": "b", "messages": [TURNS[0], {"role": "assistant", "content": "It is C."}], "segments": None}


@pytest.fixture
def chats(tmp_path: Path) -> Path:
    return imported(tmp_path, CORRECTED, PLAIN)


def imported(folder: Path, *rows: dict[str, Any]) -> Path:
    synth("import", write_rows(folder / "chats.jsonl", rows), folder / "chats")
    return folder / "chats"


def exported(source: Path, *options: object) -> list[dict[str, Any]]:
    return [json.loads(line) for line in synth("export", source, "-", *options).stdout.splitlines()]


def test_axolotl_gets_the_characters_to_learn_of_the_assistants_last_turn(chats: Path) -> None:
    first, second = (row["messages"] for row in exported(chats, "--as", "axolotl"))
    assert [turn["train"] for turn in first] == [turn["train"] for turn in second] == [False, True]
    content = first[1]["content"]
    details = [
        (content[part["begin_offset"] : part["end_offset"] + 1], part["train"]) for part in first[1]["train_detail"]
    ]
    assert details == [(FIRST, False), (CHECK, True), (LAST, True)]
    assert first[0]["train_detail"] is second[0]["train_detail"] is second[1]["train_detail"] is None
    assert [turn["content"] for turn in second] == ["Which?", "It is C."]


def test_tokens_have_labels_only_where_something_is_learnt(chats: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(TINY_FOLDER)
    for row, turns, learnt in zip(
        exported(chats, "--as", "tokens", "--tokenizer", "tiny"),
        (TURNS, PLAIN["messages"]),
        (f"{CHECK}{LAST}<|end|>", "It is C.<|end|>"),
        strict=True,
    ):
        assert row["input_ids"] == tokenizer.apply_chat_template(turns)["input_ids"]
        assert row["attention_mask"] == [1] * len(row["input_ids"])
        assert tokenizer.decode([label for label in row["labels"] if label != -100]) == learnt
        assert all(label in (-100, token) for token, label in zip(row["input_ids"], row["labels"], strict=True))


@pytest.mark.parametrize("shape", ["messages", "sharegpt", "alpaca", "llama-factory"])
def test_a_shape_that_cannot_say_what_is_not_learnt_is_refused(tmp_path: Path, chats: Path, shape: str) -> None:
    said = f"segments in .*chats has parts that are not to be learnt, which --as {shape} cannot say: use --as axolotl"
    with pytest.raises(InputError, match=said):
        synth("export", chats, tmp_path / "out.jsonl", "--as", shape)
    assert not (tmp_path / "out.jsonl").exists()


def test_what_is_not_learnt_can_be_learnt_if_one_says_so(chats: Path) -> None:
    assert exported(chats, "--as", "messages", "--columns", "messages")[0] == {"messages": TURNS}


def test_segments_that_are_all_learnt_are_no_obstacle(tmp_path: Path) -> None:
    source = imported(tmp_path, {**CORRECTED, "segments": [{"text": FIRST + CHECK + LAST, "loss": 1}]})
    assert exported(source, "--as", "messages") == [{"messages": TURNS}]
    (row,) = exported(source, "--as", "axolotl")
    assert row["messages"][1]["train_detail"] is None


def test_questions_and_responses_are_chats_for_these_trainers(tmp_path: Path) -> None:
    source = imported(tmp_path, {"query": "Which?", "response": "It is C."})
    (row,) = exported(source, "--as", "axolotl")
    assert [(turn["content"], turn["train"]) for turn in row["messages"]] == [("Which?", False), ("It is C.", True)]
    (row,) = exported(source, "--as", "tokens", "--tokenizer", "tiny")
    assert sum(label != -100 for label in row["labels"]) < len(row["labels"])


def test_a_system_prompt_and_tools_stay_beside_the_chat(tmp_path: Path) -> None:
    source = imported(tmp_path, {**CORRECTED, "system": "Be brief.", "tools": "[]"})
    (row,) = exported(source, "--as", "axolotl")
    assert [turn["role"] for turn in row["messages"]] == ["system", "user", "assistant"]
    assert (row["tools"], row["messages"][0]["train"]) == ("[]", False)
    with pytest.raises(InputError, match="has a column tools, which is not in the tokens"):
        synth("export", source, "-", "--as", "tokens", "--tokenizer", "tiny")


@pytest.mark.parametrize(
    ("segments", "said"),
    [
        (PARTS[:2], "segments in row 2 of .*: the segments together are not the text of the assistant's last turn"),
        ([{"text": "It is C.", "loss": 0}, {"text": None, "loss": 1}], "row 2 of .*: segment 2 has no text"),
    ],
)
def test_segments_of_another_text_are_refused_by_row(tmp_path: Path, segments: Any, said: str) -> None:
    source = imported(tmp_path, CORRECTED, {**PLAIN, "segments": segments})
    with pytest.raises(InputError, match=said):
        synth("export", source, "-", "--as", "axolotl")
    with pytest.raises(
        InputError, match=r"row 2 of .* cannot be tokenized \(bad_segments: .*leave it out with --where"
    ):
        synth("export", source, "-", "--as", "tokens", "--tokenizer", "tiny")


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ({"messages": TURNS, "segments": "It is B."}, "is string, where a list of text and loss is needed"),
        ({"query": "Which?", "response": FIRST, "segments": PARTS}, "parts of a chat, and there is no column messages"),
    ],
)
def test_columns_that_are_no_parts_of_a_chat_are_refused(tmp_path: Path, rows: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        synth("export", imported(tmp_path, rows), "-", "--as", "axolotl")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--as", "tokens"), "--as tokens needs --tokenizer"),
        (("--as", "axolotl", "--tokenizer", "tiny"), "--tokenizer applies only with --as tokens"),
        (("--as", "axolotl", "--reasoning", "think"), "--reasoning does not go with --as axolotl"),
        (("--as", "tokens", "--tokenizer", "./nowhere"), "--tokenizer ./nowhere"),
    ],
)
def test_errors_name_the_flag(chats: Path, options: tuple[str, ...], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        synth("export", chats, "-", *options)


def test_trl_trains_on_the_labels_as_they_are(tmp_path: Path, chats: Path, random_model: Path) -> None:
    import trl
    from datasets import load_dataset

    synth("export", chats, tmp_path / "tokens.parquet", "--as", "tokens", "--tokenizer", random_model)
    tokens = load_dataset("parquet", data_files=str(tmp_path / "tokens.parquet"), split="train")
    settings = trl.SFTConfig(output_dir=str(tmp_path / "trl"), report_to="none", use_cpu=True, bf16=False)
    trainer = trl.SFTTrainer(str(random_model), settings, train_dataset=tokens)
    assert [row["labels"] for row in trainer.train_dataset] == [row["labels"] for row in tokens]
    batch = trainer.data_collator([trainer.train_dataset[place] for place in range(2)])
    learnt = [[label for label in row if label != -100] for row in batch["labels"].tolist()]
    assert [trainer.processing_class.decode(row) for row in learnt] == [
        f"{CHECK}{LAST}<|im_end|>",
        "It is C.<|im_end|>",
    ]


def test_llama_factory_collates_a_saved_dataset_of_tokens(tmp_path: Path, chats: Path) -> None:
    """It loads `tokenized_path` from disk, and its collator is one of transformers."""
    from datasets import load_dataset, load_from_disk
    from transformers import AutoTokenizer, DataCollatorForSeq2Seq

    synth("export", chats, tmp_path / "tokens.parquet", "--as", "tokens", "--tokenizer", "tiny")
    load_dataset("parquet", data_files=str(tmp_path / "tokens.parquet"), split="train").save_to_disk(tmp_path / "saved")
    tokens = load_from_disk(tmp_path / "saved")
    collate = DataCollatorForSeq2Seq(AutoTokenizer.from_pretrained(TINY_FOLDER), label_pad_token_id=-100)
    batch = collate([tokens[place] for place in range(2)])
    for row, labels in zip(tokens, batch["labels"].tolist(), strict=True):
        assert labels[: len(row["labels"])] == row["labels"]
        assert set(labels[len(row["labels"]) :]) <= {-100}
