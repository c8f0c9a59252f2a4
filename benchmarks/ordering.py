"""`pack neighbors` over many documents, step by step, beside the released sorter and FAISS' own search.

The vectors are those of `documents.py`, with a hundredth of them near duplicates of others. What the steps of synth
take does not include reading the rows and writing them, which the last line does: it is the command from exec to exit,
with the index. The released sorter (swj0419/in-context-pretraining) works on the same lists of neighbours, by lists and
sets as it is published, with its faults mended so that it ends; a document that moves is looked for in a list and
inserted there. FAISS' search is `search` of the same index, without the comparison of the vectors themselves; the
recall is of ten neighbours, for some documents whose neighbours are known from comparing them with all.
"""

import time
from pathlib import Path
from typing import Any

from contest import SYNTH, call_apart, multiple, parser, print_table, run_watched, say, scratch, write_dataset
from documents import write_vectors

K, RUN, NEAR = 10, 21, 0.95
ASKED = 1_000
AT_A_TIME = 1 << 14


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--documents", type=int, default=1_000_000)
    arguments.add_argument("--dimensions", type=int, default=384)
    given = arguments.parse_args()
    with scratch() as folder:
        say(f"{given.documents:,} documents")
        call_apart(write_documents, folder, given)
        steps, peak = call_apart(ordered, folder / "vectors", folder / "found")
        rows = [[name, f"{seconds:.1f}", what] for name, seconds, what in steps]
        after = sum(seconds for name, seconds, _ in steps if name != "index")
        rows.append(["all but the index", f"{after:.1f}", f"peak {peak:,.0f} MiB"])
        outcome, own = run_watched(
            [SYNTH, "pack", "neighbors", str(folder / "rows"), str(folder / "out"), "--vectors", str(folder / "rows")]
        )
        rows.append(["the command, exec to exit", f"{outcome.seconds:.1f}", f"peak own {own:,.0f} MiB"])
        title = f"{given.documents:,} documents of {given.dimensions} dimensions, {K} neighbours"
        print_table(title, ["step", "seconds", ""], rows)
        (theirs, ours), _ = call_apart(beside_the_sorter, folder / "found", K)
        table = [["the sorter, as released and mended", f"{theirs:.1f}", f"{ours:.1f}", multiple(theirs / ours), "-"]]
        (theirs, ours, recalls), _ = call_apart(beside_faiss, folder / "vectors")
        recall = f"{recalls[0]:.4f} / {recalls[1]:.4f}"
        table.append([f"search of FAISS, {ASKED:,}", f"{theirs:.2f}", f"{ours:.2f}", multiple(theirs / ours), recall])
    print_table("Beside others", ["what", "rival, s", "synth, s", "synth faster by", "recall, rival / synth"], table)


