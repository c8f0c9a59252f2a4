"""Does text that queries about a domain retrieve teach the domain (Query of CC, arXiv 2401.14624, section 4)?

    python -m benchmarks.learning.domain --out DIR

Hypothesis: a model that goes on training on retrieved text has a lower loss on held-out text of the domain than one
that goes on training on as much random text of the same corpus.

The corpus are the docstrings of Python's standard library, cut into passages of equal length; those of modules of no
domain are the general text that the students begin with. Every fifth docstring of the domains is held out, and the
others are indexed, without what shares 13 words with held-out text. The embedded model asks and thinks about the
example seeds of one domain. A third set has all passages of the domain, as their labels tell, which the recipe does not
know: what it could find at best.

Held equal: the students before (by seed), passages of the retrieved and the random set, tokens of a passage, batch,
learning rate and its schedule, and steps. Each seed has a random set of its own.
"""

import json
import subprocess
import sys
import zlib
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks.contest import ROOT
from benchmarks.learning import world
from benchmarks.learning.results import LOSSES, Finding, gap, of_sets, tell
from benchmarks.learning.steps import (
    Sets,
    add_training,
    beginners,
    experiment,
    loss,
    record,
    rows,
    scored,
    synth,
    trained,
)
from tiny_model.train import build_tokenizer

__all__ = ["datasets", "main", "passages", "queries"]

DOCSTRINGS, SEEDS = ROOT / "examples" / "docstrings.py", ROOT / "examples" / "seeds.jsonl"
TOKENS = 80
HELD_OUT = 5  # one docstring in so many


def main() -> None:
    arguments = experiment(__doc__, "domain")
    add_training(arguments, lessons=600, steps=100, learning_rate=2e-3)
    arguments.add_argument("--teacher", default="tiny", help="the model that asks and thinks")
    arguments.add_argument("--domain", default="network programming")
    given = arguments.parse_args()
    listed = subprocess.run([sys.executable, DOCSTRINGS], check=True, stdout=subprocess.PIPE, encoding="utf-8").stdout
    documents = [json.loads(line) for line in listed.splitlines()]
    texts = [document["text"] for document in documents]
    corpus = world.write(given.out / "passages.jsonl", passages(documents, build_tokenizer(texts)))
    asked = queries(given.domain, given.teacher, given.out)
    sets, held_out = datasets(corpus, given.domain, asked, given.seeds, given.out)
    taught = beginners(texts, given.out / "general", given)
    students = {("general text alone", seed): student for seed, student in taught.items()}
    students |= trained(sets, taught, given)
    findings = []
    for name, data in held_out.items():

        def score(model: Path, data: Path = data) -> float:
            return loss(model, data, given.out / "losses" / f"{data.name}-{model.name}")

        findings.append(Finding(f"loss on held-out text of {name}", LOSSES, scored(students, sets, score)))
    told = [gap(finding, "retrieved", "random") for finding in findings]
    told += [_described(arm, data[0], students[arm, 0], given.domain) for arm, data in sets.items()]
    tell("Query of CC", findings, of_sets, given.out, given.chart, told)


def passages(documents: Iterable[Mapping[str, str]], tokenizer: Any) -> Iterator[dict[str, Any]]:
    """Documents cut into passages of `TOKENS` tokens, as chats in which nobody asks; what is left over is left out."""
    for document in documents:
        text = " ".join(document["text"].split())
        ends = [end for _, end in tokenizer(text, return_offsets_mapping=True)["offset_mapping"]]
        borders = [0, *ends[TOKENS - 1 :: TOKENS]]
        is_held_out = zlib.crc32(document["id"].encode()) % HELD_OUT == 0
        part = "general" if document["domain"] == "other" else "held out" if is_held_out else "pool"
        for place, (begin, end) in enumerate(pairwise(borders)):
            passage = text[begin:end].strip()
            yield {
                "id": f"{document['id']}/passage-{place}",
                "domain": document["domain"],
                "part": part,
                "text": passage,
                "messages": [{"role": "assistant", "content": passage}],
            }


def queries(domain: str, teacher: str, out: Path) -> Path:
    """What the teacher asks and thinks about the seeds of the domain, with the seeds."""
    seeds, asked, distinct = out / "seeds", out / "queries", out / "distinct-queries"
    synth("filter", SEEDS, seeds, "--where", f"domain = '{domain}'")
    synth("query-of-cc", "bootstrap", seeds, asked, "--model", teacher, "--rounds", 1, "--temperature", 0.6)
    synth("dedup", asked, distinct, "--text", "text")
    return distinct


def datasets(corpus: Path, domain: str, asked: Path, seeds: int, out: Path) -> tuple[Sets, dict[str, Path]]:
    """The sets that students go on training on, and the held-out text of the domain and of the others."""
    distinct, rest, pool, index, found = (out / name for name in ("distinct", "rest", "pool", "index", "found"))
    of_domain, of_others, others = out / "held-out-domain", out / "held-out-others", out / "others"
    is_domain = f"domain = '{domain}'"
    synth("dedup", corpus, distinct, "--text", "text")
    synth("filter", distinct, out / "general", "--where", "part = 'general'")
    synth("filter", distinct, rest, "--where", "part = 'pool'")
    synth("filter", distinct, of_domain, "--where", f"part = 'held out' AND {is_domain}")
    synth("filter", distinct, others, "--where", f"part = 'held out' AND NOT {is_domain}")
    synth("sample", others, of_others, "-n", rows(of_domain))
    synth("decontaminate", rest, pool, "--against", of_domain, "--against", others, "--text", "text")
    retrieved, labelled = out / "retrieved", out / "labelled"
    synth("query-of-cc", "index", pool, index)
    synth("query-of-cc", "retrieve", asked, index, found, "--top-k", 10)
    synth("join", pool, found, retrieved, "--on", "id", "--how", "semi")
    synth("filter", pool, labelled, "--where", is_domain)
    randoms = [out / f"random-{seed}" for seed in range(seeds)]
    for seed, random in enumerate(randoms):
        synth("sample", pool, random, "-n", rows(retrieved), "--seed", seed)
    sets = {"retrieved": [retrieved], "random": randoms, "labelled": [labelled]}
    return sets, {"the domain": of_domain, "other domains": of_others}


def _described(arm: str, data: Path, student: Path, domain: str) -> str:
    from datasets import load_from_disk

    passages = load_from_disk(str(data))
    share = sum(name == domain for name in passages["domain"]) / len(passages)
    tokens = record(student)["counts"]["tallies"]["tokens_learnt"]
    return f"{arm}: {share:.0%} of {len(passages):,} passages are of the domain, {tokens:,} tokens"


if __name__ == "__main__":
    main()
