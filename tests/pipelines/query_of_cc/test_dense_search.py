"""Indexes with vectors, with words or with both: what is found by either, and what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from synth.pipelines.query_of_cc import retrieve as retrieve_module
from synth.pipelines.query_of_cc.index_reader import OpenedIndex
from synth.pipelines.retrieval.embedding import Embedder
from synth.schemas.errors import InputError, Stale, UsageError
from tests.pipelines.query_of_cc.searching import index, retrieve, shard_bytes
from tests.pipelines.retrieval.meanings import MODEL, QUESTIONS, SENTENCES, needs_model
from tests.rows import rows_of

pytestmark = needs_model

CORPUS = [*({"id": f"s{number}", "text": text} for number, text in enumerate(SENTENCES)), {"id": "blank", "text": "—"}]
QUERIES = [
    *({"id": f"q{answer}", "text": question, "domain": "all"} for question, answer in QUESTIONS.items()),
    {"id": "words", "text": "potter compiler", "domain": "all"},
    {"id": "signs", "text": "?!", "domain": "all"},
]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of words and vectors."""
    return index(tmp_path_factory.mktemp("both"), rows=CORPUS, dense=str(MODEL))


def best(path: Path) -> dict[str, str]:
    """The best document of each query."""
    found: dict[str, tuple[float, str]] = {}
    for row in rows_of(path):
        for query, score in zip(row["queries"], row["scores"], strict=True):
            found[query] = max(found.get(query, (0.0, "")), (score, row["id"]))
    return {query: document for query, (_, document) in found.items()}


def options(path: Path) -> dict[str, Any]:
    options: dict[str, Any] = json.loads((path / "synth.json").read_text())["identity"]["options"]
    return options


def test_an_index_records_the_model_and_the_files_of_its_vectors(both: Path) -> None:
    embedder = Embedder.named(str(MODEL))
    assert options(both)["dense"] == embedder.identity()
    assert embedder.identity()["model"] == str(MODEL)
    assert len(embedder.identity()["revision"]) == 64
    assert json.loads((both / "dense" / "dense.json").read_text()) == {
        "dimensions": 384,
        "passages": len(SENTENCES),
        "documents": len(SENTENCES),
        "faiss": "flat",
    }
    assert json.loads((both / "synth.json").read_text())["counts"]["tallies"] == {"passages": 24, "vectors": 24}


def test_dense_search_finds_what_is_meant_and_words_find_what_is_said(tmp_path: Path, both: Path) -> None:
    retrieve(tmp_path, both, "dense", QUERIES, by="dense", top_k=5)
    wanted = {f"q{answer}": f"s{answer}" for answer in QUESTIONS.values()}
    found = best(tmp_path / "dense")
    assert {query: found[query] for query in wanted} == wanted
    assert [(row["id"], row["reason"]) for row in rows_of(tmp_path / "dense" / "rejected")] == [("signs", "no_terms")]
    retrieve(tmp_path, both, "bm25", QUERIES, top_k=5)
    assert best(tmp_path / "bm25")["words"] in ("s8", "s17")
    assert best(tmp_path / "bm25")["q0"] != "s0"


def test_hybrid_search_ranks_first_what_both_rank_high(tmp_path: Path, both: Path) -> None:
    ranks: dict[str, dict[tuple[str, str], float]] = {}
    for by in ("bm25", "dense", "hybrid"):
        retrieve(tmp_path, both, by, QUERIES, by=by, top_k=200)
        scores = {
            (q, row["id"]): s
            for row in rows_of(tmp_path / by)
            for q, s in zip(row["queries"], row["scores"], strict=True)
        }
        order = [row["id"] for row in CORPUS]
        ranks[by] = dict(scores)
        if by != "hybrid":
            for query in {query for query, _ in scores}:
                hits = sorted((-scores[key], order.index(key[1]), key) for key in scores if key[0] == query)
                ranks[by] |= {key: 1 / (60 + rank) for rank, (_, _, key) in enumerate(hits, 1)}
    expected = {key: ranks["bm25"].get(key, 0.0) + ranks["dense"][key] for key in ranks["dense"]}
    assert ranks["hybrid"] == pytest.approx(expected)


