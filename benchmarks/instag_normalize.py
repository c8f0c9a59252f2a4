"""`synth instag normalize` over many tagged rows: seconds and peak memory of each step, and what became of what was
planted; then its clusters beside scikit-learn's DBSCAN, and its rules beside mlxtend's FP-Growth.

What the rows are is said in `tagged_rows.py`. Recall is over what step 1 leaves, since as in the paper rare forms are
dropped before anybody looks at their spelling, and over pairs that are frequent enough. Precision is over forms that a
step gave another tag: it is right if both are forms of one concept, or of a planted pair. That two concepts mean nearly
the same happens by chance, too, and counts as wrong all the same. The memory is what the process has of its own
(RssAnon), without mapped files.

The rivals get inputs that double in size as long as they take less than half of `--patience`, and synth the largest of
these. scikit-learn compares all vectors, in portions; mlxtend builds the tree of all itemsets and stops at pairs.
"""

import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contest import add_peers_option, call_apart, multiple, parser, print_table, rival, run_apart, say, scratch
from tagged_rows import KINDS, SORTS, Forms, draws, minilm, write_rows

SECONDS_PER_LOOK = 0.02
# Vectors lie around topics, some of them very near to another one, as vectors of tags do.
DIMENSIONS, TOPICS, NOISE = 384, 500, 1.0
# So often occurs what has to come with another tag 40 times.
FREQUENT = 45
FIRST_VECTORS, FIRST_QUERIES, TAGS = 4_000, 4_000, 10_000


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--rows", type=int, default=10_000_000)
    arguments.add_argument("--tags", type=int, default=1_000_000, help="distinct forms")
    arguments.add_argument("--embedder", default="minilm", help="minilm, characters, or another model")
    arguments.add_argument("--patience", type=float, default=60, help="seconds for each rival")
    add_peers_option(arguments)
    given = arguments.parse_args()
    with scratch() as folder:
        say(f"{given.rows:,} rows")
        call_apart(write_rows, folder / "tagged", given.rows, given.tags)
        steps, _ = call_apart(normalize, folder, given.embedder)
        columns = ["what", "tags after it", "seconds", "peak own, MiB"]
        print_table(f"{given.rows:,} rows, {given.tags:,} forms, {given.embedder}", columns, steps)
        planted, given_another = call_apart(compare, folder, given.tags)[0]
        print_table("What was planted, and what is one tag now", ["what", "pairs", "one tag", "share"], planted)
        print_table("Forms that were given another tag", ["by", "forms", "right", "share"], given_another)
    columns = ["what", "of", "rival, s", "synth, s", "synth faster by"]
    print_table("Beside the rivals", columns, [beside_dbscan(given), beside_faiss(given), beside_fpgrowth(given)])


class Stopwatch:
    """Seconds, and the peak of own memory in MiB, from one lap to the next."""

    def __init__(self) -> None:
        self.laps: list[tuple[str, int | None, float, float]] = []
        self._peak, self._started = 0.0, time.perf_counter()
        threading.Thread(target=self._look, daemon=True).start()

    def lap(self, name: str, tags: int | None = None) -> None:
        now = time.perf_counter()
        self.laps.append((name, tags, now - self._started, max(self._peak, _own_mib())))
        self._peak, self._started = 0.0, now

    def _look(self) -> None:
        while True:
            self._peak = max(self._peak, _own_mib())
            time.sleep(SECONDS_PER_LOOK)

    @property
    def table(self) -> list[list[str]]:
        whole = ("in all", None, sum(lap[2] for lap in self.laps), max(lap[3] for lap in self.laps))
        return [
            [name, "" if tags is None else f"{tags:,}", f"{seconds:.1f}", f"{peak:,.0f}"]
            for name, tags, seconds, peak in [*self.laps, whole]
        ]


def _own_mib() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("RssAnon")).split()[1]) / 1024


@dataclass(frozen=True)
class Watched:
    """An output, or an embedder, of which it is noted when it is told something or has done its work."""

    inner: Any
    stopwatch: Stopwatch

    def tally(self, name: str, amount: float = 1) -> None:
        if name == "raw_tags" or name.startswith("after"):
            self.stopwatch.lap(name.replace("_", " "), int(amount))
        self.inner.tally(name, amount)

    def points(self, *arguments: Any) -> Any:
        points = self.inner.points(*arguments)
        self.stopwatch.lap("vectors")
        return points

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


