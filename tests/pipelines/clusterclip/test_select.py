"""`select clusterclip`: draws as rows or as weights, budgets, the table of clusters, and what cannot be clustered."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from transformers import AutoTokenizer

from synth.pipelines.clusterclip import kmeans
from synth.pipelines.clusterclip.select import ClusterClip
from synth.pipelines.engines.models import TINY_FOLDER
from synth.pipelines.retrieval.document_vectors import GivenVectors
from synth.pipelines.runtime.options import Options
from synth.pipelines.runtime.runner import Run, Summary
from synth.schemas.dataset import Dataset
from synth.schemas.errors import InputError, Interrupted, Stale, SynthError, UsageError
from tests.pipelines.passing import shards
from tests.pipelines.retrieval.test_nearest import clustered
from tests.rows import Rows, rejected_of, rows_of, write_rows

pytest.importorskip("torch", reason="PyTorch is not installed")

TOPICS = {"common": 60, "usual": 25, "rare": 3}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Documents of three clear topics, mixed."""
    axes = dict(zip(TOPICS, np.eye(3, 12), strict=True))
    noise = np.random.default_rng(0).normal(0, 0.05, (sum(TOPICS.values()), 12))
    topics = [topic for topic, size in TOPICS.items() for _ in range(size)]
    rows = [
        {"id": f"{topic}-{at}", "text": f"{topic} " * (1 + at % 5), "v": (axes[topic] + noise[at]).tolist()}
        for at, topic in enumerate(topics)
    ]
    return write_rows(tmp_path / "docs.jsonl", [rows[at] for at in np.random.default_rng(1).permutation(len(rows))])


def drawn(source: Path, out: Path, *, seed: int = 0, **options: Any) -> Summary:
    given = {"vectors": GivenVectors("v"), "clusters": 3, "max_repeats": 2, "n": 90, **options}
    return Run(ClusterClip(**given), [str(source)], out, Options(seed=seed, fresh=True)).execute()


def topics_of(rows: Rows) -> Counter[str]:
    return Counter(row["id"].partition("-")[0] for row in rows)


def test_rare_topics_are_drawn_more_often_than_they_occur_and_common_ones_less(source: Path, tmp_path: Path) -> None:
    summary = drawn(source, tmp_path / "out")
    rows = rows_of(tmp_path / "out")
    assert len(rows) == 90
    counts = topics_of(rows)
    assert counts["rare"] == 6
    assert counts["usual"] == pytest.approx(42, abs=8) == counts["common"]
    by_cluster = {row["cluster"]: row["id"].partition("-")[0] for row in rows}
    assert all(by_cluster[row["cluster"]] == row["id"].partition("-")[0] for row in rows)
    assert all(row["similarity"] > 0.9 for row in rows)
    accounts = summary.counts
    assert accounts.produced + accounts.reasons["not_drawn"] == sum(TOPICS.values())
    assert accounts.tallies["repeated"] == 90 - accounts.produced


def test_every_draw_leads_to_its_document(source: Path, tmp_path: Path) -> None:
    drawn(source, tmp_path / "out")
    documents = {row["id"]: row for row in Dataset.open(tmp_path / "out").rows() if row["repeat"] == 1}
    for row in rows_of(tmp_path / "out"):
        document = row["id"].removesuffix(f"/repeat-{row['repeat']}")
        assert (row["id"] == document) == (row["repeat"] == 1)
        assert row["text"] == documents[document]["text"]


def test_one_seed_is_one_order_and_another_another_one(source: Path, tmp_path: Path) -> None:
    orders = []
    for seed in (0, 0, 1):
        drawn(source, tmp_path / "out", seed=seed)
        orders.append([row["id"] for row in rows_of(tmp_path / "out")])
    assert orders[0] == orders[1] != orders[2]


def test_weights_are_the_draws_of_each_document(source: Path, tmp_path: Path) -> None:
    drawn(source, tmp_path / "out")
    draws = Counter(row["id"].partition("/")[0] for row in rows_of(tmp_path / "out"))
    summary = drawn(source, tmp_path / "weights", weights=True)
    rows = rows_of(tmp_path / "weights")
    assert [row["id"] for row in rows] == [row["id"] for row in rows_of_file(source)]
    assert {row["id"]: row["draws"] for row in rows if row["draws"]} == draws
    assert (summary.counts.produced, summary.counts.rejected) == (len(rows), 0)


