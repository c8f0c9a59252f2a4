"""A model directory with random weights and a tokenizer of its own, for `synth self-lengthen train` to train.

    python -m benchmarks.learning.fresh rows.jsonl out/ --seed 0

Every text column of the rows is learnt by the tokenizer, in which each word of a closed world is one token.
"""

import argparse
import json
import sys
from collections.abc import Iterable
from pathlib import Path

from tiny_model.train import build_tokenizer

__all__ = ["make"]

CONTEXT = 512
SHAPE = {"hidden_size": 96, "intermediate_size": 240, "num_hidden_layers": 3, "num_attention_heads": 3}


def make(texts: Iterable[str], out: Path, seed: int) -> None:
    """Write the model, in float32: small steps are lost in bfloat16, and it is small anyway."""
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    tokenizer = build_tokenizer(list(texts))
    torch.manual_seed(seed)
    model = Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=len(tokenizer),
            num_key_value_heads=SHAPE["num_attention_heads"],
            max_position_embeddings=CONTEXT,
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
            **SHAPE,
        )
    )
    tokenizer.save_pretrained(out)
    # Written last, so that a directory with weights is complete.
    model.save_pretrained(out)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    rows = [json.loads(line) for line in given.rows.read_text().splitlines()]
    make((text for row in rows for text in row.values() if isinstance(text, str)), given.out, given.seed)
    sys.stderr.write(f"{given.out}: written\n")