def test_an_index_without_words_is_searched_by_meaning_and_marks_the_words_of_the_query(
    tmp_path: Path, both: Path
) -> None:
    path = index(tmp_path, rows=CORPUS, bm25=False, dense=str(MODEL))
    assert sorted(folder.name for folder in path.iterdir() if folder.is_dir()) == ["dense", "rejected"]
    query = [{"id": "q", "text": "Which the bees? pollen, and bees"}]
    retrieve(tmp_path, path, rows=query, by="dense", top_k=1)
    (document,) = rows_of(tmp_path / "docs")
    assert (document["id"], document["terms"]) == ("s5", ["bees", "pollen"])
    retrieve(tmp_path, both, "same", query, by="dense", top_k=1)
    assert rows_of(tmp_path / "same")[0]["scores"] == document["scores"]
    for by in ("bm25", "hybrid"):
        with pytest.raises(UsageError, match=f"--by {by}: .* was made with --no-bm25; use --by dense"):
            retrieve(tmp_path, path, "no", by=by)


@pytest.mark.parametrize("kind", ["ivf", "ivfpq"])
def test_the_kind_of_index_can_be_chosen(tmp_path: Path, kind: str) -> None:
    path = index(tmp_path, rows=CORPUS, bm25=False, dense=str(MODEL), faiss=kind)
    assert (path / "dense" / "index.faiss").exists()
    retrieve(tmp_path, path, rows=QUERIES, by="dense", top_k=3, nprobe=1000)
    assert best(tmp_path / "docs")["q2"] == "s2"


def test_an_extended_index_is_as_one_made_of_all_and_leaves_the_first_whole(tmp_path: Path, both: Path) -> None:
    first = index(tmp_path, "first", CORPUS[:10], dense=str(MODEL))
    before = {path.name: path.read_bytes() for path in (first / "dense").iterdir()}
    second = index(tmp_path, "second", CORPUS[10:], dense=str(MODEL), extend=first)
    assert {path.name: path.read_bytes() for path in (first / "dense").iterdir()} == before
    assert rows_of(second) == rows_of(both)
    for name, path in (("a", both), ("b", second)):
        retrieve(tmp_path, path, name, QUERIES, by="hybrid", top_k=5)
    assert [(row["id"], row["queries"]) for row in rows_of(tmp_path / "a")] == [
        (row["id"], row["queries"]) for row in rows_of(tmp_path / "b")
    ]
    with pytest.raises(Stale, match="query_prompt"):
        index(tmp_path, "third", CORPUS[10:], extend=first, dense=str(MODEL), query_prompt="query: ")


ODD = {
    "control": ("a\x00b\x1b[31m The apples are \x07red\x07.", "red\x00 apples\x1b["),
    "syntax": ("C++ AND ( are signs of a query", "C++ AND ("),
    "endless": ("x9" * 700, "x9" * 200),
    "unspaced": ("東京都に住む猫は魚を食べる", "東京都の猫"),
    "pictures": ("The cat 😀 sat on the mat 🧶", "a cat on a mat"),
}


def test_odd_texts_are_indexed_and_found_by_meaning(tmp_path: Path) -> None:
    corpus = [{"id": name, "text": text} for name, (text, _) in ODD.items()]
    path = index(tmp_path, rows=corpus, dense=str(MODEL))
    queries = [{"id": name, "text": query} for name, (_, query) in ODD.items()]
    retrieve(tmp_path, path, rows=[*queries, {"id": "signs", "text": "((?"}], by="dense", top_k=1)
    assert best(tmp_path / "docs") == dict(zip(ODD, ODD, strict=True))
    assert [(row["id"], row["reason"]) for row in rows_of(tmp_path / "docs" / "rejected")] == [("signs", "no_terms")]


