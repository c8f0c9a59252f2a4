"""Reward models: sequence classifiers of transformers with one output, which score a conversation in one pass.

A thread owns the model. It takes all conversations that wait and scores them in batches of similar length, so that
little of a batch is padding.
"""

import asyncio
import contextlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from queue import Empty, SimpleQueue
from typing import Any

from msgspec import Struct

from synth.pipelines.engines import Message, PromptRefused, PromptTooLong, RequestFailed
from synth.pipelines.engines.models import locate, needs_gpu, revision_of
from synth.pipelines.engines.threads import ModelThread
from synth.schemas.errors import EngineFailed, SynthError, UsageError
from synth.schemas.phrases import first_line
from synth.schemas.quiet import without_bars

__all__ = ["Conversation", "Reward", "RewardModel"]

FLAG = "--reward-model"
# Tokens of a batch by device, padding included; a longer conversation is a batch of its own. On a CPU, larger batches
# leave its caches and delay Ctrl-C, which waits for the end of one.
BATCH_TOKENS = {"cuda": 16_384, "cpu": 2_048}


class Conversation(Struct, frozen=True):
    """What is scored: a chat that ends with the turn to judge."""

    messages: tuple[Message, ...]


class Reward(Struct, frozen=True):
    """The model's only output, as it is, and the number of tokens of the conversation."""

    score: float
    tokens: int


@dataclass(frozen=True)
class _Scoring:
    tokens: list[int]
    reward: "asyncio.Future[Reward]"