def rows_of_file(source: Path) -> Rows:
    return [json.loads(line) for line in source.read_text().splitlines()]


def test_clusters_that_the_rows_have_are_drawn_from_without_vectors(source: Path, tmp_path: Path) -> None:
    drawn(source, tmp_path / "weights", weights=True)
    drawn(source, tmp_path / "out")
    drawn(tmp_path / "weights", tmp_path / "again", vectors=None)
    again, first = rows_of(tmp_path / "again"), rows_of(tmp_path / "out")
    columns = ("id", "cluster", "similarity", "repeat")
    assert [[row[name] for name in columns] for row in again] == [[row[name] for name in columns] for row in first]
    assert rows_of(tmp_path / "again" / "clusters")[0]["nearest"] == []
    with pytest.raises(UsageError, match="--vectors is missing, and the input has no column cluster either"):
        drawn(source, tmp_path / "none", vectors=None)


def test_the_table_of_clusters_tells_before_and_after(source: Path, tmp_path: Path) -> None:
    drawn(source, tmp_path / "out")
    rows = rows_of(tmp_path / "out")
    clusters = rows_of(tmp_path / "out" / "clusters")
    assert [row["cluster"] for row in clusters] == [0, 1, 2]
    assert sorted(row["documents"] for row in clusters) == sorted(TOPICS.values())
    for row in clusters:
        of_cluster = [draw for draw in rows if draw["cluster"] == row["cluster"]]
        assert row["drawn"] == len(of_cluster)
        best = sorted((draw for draw in of_cluster if draw["repeat"] == 1), key=lambda draw: -draw["similarity"])
        assert len(row["nearest"]) == min(5, row["documents"])
        assert {*row["nearest"]} >= {draw["id"] for draw in best[:1]} or row["drawn"] < row["documents"]
        assert (row["tokens"], row["drawn_tokens"]) == (None, None)
        if row["documents"] == TOPICS["rare"]:
            assert row["used_up_at"] == 1 + max(at for at, draw in enumerate(rows) if draw in of_cluster)
        else:
            assert row["used_up_at"] is None


def test_a_budget_of_tokens_is_exceeded_by_less_than_a_document(source: Path, tmp_path: Path) -> None:
    summary = drawn(source, tmp_path / "out", n=None, budget_tokens=150, tokenizer="tiny", text=("text",))
    tokenizer = AutoTokenizer.from_pretrained(TINY_FOLDER)
    sizes = [len(tokenizer(row["text"], add_special_tokens=False)["input_ids"]) for row in rows_of(tmp_path / "out")]
    assert sum(sizes[:-1]) < 150 <= sum(sizes)
    clusters = rows_of(tmp_path / "out" / "clusters")
    assert sum(row["drawn_tokens"] for row in clusters) == sum(sizes)
    assert sum(row["drawn"] for row in clusters) == len(sizes) == summary.counts.outputs
    summary = drawn(source, tmp_path / "all", n=None, budget_tokens=10**6, tokenizer="tiny", text=("text",))
    all_tokens = 2 * sum(row["tokens"] for row in rows_of(tmp_path / "all" / "clusters"))
    assert summary.counts.outputs == 2 * sum(TOPICS.values())
    assert summary.remarks == (
        f"{10**6 - all_tokens:,} tokens short of --budget-tokens 1,000,000: every document was drawn --max-repeats 2 "
        "times",
    )


def test_a_shortfall_and_fewer_rows_than_clusters_are_told(source: Path, tmp_path: Path) -> None:
    summary = drawn(source, tmp_path / "out", clusters=2000, n=200, max_repeats=1)
    assert summary.remarks == (
        "88 clusters instead of 2,000: there are no more rows",
        "112 rows short of -n 200: every document was drawn --max-repeats 1 times",
    )
    assert sorted(row["id"] for row in rows_of(tmp_path / "out")) == sorted(row["id"] for row in rows_of_file(source))


def test_rows_without_a_vector_are_rejected_with_a_reason(tmp_path: Path) -> None:
    vectors = [*clustered(20, 8, 2, 0.1).tolist(), None, [0.0] * 8, [1.0]]
    source = write_rows(tmp_path / "docs.jsonl", [{"id": str(at), "v": v} for at, v in enumerate(vectors)])
    for weights in (False, True):
        counts = drawn(source, tmp_path / "out", clusters=2, n=15, weights=weights).counts
        rejected = {row["id"]: row["reason"] for row in rejected_of(tmp_path / "out")}
        assert rejected == {"20": "no_vector", "21": "bad_vector", "22": "bad_vector"}
        assert counts.produced + counts.rejected == 23


