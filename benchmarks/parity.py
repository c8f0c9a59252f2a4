"""What the runner and its seeds cost: a step against bare `LLM.generate` in one process, on one engine.

`synth` samples with a seed for each request, and with `--no-seeds`; its rival never has any, as in most scripts. All
send the same prompts with the same sampling to one vLLM engine that was started once, in turns: `synth` as its rows ask
for them, the rival all at once. Tokens/s, because without seeds no two turns draw the same texts, is over the whole of
a run, its reading, journaling, checking and publishing included, against the call of `LLM.generate` alone. The ratios
are the medians of the rounds' ratios.

    parity.py                                             `reject sample` with the embedded model
    parity.py --step tag                                  `instag tag`, whose replies have a JSON schema
    parity.py --step respond                              `augment respond`, at two temperatures
    parity.py --model DIR --engine-arg load_format=dummy  random weights of a larger one, where there is a GPU
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from itertools import count
from pathlib import Path
from queue import SimpleQueue
from statistics import median
from typing import Any, TypeVar

from contest import ROOT, parser, print_table, say, scratch

from synth.pipelines.augment.respond import Respond
from synth.pipelines.engines import Answer, Message, Request
from synth.pipelines.engines.registry import open_engine
from synth.pipelines.engines.vllm import VllmEngine
from synth.pipelines.engines.vllm_requests import sampling_params
from synth.pipelines.instag.tag import Tag
from synth.pipelines.reject.sample import FOLDER, SamplePaths
from synth.pipelines.runtime.declared import assignments
from synth.pipelines.runtime.prompts import Prompt
from synth.pipelines.runtime.runner import Options, Run
from synth.pipelines.runtime.stage import RowStage

T = TypeVar("T")

# The steps, made of the number of samples and the token limit.
STEPS: dict[str, Callable[[int, int], RowStage]] = {
    "sample": lambda n, most: SamplePaths(Prompt.load("alpaca", FOLDER), n=n, max_tokens=most),
    "tag": lambda _, most: Tag(max_tokens=most),
    "respond": lambda n, most: Respond(n=n, max_tokens=most),
}


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--step", choices=STEPS, default="sample")
    arguments.add_argument("--model", default="tiny")
    arguments.add_argument("--engine-arg", action="append", metavar="NAME=VALUE")
    arguments.add_argument("--questions", default=str(ROOT / "examples" / "questions.jsonl"))
    arguments.add_argument("--rows", type=int, default=400, help="the questions are repeated up to this many")
    arguments.add_argument("-n", type=int, default=4, help="samples of each request, but for tags")
    arguments.add_argument("--max-tokens", type=int, default=256)
    arguments.add_argument("--rounds", type=int, default=5)
    given = arguments.parse_args()
    engine = open_engine("vllm", given.model, (), assignments("--engine-arg")(given.engine_arg or ()))
    assert isinstance(engine, VllmEngine)
    stage = STEPS[given.step](given.n, given.max_tokens)
    with scratch() as folder:
        repeat(Path(given.questions), folder / "questions.jsonl", given.rows)
        lent, numbers = Lent(engine), count()
        say("starting vLLM")
        asyncio.run(engine.start())
        bare = Bare(engine)

        def through_the_runner(*, seeds: bool) -> int:
            lent.draw(seeds=seeds)
            source, out = folder / "questions.jsonl", folder / f"out-{next(numbers)}"
            summary = Run(stage, [str(source)], out, Options(), engine=lent).execute()
            return int(summary.counts.tallies["completion_tokens"])

        # The first round warms all sides up, and tells which requests the runner sends.
        through_the_runner(seeds=True)
        requests = tuple(lent.requests)

        def generate(llm: Any) -> int:
            """The tokens that `LLM.generate` answers all of the requests with."""
            prompts = [text_of(request.prompt, llm.get_tokenizer()) for request in requests]
            params = [sampling_params(request, {}, skip_special_tokens=True, seeds=False) for request in requests]
            outputs = llm.generate(prompts, params, use_tqdm=False)
            return sum(len(completion.token_ids) for output in outputs for completion in output.outputs)

        bare.call(generate)
        sides: dict[str, Callable[[], int]] = {
            "seeds": lambda: through_the_runner(seeds=True),
            "no seeds": lambda: through_the_runner(seeds=False),
            "bare": lambda: bare.call(generate),
        }
        rounds = []
        for number in range(given.rounds):
            # Who goes first changes, for what one leaves behind the next one finds.
            turns = deque(sides)
            turns.rotate(-number)
            rate = {}
            for side in turns:
                seconds, tokens = timed(sides[side])
                rate[side] = tokens / seconds
            rounds.append((rate, [rate["seeds"] / rate["bare"], rate["no seeds"] / rate["bare"]]))
            say(f"round {number + 1}: {', '.join(f'{ratio:.3f}' for ratio in rounds[-1][1])}")
        asyncio.run(engine.close())
    table = [
        [f"{number}", *(f"{rate[side]:,.0f}" for side in sides), *(f"{ratio:.3f}" for ratio in ratios)]
        for number, (rate, ratios) in enumerate(rounds, 1)
    ]
    medians = [median(column) for column in zip(*(ratios for _, ratios in rounds), strict=True)]
    table.append(["median", "", "", "", *(f"{one:.3f}" for one in medians)])
    columns = [
        "round", "synth, tokens/s", "synth --no-seeds, tokens/s", "bare, tokens/s", "synth / bare",
        "synth --no-seeds / bare",
    ]  # fmt: skip
    print_table(f"{stage.name}, {len(requests):,} requests, {given.model}", columns, table)


class Lent:
    """A started engine, lent to one run after another, which neither starts nor closes it; it notes what they ask."""

    def __init__(self, engine: VllmEngine) -> None:
        self._engine = engine
        self.requests: list[Request] = []

    def draw(self, *, seeds: bool) -> None:
        self._engine._seeds = seeds

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


def text_of(prompt: str | tuple[Message, ...], tokenizer: Any) -> str:
    """What `LLM.generate` takes for a prompt."""
    if isinstance(prompt, str):
        return prompt
    return str(tokenizer.apply_chat_template(list(prompt), tokenize=False, add_generation_prompt=True))


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