@pytest.mark.parametrize(
    ("corpus", "said"),
    [
        ([], "has no rows"),
        ([{"id": "a", "text": ""}, {"id": "b", "text": None}, {"id": "c", "text": "?!"}], "no document has any text"),
        ([{"id": "a", "text": "x"}, {"id": "a", "text": "y"}], "id 'a'"),
    ],
    ids=["empty", "without text", "a repeated id"],
)
def test_a_corpus_that_cannot_be_indexed_is_refused(tmp_path: Path, corpus: list[dict[str, object]], said: str) -> None:
    with pytest.raises(InputError, match=said):
        index(tmp_path, rows=corpus, dense=str(MODEL))
    assert not (tmp_path / "index").exists()


def test_a_search_goes_on_after_the_queries_that_are_done(
    tmp_path: Path, both: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retrieve_module, "QUERIES_AT_A_TIME", 2)
    retrieve(tmp_path, both, "whole", QUERIES, by="hybrid")
    embedded: list[list[str]] = []
    queries = Embedder.queries

    def failing(self: Embedder, texts: list[str]) -> object:
        if len(embedded) == 2:
            raise RuntimeError("the machine stops")
        embedded.append(texts)
        return queries(self, texts)

    monkeypatch.setattr(Embedder, "queries", failing)
    with pytest.raises(RuntimeError):
        retrieve(tmp_path, both, rows=QUERIES, by="hybrid")
    monkeypatch.setattr(Embedder, "queries", lambda self, texts: (embedded.append(texts), queries(self, texts))[1])
    retrieve(tmp_path, both, rows=QUERIES, by="hybrid")
    # The last stretch is a query without a word.
    assert [len(texts) for texts in embedded] == [2, 2, 2, 2]
    assert shard_bytes(tmp_path / "docs") == shard_bytes(tmp_path / "whole")


def test_what_cannot_be_searched_so_is_refused(tmp_path: Path, both: Path) -> None:
    words = index(tmp_path, "words", CORPUS)
    for by in ("dense", "hybrid"):
        with pytest.raises(UsageError, match=f"--by {by}: .* has no vectors; make them with index --dense MODEL"):
            retrieve(tmp_path, words, by=by)
    with pytest.raises(UsageError, match="applies only to vectors"):
        retrieve(tmp_path, both, by="bm25", model=str(MODEL))
    with pytest.raises(UsageError, match="--no-bm25 leaves nothing to search by"):
        index(tmp_path, "none", CORPUS, bm25=False)
    other = tmp_path / "other"
    other.mkdir()
    (other / "config.json").write_text("{}")
    with pytest.raises(Stale, match="other is not the model that the index was made with"):
        retrieve(tmp_path, both, by="dense", model=str(other))
    smaller = index(tmp_path, "smaller", CORPUS[:3], dense=str(MODEL))
    for folder in both.iterdir():
        if folder.name != "dense":
            target = tmp_path / "mixed" / folder.name
            target.parent.mkdir(exist_ok=True)
            target.symlink_to(folder)
    (tmp_path / "mixed" / "dense").symlink_to(smaller / "dense")
    with pytest.raises(InputError, match="is damaged: 3 of its 24 documents"):
        retrieve(tmp_path, tmp_path / "mixed", by="dense")
    assert OpenedIndex(both).fingerprint != OpenedIndex(words).fingerprint


def test_the_way_of_searching_makes_an_output_stale(tmp_path: Path, both: Path) -> None:
    retrieve(tmp_path, both, rows=QUERIES, by="dense")
    with pytest.raises(Stale, match=r'by was "dense" and is now "hybrid"'):
        retrieve(tmp_path, both, rows=QUERIES, by="hybrid")
    with pytest.raises(Stale, match=r"nprobe was 32 and is now 8"):
        retrieve(tmp_path, both, rows=QUERIES, by="dense", nprobe=8)
    assert retrieve(tmp_path, both, rows=QUERIES, by="dense", model=str(MODEL)).already_done
