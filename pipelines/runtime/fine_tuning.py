"""Fine-tuning a causal language model on chats, with the `Trainer` of transformers.

Only this needs the extra `train` (accelerate, peft). A checkpoint is saved every few minutes; the same call resumes
from it and reaches the same weights.
"""

import gc
import shutil
import signal
import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from synth.pipelines.engines import Message
from synth.pipelines.runtime.stage import Reject
from synth.schemas.errors import Interrupted, UsageError

__all__ = ["Chat", "FineTuneConfig", "Reader", "fine_tune", "is_small"]

SAVE_SECONDS = 300.0
# Marks a complete checkpoint; written last.
_WHOLE = "whole"
# Weights up to this size are trained whole unless something else is asked for; of larger ones, low-rank adapters.
_SMALL_BYTES = 256 << 20
_IGNORED = -100


@dataclass(frozen=True)
class FineTuneConfig:
    """How a model is fine-tuned; the defaults are those of arXiv 2410.23933, which leaves `rank` and `batch` open.

    `full` trains all weights; otherwise adapters of rank `rank` on every linear layer, merged at the end. The
    rate rises over the share `warmup` of the steps and falls as a cosine. A step learns from `batch` chats, and of
    longer ones from the first `cutoff` tokens.
    """

    full: bool = False
    rank: int = 8
    epochs: int = 4
    learning_rate: float = 1e-4
    warmup: float = 0.1
    batch: int = 8
    cutoff: int = 16_384


@dataclass(frozen=True)
class Chat:
    """A chat in tokens, and which of them are learnt: what the assistant says, and that it ends there."""

    tokens: "array[int]"
    learnt: bytes
    cut: bool


class Reader:
    """Reads chats as the model at `location` is shown them. Raises `UsageError` where it cannot be shown any."""

    def __init__(self, location: str, cutoff: int) -> None:
        from transformers import AutoConfig, AutoTokenizer

        try:
            self._tokenizer = AutoTokenizer.from_pretrained(location)
            context = getattr(AutoConfig.from_pretrained(location), "max_position_embeddings", None)
        except (OSError, ValueError) as error:
            raise UsageError(f"--model {location} cannot be loaded: {str(error).splitlines()[0]}") from error
        if self._tokenizer.chat_template is None:
            raise UsageError(f"--model {location} has no chat template, so it cannot be trained on chats")
        if not self._tokenizer.is_fast:
            raise UsageError(f"--model {location} has a tokenizer that does not say where in the text its tokens lie")
        self._cutoff = min(cutoff, context or cutoff)

    def read(self, messages: Sequence[Message]) -> Chat:
        """Raises `Reject`: `no_assistant_turn`, `template` (refuses the turns), `rewritten` or `cut` (the question)."""
        answers = [place for place, message in enumerate(messages) if message["role"] == "assistant"]
        if not answers:
            raise Reject("no_assistant_turn", "nobody's answer can be learnt")
        text = self._render(messages)
        spans = []
        for place in answers:
            before = self._render(messages[:place], add_generation_prompt=True) if place else ""
            upto = self._render(messages[: place + 1]).rstrip()
            # Some templates leave the reasoning out of turns that are not the last.
            if not (text.startswith(upto) and upto.startswith(before)):
                raise Reject("rewritten", f"turn {place + 1} is shown otherwise when others follow it")
            spans.append((len(before), len(upto)))
        encoded = self._tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        starts = [start for start, _ in encoded["offset_mapping"]]
        learnt = [any(first <= start < end for first, end in spans) for start in starts]
        cut = slice(self._cutoff)
        chat = Chat(array("i", encoded["input_ids"][cut]), bytes(learnt[cut]), len(starts) > self._cutoff)
        if not any(chat.learnt[1:]):
            raise Reject("cut", f"the question alone has {learnt.index(True):,} tokens, and {self._cutoff:,} are read")
        return chat

    def save(self, out: Path) -> None:
        self._tokenizer.save_pretrained(out)

    def _render(self, messages: Sequence[Message], **options: bool) -> str:
        try:
            return str(self._tokenizer.apply_chat_template(list(messages), tokenize=False, **options))
        except Exception as error:  # a template is a program of the model's, and raises what it likes
            raise Reject("template", str(error)) from error


