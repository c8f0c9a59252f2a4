"""Measures the model as the recipes use it: `python -m pipelines.tiny.evaluate --model tiny`.

On questions of which none was in the training data: how many it solves greedily, for how many 16 samples hold two
distinct correct paths, how many replies to the evolution prompt can be read, and on how many evolved questions the
samples agree.
"""

import argparse
import asyncio
import json
import sys
from collections import defaultdict

from pipelines.augment.evolve import Evolve, parse_evolutions
from pipelines.augment.respond import Respond
from pipelines.engines import Completion, Engine, Request, Sampling
from pipelines.engines.opening import open_engine
from pipelines.reject.answer import Hashes, extract_answer, majority
from pipelines.reject.sample import Sample
from pipelines.reject.selection import judge
from pipelines.stage import Reject
from pipelines.tiny.problems import examples

__all__ = ["measure"]

SAMPLES = 16
_LIMIT = 1024


async def measure(engine: Engine) -> dict[str, float]:
    """Shares of the example questions, or of their evolved questions, for which each claim holds."""
    rows = list(examples())
    answers = Hashes()
    alpaca, evolve, respond = Sample().prompt, Evolve().prompt, Respond().prompt

    async def ask(request: Request) -> tuple[Completion, ...]:
        return (await engine.generate(request)).completions

    async def solve(row: dict[str, str], temperature: float, n: int) -> set[str]:
        gold = answers.gold(row["answer"])
        assert gold is not None
        prompt = alpaca.render(question=row["question"])
        completions = await ask(Request(prompt, Sampling(temperature, max_tokens=256), n))
        paths = [judge(completion.text, gold, answers) for completion in completions]
        return {path.key for path in paths if not path.reason}

    async def evolved(row: dict[str, str]) -> list[str]:
        prompt = evolve.render(query=row["question"])
        (reply,) = await ask(Request(prompt, Sampling(0.7, max_tokens=_LIMIT)))
        try:
            return parse_evolutions(reply.text)
        except Reject:
            return []

    async def agrees(question: str) -> bool:
        prompt = respond.render(query=question, shots=[])
        completions = await ask(Request(prompt, Sampling(0.7, max_tokens=256), n=8))
        most = majority(answer for answer in (extract_answer(c.text) for c in completions) if answer)
        return most is not None and most.votes * 2 > len(completions)

    greedy = await asyncio.gather(*(solve(row, 0.0, 1) for row in rows))
    sampled = await asyncio.gather(*(solve(row, 0.7, SAMPLES) for row in rows))
    replies = await asyncio.gather(*(evolved(row) for row in rows))
    agreed = await asyncio.gather(*(agrees(question) for reply in replies for question in reply))
    _tell_by_kind(rows, greedy, sampled)
    return {
        "solved greedily": sum(map(bool, greedy)) / len(rows),
        f"two distinct correct paths in {SAMPLES}": sum(len(keys) > 1 for keys in sampled) / len(rows),
        f"distinct correct paths in {SAMPLES}, mean": sum(map(len, sampled)) / len(rows),
        "evolutions readable": sum(map(bool, replies)) / len(rows),
        "evolved questions with a majority": sum(agreed) / max(1, len(agreed)),
    }


def _tell_by_kind(rows: list[dict[str, str]], greedy: list[set[str]], sampled: list[set[str]]) -> None:
    kinds: dict[str, list[int]] = defaultdict(list)
    for index, row in enumerate(rows):
        kinds[row["id"].rpartition("-")[0]].append(index)
    for kind, indexes in kinds.items():
        solved = sum(bool(greedy[index]) for index in indexes)
        several = sum(len(sampled[index]) > 1 for index in indexes)
        sys.stderr.write(f"{kind}: {solved} solved greedily, {several} in several ways, of {len(indexes)}\n")


async def _run(model: str) -> dict[str, float]:
    engine = open_engine("vllm", model, None, {})
    await engine.start()
    try:
        return await measure(engine)
    finally:
        await engine.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="tiny", help="a model directory, or tiny for the one that ships")
    scores = asyncio.run(_run(parser.parse_args().model))
    sys.stdout.write(json.dumps({name: round(score, 3) for name, score in scores.items()}, indent=1) + "\n")
