"""Chats of whose last answer parts are not learnt."""

import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from synth.pipelines.engines import Message
from synth.pipelines.runtime.fine_tuning import FineTuneConfig, Reader, fine_tune
from synth.pipelines.runtime.stage import Reject
from synth.schemas.segments import segment
from tests.command import synth
from tests.rows import rejected_of, rows_of, write_rows

FIRST, CHECK, LAST = "The answer is B.", "\nLet me check: that is wrong.", "\nThe answer is C."
PARTS = [segment(FIRST, 0), segment(CHECK, 1), segment(LAST, 1)]
CHAT = "{% for m in messages %}[{{ m.role }}]{{ m.content }}[end]{% endfor %}"
TEMPLATE = CHAT + "{% if add_generation_prompt %}[assistant]{% endif %}"


def turns(answer: str = FIRST + CHECK + LAST) -> list[Message]:
    return [Message(role="user", content="Which of them?"), Message(role="assistant", content=answer)]


def byte_pairs() -> Tokenizer:
    """Bytes in pairs, as GPT-2 and Qwen have them; offsets without the blank before a word."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def pieces() -> Tokenizer:
    """Pieces of words with their blanks, as Llama 2 and T5 have them."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never")
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="never")
    return tokenizer


def words() -> Tokenizer:
    """Words and signs without blanks, as BERT has them."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    return tokenizer


KINDS: dict[str, tuple[Callable[[], Tokenizer], Any]] = {
    "byte pairs": (byte_pairs, trainers.BpeTrainer),
    "pieces": (pieces, trainers.UnigramTrainer),
    "words": (words, trainers.WordPieceTrainer),
}


def trained(kind: str, folder: Path, template: str = TEMPLATE) -> Reader:
    """A reader with a tokenizer that was trained on these very texts, so that it has long tokens."""
    from transformers import PreTrainedTokenizerFast

    made, trainer = KINDS[kind]
    tokenizer = made()
    text = f"[user]Which of them?[end][assistant]{FIRST}{CHECK}{LAST}[end]"
    extra = {"unk_token": "[UNK]"} if kind == "pieces" else {}
    special = ["[UNK]", "[user]", "[assistant]", "[end]"]
    tokenizer.train_from_iterator(
        [text] * 40, trainer(vocab_size=150, special_tokens=special, show_progress=False, **extra)
    )
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="[UNK]")
    fast.chat_template = template
    fast.save_pretrained(folder)
    return Reader(str(folder), None)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_masked_is_the_wrong_answer_to_the_token(kind: str, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    chat = trained(kind, tmp_path).read(turns(), PARTS)
    text = f"[user]Which of them?[end][assistant]{FIRST}{CHECK}{LAST}[end]"
    encoded = AutoTokenizer.from_pretrained(tmp_path)(text, add_special_tokens=False, return_offsets_mapping=True)
    assert list(chat.tokens) == encoded["input_ids"]
    border = text.index(FIRST) + len(FIRST)
    # What begins after the wrong answer is learnt; what begins in it or before is not, even if it ends after it.
    expected = [start >= border for start, _ in encoded["offset_mapping"]]
    assert [bool(learnt) for learnt in chat.mask] == expected
    assert 0 < sum(expected) < len(expected)


def test_a_token_of_both_the_wrong_answer_and_what_follows_is_not_learnt(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    parts = [segment("The answer is B.\nLet", 0), segment(f"{CHECK}{LAST}".removeprefix("\nLet"), 1)]
    chat = trained("byte pairs", tmp_path).read(turns(), parts)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    # In the middle of a word: its token goes with what is not learnt.
    inside = [segment(FIRST + "\nLet me che", 0), segment(f"{CHECK}{LAST}".removeprefix("\nLet me che"), 1)]
    other = Reader(str(tmp_path), None).read(turns(), inside)
    assert sum(other.mask) < sum(chat.mask)
    learnt = tokenizer.decode([token for token, mark in zip(other.tokens, other.mask, strict=True) if mark])
    assert f"{CHECK}{LAST}[end]".endswith(learnt)
    assert not learnt.startswith("eck")


def test_a_template_may_strip_the_answer(tmp_path: Path) -> None:
    stripping = TEMPLATE.replace("{{ m.content }}", "{{ m.content | trim }}")
    parts = [segment(f"\n {FIRST}", 0), segment(f"{CHECK}{LAST} \n", 1)]
    chat = trained("byte pairs", tmp_path, stripping).read(turns(f"\n {FIRST}{CHECK}{LAST} \n"), parts)
    assert bytes(chat.mask) == bytes(trained("byte pairs", tmp_path / "plain").read(turns(), PARTS).mask)


@pytest.mark.parametrize(
    ("template", "parts", "said"),
    [
        (TEMPLATE, PARTS[:2], "bad_segments: the segments together are not the text"),
        (TEMPLATE, [segment(FIRST + CHECK + LAST, 3)], "bad_segments: the loss of segment 1 is 3"),
        (TEMPLATE.replace("{{ m.content }}", "{{ m.content | upper }}"), PARTS, "rewritten: the template shows"),
        (
            TEMPLATE.replace("[end]", ""),
            [segment(FIRST + CHECK + LAST, 0)],
            "nothing_learnt: no token is free of segments with loss 0",
        ),
    ],
)
def test_what_cannot_be_masked_is_rejected(tmp_path: Path, template: str, parts: Any, said: str) -> None:
    with pytest.raises(Reject, match=said):
        trained("byte pairs", tmp_path, template).read(turns(), parts)


def test_an_earlier_answer_with_the_same_words_is_learnt(tmp_path: Path) -> None:
    chat = trained("byte pairs", tmp_path).read([*turns(FIRST), *turns()], PARTS)
    alone = trained("byte pairs", tmp_path).read(turns(FIRST))
    assert sum(chat.mask) == sum(alone.mask) + sum(trained("byte pairs", tmp_path).read(turns(), PARTS).mask)


@pytest.fixture
def extra() -> None:
    pytest.importorskip("accelerate", reason="the extra `train` is not installed")
    pytest.importorskip("peft", reason="the extra `train` is not installed")


@pytest.mark.usefixtures("extra")
def test_no_loss_is_taken_on_the_wrong_answer(random_model: Path, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    chat = Reader(str(random_model), 1000).read(turns(), PARTS)
    model = AutoModelForCausalLM.from_pretrained(random_model, dtype=torch.float32)
    with torch.no_grad():
        odds = model(torch.tensor([chat.tokens])).logits[0, :-1].log_softmax(-1)
    marked = enumerate(zip(chat.tokens[1:], chat.mask[1:], strict=True))
    losses = [-odds[place, token].item() for place, (token, learnt) in marked if learnt]
    assert len(losses) == len(CHECK + LAST) + 1
    recipe = FineTuneConfig(full=True, epochs=1, batch=1)
    (log,) = fine_tune(str(random_model), [chat], recipe, 0, tmp_path / "work", tmp_path / "out")
    assert log["loss"] == pytest.approx(sum(losses) / len(losses), rel=1e-3)


@pytest.mark.usefixtures("extra")
def test_a_training_reads_the_segments_of_its_rows(random_model: Path, tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"id": "whole", "messages": turns("It is C."), "segments": None},
        {"id": "parts", "messages": turns(), "segments": PARTS},
        {"id": "other", "messages": turns(), "segments": PARTS[:2]},
    ]
    source = write_rows(tmp_path / "rows.jsonl", rows)
    synth("self-lengthen", "train", source, tmp_path / "out", "--model", random_model, "--steps", 1)
    assert [(row["id"], row["reason"]) for row in rejected_of(tmp_path / "out")] == [("other", "bad_segments")]
    record = (tmp_path / "out" / "synth.json").read_text()
    assert f'"tokens_learnt": {len("It is C.") + len(CHECK + LAST) + 2}' in record
    assert len(rows_of(tmp_path / "out")) == 1


def test_another_trainer_gets_the_segments_too(tmp_path: Path, random_model: Path) -> None:
    rows = [{"id": "a", "messages": turns("It is C.")}, {"id": "b", "messages": turns(), "segments": PARTS}]
    copy = "import shutil, sys; shutil.copytree(*sys.argv[2:]); shutil.copy(sys.argv[1], sys.argv[3] + '/chats')"
    command = f"{shlex.quote(sys.executable)} -c {shlex.quote(copy)} {{data}} {{base}} {{out}}"
    source = write_rows(tmp_path / "rows.jsonl", rows)
    synth("self-lengthen", "train", source, tmp_path / "out", "--model", random_model, "--train-command", command)
    given = [json.loads(line) for line in (tmp_path / "out" / "model" / "chats").read_text().splitlines()]
    assert given == [{"messages": turns("It is C.")}, {"messages": turns(), "segments": PARTS}]
