"""Fine-tunes a causal language model on chats, with the `Trainer` of transformers.

This alone needs the extra `train` (accelerate, peft). A checkpoint is saved every few minutes; the same call resumes
from it and reaches the same weights.
"""

import gc
import shutil
import time
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from synth.pipelines.engines import Message
from synth.pipelines.runtime.shutdown import on_signals
from synth.pipelines.runtime.stage import Reject
from synth.schemas.errors import Interrupted, UsageError
from synth.schemas.quiet import without_bars
from synth.schemas.segments import Segment, fault_of, learnt_tokens, unlearnt

__all__ = ["IGNORED", "Chat", "FineTuneConfig", "Reader", "fine_tune", "is_small"]

SAVE_SECONDS = 300.0
# Marks a complete checkpoint; written last.
_WHOLE = "whole"
# By default, models up to this size are fully fine-tuned, larger ones with low-rank adapters.
_SMALL_BYTES = 256 << 20
# The label that the loss ignores.
IGNORED = -100


@dataclass(frozen=True)
class FineTuneConfig:
    """The hyperparameters; defaults are those of arXiv 2410.23933, which does not state `rank` and `batch`.

    `full` trains all weights; otherwise low-rank adapters (of rank `rank`) are trained on every linear layer and merged
    at the end. The learning rate warms up linearly over the fraction `warmup` of the steps, then decays as a cosine.
    A step trains on `batch` chats, each truncated to `cutoff` tokens; `micro_batch` of them, which divides `batch`, go
    through the model at once. `steps` overrides `epochs`: trainings on sets of different sizes are then equally long.
    """

    full: bool = False
    rank: int = 8
    epochs: int = 4
    steps: int | None = None
    learning_rate: float = 1e-4
    warmup: float = 0.1
    batch: int = 8
    micro_batch: int = 1
    cutoff: int = 16_384


@dataclass(frozen=True)
class Chat:
    """A tokenized chat, and a mask of the tokens to train on: the assistant's turns, end-of-turn tokens included.

    Parts of the last of these turns may be left out.
    """

    tokens: "array[int]"
    mask: bytes
    cut: bool


