"""`pack neighbors`: a permutation but for what is dropped with a reason, contexts, repeats, and what is refused."""

from collections import Counter
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from synth.pipelines.clusterclip.select import ClusterClip
from synth.pipelines.engines.models import TINY_FOLDER
from synth.pipelines.in_context.pack import PackNeighbors
from synth.pipelines.retrieval.document_vectors import GivenVectors
from synth.pipelines.runtime.options import Options
from synth.pipelines.runtime.runner import Run, Summary
from synth.schemas.errors import SynthError
from tests.pipelines.passing import passed
from tests.pipelines.retrieval.test_nearest import clustered
from tests.rows import Rows, rejected_of, rows_of, write_rows

pytest.importorskip("faiss", reason="FAISS is not installed")

VECTORS = GivenVectors("v")
COUNT = 120


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Documents around ten subjects, with texts of different lengths."""
    vectors = clustered(COUNT, 16, 10, 0.6)
    rows = [
        {"id": f"d{at}", "text": f"{at} {'word ' * (at % 9)}", "v": vector}
        for at, vector in enumerate(vectors.tolist())
    ]
    return write_rows(tmp_path / "docs.jsonl", rows)


def packed(source: Path, out: Path, *, seed: int = 0, **options: Any) -> Summary:
    stage = PackNeighbors(**{"vectors": VECTORS, **options})
    return Run(stage, [str(source)], out, Options(seed=seed, fresh=True)).execute()


def cosine(one: Rows | Any, other: Any) -> float:
    a, b = np.array(one["v"]), np.array(other["v"])
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


@pytest.mark.parametrize("method", ["paper", "code"])
def test_every_document_comes_once_and_similar_ones_come_together(source: Path, tmp_path: Path, method: str) -> None:
    summary = packed(source, tmp_path / "out", method=method)
    rows = rows_of(tmp_path / "out")
    assert sorted(row["id"] for row in rows) == sorted(f"d{at}" for at in range(COUNT))
    assert [row["position"] for row in rows] == [*range(COUNT)]
    assert [row["run"] for row in rows] == sorted(row["run"] for row in rows)
    for before, row in pairwise(rows):
        if row["run"] == before["run"]:
            assert row["previous_similarity"] == pytest.approx(cosine(before, row), abs=2e-3)
        else:
            assert (row["run"], row["previous_similarity"]) == (before["run"] + 1, None)
    assert summary.counts.tallies["runs"] == rows[-1]["run"] + 1
    random_order = [rows[at] for at in np.random.default_rng(0).permutation(COUNT)]
    along, by_chance = (sum(cosine(*pair) for pair in pairwise(order)) for order in (rows, random_order))
    assert along > 5 * by_chance


def test_one_seed_is_one_order_of_contexts(source: Path, tmp_path: Path) -> None:
    orders = []
    for seed in (0, 0, 1):
        packed(source, tmp_path / "out", seed=seed, context_tokens=40, tokenizer="tiny", text=("text",))
        orders.append([row["id"] for row in rows_of(tmp_path / "out")])
    assert orders[0] == orders[1] != orders[2]


def test_contexts_are_cut_from_the_order_and_shuffled_whole(source: Path, tmp_path: Path) -> None:
    options = {"context_tokens": 40, "tokenizer": "tiny", "text": ("text",)}
    packed(source, tmp_path / "plain", shuffle_contexts=False, **options)
    packed(source, tmp_path / "out", **options)
    plain, rows = rows_of(tmp_path / "plain"), rows_of(tmp_path / "out")
    tokenizer = AutoTokenizer.from_pretrained(TINY_FOLDER)
    before = 0
    for row in plain:
        assert row["context"] == before // 40
        before += len(tokenizer(row["text"], add_special_tokens=False)["input_ids"])
    assert rows != plain
    assert sorted(rows, key=lambda row: row["position"]) == plain
    contexts = [number for number, _ in groupby(row["context"] for row in rows)]
    assert len(contexts) == len({*contexts})
    neighbouring = sum(later == earlier + 1 for earlier, later in pairwise(contexts))
    assert neighbouring < len(contexts) / 4
    for _, of_context in groupby(rows, key=lambda row: row["context"]):
        places = [row["position"] for row in of_context]
        assert places == [*range(places[0], places[0] + len(places))]


def test_near_duplicates_are_rejected_for_the_first_of_them(tmp_path: Path) -> None:
    vectors = clustered(30, 16, 30, 1.0)
    twins = np.concatenate([vectors, vectors[:10], vectors[:5] + 0.01])
    rows = [{"id": f"d{at}", "text": "x", "v": vector} for at, vector in enumerate(twins.tolist())]
    source = write_rows(tmp_path / "docs.jsonl", rows)
    kept, rejected = passed(PackNeighbors(VECTORS), [source], tmp_path / "out")
    assert sorted(int(row["id"][1:]) for row in kept) == [*range(30)]
    assert {row["reason"] for row in rejected} == {"near_duplicate"}
    details = {row["id"]: row["detail"].partition(", similarity ")[0] for row in rejected}
    assert details == {f"d{at}": f"d{(at - 30) % 10}" for at in range(30, 45)}
    assert rejected[0]["detail"] == "d0, similarity 1.00"


def test_the_code_drops_a_text_that_begins_as_the_one_before_it(tmp_path: Path) -> None:
    vectors = np.repeat(clustered(4, 16, 4, 1.0), 3, axis=0)
    texts = ["the quick brown fox jumps", "the quick brown fox jumped", "another text"] * 4
    rows = [{"id": f"d{at}", "text": texts[at], "v": vector} for at, vector in enumerate(vectors.tolist())]
    source = write_rows(tmp_path / "docs.jsonl", rows)
    kept, rejected = passed(PackNeighbors(VECTORS, "code", run=3, neighbors=2), [source], tmp_path / "out")
    assert [(row["id"], row["detail"]) for row in rejected] == [
        (f"d{at + 1}", f"d{at}, by its first characters") for at in (0, 3, 6, 9)
    ]
    assert [row["position"] for row in kept] == [*range(8)]


def test_repeats_follow_in_the_same_order_after_all_documents(source: Path, tmp_path: Path) -> None:
    select = ClusterClip(VECTORS, clusters=5, max_repeats=3, n=200)
    Run(select, [str(source)], tmp_path / "drawn", Options()).execute()
    summary = packed(tmp_path / "drawn", tmp_path / "out")
    rows = rows_of(tmp_path / "out")
    assert len(rows) == 200
    assert [row["repeat"] for row in rows] == sorted(row["repeat"] for row in rows)
    orders = {
        number: [row["id"].partition("/")[0] for row in of_number]
        for number, of_number in groupby(rows, key=lambda row: row["repeat"])
    }
    for number in (2, 3):
        assert orders[number] == [name for name in orders[1] if name in orders[number]]
    # No run goes on from one pass to the next.
    assert all(row["run"] != before["run"] for before, row in pairwise(rows) if row["repeat"] != before["repeat"])
    assert all(len({name.partition("/")[0] for name in (a["id"], b["id"])}) == 2 for a, b in pairwise(rows))
    assert summary.counts.produced == 200


def test_rows_without_a_vector_are_rejected_and_so_are_those_that_repeat_them(tmp_path: Path) -> None:
    vectors = [*clustered(8, 8, 4, 0.9).tolist(), None, [0.0] * 8]
    rows = [{"id": f"d{at}", "v": vector} for at, vector in enumerate(vectors)]
    again = [{"id": f"{row['id']}/repeat-2", "v": vectors[0]} for row in rows[::4]]
    source = write_rows(tmp_path / "docs.jsonl", rows + again)
    summary = packed(source, tmp_path / "out")
    assert [(row["id"], row["reason"]) for row in rejected_of(tmp_path / "out")] == [
        ("d8", "no_vector"),
        ("d9", "bad_vector"),
        ("d8/repeat-2", "no_vector"),
    ]
    assert (summary.counts.produced, summary.counts.rejected) == (10, 3)


@settings(max_examples=25)
@given(data=st.data())
def test_the_output_is_a_permutation_of_the_input_but_for_what_is_rejected(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("drawn")
    few = clustered(9, 6, 4, 0.5, seed=data.draw(st.integers(0, 9))).tolist()
    chosen = data.draw(st.lists(st.sampled_from([*few, None]), min_size=1, max_size=25).filter(any))
    source = write_rows(folder / "docs.jsonl", [{"id": f"d{at}", "text": "a", "v": v} for at, v in enumerate(chosen)])
    options: dict[str, Any] = data.draw(
        st.sampled_from(
            [
                {"method": "code", "run": 4},
                {"duplicate": 0.9},
                {"neighbors": 1},
                {"context_tokens": 3, "tokenizer": "tiny"},
            ]
        )
    )
    summary = packed(source, folder / "out", **options)
    rows, rejected = rows_of(folder / "out"), rejected_of(folder / "out")
    assert Counter(row["id"] for row in [*rows, *rejected]) == Counter(f"d{at}" for at in range(len(chosen)))
    assert sorted(row["position"] for row in rows) == [*range(len(rows))]
    assert summary.counts.produced + summary.counts.rejected == len(chosen)
    assert all(row["reason"] in ("near_duplicate", "no_vector") for row in rejected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"context_tokens": 9}, "--context-tokens and --tokenizer, the model whose tokens count, need each other"),
        ({"tokenizer": "tiny"}, "--context-tokens and --tokenizer, the model whose tokens count, need each other"),
        ({"vectors": GivenVectors("w")}, "--vectors w: neither an output of synth embed nor a column"),
        ({"duplicate": 1.5}, "--duplicate 1.5: must be between 0 and 1"),
        ({"method": "other"}, "--method other: must be one of paper, code"),
    ],
)
def test_what_cannot_be_packed_is_refused(source: Path, tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(SynthError, match=message):
        packed(source, tmp_path / "out", **options)