def write_documents(folder: Path, given: Any) -> None:
    import json

    import numpy as np
    import pyarrow as pa

    from synth.pipelines.retrieval.document_vectors import EMBED_STAGE

    write_vectors(folder / "vectors", given.documents, given.dimensions)
    file = folder / "vectors" / "vectors.float16"
    vectors = np.memmap(file, np.float16, "r+", shape=(given.documents, given.dimensions))
    rng = np.random.default_rng(3)
    twins, of = np.split(rng.permutation(given.documents)[: given.documents // 50], 2)
    near = vectors[of[: len(twins)]] + 0.2 * given.dimensions**-0.5 * rng.standard_normal(
        (len(twins), given.dimensions)
    )
    vectors[twins] = near / np.linalg.norm(near, axis=1, keepdims=True)
    vectors.flush()
    schema = pa.schema([("id", pa.string()), ("text", pa.string())])
    text = "A document of two hundred characters. " * 6

    def batches() -> Any:
        for start in range(0, given.documents, 4096):
            ids = [f"document-{number}" for number in range(start, min(start + 4096, given.documents))]
            yield pa.record_batch([ids, [text[:200]] * len(ids)], schema=schema)

    write_dataset(folder / "rows", schema, [batches()])
    # As if `synth embed` had written it.
    record = {"identity": {"stage": EMBED_STAGE, "options": {}}, "shards": []}
    (folder / "rows" / "synth.json").write_text(json.dumps(record))
    (folder / "rows" / "vectors").symlink_to(folder / "vectors")


def ordered(vectors: Path, found: Path) -> list[tuple[str, float, str]]:
    """The steps of synth with their seconds and what came of each. The neighbours stay in `found`."""
    from dataclasses import replace

    import numpy as np

    from synth.pipelines.in_context.neighbors import Neighbors, all_neighbors, without_twins
    from synth.pipelines.in_context.pack import NPROBE
    from synth.pipelines.in_context.traversal import traversed
    from synth.pipelines.retrieval.nearest import Nearest, build, kind_for
    from synth.pipelines.retrieval.vectors import Vectors

    steps: list[tuple[str, float, str]] = []
    started = time.perf_counter()

    def lap(name: str, what: str) -> None:
        nonlocal started
        steps.append((name, time.perf_counter() - started, what))
        say(f"{name}: {steps[-1][1]:.1f} s, {what}")
        started = time.perf_counter()

    laid_out = Vectors.open(vectors)
    indexed = replace(laid_out, faiss=kind_for(laid_out.passages))
    build(indexed)
    lap("index", indexed.faiss)
    nearest = Nearest(indexed, NPROBE)

    def search(documents: Any, most: int) -> Neighbors:
        return Neighbors(*nearest.others(documents, most))

    neighbors = all_neighbors(search, laid_out.documents, K, found, lambda _: None)
    lap("neighbours", f"mean cosine {neighbors.cosines.mean():.4f}")
    kept, twins = without_twins(neighbors, search, NEAR)
    lap("near duplicates", f"{len(twins):,} dropped")
    runs = traversed(kept)
    lap("traversal", f"{len(runs) - len(twins):,} runs")
    np.save(found / "documents.npy", neighbors.documents)
    return steps


def beside_the_sorter(found: Path, k: int) -> tuple[float, float]:
    """Seconds of the released sorter, and of the runs of synth, for the same lists."""
    import numpy as np

    from synth.pipelines.in_context.neighbors import Neighbors
    from synth.pipelines.in_context.runs import dissolved, in_runs

    documents = np.load(found / "documents.npy")[:, : k - 1]
    neighbors = Neighbors(documents, np.zeros(documents.shape, np.float32))
    started = time.perf_counter()
    dissolved(in_runs(neighbors, RUN), neighbors, RUN)
    ours = time.perf_counter() - started
    lists = documents.tolist()
    started = time.perf_counter()
    released(lists)
    return time.perf_counter() - started, ours


def released(lists: list[list[int]]) -> list[list[int]]:
    """Runs of documents by a set of those left, then short ones moved by a search in the list of their target."""
    unseen = set(range(len(lists)))
    runs: list[list[int]] = []
    run_of: dict[int, int] = {}
    while unseen:
        document = next(iter(unseen))
        run: list[int] = []
        while document is not None and len(run) < RUN:
            unseen.discard(document)
            run.append(document)
            run_of[document] = len(runs)
            document = next((other for other in lists[document] if other in unseen), None)  # type: ignore[assignment]
        runs.append(run)
    for number, run in enumerate(runs):
        if len(run) >= RUN:
            continue
        for document in list(run):
            target = next((other for other in lists[document] if other >= 0 and run_of[other] != number), None)
            if target is not None:
                run.remove(document)
                there = runs[run_of[target]]
                there.insert(there.index(target), document)
                run_of[document] = run_of[target]
    return [run for run in runs if run]


def beside_faiss(folder: Path) -> tuple[float, float, tuple[float, float]]:
    """Seconds of FAISS' search and of synth's for some documents, and the recall of each."""
    from dataclasses import replace

    import numpy as np

    from synth.pipelines.in_context.pack import NPROBE
    from synth.pipelines.retrieval.nearest import Nearest, kind_for
    from synth.pipelines.retrieval.vectors import Vectors

    laid_out = Vectors.open(folder)
    nearest = Nearest(replace(laid_out, faiss=kind_for(laid_out.passages)), NPROBE)
    array = np.asarray(laid_out.array)
    asked = np.sort(np.random.default_rng(5).choice(laid_out.documents, ASKED, replace=False))
    queries = array[asked].astype(np.float32)
    # First, because it reads all vectors, so that neither search has to wait for the disk.
    wanted = exactly(array, queries, asked)
    started = time.perf_counter()
    _, found = nearest._candidates(queries, K + 1)
    theirs = time.perf_counter() - started
    started = time.perf_counter()
    others, _ = nearest.others(asked, K)
    ours = time.perf_counter() - started
    recalls = [np.mean([np.isin(*pair).mean() for pair in zip(wanted, each, strict=True)]) for each in (found, others)]
    return theirs, ours, (float(recalls[0]), float(recalls[1]))


def exactly(array: Any, queries: Any, asked: Any) -> Any:
    """The nearest vectors of each query but itself, from comparing it with all."""
    import numpy as np

    best, rows = np.full((len(asked), K), -np.inf, np.float32), np.full((len(asked), K), -1)
    for start in range(0, len(array), AT_A_TIME):
        part = array[start : start + AT_A_TIME].T.astype(np.float32)
        numbers = np.arange(start, start + part.shape[1])
        scores = np.where(numbers == asked[:, None], -np.inf, queries @ part)
        scores = np.concatenate([best, scores], 1)
        rows = np.concatenate([rows, np.broadcast_to(numbers, (len(asked), len(numbers)))], 1)
        largest = np.argpartition(-scores, K, axis=1)[:, :K]
        best, rows = np.take_along_axis(scores, largest, 1), np.take_along_axis(rows, largest, 1)
    return rows


if __name__ == "__main__":
    main()