class Reader:
    """Tokenizes chats for the model at `location` up to its context and to `cutoff`; whole without one.

    Raises `UsageError`, which mentions `flag`, if it cannot be trained on chats.
    """

    def __init__(self, location: str, cutoff: int | None, flag: str = "--model") -> None:
        without_bars()
        from transformers import AutoConfig, AutoTokenizer

        try:
            self._tokenizer = AutoTokenizer.from_pretrained(location)
            config = AutoConfig.from_pretrained(location) if cutoff else None
        except (OSError, ValueError) as error:
            raise UsageError(f"{flag} {location} cannot be loaded: {str(error).splitlines()[0]}") from error
        if self._tokenizer.chat_template is None:
            raise UsageError(f"{flag} {location} has no chat template, so it cannot be trained on chats")
        if not self._tokenizer.is_fast:
            raise UsageError(f"{flag} {location} has a slow tokenizer, which has no character offsets of its tokens")
        self._cutoff = cutoff and min(cutoff, getattr(config, "max_position_embeddings", None) or cutoff)

    def read(self, messages: Sequence[Message], segments: Sequence[Segment] | None = None) -> Chat:
        """A chat; the `segments` of its last answer, if given, say which of its parts are learnt.

        Raises `Reject`: `no_assistant_turn`, `template` (refuses the turns), `rewritten`, `bad_segments` (they are not
        the parts of the answer), `nothing_learnt` or `cut` (the question).
        """
        answers = [turn for turn, message in enumerate(messages) if message["role"] == "assistant"]
        if not answers:
            raise Reject("no_assistant_turn", "nobody's answer can be learnt")
        text = self._render(messages)
        spans = []
        for turn in answers:
            before = self._render(messages[:turn], add_generation_prompt=True) if turn else ""
            upto = self._render(messages[: turn + 1]).rstrip()
            # Some templates leave the reasoning out of turns that are not the last.
            if not (text.startswith(upto) and upto.startswith(before)):
                raise Reject("rewritten", f"turn {turn + 1} is shown otherwise when others follow it")
            spans.append((len(before), len(upto)))
        not_learnt = self._not_learnt(text, *spans[-1], messages[answers[-1]]["content"], segments or ())
        encoded = self._tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        offsets = encoded["offset_mapping"]
        said = [any(first <= start < end for first, end in spans) for start, _ in offsets]
        mask = [answered and free for answered, free in zip(said, learnt_tokens(offsets, not_learnt), strict=True)]
        if not any(mask[1:]):
            raise Reject("nothing_learnt", "no token is free of segments with loss 0")
        cut = slice(self._cutoff)
        chat = Chat(array("i", encoded["input_ids"][cut]), bytes(mask[cut]), len(mask) > len(mask[cut]))
        if not any(chat.mask[1:]):
            first = mask.index(True)
            raise Reject("cut", f"the first token to learn comes after {first:,}, and {self._cutoff:,} are read")
        return chat

    def _not_learnt(
        self, text: str, first: int, last: int, answer: str, segments: Sequence[Segment]
    ) -> list[tuple[int, int]]:
        """The characters of the rendered `text` that are not learnt, in the answer between `first` and `last`."""
        if not segments:
            return []
        if fault := fault_of(segments, answer):
            raise Reject("bad_segments", fault)
        # Templates may strip an answer.
        stripped = answer.strip()
        found = text.find(stripped, first, last)
        if found < 0:
            raise Reject("rewritten", "the template shows the last answer otherwise than its segments")
        start = found - answer.index(stripped)
        return [(start + begin, start + end) for begin, end in unlearnt(segments)]

    def save(self, out: Path) -> None:
        self._tokenizer.save_pretrained(out)

    def _render(self, messages: Sequence[Message], **options: bool) -> str:
        try:
            return str(self._tokenizer.apply_chat_template(list(messages), tokenize=False, **options))
        except Exception as error:  # a chat template is a program, which may raise anything
            raise Reject("template", str(error)) from error


def is_small(location: str) -> bool:
    """Whether the model in this directory is small enough to train all its weights."""
    files = [file for pattern in ("*.safetensors", "*.bin") for file in Path(location).glob(pattern)]
    return bool(files) and sum(file.stat().st_size for file in files) <= _SMALL_BYTES


