"""Retrieving documents: each once, with all that found it."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from synth.pipelines.query_of_cc import index as index_module
from synth.pipelines.query_of_cc import retrieve as retrieve_module
from synth.pipelines.query_of_cc.ranking import evaluated, hits_by_query
from synth.pipelines.query_of_cc.retrieve import Retrieve
from synth.pipelines.retrieval.bm25 import Bm25
from synth.pipelines.retrieval.searcher import Hits
from synth.schemas.errors import InputError, Stale
from tests.pipelines.query_of_cc.searching import CORPUS, QUERIES, index, retrieve, shard_bytes
from tests.rows import rows_of

WORDS = ["moon", "tides", "rise", "sea", "cells", "leaf", "divide", "day", "twice", "of", "the", "a"]
LARGER = [
    {"id": f"d{number}", "text": " ".join(WORDS[(number * step) % len(WORDS)] for step in range(1, 2 + number % 9))}
    for number in range(700)
]
MORE_QUERIES = [
    {"id": f"q{number}", "text": f"{WORDS[number % 12]} {WORDS[(number * 5) % 12]}", "domain": f"x{number % 3}"}
    for number in range(30)
]


def test_a_document_comes_once_with_its_queries_the_best_first(tmp_path: Path) -> None:
    summary = retrieve(tmp_path, index(tmp_path))
    documents = rows_of(tmp_path / "docs")
    assert [(row["id"], row["queries"], row["domains"]) for row in documents] == [
        ("moon", ["q-moon", "q-tides", "q-cells"], ["astronomy", "biology", "physics"]),
        ("tides", ["q-tides", "q-moon", "q-cells"], ["astronomy", "biology", "physics"]),
        ("cells", ["q-cells"], ["biology"]),
        ("tokyo", ["q-cats"], []),
    ]
    for row in documents:
        assert row["scores"] == sorted(row["scores"], reverse=True)
        assert row["best_score"] == row["scores"][0]
        assert [row["query"]] == [query["text"] for query in QUERIES if query["id"] == row["queries"][0]]
    assert documents[0]["text"] == CORPUS[0]["text"]
    assert documents[0]["url"] == CORPUS[0]["url"]
    assert [row["terms"] for row in documents] == [
        ["moon", "tides"],
        ["rise", "tides"],
        ["cells", "leaf", "a", "of"],
        ["京都"],
    ]
    assert [(row["id"], row["reason"]) for row in rows_of(tmp_path / "docs" / "rejected")] == [
        ("q-signs", "no_terms"),
        ("q-none", "no_hits"),
    ]
    assert summary.counts.produced == 4
    assert summary.counts.tallies == {"hits": 8}


def test_terms_that_tell_nothing_are_left_out(tmp_path: Path) -> None:
    path = index(tmp_path, rows=[{"id": f"d{n}", "text": f"the {'word' if n < 2 else 'term'} {n}"} for n in range(5)])
    retrieve(tmp_path, path, rows=[{"id": "q", "text": "the term 3"}, {"id": "r", "text": "the word"}], top_k=1)
    assert [(row["id"], row["queries"], row["terms"]) for row in rows_of(tmp_path / "docs")] == [
        ("d0", ["r"], ["word", "the"]),
        ("d3", ["q"], ["3"]),
    ]


def test_stemmed_words_are_found_and_shown_as_they_are_written(tmp_path: Path) -> None:
    path = index(tmp_path, stem=True)
    retrieve(tmp_path, path, rows=[{"id": "q", "text": "dividing cell"}])
    assert [(row["id"], row["terms"]) for row in rows_of(tmp_path / "docs")] == [
        ("cells", ["cell", "cells", "divide", "divides"])
    ]


def test_the_same_bytes_come_of_every_build_and_of_parts_of_any_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = index(tmp_path, "one", LARGER, passage_words=3)
    retrieve(tmp_path, path, "docs-one", MORE_QUERIES, top_k=20)
    monkeypatch.setattr(index_module, "CHARACTERS_PER_COMMIT", 300)
    path = index(tmp_path, "two", LARGER, passage_words=3)
    for name, queries, hits, documents in (("a", 7, 1 << 20, 256), ("b", 30, 50, 3), ("c", 4, 20, 7)):
        monkeypatch.setattr(retrieve_module, "QUERIES_AT_A_TIME", queries)
        monkeypatch.setattr(retrieve_module, "HITS_AT_A_TIME", hits)
        monkeypatch.setattr(retrieve_module, "DOCUMENTS_AT_A_TIME", documents)
        retrieve(tmp_path, path, name, MORE_QUERIES, top_k=20)
        assert rows_of(tmp_path / name) == rows_of(tmp_path / "docs-one")
    monkeypatch.undo()
    retrieve(tmp_path, path, "docs-two", MORE_QUERIES, top_k=20)
    assert shard_bytes(tmp_path / "docs-two") == shard_bytes(tmp_path / "docs-one")


def test_every_query_gets_its_best_documents_in_the_order_of_the_index(tmp_path: Path) -> None:
    path = index(tmp_path, "large", LARGER)
    retrieve(tmp_path, path, rows=MORE_QUERIES, top_k=20)
    ids = [row["id"] for row in LARGER]
    order = [ids.index(row["id"]) for row in rows_of(tmp_path / "docs")]
    assert order == sorted(set(order))
    hits: dict[str, list[tuple[float, int]]] = {}
    for query, document, score in hits_by_query(tmp_path / "docs"):
        hits.setdefault(query, []).append((-score, ids.index(document)))
    assert len(hits) == 30
    for found in hits.values():
        assert len(found) == 20
        assert found == sorted(found)


def test_another_index_or_other_settings_make_the_output_stale(tmp_path: Path) -> None:
    first = index(tmp_path, "first", CORPUS[:2])
    retrieve(tmp_path, first)
    assert retrieve(tmp_path, index(tmp_path, "same", CORPUS[:2])).already_done
    with pytest.raises(Stale, match="index was"):
        retrieve(tmp_path, index(tmp_path, "more", CORPUS[:4]))
    with pytest.raises(Stale, match="index was"):
        retrieve(tmp_path, index(tmp_path, "stemmed", CORPUS[:2], stem=True))
    with pytest.raises(Stale, match="top_k was 100 and is now 5"):
        retrieve(tmp_path, first, top_k=5)


def test_queries_that_find_nothing_leave_an_output_without_rows(tmp_path: Path) -> None:
    summary = retrieve(tmp_path, index(tmp_path), rows=QUERIES[4:])
    assert rows_of(tmp_path / "docs") == []
    assert summary.counts.reasons == {"no_terms": 1, "no_hits": 1}
    assert list(hits_by_query(tmp_path / "docs")) == []


def test_a_run_goes_on_after_the_queries_that_it_has_searched_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retrieve_module, "QUERIES_AT_A_TIME", 4)
    path = index(tmp_path, "large", LARGER)
    retrieve(tmp_path, path, "whole", MORE_QUERIES)
    searched: list[int] = []
    search = Bm25.search

    def failing(self: Bm25, queries: Sequence[str], k: int) -> Iterator[Hits]:
        if len(searched) == 3:
            raise RuntimeError("the machine stops")
        searched.append(len(queries))
        return search(self, queries, k)

    monkeypatch.setattr(Bm25, "search", failing)
    with pytest.raises(RuntimeError):
        retrieve(tmp_path, path, rows=MORE_QUERIES)
    del searched[:]
    monkeypatch.setattr(
        Bm25, "search", lambda self, queries, k: (searched.append(len(queries)), search(self, queries, k))[1]
    )
    retrieve(tmp_path, path, rows=MORE_QUERIES)
    assert sum(searched) == 30 - 12
    assert shard_bytes(tmp_path / "docs") == shard_bytes(tmp_path / "whole")


def test_an_output_is_evaluated_by_its_ranks(tmp_path: Path) -> None:
    path = index(tmp_path, "ties", [{"id": name, "text": "moon"} for name in "abc"])
    retrieve(tmp_path, path, rows=[{"id": "q", "text": "moon"}])
    (tmp_path / "qrels").write_text("q 0 a 1\nr 0 a 1\n")
    evaluation = evaluated(tmp_path / "docs", tmp_path / "qrels")
    # All scores are equal: by them alone, as `trec_eval` orders, `c` would be the first.
    assert evaluation.values["q"] == {"nDCG@10": 1.0, "R@100": 1.0, "AP": 1.0}
    assert evaluation.means == {"nDCG@10": 0.5, "R@100": 0.5, "AP": 0.5}
    assert evaluation.unanswered == 1
    with pytest.raises(InputError, match="ties has no column queries"):
        evaluated(path, tmp_path / "qrels")


def test_the_options_determine_the_identity(tmp_path: Path) -> None:
    from synth.pipelines.query_of_cc.index_reader import OpenedIndex

    opened = OpenedIndex(index(tmp_path))
    stage = Retrieve(index=opened, top_k=7)
    options = {"top_k": 7, "by": "bm25", "nprobe": None}
    assert stage.identity() == {"index": opened.fingerprint, **options}
