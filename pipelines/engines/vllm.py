"""vLLM in this process: a driver thread owns the engine, the event loop only waits for futures.

The thread takes requests from a queue, steps the engine while there is work, and posts all finished answers of a step
to the loop at once. Only the modules vllm* here import vllm.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import count
from math import prod
from pathlib import Path
from queue import Empty, SimpleQueue
from secrets import randbits
from typing import Any

from msgspec import UNSET
from msgspec.structs import replace

from synth.pipelines.engines import Answer, Completion, Message, PromptRefused, PromptTooLong, Request
from synth.pipelines.engines.models import locate, needs_gpu, revision_of
from synth.pipelines.engines.reasoning import MARKERS, closing_marker, opening_marker
from synth.pipelines.engines.scoring import TextScorer
from synth.pipelines.engines.threads import ModelThread
from synth.pipelines.engines.vllm_requests import result_of, sampling_params, scoring_params, sentence
from synth.pipelines.engines.vllm_start import alone_on_this_machine, set_environment, telling_phases
from synth.schemas.errors import EngineFailed, SynthError, UsageError

__all__ = ["VllmEngine"]

# Arguments that place or schedule the work. They may change rounding, but answers are not meant to depend on them, so a
# run can be finished on another machine or with other limits.
SCHEDULING = frozenset({
    "async_scheduling", "block_size", "cpu_offload_gb", "disable_custom_all_reduce", "disable_log_stats",
    "distributed_executor_backend", "download_dir", "enable_chunked_prefill", "enable_prefix_caching", "enforce_eager",
    "gpu_memory_utilization", "kv_cache_memory_bytes", "max_num_batched_tokens", "max_num_seqs",
    "max_parallel_loading_workers", "num_gpu_blocks_override", "pipeline_parallel_size", "scheduling_policy",
    "swap_space", "tensor_parallel_size", "use_tqdm_on_load",
})  # fmt: skip
# Sampling parameters that no recipe sets, so that an engine argument can.
SAMPLING = frozenset({
    "bad_words", "frequency_penalty", "ignore_eos", "logit_bias", "min_p", "min_tokens", "presence_penalty",
    "repetition_detection", "stop_token_ids", "thinking_token_budget",
})  # fmt: skip
TEMPLATE = "chat_template_kwargs"
# Number of last tokens of a prompt to search for an opening marker of reasoning.
TAIL_TOKENS = 16


@dataclass(frozen=True, slots=True)
class _Submission:
    id: str
    tokens: list[int]
    params: Any


class VllmEngine:
    """An engine based on `vllm.LLMEngine`; `model` is a directory or a hub name.

    `args` are `EngineArgs` by name, fields of `SamplingParams` that no recipe sets, and `chat_template_kwargs`.
    With a `reasoning_parser`, vLLM's parser of that name separates reasoning in answers to chats. Without `seeds`, vLLM
    draws from one generator for all requests.
    """

    def __init__(self, model: str, args: Mapping[str, Any], seeds: bool = True) -> None:
        self._model = model
        self._seeds = seeds
        self._args = {name.replace("-", "_"): value for name, value in args.items()}
        self._location = locate(model, self._args.get("revision") or "main")
        self._revision = revision_of(self._location, self._args.get("revision") or "main")
        self._inbox: SimpleQueue[_Submission | None] = SimpleQueue()
        self._names = count()
        self._template: Mapping[str, Any] = self._args.get(TEMPLATE) or {}
        self._sampling = {name: value for name, value in self._args.items() if name in SAMPLING}
        self._parser: _ReasoningParser | None = None
        # These three belong to the event loop's thread; the driver changes them only through `_post`.
        self._waiting: dict[str, asyncio.Future[Any]] = {}
        self._failure: SynthError | None = None
        self._thread: ModelThread | None = None
        self.gpus: int | None = None
        self.starting = "importing vLLM"

    def __reduce__(self) -> tuple[type["VllmEngine"], tuple[Any, ...]]:
        """It pickles as its description; elsewhere the model is looked up again."""
        return type(self), (self._model, self._args, self._seeds)

    @property
    def gpus_wanted(self) -> int:
        """As many as it splits the model over."""
        sizes = (int(self._args.get(name) or 1) for name in ("tensor_parallel_size", "pipeline_parallel_size"))
        return prod(sizes) if needs_gpu() else 0

    def identity(self) -> dict[str, Any]:
        args = {name: value for name, value in sorted(self._args.items()) if name not in SCHEDULING}
        found = {"engine": "vllm", "model": self._model, "revision": self._revision, "args": args}
        return found if self._seeds else {**found, "seeds": False}

    async def start(self) -> None:
        """Raises `UsageError` if vLLM rejects the model or an argument, `EngineFailed` if it cannot run."""
        self._loop = asyncio.get_running_loop()
        self._started: asyncio.Future[None] = self._loop.create_future()
        self._thread = ModelThread(self._drive, "vllm")
        self._thread.start()
        # Shielded, so that `close` can tell a cancelled start from a completed one.
        await asyncio.shield(self._started)
        self._scorer = TextScorer(self._tokens, self._logprobs, self._dtype)

    async def answer(self, request: Request) -> Answer:
        if self._failure:
            raise self._failure
        if request.windows is not UNSET:
            return await self._scorer.answer(request)
        tokens = self._encode(request.prompt, request.tools or ())
        if request.tools and tokens == self._encode(request.prompt):
            raise EngineFailed(f"the chat template of --model {self._model} has no place for tools; leave out --native")
        params = sampling_params(
            request, self._sampling, skip_special_tokens=not self._keeps_special_tokens, seeds=self._seeds
        )
        return self._with_reasoning(await self._result(tokens, params), request, tokens)

    async def close(self) -> None:
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._fail(EngineFailed("vLLM was closed"))
        self._inbox.put(None)
        # Loading a model cannot be interrupted: the thread ends with the process.
        if self._started.done():
            await asyncio.to_thread(thread.join)

    def _result(self, tokens: list[int], params: Any) -> "asyncio.Future[Any]":
        """What the driver makes of a prompt. Raises `PromptTooLong`."""
        if len(tokens) >= self._context:
            raise PromptTooLong(f"the prompt has {len(tokens)} tokens and the model's context holds {self._context}")
        job = _Submission(str(next(self._names)), tokens, params)
        result = self._waiting[job.id] = self._loop.create_future()
        self._inbox.put(job)
        return result

    async def _tokens(self, text: str, special: bool) -> list[int]:
        return list(self._tokenizer.encode(text, add_special_tokens=special))

    async def _logprobs(self, windows: Sequence[list[int]]) -> list[list[float]]:
        params = scoring_params()
        found: list[list[float]] = await asyncio.gather(*[self._result(window, params) for window in windows])
        return found

    def _with_reasoning(self, answer: Answer, request: Request, tokens: list[int]) -> Answer:
        """The answer with its reasoning separated by vLLM's parser, or with the marker that the chat template opens."""
        if isinstance(request.prompt, str):
            return answer
        if self._parser:
            return Answer(tuple(map(self._parser.separated, answer.completions)), answer.prompt_tokens)
        opening = opening_marker(self._tokenizer.decode(tokens[-TAIL_TOKENS:]))
        # Markers in the prompt itself are handled for all engines. With a schema no closing marker can follow.
        if not opening or opening_marker(request.prompt) or request.schema is not None:
            return answer
        texts = [replace(completion, text=opening + completion.text) for completion in answer.completions]
        return Answer(tuple(texts), answer.prompt_tokens)

    def _encode(self, prompt: str | tuple[Message, ...], tools: Sequence[Mapping[str, Any]] = ()) -> list[int]:
        if isinstance(prompt, str):
            return list(self._tokenizer.encode(prompt))
        continued = prompt[-1]["role"] == "assistant"
        try:
            return list(
                self._tokenizer.apply_chat_template(
                    list(prompt),
                    add_generation_prompt=not continued,
                    continue_final_message=continued,
                    return_dict=False,
                    **({"tools": list(tools)} if tools else {}),
                    **self._template,
                )
            )
        except Exception as error:  # a chat template is a program, which may raise anything
            raise PromptRefused(
                f"--model {self._model} cannot take these chat messages ({sentence(error)}); "
                "a --prompt file without `# user` headings is sent as plain text"
            ) from error

    # From here on: the driver thread.

    def _drive(self) -> None:
        try:
            with alone_on_this_machine() if self.gpus_wanted else contextlib.nullcontext():
                engine = self._load()
        except BaseException as error:
            self._post(self._started.set_exception, _start_failure(self._model, error))
            return
        try:
            self._tokenizer = engine.get_tokenizer()
            if parser := self._args.get("reasoning_parser"):
                self._parser = _ReasoningParser(parser, self._tokenizer, self._model, self._template)
            self._keeps_special_tokens = _marks_reasoning_by_special_tokens(self._tokenizer) or bool(
                self._parser and self._parser.needs_special_tokens
            )
            self._context = int(engine.model_config.max_model_len)
            self._dtype = str(engine.model_config.dtype).removeprefix("torch.")
            parallel = engine.vllm_config.parallel_config
            self.gpus = parallel.world_size_across_dp if engine.vllm_config.device_config.device_type == "cuda" else 0
            self._post(self._started.set_result, None)
            self._serve(engine)
        except BaseException as error:
            self._post(self._fail, EngineFailed(f"vLLM has died: {sentence(error)}"))
        finally:
            engine.engine_core.shutdown()
            engine.renderer.shutdown()

    def _load(self) -> Any:
        set_environment()
        from vllm import EngineArgs, LLMEngine
        from vllm.config import StructuredOutputsConfig
        from vllm.platforms import current_platform
        from vllm.usage.usage_lib import UsageContext

        known = {field.name for field in fields(EngineArgs)}
        if unknown := sorted(self._args.keys() - known - SAMPLING - {TEMPLATE}):
            raise UsageError(f"--engine-arg {unknown[0]}: vLLM has no such engine argument")
        if not isinstance(self._template, Mapping):
            raise UsageError(f'--engine-arg {TEMPLATE} is not a JSON object, such as {{"enable_thinking": false}}')
        # After a chunk of a prompt vLLM rewinds the request's random generator, which torch supports only for CUDA: on
        # a CPU the engine would die.
        on_cpu = {"enforce_eager": True, "enable_chunked_prefill": False}
        args: dict[str, Any] = {
            "dtype": "float32" if current_platform.is_cpu() and not _has_bfloat16() else "auto",
            **(on_cpu if current_platform.is_cpu() else {}),
            "disable_log_stats": True,
            # In an actor of Ray, vLLM would choose Ray, and wait for resources that the actor holds already.
            **({"distributed_executor_backend": "mp"} if self.gpus_wanted > 1 else {}),
            "use_tqdm_on_load": False,
            "structured_outputs_config": {},
            # vLLM's own seed is 0: each start, and each worker, would draw the same numbers again.
            **({} if self._seeds else {"seed": randbits(31)}),
            **{name: value for name, value in self._args.items() if name in known},
            "model": self._location,
        }
        # Between JSON tokens, weak models tend to generate white space up to the token limit.
        args["structured_outputs_config"] = StructuredOutputsConfig(
            **{"backend": "xgrammar", "disable_any_whitespace": True, **args["structured_outputs_config"]}
        )
        self._begin("reading the configuration" if Path(self._location).is_dir() else f"downloading {self._model}")
        try:
            # As for `LLM`, which takes more requests at a time than the default.
            config = EngineArgs(**args).create_engine_config(UsageContext.LLM_CLASS)
        except (ValueError, TypeError, OSError) as error:
            asked = "".join(f" --engine-arg {name}={value}" for name, value in self._args.items())
            raise UsageError(f"vLLM rejects --model {self._model}{asked}: {sentence(error)}") from error
        with telling_phases(self._begin):
            return LLMEngine.from_vllm_config(config, disable_log_stats=args["disable_log_stats"])

    def _begin(self, phase: str) -> None:
        self.starting = f"starting vLLM: {phase}"

    def _serve(self, engine: Any) -> None:
        while True:
            for job in self._arrivals(wait=not engine.has_unfinished_requests()):
                if job is None:
                    return
                self._add(engine, job)
            if not engine.has_unfinished_requests():
                continue
            results = {output.request_id: result_of(output) for output in engine.step() if output.finished}
            if results:
                self._post(self._deliver, results)

    def _arrivals(self, wait: bool) -> Iterator[_Submission | None]:
        if wait:
            yield self._inbox.get()
        with contextlib.suppress(Empty):
            while True:
                yield self._inbox.get_nowait()

    def _add(self, engine: Any, job: _Submission) -> None:
        try:
            engine.add_request(job.id, {"type": "token", "prompt_token_ids": job.tokens}, job.params)
        except Exception as error:  # vLLM rejects this request, for example a schema that it cannot enforce
            engine.abort_request([job.id])
            self._post(self._deliver, {job.id: PromptRefused(f"vLLM refuses a request: {sentence(error)}")})

    def _post(self, callback: Any, *args: Any) -> None:
        # The loop may be closed already if a run was torn down without `close`; then nobody waits for this.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(callback, *args)

    # Posted by the driver, run by the loop.

    def _deliver(self, results: Mapping[str, Answer | list[float] | Exception]) -> None:
        for name, result in results.items():
            future = self._waiting.pop(name, None)
            if future is None or future.done():
                continue
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)

    def _fail(self, failure: SynthError) -> None:
        self._failure = self._failure or failure
        self._deliver(dict.fromkeys(tuple(self._waiting), self._failure))