def fine_tune(
    location: str,
    chats: Sequence[Chat],
    recipe: FineTuneConfig,
    seed: int,
    work: Path,
    out: Path,
    observe: Callable[[float], None] = lambda _fraction: None,
) -> list[dict[str, float]]:
    """Write the model trained on `chats`, without its tokenizer, to the directory `out`; return the log of each step.

    A log has `step`, `epoch`, `loss` (mean over the trained tokens, before the step), `learning_rate` and `grad_norm`.
    `observe` is called with the fraction of steps done. At the first Ctrl-C, raises `Interrupted` after the current
    step.
    """
    if missing := [name for name in ("transformers", "accelerate", "peft") if find_spec(name) is None]:
        raise UsageError(f"training needs {' and '.join(missing)}: pip install '.[train]', or use --train-command")
    import torch
    from transformers import AutoModelForCausalLM, Trainer, TrainerCallback, TrainingArguments, set_seed
    from transformers.trainer_callback import PrinterCallback

    on_gpu = torch.cuda.is_available()
    set_seed(seed)
    dtype = "auto" if on_gpu and not recipe.full else torch.float32
    model = AutoModelForCausalLM.from_pretrained(location, dtype=dtype, device_map="auto" if on_gpu else None)
    published_dtype = model.config.dtype if dtype == "auto" else _dtype_of(location)
    trained = model if recipe.full else _with_adapters(model, recipe.rank)

    class Keeper(TrainerCallback):  # type: ignore[misc]
        """Requests checkpoints, marks complete ones, and stops training when interrupted."""

        def __init__(self) -> None:
            self.saved = time.monotonic()
            self.interrupted = False

        def interrupt(self) -> None:
            """Finish the step and save a checkpoint; the second time, stop at once."""
            if self.interrupted:
                raise KeyboardInterrupt
            self.interrupted = True

        def on_step_end(self, _args: Any, state: Any, control: Any, **_: Any) -> None:
            observe(state.global_step / state.max_steps)
            if self.interrupted:
                control.should_training_stop = True
            if self.interrupted or time.monotonic() - self.saved >= SAVE_SECONDS:
                control.should_save = True

        def on_save(self, args: Any, state: Any, _control: Any, **_: Any) -> None:
            (Path(args.output_dir) / f"checkpoint-{state.global_step}" / _WHOLE).touch()
            self.saved = time.monotonic()

    keeper = Keeper()
    arguments = TrainingArguments(
        output_dir=str(work),
        num_train_epochs=recipe.epochs,
        max_steps=recipe.steps or -1,
        per_device_train_batch_size=recipe.micro_batch,
        gradient_accumulation_steps=recipe.batch // recipe.micro_batch,
        learning_rate=recipe.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=recipe.warmup,
        bf16=on_gpu and torch.cuda.is_bf16_supported(),
        gradient_checkpointing=on_gpu,
        gradient_checkpointing_kwargs={"use_reentrant": False},
        use_cpu=not on_gpu,
        dataloader_pin_memory=on_gpu,
        seed=seed,
        save_strategy="no",
        # The last one may be incomplete.
        save_total_limit=2,
        logging_steps=1,
        report_to="none",
        disable_tqdm=True,
    )
    trainer = Trainer(trained, arguments, _collated, train_dataset=list(chats), callbacks=[keeper])
    trainer.remove_callback(PrinterCallback)  # it prints to stdout
    with on_signals(keeper.interrupt):
        trainer.train(resume_from_checkpoint=_last_whole(work))
    if keeper.interrupted:
        raise Interrupted("interrupted: a checkpoint is kept, repeat the command to continue")
    whole = model if recipe.full else trained.merge_and_unload()
    whole.to(published_dtype).save_pretrained(out)
    logs = [log for log in trainer.state.log_history if "loss" in log]
    # Free the memory for a model that is trained next.
    del trainer, trained, model, whole
    gc.collect()
    return logs


def _with_adapters(model: Any, rank: int) -> Any:
    from peft import LoraConfig, get_peft_model

    # An alpha of twice the rank is common; the paper states neither.
    return get_peft_model(
        model, LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear", task_type="CAUSAL_LM")
    )


def _dtype_of(location: str) -> Any:
    import torch
    from transformers import AutoConfig

    return AutoConfig.from_pretrained(location).dtype or torch.float32


def _collated(chats: Sequence[Chat]) -> dict[str, Any]:
    """A batch, padded on the right, where the causal mask hides the padding from all tokens that are trained."""
    import torch
    from torch.nn.utils.rnn import pad_sequence

    tokens = [torch.tensor(chat.tokens) for chat in chats]
    labels = [row.where(torch.tensor(list(chat.mask)) > 0, IGNORED) for row, chat in zip(tokens, chats, strict=True)]
    return {
        "input_ids": pad_sequence(tokens, batch_first=True),
        "labels": pad_sequence(labels, batch_first=True, padding_value=IGNORED),
    }


def _last_whole(work: Path) -> str | None:
    """The checkpoint to resume from; deletes incomplete ones."""
    whole: dict[int, Path] = {}
    for folder in work.glob("checkpoint-*"):
        if (folder / _WHOLE).is_file():
            whole[int(folder.name.rpartition("-")[2])] = folder
        else:
            shutil.rmtree(folder)
    return str(whole[max(whole)]) if whole else None
