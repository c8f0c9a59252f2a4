"""`synth query-of-cc index` and `retrieve` beside bm25s and rank-bm25: speed, memory, and how good the rankings are.

Passages of about 100 words, drawn by Zipf's law from the words of Python's sources. For each query there is a passage
that it was made from, and two copies of that in which 10 to 50 % of the words are others: these three are to be found.
A keyword query is 3 to 5 words of the passage, a thought 150 words, of which 25 are of the passage. A second collection
is held out of real text: the first line of a docstring is to find the rest of it.

What synth takes to index is from exec to exit, reading and writing included; the others have the texts in memory before
their time starts, and write nothing. Searches are by all cores (rank-bm25 has one only), queries read and split in the
time. The first query, for which numba compiles, is left out of both, but not of `retrieve`. rank-bm25 gets the same
passages and few queries. All split texts in the same way. Own memory (RssAnon) leaves out mapped files. Beside each
rate by the clock stands that by seconds of CPU, which other work on the machine changes less.
"""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from contest import (
    SYNTH,
    Contender,
    Outcome,
    add_peers_option,
    call_apart,
    multiple,
    parser,
    print_table,
    rival,
    run_watched,
    say,
    scratch,
)

KEYWORDS, THOUGHTS, TITLES = "keywords", "thoughts", "titles"
# By kind of query, queries per second and per second of CPU.
Rates = dict[str, tuple[float, float]]


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--passages", type=int, default=1_000_000)
    arguments.add_argument("--queries", type=int, default=1_000, help="of each kind; up to a third of the passages")
    arguments.add_argument("--k", type=int, default=100)
    arguments.add_argument("--rounds", type=int, default=3, help="searches that a rate is the median of")
    arguments.add_argument("--rank-bm25-queries", type=int, nargs=2, default=[20, 3], help="keywords and thoughts")
    add_peers_option(arguments)
    given = arguments.parse_args()
    bm25s = rival("bm25s", "on_bm25s.py", given.peers_python)
    rivals = [
        bm25s,
        rival("bm25s, numba", "on_bm25s.py", given.peers_python, "--backend", "numba"),
        rival("rank-bm25", "on_rank_bm25.py", given.peers_python),
    ]
    if problem := bm25s.missing():
        raise SystemExit(f"bm25s: {problem}")
    with scratch() as folder:
        say(f"{given.passages:,} passages")
        words, _ = call_apart(write_collection, "write_known_items", folder / "made", given.passages, given.queries)
        title = f"{given.passages:,} passages of {words:,} different words"
        indexed = index(folder / "made")
        rates = {
            "synth": search(folder / "made", given),
            "synth retrieve, from exec to exit": retrieve(folder / "made", (KEYWORDS, THOUGHTS), given.k),
        }
        theirs = {contender.name: run_rival(contender, folder / "made", given) for contender in rivals}
        print_builds(title, given.passages, indexed, theirs)
        for clock, unit in enumerate(("queries/s", "queries/CPU s")):
            print_searches(f"{title}, k = {given.k}", unit, clock, given, rates, theirs)
        documents, _ = call_apart(write_collection, "write_docstrings", folder / "held-out", given.queries)
        index(folder / "held-out")
        retrieve(folder / "held-out", (TITLES,), given.k)
        run_rival(bm25s, folder / "held-out", given, TITLES)
        print_quality(folder, f"{title}, and {documents:,} docstrings")


def write_collection(name: str, *arguments: Any) -> Any:
    import corpora

    return getattr(corpora, name)(*arguments)


def index(folder: Path) -> tuple[Outcome, float]:
    say(f"index of {folder.name}")
    return run_watched([SYNTH, "query-of-cc", "index", str(folder / "corpus"), str(folder / "index")])


def retrieve(folder: Path, kinds: Sequence[str], k: int) -> Rates:
    """Rates of the command, which writes the documents and, for the measures, a run."""
    rates = {}
    for kind in kinds:
        say(f"retrieve {kind}")
        options = ["--top-k", str(k), "--run", str(folder / f"{kind}.synth")]
        queries = folder / f"{kind}.jsonl"
        outcome, own = run_watched(
            [SYNTH, "query-of-cc", "retrieve", str(queries), str(folder / "index"), str(folder / kind), *options]
        )
        say(f"peak {outcome.peak:,.0f} MiB resident, {own:,.0f} own")
        asked = len(queries.read_text().splitlines())
        rates[kind] = asked / outcome.seconds, asked / outcome.cpu
    return rates


def search(folder: Path, given: Any) -> Rates:
    say("search")
    rates, _ = call_apart(search_alone, folder, given)
    return dict(rates)


