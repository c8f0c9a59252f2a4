"""Whether `self-lengthen extend` keeps an engine busy: its rows against a flat batch of the very requests they made.

A row is up to six calls a try that depend on one another, and has several tries; the flat batch sends all the requests
of all rows at once. One engine, started once, answers both in turns, without a prefix cache, in which whoever comes
second would find what the first has left. The stage's seconds are those of the whole run, its reading, journaling,
checking and publishing included. The ratio is the median of the rounds' ratios. Tokens a step of the engine say how
full its batches were; on a busy machine they tell more than the seconds.

    self_lengthen.py                                             the embedded model, and drafts as it writes them
    self_lengthen.py --model DIR --engine-arg load_format=dummy  random weights of a larger one, where there is a GPU
"""

import asyncio
import json
import time
from collections.abc import Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

from contest import parser, print_table, say, scratch
from parity import Lent, timed

from synth.pipelines.engines import Request
from synth.pipelines.engines.registry import open_engine
from synth.pipelines.engines.vllm import VllmEngine
from synth.pipelines.runtime.declared import assignments
from synth.pipelines.runtime.options import Options
from synth.pipelines.runtime.runner import Run
from synth.pipelines.self_lengthen.extend import Extend
from tiny_model.texts import instruction, short_text, subjects


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--model", default="tiny")
    arguments.add_argument("--engine-arg", action="append", metavar="NAME=VALUE")
    arguments.add_argument("--rows", type=int, default=400, help="drafts")
    arguments.add_argument("-n", type=int, default=2, help="extensions of each")
    arguments.add_argument("--tries", type=int, default=20)
    arguments.add_argument("--max-tokens", type=int, default=Extend.max_tokens)
    arguments.add_argument("--rounds", type=int, default=3, help="of the benchmark; those of a try are three")
    given = arguments.parse_args()
    args = {"enable_prefix_caching": "false", **assignments("--engine-arg")(given.engine_arg or ())}
    engine = open_engine("vllm", given.model, (), args)
    assert isinstance(engine, VllmEngine)
    stage = Extend(n=given.n, tries=given.tries, max_tokens=given.max_tokens)
    with scratch() as folder:
        write_drafts(folder / "drafts.jsonl", given.rows)
        lent = Lent(engine)
        steps = Steps(engine)
        say("starting vLLM")
        asyncio.run(engine.start())
        reasons: dict[str, int] = {}

        def in_rows(number: int) -> int:
            summary = Run(
                stage, [str(folder / "drafts.jsonl")], folder / f"out-{number}", Options(), engine=lent
            ).execute()
            reasons.update(extended=summary.counts.outputs, **summary.counts.output_reasons)
            return int(summary.counts.tallies["completion_tokens"])

        # The first round warms the engine up, and tells which requests the rows make.
        in_rows(0)
        requests = tuple(lent.requests)

        def flat(_: int) -> int:
            return asyncio.run(all_at_once(lent, requests))

        ratios, table = [], []
        for number in range(1, given.rounds + 1):
            figures = {}
            # Who goes first alternates, for what one leaves behind the other finds.
            for side in (in_rows, flat) if number % 2 else (flat, in_rows):
                steps.taken, cpu = 0, time.process_time()
                seconds, tokens = timed(partial(side, number))
                figures[side] = tokens / seconds, tokens / steps.taken
                cpu = time.process_time() - cpu
                say(f"{tokens:,} tokens in {seconds:.1f} s, {cpu:.1f} s of CPU and {steps.taken:,} steps")
            (rate, a_step), (flat_rate, flat_step) = figures[in_rows], figures[flat]
            ratios.append(rate / flat_rate)
            cells = [f"{rate:,.0f}", f"{flat_rate:,.0f}", f"{a_step:.1f}", f"{flat_step:.1f}"]
            table.append([f"{number}", *cells, f"{ratios[-1]:.3f}"])
            say(f"round {number}: {ratios[-1]:.3f}")
        asyncio.run(engine.close())
    table.append(["median", "", "", "", "", f"{median(ratios):.3f}"])
    columns = ["round", "rows, tokens/s", "flat, tokens/s", "rows, tokens/step", "flat, tokens/step", "rows / flat"]
    print_table(f"{len(requests):,} requests of {given.rows:,} drafts, {given.model}", columns, table)
    say(", ".join(f"{name} {count:,}" for name, count in reasons.items()))


class Steps:
    """How many steps an engine has taken."""

    def __init__(self, engine: VllmEngine) -> None:
        self.taken = 0
        load = engine._load

        def load_and_count() -> Any:
            llm_engine = load()
            step = llm_engine.step

            def counted() -> Any:
                self.taken += 1
                return step()

            llm_engine.step = counted
            return llm_engine

        engine._load = load_and_count  # type: ignore[method-assign]


def write_drafts(to: Path, number: int) -> None:
    random = Random(0)
    with to.open("w") as file:
        for index, subject in enumerate(islice(subjects("benchmark"), number)):
            row = {"instruction": instruction(subject, random), "response": str(short_text(subject, random))}
            file.write(json.dumps({"id": f"draft-{index}", **row}) + "\n")


async def all_at_once(lent: Lent, requests: Sequence[Request]) -> int:
    """The tokens of the answers to all requests."""
    await lent.start()
    answers = await asyncio.gather(*map(lent.answer, requests))
    return sum(completion.tokens for answer in answers for completion in answer.completions)


if __name__ == "__main__":
    main()