def normalize(folder: Path, embedder: str) -> list[list[str]]:
    """Run the stage over the rows in `folder`, and tell where time and memory went."""
    from synth.pipelines.instag.normalize.embedding import embedder_named
    from synth.pipelines.instag.normalize.normalize import Normalize
    from synth.pipelines.runtime.options import Options
    from synth.pipelines.runtime.runner import Run

    stopwatch = Stopwatch()

    class WatchedNormalize(Normalize):
        def process(self, tables: Any, output: Any) -> None:
            stopwatch.lap("input checked")
            super().process(tables, Watched(output, stopwatch))
            stopwatch.lap("rows and tag table")

    model = embedder_named(str(minilm()) if embedder == "minilm" else embedder)
    stage = WatchedNormalize(embedder=Watched(model, stopwatch))  # type: ignore[arg-type]
    Run(stage, [str(folder / "tagged")], folder / "normalized", Options()).execute()
    stopwatch.lap("published")
    return stopwatch.table


def compare(folder: Path, size: int) -> tuple[list[list[str]], list[list[str]]]:
    """What became of planted variants and pairs, and which of the changes are right."""
    from synth.schemas.dataset import Dataset

    forms = Forms(size)
    table = Dataset.open(folder / "normalized" / "vocabulary").table.select(["form", "tag", "step", "count"])
    tag_of, step_of, count_of = {}, {}, {}
    for form, tag, step, count in zip(*(column.to_pylist() for column in table.columns), strict=True):
        if tag is not None:
            tag_of[form], step_of[form], count_of[form] = tag, step, count
    there: Counter[str] = Counter()
    one_tag: Counter[str] = Counter()

    def look(what: str, form: str, other: str) -> None:
        if form in tag_of and other in tag_of:
            there[what] += 1
            one_tag[what] += tag_of[form] == tag_of[other]

    plain: dict[int, str] = {}
    truth: dict[int, int] = {}
    for text, concept, kind in zip(forms.texts, forms.concepts, forms.kinds, strict=True):
        if kind:
            look(kind, plain[concept], text)
        plain.setdefault(concept, text)
    for rarer, commoner, sort in forms.pairs:
        if count_of.get(forms.texts[rarer], 0) >= FREQUENT:
            look(f"1 of {sort} without the other", forms.texts[rarer], forms.texts[commoner])
        if sort == SORTS[0]:
            truth[forms.concepts[rarer]] = forms.concepts[commoner]
    concept_of = {text: truth.get(concept, concept) for text, concept in zip(forms.texts, forms.concepts, strict=True)}
    changed = Counter(step for step in step_of.values() if step)
    right = Counter(step for form, step in step_of.items() if step and concept_of[form] == concept_of[tag_of[form]])
    names = [*KINDS, *(f"1 of {sort} without the other" for sort in SORTS)]
    planted = [[name, f"{there[name]:,}", f"{one_tag[name]:,}", _share(one_tag[name], there[name])] for name in names]
    return planted, [[step, f"{n:,}", f"{right[step]:,}", _share(right[step], n)] for step, n in changed.items()]


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.4f}" if whole else "-"


def beside_dbscan(given: Any) -> list[str]:
    vectors, took = 0, 0.0
    while 2 * took < given.patience:
        vectors = 2 * vectors or FIRST_VECTORS
        (took, theirs), _ = call_apart(dbscan, vectors)
        say(f"DBSCAN, {vectors:,} vectors: {took:.1f} s")
    (seconds, ours), _ = call_apart(our_clusters, vectors)
    same = "the same" if ours == theirs else "OTHER"
    what = f"DBSCAN of scikit-learn, {same} clusters"
    return [what, f"{vectors:,} vectors", f"{took:.1f}", f"{seconds:.1f}", multiple(took / seconds)]


