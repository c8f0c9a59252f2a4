"""K-means of `select clusterclip` beside scikit-learn's MiniBatchKMeans and the published loop; and its sampler.

The vectors are those of `documents.py`. The distance is the mean of 1 - cosine to the nearest centroid, over all
vectors. scikit-learn runs with its own settings until it stops by itself, and of synth is told when its distance was no
more than that. The published loop (choosewhatulike/cluster-clip) goes through all vectors in batches of 1,024 with
torch, here for as many iterations as `--iterations`, and synth does as many from the same start. Seconds are those of
clustering, without importing torch; the others have the vectors in memory as 32-bit numbers before. Sampling is from
clusters that are known: of the sampler alone, and of the command from exec to exit, which writes the rows.
"""

import math
import time
from pathlib import Path
from typing import Any

from contest import (
    SYNTH,
    add_peers_option,
    call_apart,
    multiple,
    parser,
    print_table,
    rival,
    run_apart,
    run_watched,
    say,
    scratch,
    write_dataset,
)
from documents import write_vectors

BATCH = 1024
MAX_REPEATS = 40


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--documents", type=int, default=1_000_000)
    arguments.add_argument("--dimensions", type=int, default=384)
    arguments.add_argument("--clusters", type=int, default=2_000)
    arguments.add_argument("--iterations", type=int, default=5, help="of the published loop")
    arguments.add_argument("--most", type=int, default=60, help="most iterations of synth")
    arguments.add_argument("--draws", type=int, default=10_000_000)
    add_peers_option(arguments)
    given = arguments.parse_args()
    with scratch() as folder:
        say(f"{given.documents:,} vectors")
        call_apart(write_vectors, folder / "vectors", given.documents, given.dimensions)
        table = beside_rivals(folder, given)
        columns = ["what", "seconds", "mean distance", "synth, s", "synth, distance", "synth faster by", "peak, MiB"]
        title = f"{given.documents:,} documents, {given.dimensions} dimensions, {given.clusters:,} clusters"
        print_table(title, columns, table)
        columns = ["what", "seconds", "million draws/s", "peak own, MiB"]
        print_table(f"{given.draws:,} draws of {given.documents:,} documents", columns, sampling(folder, given))


def beside_rivals(folder: Path, given: Any) -> list[list[str]]:
    ours, peak = call_apart(clustered, folder, given)
    say(f"synth: {ours[-1][0]:.0f} s, {len(ours) - 1} iterations, distance {ours[-1][1]:.5f}")
    theirs, loop_peak = call_apart(published, folder, given)
    loop, mine = theirs[given.iterations], ours[given.iterations]
    same = [f"{mine[0]:.1f}", f"{mine[1]:.5f}", multiple(loop[0] / mine[0]), f"{loop_peak:,.0f}"]
    table = [[f"published loop, {given.iterations} iterations", f"{loop[0]:.1f}", f"{loop[1]:.5f}", *same]]
    contender = rival("scikit-learn", "on_sklearn.py", given.peers_python)
    files = [str(folder / "vectors" / "vectors.float16"), "--dimensions", str(given.dimensions)]
    outcome = run_apart([*contender.command, *files, "--clusters", str(given.clusters)])
    if outcome.fault:
        say(f"scikit-learn: {contender.missing() or outcome.fault}")
    else:
        report = outcome.report
        name = f"MiniBatchKMeans {report['version']}, {report['steps']:,} batches"
        took, reached = next((pass_ for pass_ in ours if pass_[1] <= report["distance"]), (math.nan, ours[-1][1]))
        figures = [f"{took:.1f}", f"{reached:.5f}", multiple(report["seconds"] / took), f"{outcome.peak:,.0f}"]
        table.append([name, f"{report['seconds']:.1f}", f"{report['distance']:.5f}", *figures])
    whole = [f"{ours[-1][0]:.1f}", f"{ours[-1][1]:.5f}", "-", "-", "-", f"{peak:,.0f}"]
    table.append([f"synth, {len(ours) - 1} iterations", *whole])
    return table


