"""What `score nll` costs beside the model: the whole run against bare `LLM.generate`, in one process, on one engine.

Both sides score the same windows of the same texts, in turns. Windows/s of synth are over the whole of a run, its
reading, tokenizing, journaling and publishing included, against the call of `LLM.generate(..., prompt_logprobs=0)`
alone, which is given the tokens. The last column is against the same call with what synth asks vLLM for: flat lists,
and no text made of each token. Ratios are medians of the rounds; the sums of all scores have to be the same.

    scoring.py                                             the embedded model
    scoring.py --model DIR --engine-arg load_format=dummy  random weights of a larger one, where there is a GPU
"""

import asyncio
import json
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from contest import ROOT, parser, print_table, say, scratch
from parity import Bare, Lent, timed

from synth.pipelines.engines.registry import open_engine
from synth.pipelines.engines.scoring import windows_of
from synth.pipelines.engines.vllm import VllmEngine
from synth.pipelines.engines.vllm_requests import scoring_params
from synth.pipelines.miniplm.nll import ScoreTexts
from synth.pipelines.runtime.declared import assignments
from synth.pipelines.runtime.runner import Options, Run
from synth.schemas.dataset import Dataset

COLUMNS = ["round", "synth, windows/s", "bare", "bare, tuned", "synth / bare", "synth / bare, tuned"]


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--model", default="tiny")
    arguments.add_argument("--engine-arg", action="append", metavar="NAME=VALUE")
    arguments.add_argument("--texts", type=Path, help="JSONL; by default the docstrings of the standard library")
    arguments.add_argument("--rows", type=int, default=2000, help="the texts are repeated up to this many")
    arguments.add_argument("--max-tokens", type=int, default=1024)
    arguments.add_argument("--rounds", type=int, default=5)
    given = arguments.parse_args()
    engine = open_engine("vllm", given.model, (), assignments("--engine-arg")(given.engine_arg or ()))
    assert isinstance(engine, VllmEngine)
    with scratch() as folder:
        texts = write_texts(given.texts, folder / "texts.jsonl", given.rows)
        say("starting vLLM")
        asyncio.run(engine.start())
        lent, bare = Lent(engine), Bare(engine)
        stage = ScoreTexts(max_tokens=given.max_tokens)

        def run(number: int) -> Path:
            out = folder / f"out-{number}"
            Run(stage, [str(folder / "texts.jsonl")], out, Options(), engine=lent).execute()
            return out

        windows = windows_in(texts, given.max_tokens, engine)
        plain, tuned = (
            partial(bare.call, partial(generate, windows, params)) for params in (_plain_params(), scoring_params())
        )
        # The first round warms all sides up.
        sums = [sum(Dataset.open(run(0)).table["nll"].to_pylist()), *(map(likelihood, (plain(), tuned())))]
        table = []
        for number in range(1, given.rounds + 1):
            sides = [partial(run, number), plain, tuned]
            # Who goes first changes, for what one leaves behind the other finds.
            turns = sorted(range(3), key=lambda side, number=number: (side + number) % 3)
            seconds = {side: timed(sides[side])[0] for side in turns}
            rates = [len(windows) / seconds[side] for side in range(3)]
            table.append([*rates, rates[0] / rates[1], rates[0] / rates[2]])
            say(f"round {number}: {table[-1][3]:.3f}")
        asyncio.run(engine.close())
    named = [(str(number), row) for number, row in enumerate(table, 1)]
    named.append(("median", [median(column) for column in zip(*table, strict=True)]))
    tokens = sum(map(len, windows))
    print_table(
        f"{len(texts):,} texts, {len(windows):,} windows of {tokens:,} tokens, {given.model}",
        COLUMNS,
        [[name, *(f"{value:.3f}" for value in row)] for name, row in named],
    )
    print(f"sums of the negative log-likelihoods: {', '.join(f'{one:,.1f}' for one in sums)} nats")


def write_texts(source: Path | None, to: Path, rows: int) -> list[str]:
    """The texts, written as so many rows with ids of their own."""
    if source:
        lines = source.read_text().splitlines()
    else:
        program = [sys.executable, str(ROOT / "examples" / "docstrings.py")]
        lines = subprocess.run(program, capture_output=True, text=True, check=True).stdout.splitlines()
    found = [json.loads(line)["text"] for line in lines]
    texts = [found[index % len(found)] for index in range(rows)]
    to.write_text("".join(json.dumps({"id": f"text-{n}", "text": text}) + "\n" for n, text in enumerate(texts)))
    return texts


def windows_in(texts: Sequence[str], max_tokens: int, engine: VllmEngine) -> list[list[int]]:
    """The windows that are sent: those of a single token are not."""
    encode = partial(engine._tokenizer.encode, add_special_tokens=False)
    return [window for text in texts for window in windows_of(encode(text), (), max_tokens) if len(window) > 1]


def _plain_params() -> Any:
    from vllm import SamplingParams

    return SamplingParams(max_tokens=1, temperature=0, prompt_logprobs=0)


def generate(windows: Sequence[list[int]], params: Any, llm: Any) -> list[Any]:
    outputs: list[Any] = llm.generate([{"prompt_token_ids": window} for window in windows], params, use_tqdm=False)
    return outputs


def likelihood(outputs: Sequence[Any]) -> float:
    """The negative log-likelihood of all windows, in nats."""
    return -sum(
        entry[token].logprob
        for output in outputs
        for token, entry in zip(output.prompt_token_ids[1:], list(output.prompt_logprobs)[1:], strict=True)
    )


if __name__ == "__main__":
    main()
