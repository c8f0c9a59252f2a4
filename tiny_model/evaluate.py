"""Measures the model as the recipes use it: `python -m tiny_model.evaluate --model tiny`.

On questions of which none was in the training data: how many it solves greedily, for how many 16 samples hold two
distinct correct paths, how many replies to the evolution prompt can be read, and on how many evolved questions the
samples agree. And on instructions of which it saw none: how many new ones it writes that it finds fit, how long its
drafts are, and how many of them it makes longer by more than a fifth in one pass. Of functions, queries and tags: see
`evaluate_functions` and `evaluate_queries`.
"""

import argparse
import asyncio
import itertools
import json
import sys
from collections import defaultdict
from collections.abc import Iterable
from random import Random

from msgspec.structs import replace

from synth.pipelines.augment.evolve import Evolve, parse_evolutions
from synth.pipelines.augment.respond import Respond
from synth.pipelines.engines import Completion, Engine, Message, Request, Sampling
from synth.pipelines.engines.reasoning import separate_reasoning
from synth.pipelines.engines.registry import open_engine
from synth.pipelines.reject.sample import SamplePaths
from synth.pipelines.reject.selection import judge
from synth.pipelines.runtime.answers.answer import MarkedAnswers, majority
from synth.pipelines.runtime.prompts import Prompt
from synth.pipelines.runtime.stage import Reject
from synth.pipelines.self_lengthen import instruct, quality, words
from synth.pipelines.self_lengthen.draft import DraftResponses
from synth.pipelines.self_lengthen.extend import Extend
from tiny_model.evaluate_functions import measure_functions
from tiny_model.evaluate_queries import measure_queries, measure_tags
from tiny_model.problems import examples
from tiny_model.texts import example_instructions, subjects, unsuited

__all__ = ["measure", "measure_texts"]

SAMPLES = 16
DRAFTS = 8
_LIMIT = 1024


async def measure(engine: Engine) -> dict[str, float]:
    """Shares of the example questions, or of their evolved questions, for which each claim holds."""
    rows = list(examples())
    answers = MarkedAnswers()
    alpaca, evolve, respond = SamplePaths().prompt, Evolve().prompt, Respond().prompt

    async def ask(request: Request) -> list[Completion]:
        return await _answers(engine, request)

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
        most = majority(answer for answer in (answers.find_value(c.text) for c in completions) if answer)
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


async def _answers(engine: Engine, request: Request) -> list[Completion]:
    return [separate_reasoning(completion) for completion in (await engine.answer(request)).completions]


async def measure_texts(engine: Engine) -> dict[str, float]:
    """Shares of new instructions, drafts and extensions for which each claim holds, and mean lengths in words."""
    asked = [row["instruction"] for row in example_instructions()]
    sampling = replace(Extend().sampling, max_tokens=_LIMIT)
    writing, judging = (Prompt.load(name, instruct.FOLDER) for name in ("instruct", "suited"))
    drafting, extending = DraftResponses().prompt, Extend().prompt

    async def ask(prompt: str | tuple[Message, ...], sampling: Sampling, n: int = 1) -> list[str]:
        return [completion.text.strip() for completion in await _answers(engine, Request(prompt, sampling, n))]

    async def suits(text: str) -> bool:
        (verdict,) = await ask(judging.render(instruction=text, language="en"), Sampling(0.0, max_tokens=4))
        return verdict == "Yes"

    async def write(first: str, second: str) -> list[str]:
        return await ask(writing.render(first=first, second=second, language="en"), sampling, DRAFTS)

    async def draft(instruction: str) -> list[str]:
        return await ask(drafting.render(instruction=instruction, language="en"), sampling, DRAFTS)

    async def extend(instruction: str, text: str) -> str:
        return (await ask(extending.render(instruction=instruction, outline=text, language="en"), sampling))[0]

    lists = await asyncio.gather(*(write(*pair) for pair in itertools.pairwise(asked)))
    new = [text for texts in lists for text in texts]
    random = Random("unsuited")
    trivial = [unsuited(subject, random) for subject in itertools.islice(subjects("unsuited"), 40)]
    verdicts = await asyncio.gather(*map(suits, new))
    refusals = await asyncio.gather(*map(suits, trivial))
    replies = await asyncio.gather(*map(draft, asked))
    drafts = [(instruction, text) for instruction, texts in zip(asked, replies, strict=True) for text in texts]
    fit = [(instruction, text) for instruction, text in drafts if not quality.refusal(text)]
    extended = await asyncio.gather(*(extend(*pair) for pair in fit))
    grown = [
        text
        for (_, short), text in zip(fit, extended, strict=True)
        if not quality.refusal(text) and words.count(text) > Extend().growth * words.count(short)
    ]
    return {
        "new instructions, distinct": len(set(new) - set(asked)) / len(new),
        "new instructions found fit": sum(verdicts) / len(new),
        "trivial instructions found fit": sum(refusals) / len(trivial),
        "drafts that pass": len(fit) / len(drafts),
        "words of a draft that passes, mean": _mean_words(text for _, text in fit),
        "extensions that pass and grow by a fifth": len(grown) / max(1, len(fit)),
        "words of such an extension, mean": _mean_words(grown),
    }


def _mean_words(texts: Iterable[str]) -> float:
    counts = [words.count(text) for text in texts]
    return sum(counts) / max(1, len(counts))


def _tell_by_kind(rows: list[dict[str, str]], greedy: list[set[str]], sampled: list[set[str]]) -> None:
    kinds: dict[str, list[int]] = defaultdict(list)
    for index, row in enumerate(rows):
        kinds[row["id"].rpartition("-")[0]].append(index)
    for kind, indexes in kinds.items():
        solved = sum(bool(greedy[index]) for index in indexes)
        several = sum(len(sampled[index]) > 1 for index in indexes)
        sys.stderr.write(f"{kind}: {solved} solved greedily, {several} in several ways, of {len(indexes)}\n")


async def _run(model: str) -> dict[str, float]:
    engine = open_engine("vllm", model, (), {})
    await engine.start()
    try:
        return {**await measure(engine), **await measure_texts(engine)}
    finally:
        await engine.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="tiny", help="a model directory, or tiny for the one that ships")
    model = parser.parse_args().model
    scores = asyncio.run(_run(model))
    for measured in (measure_functions, measure_queries, measure_tags):
        scores |= measured(["--model", model])
    sys.stdout.write(json.dumps({name: round(score, 3) for name, score in scores.items()}, indent=1) + "\n")