def clustered(folder: Path, given: Any) -> list[tuple[float, float]]:
    """The seconds and the distance after each iteration of synth."""
    import numpy as np
    import torch  # noqa: F401  Before the time starts, as for the published loop.

    from synth.pipelines.clusterclip.kmeans import Clustering, kmeans
    from synth.pipelines.retrieval.vectors import Vectors

    vectors = np.asarray(Vectors.open(folder / "vectors").array)
    passes: list[tuple[float, float]] = []
    started = time.perf_counter()
    start = Clustering(vectors[starts(given)])
    kmeans(vectors, start, given.most, lambda state: passes.append((time.perf_counter() - started, state.distance)))
    return passes


def starts(given: Any) -> Any:
    import numpy as np

    return np.sort(np.random.default_rng(0).choice(given.documents, given.clusters, replace=False))


def published(folder: Path, given: Any) -> list[tuple[float, float]]:
    """The same of the published loop, whose distance is that before each update."""
    import torch

    from synth.pipelines.retrieval.vectors import Vectors

    vectors = torch.from_numpy(Vectors.open(folder / "vectors").array.astype("f4"))
    passes = []
    started = time.perf_counter()
    centroids = vectors[torch.from_numpy(starts(given))]
    for _ in range(given.iterations + 1):
        sums, counts, distance = torch.zeros_like(centroids), torch.zeros(given.clusters), 0.0
        for batch in vectors.split(BATCH):
            nearest, labels = (1 - batch @ centroids.T).min(dim=1)
            distance += float(nearest.sum())
            sums.index_add_(0, labels, batch)
            counts.index_add_(0, labels, torch.ones(len(batch)))
        passes.append((time.perf_counter() - started, distance / given.documents))
        is_used = counts > 0
        centroids[is_used] = torch.nn.functional.normalize(sums[is_used] / counts[is_used, None])
    return passes


def sampling(folder: Path, given: Any) -> list[list[str]]:
    seconds, peak = call_apart(sample, given)
    rows = [["the sampler alone", f"{seconds:.1f}", f"{given.draws / seconds / 1e6:.2f}", f"{peak:,.0f}"]]
    call_apart(write_documents, folder / "documents", given)
    command = [SYNTH, "select", "clusterclip", str(folder / "documents")]
    options = ["--max-repeats", str(MAX_REPEATS), "-n", str(given.draws)]
    for name, more in (("rows of 200 characters written", []), ("--weights", ["--weights"])):
        outcome, own = run_watched([*command, str(folder / f"drawn{len(rows)}"), *options, *more])
        rate = given.draws / outcome.seconds / 1e6
        rows.append([name, f"{outcome.seconds:.1f}", f"{rate:.2f}", f"{own:,.0f}"])
    return rows


def sample(given: Any) -> float:
    import numpy as np

    from synth.pipelines.clusterclip.sampling import sampled

    labels, keys = clusters_of(given), np.random.default_rng(1).integers(0, 2**64, given.documents, np.uint64)
    started, drawn = time.perf_counter(), 0
    for rows in sampled(labels, keys, MAX_REPEATS, np.random.default_rng(2), proportional=False):
        drawn += len(rows)
        if drawn >= given.draws:
            break
    return time.perf_counter() - started


def clusters_of(given: Any) -> Any:
    """Clusters of sizes by Zipf's law."""
    import numpy as np

    chances = np.cumsum(1 / np.arange(1, given.clusters + 1))
    drawn = np.random.default_rng(0).random(given.documents) * chances[-1]
    return np.searchsorted(chances, drawn).astype(np.int32)


def write_documents(folder: Path, given: Any) -> None:
    import pyarrow as pa

    schema = pa.schema([("id", pa.string()), ("text", pa.string()), ("cluster", pa.int32())])
    labels = clusters_of(given)
    text = "A document of two hundred characters. " * 6

    def batches() -> Any:
        for start in range(0, given.documents, 4096):
            part = labels[start : start + 4096]
            ids = [f"document-{number}" for number in range(start, start + len(part))]
            yield pa.record_batch([ids, [text[:200]] * len(part), part], schema=schema)

    write_dataset(folder, schema, [batches()])


if __name__ == "__main__":
    main()