def vectors_of_tags(count: int) -> Any:
    import numpy as np

    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((TOPICS, DIMENSIONS), np.float32)[rng.integers(0, TOPICS, count)]
    vectors += NOISE * rng.standard_normal(vectors.shape, np.float32)
    # As of a model's vectors of tags, three fifths lie in 64 of the directions.
    vectors *= np.sqrt(DIMENSIONS / np.log(DIMENSIONS / 6) / np.arange(6, DIMENSIONS + 6, dtype=np.float32))
    near, of = np.split(rng.permutation(count), [count // 4])
    # At cosines from 0.9 to 1, so that some are within reach and some not.
    away = rng.random((len(near), 1), np.float32) * 0.66
    vectors[near] = vectors[rng.choice(of, len(near))] + away * rng.standard_normal((len(near), DIMENSIONS), np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def dbscan(count: int) -> tuple[float, list[int]]:
    from sklearn.cluster import DBSCAN

    vectors = vectors_of_tags(count).astype("f8")
    started = time.perf_counter()
    labels = DBSCAN(eps=0.05, min_samples=1, metric="cosine", n_jobs=-1).fit(vectors).labels_
    return time.perf_counter() - started, labels.tolist()


def our_clusters(count: int) -> tuple[float, list[int]]:
    from synth.pipelines.instag.normalize.neighbors import DensePoints
    from synth.pipelines.instag.normalize.semantics import clusters

    vectors = vectors_of_tags(count)
    clusters(DensePoints(vectors[:2]), 0.05)
    started = time.perf_counter()
    labels = clusters(DensePoints(vectors), 0.05).tolist()
    numbers: dict[int, int] = {}
    return time.perf_counter() - started, [numbers.setdefault(label, len(numbers)) for label in labels]


def beside_faiss(given: Any) -> list[str]:
    vectors, took = 0, 0.0
    while 2 * took < given.patience:
        vectors = 2 * vectors or FIRST_VECTORS
        (took, theirs), _ = call_apart(range_search, vectors)
        say(f"range search, {vectors:,} vectors: {took:.1f} s")
    (seconds, ours), _ = call_apart(our_pairs, vectors)
    same = "the same" if ours == theirs else "OTHER"
    what = f"range search of FAISS (flat), {same} pairs"
    return [what, f"{vectors:,} vectors", f"{took:.1f}", f"{seconds:.1f}", multiple(took / seconds)]


def range_search(count: int) -> tuple[float, int]:
    """Seconds, and how many pairs are nearer than 0.05; each is found twice, and each vector finds itself."""
    import faiss

    vectors = vectors_of_tags(count)
    started = time.perf_counter()
    index = faiss.IndexFlatIP(DIMENSIONS)
    index.add(vectors)
    starts, _, _ = index.range_search(vectors, 0.95)
    return time.perf_counter() - started, (int(starts[-1]) - count) // 2


def our_pairs(count: int) -> tuple[float, int]:
    from synth.pipelines.instag.normalize.neighbors import DensePoints

    points = DensePoints(vectors_of_tags(count))
    started = time.perf_counter()
    pairs = sum(int((points.cosines(*portion) >= 0.95).sum()) for portion in points.candidates(0.95))
    return time.perf_counter() - started, pairs


def beside_fpgrowth(given: Any) -> list[str]:
    what = "FP-Growth of mlxtend"
    contender = rival("mlxtend", "on_mlxtend.py", given.peers_python)
    queries, took, theirs = 0, 0.0, 0
    with scratch() as folder:
        while 2 * took < given.patience:
            more = 2 * queries or FIRST_QUERIES
            call_apart(lay_out_queries, folder, more)
            outcome = run_apart([*contender.command, str(folder / "starts.npy"), str(folder / "tags.npy")])
            if outcome.fault:
                say(f"mlxtend, {more:,} queries: {contender.missing() or outcome.fault}")
                break
            queries, took, theirs = more, outcome.report["seconds"], outcome.report["rules"]
            say(f"mlxtend, {queries:,} queries: {took:.1f} s")
        if not queries:
            return [what, "-", "-", "-", "-"]
        call_apart(lay_out_queries, folder, queries)
        (seconds, rules), _ = call_apart(our_rules, folder)
    same = "the same" if rules == theirs else "OTHER"
    return [f"{what}, {same} rules", f"{queries:,} queries", f"{took:.1f}", f"{seconds:.2f}", multiple(took / seconds)]


def lay_out_queries(folder: Path, rows: int) -> None:
    """The tags of queries as two arrays: where each query begins, and the tags."""
    import numpy as np

    batches = [np.unique(owners << 32 | tags) for tags, owners, _, _ in draws(rows, Forms(TAGS))]
    sizes = [np.bincount(keys >> 32) for keys in batches]
    np.save(folder / "starts.npy", np.append(0, np.cumsum(np.concatenate(sizes))))
    np.save(folder / "tags.npy", np.concatenate(batches).astype(np.int32))


def our_rules(folder: Path) -> tuple[float, int]:
    import numpy as np

    from synth.pipelines.instag.normalize.association import mine_rules

    starts, tags = (np.load(folder / f"{name}.npy") for name in ("starts", "tags"))
    mine_rules(starts[:2], tags[: starts[1]], np.bincount(tags), 40, 0.99)
    started = time.perf_counter()
    rules = mine_rules(starts, tags, np.bincount(tags), 40, 0.99)
    return time.perf_counter() - started, len(rules.one)


if __name__ == "__main__":
    main()
