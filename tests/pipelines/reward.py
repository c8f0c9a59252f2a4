"""A small random reward model, which tests build."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, Qwen2Config, Qwen2ForSequenceClassification

from synth.pipelines.engines.models import TINY_FOLDER

__all__ = ["reward_model", "transformers_scores"]

CONTEXT = 256


def reward_model(
    folder: Path, *, padded: bool = True, labels: int = 1, template: bool = True, context: int = CONTEXT
) -> str:
    """The directory of a Qwen2 with one output and the tokenizer of the embedded model; `padded` names its padding."""
    torch.manual_seed(7)
    tokenizer = AutoTokenizer.from_pretrained(TINY_FOLDER)
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=context,
        num_labels=labels,
        pad_token_id=tokenizer.pad_token_id if padded else None,
        initializer_range=0.5,
    )
    Qwen2ForSequenceClassification(config).save_pretrained(folder)
    if not template:
        tokenizer.chat_template = None
    tokenizer.save_pretrained(folder)
    if not template:
        (folder / "chat_template.jinja").unlink(missing_ok=True)
    # As other tools save it.
    assert json.loads((folder / "config.json").read_text())["architectures"] == ["Qwen2ForSequenceClassification"]
    return str(folder)


def transformers_scores(folder: str, chats: Sequence[Sequence[Any]]) -> list[float]:
    """The scores of transformers itself, for one conversation after the other."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32).eval()
    scores = []
    with torch.inference_mode():
        for chat in chats:
            ids = tokenizer.apply_chat_template(list(chat), return_tensors="pt", return_dict=False)
            scores.append(model(ids).logits[0][0].item())
    return scores