class RewardModel:
    """A backend that scores conversations, in the model's chat template; `model` is a directory or a hub name.

    On a GPU the weights have the type in which they were saved, on a CPU they are float32. What else is in a batch may
    change the last digits of a score.
    """

    def __init__(self, model: str) -> None:
        """Raises `UsageError` for a name that is no model's."""
        self._name = model
        self._location = locate(model, option=FLAG)
        self._revision = revision_of(self._location, option=FLAG)
        self._failure: SynthError | None = None
        self._thread: ModelThread | None = None
        self._is_closed = False
        self.gpus = 0
        self.starting = "loading the reward model"

    def __reduce__(self) -> tuple[type["RewardModel"], tuple[str]]:
        """It pickles as its description; elsewhere the model is looked up again."""
        return type(self), (self._name,)

    @property
    def gpus_wanted(self) -> int:
        return int(needs_gpu())

    def identity(self) -> dict[str, Any]:
        return {"model": self._name, "revision": self._revision}

    async def start(self) -> None:
        """Raises `UsageError` if it is no reward model, `EngineFailed` if it cannot be loaded."""
        self._loop = asyncio.get_running_loop()
        self._started: asyncio.Future[None] = self._loop.create_future()
        self._inbox: SimpleQueue[_Scoring | None] = SimpleQueue()
        self._thread = ModelThread(self._drive, "reward")
        self._thread.start()
        await asyncio.shield(self._started)

    async def answer(self, request: Conversation) -> Reward:
        """Raises `PromptTooLong`, `PromptRefused` by the template, `RequestFailed` for a score that is not finite."""
        if self._failure:
            raise self._failure
        tokens = self._encode(request.messages)
        if self._context and len(tokens) > self._context:
            raise PromptTooLong(
                f"the conversation has {len(tokens):,} tokens and the reward model takes {self._context:,}"
            )
        job = _Scoring(tokens, self._loop.create_future())
        self._inbox.put(job)
        return await job.reward

    async def close(self) -> None:
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._is_closed = True
        self._inbox.put(None)
        # Loading a model cannot be interrupted: the thread ends with the process.
        if self._started.done():
            await asyncio.to_thread(thread.join)

    def _encode(self, messages: Sequence[Message]) -> list[int]:
        try:
            return list(self._tokenizer.apply_chat_template(list(messages), return_dict=False))
        except Exception as error:  # a chat template is a program, which may raise anything
            raise PromptRefused(f"the template of {FLAG} {self._name} refuses it: {first_line(error)}") from error

    # From here on: the thread of the model.

    def _drive(self) -> None:
        try:
            self._load()
        except BaseException as error:
            self._post(self._started.set_exception, self._start_failure(error))
            return
        self._post(self._started.set_result, None)
        while jobs := list(self._arrivals()):
            for batch in _batches(jobs, BATCH_TOKENS[self._device]):
                if self._is_closed:
                    return
                try:
                    scores = self._scores([job.tokens for job in batch])
                except Exception as error:
                    self._post(self._fail, EngineFailed(f"the reward model has died: {first_line(error)}"), jobs)
                    return
                self._post(self._deliver, batch, scores)

    def _load(self) -> None:
        without_bars()
        import torch
        from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

        config = AutoConfig.from_pretrained(self._location)
        if config.num_labels != 1 or not any("SequenceClassification" in one for one in config.architectures or ()):
            kind = ", ".join(config.architectures or ("model without a class",))
            raise UsageError(
                f"{FLAG} {self._name} is a {kind} with {config.num_labels} outputs; a reward model is a sequence "
                "classifier with one"
            )
        self._tokenizer = AutoTokenizer.from_pretrained(self._location)
        if self._tokenizer.chat_template is None:
            raise UsageError(f"{FLAG} {self._name} has no chat template, so it cannot be shown a conversation")
        on_gpu = torch.cuda.is_available()
        model, loaded = AutoModelForSequenceClassification.from_pretrained(
            self._location, dtype="auto" if on_gpu else torch.float32, output_loading_info=True
        )
        if missing := sorted(loaded["missing_keys"]):
            raise UsageError(f"{FLAG} {self._name} is not complete: its files lack {missing[0]}")
        self._device = "cuda" if on_gpu else "cpu"
        self._model = model.eval().to(self._device)
        self._text_config = config.get_text_config()
        self._padding: int | None = self._text_config.pad_token_id
        self._context: int | None = getattr(self._text_config, "max_position_embeddings", None)
        self.gpus = int(on_gpu)

    def _arrivals(self) -> Iterator[_Scoring]:
        """All jobs that wait, at least one; none when the model is closed."""
        job = self._inbox.get()
        with contextlib.suppress(Empty):
            while job is not None:
                yield job
                job = self._inbox.get_nowait()
            # For the next call, which ends.
            self._inbox.put(None)

    def _scores(self, batch: Sequence[list[int]]) -> list[float]:
        import torch

        padding = self._padding
        if padding is None:
            # The model reads the last token that is not padding: any that is in none of these texts will do.
            there = set().union(*batch)
            padding = next(token for token in count() if token not in there)
            self._model.config.get_text_config().pad_token_id = padding
        longest = max(map(len, batch))
        ids = torch.tensor([tokens + [padding] * (longest - len(tokens)) for tokens in batch], device=self._device)
        lengths = torch.tensor([len(tokens) for tokens in batch], device=self._device)
        mask = torch.arange(longest, device=self._device)[None] < lengths[:, None]
        with torch.inference_mode():
            logits = self._model(input_ids=ids, attention_mask=mask.long()).logits
        return [float(score) for score in logits[:, 0].float().cpu()]

    def _start_failure(self, error: BaseException) -> SynthError:
        if isinstance(error, SynthError):
            return error
        if isinstance(error, ModuleNotFoundError) and error.name in ("transformers", "torch"):
            return UsageError(f"{FLAG} needs {error.name}, which is not installed: pip install '.[cpu]' (or '.[gpu]')")
        reason = first_line(error) if isinstance(error, Exception) else type(error).__name__
        return EngineFailed(f"{FLAG} {self._name} cannot be loaded: {reason}")

    def _post(self, callback: Any, *args: Any) -> None:
        # The loop may be closed already if a run was torn down without `close`; then nobody waits for this.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(callback, *args)

    # Posted by the thread, run by the loop.

    def _deliver(self, batch: Sequence[_Scoring], scores: Sequence[float]) -> None:
        for job, score in zip(batch, scores, strict=True):
            if job.reward.done():
                continue
            if math.isfinite(score):
                job.reward.set_result(Reward(score, len(job.tokens)))
            else:
                job.reward.set_exception(RequestFailed(f"the reward model gives the score {score}"))

    def _fail(self, failure: SynthError, jobs: Sequence[_Scoring]) -> None:
        self._failure = failure
        with contextlib.suppress(Empty):
            while job := self._inbox.get_nowait():
                jobs = [*jobs, job]
        for job in jobs:
            if not job.reward.done():
                job.reward.set_exception(failure)


def _batches(jobs: Sequence[_Scoring], most: int) -> Iterator[list[_Scoring]]:
    """The jobs by length, the longest first, in batches of at most this many tokens with padding."""
    waiting = sorted(jobs, key=lambda job: -len(job.tokens))
    while waiting:
        size = max(1, most // max(1, len(waiting[0].tokens)))
        yield waiting[:size]
        waiting = waiting[size:]
