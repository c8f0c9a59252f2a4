"""What the runner costs beside the model: `reject sample` against bare `LLM.generate` in one process, on one engine.

Both sides send the same prompts with the same sampling and the same seeds to one vLLM engine that was started once, in
turns; requests/s is over the whole of a run, its reading, journaling, checking and publishing included, against the
call of `LLM.generate` alone. The ratio is the median of the rounds' ratios.

    parity.py                                             the embedded model
    parity.py --model DIR --engine-arg load_format=dummy  random weights of a larger one, where there is a GPU
"""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from statistics import median
from typing import Any, TypeVar

from contest import ROOT, parser, print_table, say, scratch

from synth.pipelines.engines import Answer, Request
from synth.pipelines.engines.registry import open_engine
from synth.pipelines.engines.vllm import VllmEngine
from synth.pipelines.engines.vllm_requests import sampling_params
from synth.pipelines.reject.sample import FOLDER, SamplePaths
from synth.pipelines.runtime.declared import assignments
from synth.pipelines.runtime.prompts import Prompt
from synth.pipelines.runtime.runner import Options, Run

T = TypeVar("T")


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--model", default="tiny")
    arguments.add_argument("--engine-arg", action="append", metavar="NAME=VALUE")
    arguments.add_argument("--questions", default=str(ROOT / "examples" / "questions.jsonl"))
    arguments.add_argument("--requests", type=int, default=400, help="the questions are repeated up to this many")
    arguments.add_argument("-n", type=int, default=4, help="samples of each")
    arguments.add_argument("--max-tokens", type=int, default=256)
    arguments.add_argument("--rounds", type=int, default=5)
    given = arguments.parse_args()
    engine = open_engine("vllm", given.model, (), assignments("--engine-arg")(given.engine_arg or ()))
    assert isinstance(engine, VllmEngine)
    stage = SamplePaths(Prompt.load("alpaca", FOLDER), n=given.n, max_tokens=given.max_tokens)
    with scratch() as folder:
        repeat(Path(given.questions), folder / "questions.jsonl", given.requests)
        lent = Lent(engine)
        say("starting vLLM")
        asyncio.run(engine.start())
        bare = Bare(engine)

        def through_the_runner(number: int) -> int:
            summary = Run(
                stage, [str(folder / "questions.jsonl")], folder / f"out-{number}", Options(), engine=lent
            ).execute()
            return int(summary.counts.tallies["completion_tokens"])

        # The first round warms both sides up, and tells which requests the runner sends.
        through_the_runner(0)
        requests = tuple(lent.requests)

        def generate(llm: Any) -> int:
            """The tokens that `LLM.generate` answers all of the requests with."""
            prompts = [request.prompt for request in requests]
            params = [sampling_params(request, {}, skip_special_tokens=True) for request in requests]
            outputs = llm.generate(prompts, params, use_tqdm=False)
            return sum(len(completion.token_ids) for output in outputs for completion in output.outputs)

        bare.call(generate)
        ratios, table = [], []
        for number in range(1, given.rounds + 1):
            turns = [lambda number=number: through_the_runner(number), lambda: bare.call(generate)]
            # Who goes first alternates, for what one leaves behind the other finds.
            if number % 2:
                (synths, tokens), (bares, bare_tokens) = timed(turns[0]), timed(turns[1])
            else:
                (bares, bare_tokens), (synths, tokens) = timed(turns[1]), timed(turns[0])
            ratios.append(bares / synths)
            table.append([
                f"{number}", f"{len(requests) / synths:.2f}", f"{len(requests) / bares:.2f}",
                f"{tokens / synths:,.0f}", f"{bare_tokens / bares:,.0f}", f"{ratios[-1]:.3f}",
            ])  # fmt: skip
            say(f"round {number}: {ratios[-1]:.3f}")
        asyncio.run(engine.close())
    table.append(["median", "", "", "", "", f"{median(ratios):.3f}"])
    columns = ["round", "synth, requests/s", "bare, requests/s", "synth, tokens/s", "bare, tokens/s", "synth / bare"]
    print_table(f"{len(requests):,} requests of {given.n} samples, {given.model}", columns, table)


class Lent:
    """A started engine, lent to one run after another, which neither starts nor closes it; it notes what they ask."""

    def __init__(self, engine: VllmEngine) -> None:
        self._engine = engine
        self.requests: list[Request] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    async def start(self) -> None:
        # Answers are handed to the loop of the run that borrows it.
        self._engine._loop = asyncio.get_running_loop()
        self.requests.clear()

    async def answer(self, request: Request) -> Answer:
        self.requests.append(request)
        return await self._engine.answer(request)

    async def close(self) -> None:
        pass


class Bare:
    """`vllm.LLM` over the engine that a `VllmEngine` has built, called in the thread in which it was built.

    Another thread would have its own pool of workers, pinned otherwise; a second engine, other memory.
    """

    def __init__(self, engine: VllmEngine) -> None:
        self._engine = engine
        self._llm: Any = None
        add = engine._add

        def add_or_call(llm_engine: Any, job: Any) -> None:
            if callable(job):
                job(llm_engine)
            else:
                add(llm_engine, job)

        engine._add = add_or_call

    def call(self, work: Callable[[Any], T]) -> T:
        """What `work` makes of the `vllm.LLM`."""
        done: SimpleQueue[T | BaseException] = SimpleQueue()
        self._engine._inbox.put(lambda llm_engine: done.put(self._attempt(llm_engine, work)))
        found = done.get()
        if isinstance(found, BaseException):
            raise found
        return found

    def _attempt(self, llm_engine: Any, work: Callable[[Any], T]) -> T | BaseException:
        try:
            self._llm = self._llm or llm_over(llm_engine)
            return work(self._llm)
        except BaseException as error:
            return error


def llm_over(llm_engine: Any) -> Any:
    """The `vllm.LLM` of an engine that is there already."""
    from unittest.mock import patch

    from vllm import LLM, LLMEngine

    with patch.object(LLMEngine, "from_engine_args", return_value=llm_engine):
        return LLM(model=llm_engine.model_config.model)


def timed(work: Callable[[], T]) -> tuple[float, T]:
    started = time.perf_counter()
    made = work()
    return time.perf_counter() - started, made


def repeat(questions: Path, to: Path, number: int) -> None:
    """As many lines as are wanted, with ids of their own: a row's id has a part in its seeds."""
    import orjson

    rows = [orjson.loads(line) for line in questions.read_bytes().splitlines()]
    with to.open("wb") as file:
        for index in range(number):
            file.write(orjson.dumps({**rows[index % len(rows)], "id": f"question-{index}"}) + b"\n")


if __name__ == "__main__":
    main()
