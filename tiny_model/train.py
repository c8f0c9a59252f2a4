"""Trains the model from nothing: `python -m tiny_model.train --out DIR`.

A Qwen2 of six million parameters with its own tokenizer learns the tasks of `tasks`. Each batch holds one task, so the
text that all its prompts begin with is run through the model once for all of them. Products of matrices are computed in
bfloat16, which takes half the time on a processor that has instructions for it. Every fifty steps the state goes to
`DIR.checkpoint`, from which the same command resumes; a training that was killed ends in the same weights.
"""

import argparse
import json
import os
import shutil
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

from tiny_model.tasks import END, TASKS, TURNS, Sources, prompt_digests

__all__ = ["build_tokenizer", "train"]

PAD = "<|pad|>"
CHAT_TEMPLATE = (
    "{% for message in messages %}<|{{ message.role }}|>{{ message.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
VOCABULARY = 3072
CONTEXT = 2048
SHAPE = {"hidden_size": 256, "intermediate_size": 768, "num_hidden_layers": 6, "num_attention_heads": 4}
MATRIX_RATE, OTHER_RATE = 0.02, 4e-3
WARMUP, DECAY = 50, 0.8
CHECKPOINT_STEPS = 50
TOKENIZER_EXAMPLES = 400
REPORT_SECONDS = 60

Batch = list[tuple[list[int], list[int]]]  # the tokens of prompt and completion, of examples of one task


def build_tokenizer(texts: Sequence[str]) -> Any:
    """Byte-level pairs, so that nothing is unknown, with every digit and every line break a token of its own.

    So a text that continues after a blank line is tokenized as it was in training.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.Split("\n", "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    bpe.decoder = decoders.ByteLevel()
    special = [PAD, END, *TURNS]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    bpe.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=VOCABULARY, special_tokens=special, initial_alphabet=alphabet, show_progress=False
        ),
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        eos_token=END,
        pad_token=PAD,
        unk_token=PAD,  # never used, but without one the class for Qwen2 adds a token that the model has no weights for
        extra_special_tokens=list(TURNS),
        model_max_length=CONTEXT,
        clean_up_tokenization_spaces=False,
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def _batches(tokenizer: Any, seed: str) -> Iterator[tuple[str, Batch]]:
    """Batches of like length, with the name of their task."""
    random, sources = Random(seed), Sources(f"train/{seed}")
    tasks, shapes = list(TASKS), list(TASKS.values())
    pools: dict[Any, list[Batch]] = {task: [] for task in tasks}
    while True:
        task = random.choices(tasks, [weight for weight, _ in shapes])[0]
        size = TASKS[task][1]
        if not pools[task]:
            drawn = [task(sources) for _ in range(4 * size)]
            prompts = tokenizer([prompt for prompt, _ in drawn], add_special_tokens=False)["input_ids"]
            answers = tokenizer([answer + END for _, answer in drawn], add_special_tokens=False)["input_ids"]
            pool = sorted(zip(prompts, answers, strict=True), key=lambda pair: len(pair[0]) + len(pair[1]))
            pools[task] = [pool[start : start + size] for start in range(0, len(pool), size)]
            random.shuffle(pools[task])
        yield task.__name__.strip("_"), pools[task].pop()


def _loss(model: Any, batch: Batch) -> tuple[Any, Any]:
    """Mean cross-entropy of the completions' tokens, and mean square of the logarithm of what the odds add up to."""
    import torch
    from torch.nn.functional import cross_entropy

    # At least the last token of each prompt stays, because it predicts the first of the completion.
    columns = enumerate(zip(*(prompt for prompt, _ in batch), strict=False))
    shortest = min(len(prompt) for prompt, _ in batch)
    shared = next((place for place, column in columns if len(set(column)) > 1), shortest - 1)
    prefix = None
    if shared:
        prefix = model.model(torch.tensor([batch[0][0][:shared]]), use_cache=True).past_key_values
        prefix.batch_repeat_interleave(len(batch))
    rows = [torch.tensor((prompt + answer)[shared:]) for prompt, answer in batch]
    tokens = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
    learnt = torch.zeros_like(tokens, dtype=torch.bool)
    for row, (prompt, answer) in zip(learnt, batch, strict=True):
        row[len(prompt) - shared : len(prompt) + len(answer) - shared] = True
    # Padding lies to the right, where the causal mask already hides it.
    hidden = model.model(tokens[:, :-1], past_key_values=prefix, use_cache=True).last_hidden_state
    logits = model.lm_head(hidden[learnt[:, 1:]]).float()
    return cross_entropy(logits, tokens[:, 1:][learnt[:, 1:]]), logits.logsumexp(-1).square().mean()


class _Training:
    """The model with what its optimizers remember, after a number of steps."""

    def __init__(self, out: Path, seed: int) -> None:
        import torch
        from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

        from tiny_model.muon import Muon

        self._seed = seed
        self._checkpoint = out.with_name(f"{out.name}.checkpoint")
        state = None
        if self._checkpoint.is_dir():
            self.tokenizer = PreTrainedTokenizerFast.from_pretrained(self._checkpoint, local_files_only=True)
            state = torch.load(self._checkpoint / "state.pt")
            if state["seed"] != seed or state["prompts"] != prompt_digests():
                sys.exit(f"{self._checkpoint} was begun with another seed or other prompts: remove it to start over")
        else:
            sources = Sources(f"tokenizer/{seed}")
            texts = [text for task in TASKS for _ in range(TOKENIZER_EXAMPLES) for text in task(sources)]
            self.tokenizer = build_tokenizer(texts)
        torch.manual_seed(seed)
        self.ids = {
            "bos_token_id": None,
            "eos_token_id": self.tokenizer.eos_token_id,
            "pad_token_id": self.tokenizer.pad_token_id,
        }
        shape = Qwen2Config(
            vocab_size=VOCABULARY,
            num_key_value_heads=2,
            max_position_embeddings=CONTEXT,
            tie_word_embeddings=False,
            # On rows this short, the fused kernels for processors take twice as long.
            attn_implementation="eager",
            **SHAPE,
            **self.ids,
        )
        self.model = Qwen2ForCausalLM(shape)
        named = dict(self.model.named_parameters())
        outer = {name for name, weight in named.items() if weight.dim() == 1 or "embed" in name or "lm_head" in name}
        self._muon = Muon(weight for name, weight in named.items() if name not in outer)
        self._adam = torch.optim.AdamW([named[name] for name in sorted(outer)], betas=(0.9, 0.98), weight_decay=0.0)
        self.step = 0
        if state:
            self.model.load_state_dict(state["model"])
            self._muon.load_state_dict(state["muon"])
            self._adam.load_state_dict(state["adam"])
            self.step = state["step"]

    def batches(self) -> Iterator[tuple[str, Batch]]:
        """From here to the next checkpoint: each stretch has a seed of its own, so that any can be the first."""
        stretch = _batches(self.tokenizer, f"{self._seed}/{self.step}")
        for _ in range(CHECKPOINT_STEPS):
            yield next(stretch)

    def learn(self, batch: Batch, share: float) -> float:
        """One step at `share` of the highest rate; the loss before it."""
        import torch

        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss, odds = _loss(self.model, batch)
        # Logits that are logarithms of probabilities bear a repetition penalty, which would else turn the best of many
        # large ones into less than a bad one that was not said yet.
        (loss + 1e-3 * odds).backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self._muon.step(share * MATRIX_RATE)
        self._adam.param_groups[0]["lr"] = share * OTHER_RATE
        self._adam.step()
        self.model.zero_grad()
        self.step += 1
        return float(loss.item())

    def save(self) -> None:
        """Replace the checkpoint. Killed in between, the old one or the new one is there."""
        import torch

        fresh = self._checkpoint.with_name(f"{self._checkpoint.name}.new")
        self.tokenizer.save_pretrained(fresh)
        state = {
            "seed": self._seed,
            "prompts": prompt_digests(),
            "step": self.step,
            "model": self.model.state_dict(),
            "muon": self._muon.state_dict(),
            "adam": self._adam.state_dict(),
        }
        torch.save(state, fresh / "state.pt.new")
        (fresh / "state.pt.new").rename(fresh / "state.pt")
        if self._checkpoint.is_dir():
            (fresh / "state.pt").rename(self._checkpoint / "state.pt")
            shutil.rmtree(fresh)
        else:
            fresh.rename(self._checkpoint)

    def publish(self, out: Path) -> None:
        """Write the model directory: bf16 weights, tokenizer, configuration, and digests of the prompts it knows."""
        import torch
        from transformers import GenerationConfig

        self.model.to(torch.bfloat16).save_pretrained(out)
        GenerationConfig(**self.ids).save_pretrained(out)
        self.tokenizer.save_pretrained(out)
        (out / "prompts.json").write_text(json.dumps(prompt_digests(), indent=1) + "\n")
        shutil.rmtree(self._checkpoint, ignore_errors=True)  # a short training has none


def train(out: Path, steps: int, seed: int) -> None:
    """Write the model directory `out` after `steps` steps, resuming what an interrupted training has left.

    `steps` may change in between: the rate falls over the last four fifths of them.
    """
    # A thread that spins while it waits slows its fellow down several times over as soon as anything else runs.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    training = _Training(out, seed)
    started, reported, first = time.monotonic(), time.monotonic(), training.step
    losses: dict[str, list[float]] = defaultdict(list)
    while training.step < steps:
        for task, batch in training.batches():
            if training.step == steps:
                break
            share = min((training.step + 1) / WARMUP, (steps - training.step) / (DECAY * steps), 1.0)
            losses[task].append(training.learn(batch, share))
            if time.monotonic() - reported >= REPORT_SECONDS:
                reported = time.monotonic()
                means = ", ".join(f"{name} {sum(recent) / len(recent):.3f}" for name, recent in sorted(losses.items()))
                left = (steps - training.step) * (reported - started) / (training.step - first) / 60
                sys.stderr.write(f"step {training.step} of {steps}, {left:.0f} min left, loss: {means}\n")
                losses.clear()
        else:
            training.save()
    training.publish(out)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    train(arguments.out, arguments.steps, arguments.seed)