def test_given_clusters_are_32_bit_integers_and_rows_without_one_are_rejected(tmp_path: Path) -> None:
    table = pa.table({"id": ["a", "b", "c"], "cluster": pa.array([7, None, -3], pa.int32())})
    pq.write_table(table, tmp_path / "rows.parquet")
    drawn(tmp_path / "rows.parquet", tmp_path / "out", vectors=None, n=4)
    assert sorted(row["id"] for row in rows_of(tmp_path / "out")) == ["a", "a/repeat-2", "c", "c/repeat-2"]
    assert [row["cluster"] for row in rows_of(tmp_path / "out" / "clusters")] == [-3, 7]
    assert [(row["id"], row["reason"]) for row in rejected_of(tmp_path / "out")] == [("b", "no_cluster")]
    other = write_rows(tmp_path / "other.jsonl", [{"id": "a", "cluster": "x"}])
    with pytest.raises(InputError, match="writes a column cluster of its own"):
        drawn(other, tmp_path / "other", vectors=None)


def test_equal_texts_land_in_one_cluster(tmp_path: Path) -> None:
    vectors = np.concatenate([clustered(200, 16, 9, 0.8), np.repeat(clustered(1, 16, 1, 1, seed=4), 100, axis=0)])
    rows = [{"id": str(at), "v": vector} for at, vector in enumerate(vectors.tolist())]
    drawn(write_rows(tmp_path / "docs.jsonl", rows), tmp_path / "out", clusters=30, weights=True)
    assert len({row["cluster"] for row in rows_of(tmp_path / "out")[200:]}) == 1


def test_other_vectors_make_an_output_stale(source: Path, tmp_path: Path) -> None:
    stage = ClusterClip(GivenVectors("v"), clusters=3, max_repeats=2, n=9)
    Run(stage, [str(source)], tmp_path / "out", Options()).execute()
    with pytest.raises(Stale, match=r"max_repeats was 2 and is now 3"):
        Run(ClusterClip(GivenVectors("v"), 3, max_repeats=3, n=9), [str(source)], tmp_path / "out", Options()).execute()
    with pytest.raises(Stale, match=r"vectors"):
        Run(ClusterClip(GivenVectors("w"), 3, max_repeats=2, n=9), [str(source)], tmp_path / "out", Options()).execute()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n": None}, "give either -n, the number of rows to draw, or --budget-tokens"),
        ({"budget_tokens": 5}, "give either -n, the number of rows to draw, or --budget-tokens"),
        ({"max_repeats": None}, "--max-repeats is missing"),
        ({"n": None, "budget_tokens": 5}, "--budget-tokens needs --tokenizer"),
        ({"text": ("text",)}, "--text needs --tokenizer"),
        ({"vectors": GivenVectors("w")}, "--vectors w: neither an output of synth embed nor a column"),
        ({"clusters": 0}, "--clusters 0: must be at least 1"),
        ({"tokenizer": "tiny", "text": ("id",)}, "--text id: the input has no column id with text"),
    ],
)
def test_what_cannot_be_drawn_is_refused(source: Path, tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(SynthError, match=message):
        drawn(source, tmp_path / "out", **options)


def test_what_is_clustered_is_not_clustered_again(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn(source, tmp_path / "whole", clusters=20)
    assign, passes = kmeans._Members.assign, []

    def counted(self: Any, centroids: Any) -> None:
        passes.append(1)
        if len(passes) == 4:
            raise KeyboardInterrupt
        assign(self, centroids)

    monkeypatch.setattr(kmeans._Members, "assign", counted)
    stage = ClusterClip(GivenVectors("v"), clusters=20, max_repeats=2, n=90)
    run = Run(stage, [str(source)], tmp_path / "out", Options())
    with pytest.raises(Interrupted):
        run.execute()
    record = run.execute()
    # Each iteration takes a pass after the first one, and one shows that no more lowers the distance. Of the three that
    # were done, the last is repeated.
    assert len(passes) - 4 == (record.counts.tallies["iterations"] + 2) - 3 + 1
    assert shards(tmp_path / "out") == shards(tmp_path / "whole")