def _has_bfloat16() -> bool:
    """Whether the processor supports bfloat16. If it is emulated, float32 is several times faster."""
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return True
    return "avx512_bf16" in flags or "amx_bf16" in flags or "bf16" in flags.split()


def _marks_reasoning_by_special_tokens(tokenizer: Any) -> bool:
    """Whether markers of reasoning are, or begin with, special tokens, which vLLM would remove from the text."""
    markers = [marker for pair in MARKERS for marker in pair]
    return any(marker.startswith(token) for token in tokenizer.all_special_tokens if token for marker in markers)


class _ReasoningParser:
    """One of vLLM's reasoning parsers for model families."""

    def __init__(self, name: str, tokenizer: Any, model: str, template: Mapping[str, Any]) -> None:
        """Raises `UsageError` if vLLM has no such parser, or if it does not support this model or complete texts."""
        from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest
        from vllm.reasoning import ReasoningParserManager

        chat = ChatCompletionRequest(
            model=model, messages=[Message(role="user", content="")], chat_template_kwargs=dict(template)
        )
        try:
            parser: Any = ReasoningParserManager.get_reasoning_parser(name)
            # A parser may be stateful, so each text gets a new one.
            self._new: Callable[[], Any] = lambda: parser(tokenizer, chat_template_kwargs=dict(template))
            self._request = self._new().adjust_request(chat)
            self._new().extract_reasoning("", self._request)
        except Exception as error:
            raise UsageError(
                f"--engine-arg reasoning_parser={name} cannot be used: {sentence(error)}; without it reasoning is "
                "found by its markers"
            ) from error
        self.needs_special_tokens = not self._request.skip_special_tokens

    def separated(self, completion: Completion) -> Completion:
        closing = closing_marker(completion)
        reasoning, text = self._new().extract_reasoning(completion.text + closing, self._request)
        # Without an answer, the reasoning was cut.
        finish_reason = completion.finish_reason if text or closing else "length"
        return replace(completion, text=text or "", reasoning=reasoning or None, finish_reason=finish_reason)


def _start_failure(model: str, error: BaseException) -> SynthError:
    if isinstance(error, SynthError):
        return error
    if isinstance(error, ModuleNotFoundError) and error.name == "vllm":
        return UsageError("vLLM is not installed: pip install '.[cpu]' (or '.[gpu]'), or use a server with --base-url")
    return EngineFailed(f"vLLM cannot start with --model {model}: {sentence(error)}")