def search_alone(folder: Path, given: Any) -> Rates:
    """Rates of the search alone, as `retrieve` does it."""
    from statistics import median

    from synth.pipelines.retrieval.analysis import Analysis
    from synth.pipelines.retrieval.bm25 import Bm25

    engine = Bm25(folder / "index" / "bm25", Analysis())
    rates = {}
    for kind in (KEYWORDS, THOUGHTS):
        queries = [json.loads(line)["text"] for line in (folder / f"{kind}.jsonl").read_text().splitlines()]
        list(engine.search(queries[:1], given.k))
        rounds = []
        for _ in range(given.rounds):
            started, cpu = time.perf_counter(), time.process_time()
            for _ in engine.search(queries, given.k):
                pass
            rounds.append((time.perf_counter() - started, time.process_time() - cpu))
        rates[kind] = len(queries) / median(wall for wall, _ in rounds), len(queries) / median(cpu for _, cpu in rounds)
    return rates


def run_rival(contender: Contender, folder: Path, given: Any, *kinds: str) -> tuple[Outcome, float]:
    say(f"{contender.name} on {folder.name}")
    command = [*contender.command, str(folder / "terms"), "--k", str(given.k)]
    for kind in kinds or (KEYWORDS, THOUGHTS):
        command += ["--search", str(folder / f"{kind}.terms.jsonl"), str(folder / f"{kind}.{contender.name}")]
    if contender.name == "rank-bm25":
        return run_watched([*command, "--limit", *map(str, given.rank_bm25_queries)])
    return run_watched([*command, "--rounds", str(given.rounds)])


def print_builds(
    title: str, passages: int, indexed: tuple[Outcome, float], theirs: dict[str, tuple[Outcome, float]]
) -> None:
    outcome, own = indexed
    rates = passages / outcome.seconds, passages / outcome.cpu
    table = [["synth", *(f"{figure:,.0f}" for figure in (*rates, outcome.peak, own)), *3 * [""]]]
    for name, (outcome, own_of_it) in theirs.items():
        of_it = [passages / seconds for seconds in outcome.report["index"]]
        ahead = [multiple(rate / other) for rate, other in zip(rates, of_it, strict=True)]
        figures = [f"{figure:,.0f}" for figure in (*of_it, outcome.peak, own_of_it)]
        table.append([name, *figures, *ahead, multiple(own_of_it / own)])
    columns = ["index", "passages/s", "per CPU s", "peak resident, MiB", "peak own, MiB"]
    columns += ["synth is faster by", "per CPU s", "memory of synth's"]
    print_table(f"{title} (memory of the others: searches included)", columns, table)


def print_searches(
    title: str, unit: str, clock: int, given: Any, rates: dict[str, Rates], theirs: dict[str, tuple[Outcome, float]]
) -> None:
    """By the wall's clock (0) or that of the CPU (1)."""
    table = [
        [name, *(f"{rate[kind][clock]:,.1f}" for kind in (KEYWORDS, THOUGHTS)), "", ""] for name, rate in rates.items()
    ]
    ours = rates["synth"]
    for name, (outcome, _) in theirs.items():
        keywords, thoughts = (1 / seconds[clock] for seconds in outcome.report["search"])
        ahead = [multiple(ours[KEYWORDS][clock] / keywords), multiple(ours[THOUGHTS][clock] / thoughts)]
        counted = f" ({given.rank_bm25_queries[0]} and {given.rank_bm25_queries[1]} queries)"
        table.append([name + counted * (name == "rank-bm25"), f"{keywords:,.1f}", f"{thoughts:,.2f}", *ahead])
    columns = [unit, "keywords", "thoughts", "synth is faster by", "of thoughts"]
    print_table(title, columns, table)


def print_quality(folder: Path, title: str) -> None:
    table = []
    for name, kind in (("made", KEYWORDS), ("made", THOUGHTS), ("held-out", TITLES)):
        figures, _ = call_apart(compare, folder / name, kind)
        table += [[f"{kind}: {measure}", *(f"{figure:.4f}" for figure in row)] for measure, row in figures.items()]
    columns = ["ranking", "synth", "bm25s", "difference", "its standard error"]
    print_table(f"{title} (the mean of AP is MAP)", columns, table)


def compare(folder: Path, kind: str) -> dict[str, tuple[float, ...]]:
    """By measure, the means of synth and bm25s, and the mean of the queries' differences with its standard error."""
    import numpy as np

    from synth.pipelines.retrieval.trec import MEASURES, measure, read_judgements, read_run

    judged = read_judgements(folder / "qrels.txt")
    runs = [read_run(folder / f"{kind}.synth"), read_run(folder / f"{kind}.bm25s")]
    asked = [json.loads(line)["id"] for line in (folder / f"{kind}.jsonl").read_text().splitlines()]
    found = [measure(run, {query: judged[query] for query in asked}) for run in runs]
    figures = {}
    for name in MEASURES:
        one, other = (np.array([values[query][name] for query in asked]) for values in found)
        differences = one - other
        error = float(differences.std(ddof=1) / len(asked) ** 0.5)
        figures[name] = (float(one.mean()), float(other.mean()), float(differences.mean()), error)
    return figures


if __name__ == "__main__":
    main()
