"""Trains the model from nothing: `python -m pipelines.tiny.train --out DIR --minutes 36 --seed 0`.

A Qwen2 of three million parameters with its own tokenizer learns to complete the recipes' real prompts. Each batch
holds one kind of prompt, so the text that all its examples begin with is run through the model once for all of them.
"""

import argparse
import math
import os
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

from pipelines.augment.evolve import Evolve
from pipelines.augment.respond import Respond
from pipelines.engines import Message
from pipelines.prompts import Prompt
from pipelines.reject import sample
from pipelines.reject.sample import Sample
from pipelines.tiny.problems import Family, Problem, examples, families

__all__ = ["build_tokenizer", "train", "training_families"]

END, PAD = "<|end|>", "<|pad|>"
TURNS = ("<|system|>", "<|user|>", "<|assistant|>")
CHAT_TEMPLATE = (
    "{% for message in messages %}<|{{ message.role }}|>{{ message.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
VOCABULARY = 2048
CONTEXT = 2048
MATRIX_RATE, OTHER_RATE = 0.02, 4e-3
WARMUP = 0.02

_ALPACA, _CHAT = Sample().prompt, Prompt.load("chat", sample.FOLDER)
_RESPOND, _EVOLVE = Respond().prompt, Evolve().prompt

Example = tuple[str, str]  # a rendered prompt, and the completion that is learnt
Batch = list[tuple[list[int], list[int]]]  # the tokens of both, of examples of one kind


def render(prompt: str | tuple[Message, ...]) -> str:
    """The text of a prompt as the chat template makes it, ready for the model to go on."""
    if isinstance(prompt, str):
        return prompt
    return "".join(f"<|{turn['role']}|>{turn['content']}{END}" for turn in prompt) + TURNS[-1]


def _problem(family: Family, random: Random) -> Problem:
    """Evolved questions as often as plain ones: evolution 1 is as plain as the seed."""
    return random.choice((family.seed, *family.problems, family.evolutions[0]))


def _alpaca(source: Iterator[Family], random: Random) -> Example:
    problem = _problem(next(source), random)
    return render(_ALPACA.render(question=problem.question)), "\n" + random.choice(problem.paths)


def _chat(source: Iterator[Family], random: Random) -> Example:
    problem = _problem(next(source), random)
    return render(_CHAT.render(question=problem.question)), random.choice(problem.paths)


def _respond(source: Iterator[Family], random: Random, most_shots: int = 0) -> Example:
    solved = [_problem(next(source), random) for _ in range(random.randint(min(1, most_shots), most_shots))]
    shots = [{"question": problem.question, "answer": random.choice(problem.paths)} for problem in solved]
    problem = _problem(next(source), random)
    return render(_RESPOND.render(query=problem.question, shots=shots)), random.choice(problem.paths)


def _respond_with_shots(source: Iterator[Family], random: Random) -> Example:
    return _respond(source, random, most_shots=2)


def _evolve(source: Iterator[Family], _random: Random) -> Example:
    family = next(source)
    return render(_EVOLVE.render(query=family.seed.question)), family.evolve_reply


# How often a batch is of this kind, and how many examples it holds.
_KINDS: dict[Callable[[Iterator[Family], Random], Example], tuple[float, int]] = {
    _alpaca: (0.50, 24),
    _chat: (0.06, 24),
    _respond: (0.23, 24),
    _respond_with_shots: (0.06, 8),
    _evolve: (0.15, 10),
}


def build_tokenizer(texts: Sequence[str]) -> Any:
    """Byte-level pairs, so that nothing is unknown, with every digit a token of its own."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
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
        extra_special_tokens=list(TURNS),
        model_max_length=CONTEXT,
        clean_up_tokenization_spaces=False,
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def training_families(seed: str) -> Iterator[Family]:
    """Families that share no question with `examples/questions.jsonl`."""
    held_out = {row["question"] for row in examples()}
    for family in families(seed):
        if not any(problem.question in held_out for problem in family.problems):
            yield family


def _batches(tokenizer: Any, seed: int) -> Iterator[tuple[str, Batch]]:
    """Batches of like length, with the name of their kind."""
    random, source = Random(seed), training_families(f"train/{seed}")
    kinds, shapes = list(_KINDS), list(_KINDS.values())
    pools: dict[Any, list[Batch]] = {kind: [] for kind in kinds}
    while True:
        kind = random.choices(kinds, [weight for weight, _ in shapes])[0]
        size = _KINDS[kind][1]
        if not pools[kind]:
            drawn = [kind(source, random) for _ in range(8 * size)]
            prompts = tokenizer([prompt for prompt, _ in drawn], add_special_tokens=False)["input_ids"]
            answers = tokenizer([answer + END for _, answer in drawn], add_special_tokens=False)["input_ids"]
            pool = sorted(zip(prompts, answers, strict=True), key=lambda pair: len(pair[0]) + len(pair[1]))
            pools[kind] = [pool[start : start + size] for start in range(0, len(pool), size)]
            random.shuffle(pools[kind])
        yield kind.__name__.strip("_"), pools[kind].pop()


def _loss(model: Any, batch: Batch) -> Any:
    """Mean cross-entropy of the completions' tokens."""
    import torch
    from torch.nn.functional import cross_entropy

    # At least the last token of each prompt stays, because it predicts the first of the completion.
    columns = enumerate(zip(*(prompt for prompt, _ in batch), strict=False))
    shortest = min(len(prompt) for prompt, _ in batch)
    shared = next((place for place, column in columns if len(set(column)) > 1), shortest - 1)
    prefix = model.model(torch.tensor([batch[0][0][:shared]]), use_cache=True).past_key_values
    prefix.batch_repeat_interleave(len(batch))
    rows = [torch.tensor((prompt + answer)[shared:]) for prompt, answer in batch]
    tokens = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
    learnt = torch.zeros_like(tokens, dtype=torch.bool)
    for row, (prompt, answer) in zip(learnt, batch, strict=True):
        row[len(prompt) - shared : len(prompt) + len(answer) - shared] = True
    # Padding lies to the right, where the causal mask already hides it.
    hidden = model.model(tokens[:, :-1], past_key_values=prefix, use_cache=True).last_hidden_state
    return cross_entropy(model.lm_head(hidden[learnt[:, 1:]]).float(), tokens[:, 1:][learnt[:, 1:]])


def train(out: Path, minutes: float, seed: int) -> None:
    """Write the model directory `out`: bf16 weights, tokenizer, configuration."""
    # A thread that spins while it waits slows its fellow down several times over as soon as anything else runs.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    import torch
    from transformers import GenerationConfig, Qwen2Config, Qwen2ForCausalLM

    from pipelines.tiny.muon import Muon

    torch.manual_seed(seed)
    random, source = Random(f"tokenizer/{seed}"), training_families(f"tokenizer/{seed}")
    texts = [text for kind in _KINDS for _ in range(600) for text in kind(source, random)]
    tokenizer = build_tokenizer(texts)
    ids = {"bos_token_id": None, "eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
    model = Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=VOCABULARY,
            hidden_size=192,
            intermediate_size=512,
            num_hidden_layers=6,
            num_attention_heads=6,
            num_key_value_heads=2,
            max_position_embeddings=CONTEXT,
            tie_word_embeddings=True,
            **ids,
        )
    )
    named = dict(model.named_parameters())
    matrices = [weight for name, weight in named.items() if weight.dim() == 2 and "embed" not in name]
    others = [weight for name, weight in named.items() if weight.dim() == 1 or "embed" in name]
    muon = Muon(matrices)
    adam = torch.optim.AdamW(others, betas=(0.9, 0.98), weight_decay=0.0)
    started, reported = time.monotonic(), 0.0
    losses: dict[str, list[float]] = defaultdict(list)
    for step, (kind, batch) in enumerate(_batches(tokenizer, seed)):
        elapsed = time.monotonic() - started
        progress = elapsed / (60 * minutes)
        if progress >= 1:
            break
        share = min((progress + 1e-3) / WARMUP, 0.01 + 0.99 * (1 + math.cos(math.pi * progress)) / 2)
        loss = _loss(model, batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        muon.step(share * MATRIX_RATE)
        adam.param_groups[0]["lr"] = share * OTHER_RATE
        adam.step()
        model.zero_grad()
        losses[kind].append(loss.item())
        if elapsed - reported >= 30:
            means = ", ".join(f"{name} {sum(recent) / len(recent):.3f}" for name, recent in sorted(losses.items()))
            sys.stderr.write(f"{elapsed / 60:.1f} min, step {step}, loss: {means}\n")
            reported = elapsed
            losses.clear()
    model.to(torch.bfloat16).save_pretrained(out)
    GenerationConfig(**ids).save_pretrained(out)
    tokenizer.save_pretrained(out)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=36)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    train(arguments.out, arguments.minutes, arguments.seed)