def is_small(location: str) -> bool:
    """Whether the weights in this model directory are so few that all of them are best trained."""
    files = [file for pattern in ("*.safetensors", "*.bin") for file in Path(location).glob(pattern)]
    return bool(files) and sum(file.stat().st_size for file in files) <= _SMALL_BYTES


def fine_tune(
    location: str,
    chats: Sequence[Chat],
    recipe: FineTuneConfig,
    seed: int,
    work: Path,
    out: Path,
    observe: Callable[[float], None] = lambda _share: None,
) -> list[dict[str, float]]:
    """Write the model trained on `chats` into the directory `out`, without its tokenizer; what each step logged.

    A log has `step`, `epoch`, `loss` (mean over the tokens learnt, before the step), `learning_rate` and `grad_norm`.
    `observe` is called with the share of steps done. Raises `Interrupted` at the first Ctrl-C, when the step
    under way has ended.
    """
    _refuse_missing_packages()
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
        """Asks for checkpoints, marks them, and stops where it is asked to."""

        def __init__(self) -> None:
            self.saved = time.monotonic()
            self.interrupted = False

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
        per_device_train_batch_size=1,
        gradient_accumulation_steps=recipe.batch,
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
        # The last one may be torn.
        save_total_limit=2,
        logging_steps=1,
        report_to="none",
        disable_tqdm=True,
    )
    trainer = Trainer(trained, arguments, _collated, train_dataset=list(chats), callbacks=[keeper])
    # It prints to stdout.
    trainer.remove_callback(PrinterCallback)
    with _on_signals(keeper):
        trainer.train(resume_from_checkpoint=_last_whole(work))
    if keeper.interrupted:
        raise Interrupted("interrupted: a checkpoint is kept, repeat the command to continue")
    whole = model if recipe.full else trained.merge_and_unload()
    whole.to(published_dtype).save_pretrained(out)
    logs = [log for log in trainer.state.log_history if "loss" in log]
    # A model that is trained after this one may need the memory.
    del trainer, trained, model, whole
    gc.collect()
    return logs


def _refuse_missing_packages() -> None:
    if missing := [name for name in ("transformers", "accelerate", "peft") if find_spec(name) is None]:
        raise UsageError(f"training needs {' and '.join(missing)}: pip install '.[train]', or use --train-command")


def _with_adapters(model: Any, rank: int) -> Any:
    from peft import LoraConfig, get_peft_model

    # The scale of twice the rank is what most trainers take; the paper names neither.
    return get_peft_model(
        model, LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear", task_type="CAUSAL_LM")
    )


def _dtype_of(location: str) -> Any:
    import torch
    from transformers import AutoConfig

    return AutoConfig.from_pretrained(location).dtype or torch.float32


def _collated(chats: Sequence[Chat]) -> dict[str, Any]:
    """A batch of one chat, which needs no padding."""
    import torch

    (chat,) = chats
    tokens = torch.tensor([chat.tokens])
    return {"input_ids": tokens, "labels": tokens.where(torch.tensor([list(chat.learnt)]) > 0, _IGNORED)}


def _last_whole(work: Path) -> str | None:
    """The checkpoint to resume from; deletes incomplete ones."""
    whole: dict[int, Path] = {}
    for folder in work.glob("checkpoint-*"):
        if (folder / _WHOLE).is_file():
            whole[int(folder.name.rpartition("-")[2])] = folder
        else:
            shutil.rmtree(folder)
    return str(whole[max(whole)]) if whole else None


@contextmanager
def _on_signals(keeper: Any) -> Iterator[None]:
    """On the first SIGINT or SIGTERM finish the step and save a checkpoint; on the second stop at once."""

    def interrupt(*_: Any) -> None:
        if keeper.interrupted:
            raise KeyboardInterrupt
        keeper.interrupted = True

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
