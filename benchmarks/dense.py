"""An index of vectors beside comparing all of them: recall@10 and queries/s, by how many clusters are looked into.

Vectors have length 1 and lie around topics, with noise of their own in every direction (`--noise`: its length, where a
topic has length 1), which is harder than what a model makes of texts. Queries are further such vectors. Exact search is
FAISS' flat index over the same numbers in 32 bits, in memory; synth's vectors and index are read from disk, and what
it takes includes their order by the vectors themselves. Each round does both, one after the other.
"""

import time
from pathlib import Path
from typing import Any

from contest import call_apart, multiple, parser, print_table, say, scratch

K = 10
AT_A_TIME = 1 << 16


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--vectors", type=int, default=1_000_000)
    arguments.add_argument("--dimensions", type=int, default=384)
    arguments.add_argument("--topics", type=int, default=2_000)
    arguments.add_argument("--noise", type=float, default=1.0)
    arguments.add_argument("--queries", type=int, default=1_000)
    arguments.add_argument("--kinds", nargs="+", default=["ivfpq"], help="flat, ivf, ivfpq")
    arguments.add_argument("--nprobe", nargs="+", type=int, default=[8, 16, 32, 64, 128])
    arguments.add_argument("--rounds", type=int, default=3)
    given = arguments.parse_args()
    table = []
    with scratch() as folder:
        say(f"{given.vectors:,} vectors")
        call_apart(write_vectors, folder, given)
        for kind in given.kinds:
            seconds, peak = call_apart(build_index, folder, given, kind)
            say(f"{kind} built in {seconds:.0f} s, peak {peak:,.0f} MiB")
            figures, _ = call_apart(compare, folder, given, kind)
            for nprobe, (recall, rate, exact) in figures.items():
                ahead = multiple(rate / exact)
                table.append([f"{kind}, nprobe {nprobe}", f"{recall:.4f}", f"{rate:,.0f}", f"{exact:,.0f}", ahead])
            table.append([f"{kind}: built in {seconds:.0f} s, peak {peak:,.0f} MiB", "", "", "", ""])
    columns = ["index", f"recall@{K}", "queries/s", "exact, queries/s", "faster by"]
    print_table(f"{given.vectors:,} vectors of {given.dimensions} dimensions, noise {given.noise}", columns, table)


def drawn(count: int, given: Any, seed: int) -> Any:
    import numpy as np

    rng = np.random.default_rng(seed)
    topics = np.random.default_rng(0).standard_normal((given.topics, given.dimensions), np.float32)
    vectors = topics[rng.integers(0, given.topics, count)]
    vectors += given.noise * rng.standard_normal((count, given.dimensions), np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def write_vectors(folder: Path, given: Any) -> None:
    import numpy as np

    from synth.pipelines.retrieval.vectors import VectorWriter

    writer = VectorWriter(folder / "dense", given.dimensions, 1)
    for start in range(0, given.vectors, AT_A_TIME):
        stop = min(start + AT_A_TIME, given.vectors)
        writer.append(drawn(stop - start, given, start + 1), np.arange(start, stop, dtype=np.uint32))


def build_index(folder: Path, given: Any, kind: str) -> float:
    from synth.pipelines.retrieval.nearest import build

    started = time.perf_counter()
    build(laid_by(folder, given, kind))
    return time.perf_counter() - started


def laid_by(folder: Path, given: Any, kind: str) -> Any:
    from synth.pipelines.retrieval.vectors import Vectors

    return Vectors(folder / "dense", given.dimensions, given.vectors, given.vectors, kind)


def compare(folder: Path, given: Any, kind: str) -> dict[int, tuple[float, float, float]]:
    """Of each nprobe: recall, and queries/s of the index and of exact search, medians over the rounds."""
    from statistics import median

    import faiss
    import numpy as np

    from synth.pipelines.retrieval.nearest import Nearest

    vectors = laid_by(folder, given, kind)
    queries = drawn(given.queries, given, 0).astype(np.float32)
    flat = faiss.IndexFlatIP(given.dimensions)
    for start in range(0, given.vectors, AT_A_TIME):
        flat.add(vectors.array[start : start + AT_A_TIME].astype(np.float32))
    seconds: dict[int, list[float]] = {nprobe: [] for nprobe in [0, *given.nprobe]}
    recall = {}
    for _ in range(given.rounds):
        started = time.perf_counter()
        _, wanted = flat.search(queries, K)
        seconds[0].append(time.perf_counter() - started)
        for nprobe in given.nprobe:
            nearest = Nearest(vectors, nprobe)
            started = time.perf_counter()
            found = [hits.ords for hits in nearest.search(queries, K)]
            seconds[nprobe].append(time.perf_counter() - started)
            recall[nprobe] = float(np.mean([np.isin(*pair).mean() for pair in zip(wanted, found, strict=True)]))
    rates = {nprobe: given.queries / median(times) for nprobe, times in seconds.items()}
    return {nprobe: (recall[nprobe], rates[nprobe], rates[0]) for nprobe in given.nprobe}


if __name__ == "__main__":
    main()
