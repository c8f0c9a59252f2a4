"""Indexing corpora: what stands in the directory, what is rejected, what is refused."""

import json
import shutil
from pathlib import Path

import pytest
from datasets import load_from_disk

from synth.pipelines.query_of_cc import index as index_module
from synth.pipelines.query_of_cc.index import Index
from synth.pipelines.query_of_cc.index_reader import OpenedIndex
from synth.pipelines.retrieval import analysis, segments
from synth.pipelines.retrieval.bm25 import Bm25Writer
from synth.pipelines.runtime import runner
from synth.pipelines.runtime.options import Options
from synth.schemas.errors import InputError, Stale
from tests.pipelines.query_of_cc.searching import CORPUS, index, retrieve, shard_bytes
from tests.rows import rows_of, write_rows


def test_an_index_is_a_dataset_of_the_documents_that_have_text(tmp_path: Path) -> None:
    path = index(tmp_path)
    assert [(row["id"], row["url"]) for row in rows_of(path)] == [
        ("moon", "http://a.example/moon"),
        ("tides", "http://a.example/tides"),
        ("cells", None),
        ("tokyo", None),
    ]
    assert [(row["id"], row["reason"]) for row in rows_of(path / "rejected")] == [("blank", "no_text")]
    assert load_from_disk(str(path)).num_rows == 4
    record = json.loads((path / "synth.json").read_text())
    assert record["counts"]["tallies"] == {"passages": 4}
    options = record["identity"]["options"]
    assert {name: options[name] for name in ("passage_words", "stem", "analysis")} == {
        "passage_words": 200,
        "stem": False,
        "analysis": analysis.VERSION,
    }
    assert options["postings"]


def test_a_long_document_is_found_by_any_of_its_passages_and_comes_once(tmp_path: Path) -> None:
    filler = "word " * 500
    corpus = [{"id": "long", "text": f"moon {filler} tides {filler} moon tides {filler}"}, {"id": "other", "text": "x"}]
    path = index(tmp_path, rows=corpus)
    assert json.loads((path / "synth.json").read_text())["counts"]["tallies"] == {"passages": 9}
    retrieve(tmp_path, path, rows=[{"id": "q", "text": "moon tides"}])
    (document,) = rows_of(tmp_path / "docs")
    assert (document["id"], document["queries"], document["terms"]) == ("long", ["q"], ["moon", "tides"])


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("a\x00b\x1b[0m \x07red\x07", "red"),
        ("C++ AND (", "C++ AND ("),
        ("x" * 70_000, "x" * 255),
        ("東京都に住む猫", "東京都"),
        ("ＦＵＬＬ　ＷＩＤＴＨ", "width"),
    ],
    ids=["control characters", "query syntax", "an endless word", "no spaces", "full width"],
)
def test_odd_texts_are_indexed_and_found(tmp_path: Path, text: str, query: str) -> None:
    path = index(tmp_path, rows=[{"id": "odd", "text": text}, {"id": "plain", "text": "plain"}])
    retrieve(tmp_path, path, rows=[{"id": "q", "text": query}])
    assert [(row["id"], row["text"]) for row in rows_of(tmp_path / "docs")] == [("odd", text)]


def test_a_document_of_50_megabytes(tmp_path: Path) -> None:
    text = f"the moon moves {'the-tides' * 10}\n" * (50_000_000 // 106) + "needle"
    path = index(tmp_path, rows=[{"id": "small", "text": "moon"}, {"id": "huge", "text": text}], passage_words=2000)
    retrieve(tmp_path, path, rows=[{"id": "q", "text": "needle"}])
    assert [(row["id"], row["terms"]) for row in rows_of(tmp_path / "docs")] == [("huge", ["needle"])]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([], "has no rows"),
        ([{"id": "a", "text": ""}, {"id": "b", "text": None}, {"id": "c"}], "no document has any text"),
        ([{"id": "a", "body": "x"}], "--column text=NAME"),
        ([{"id": "a", "text": "x"}, {"id": "a", "text": "y"}], "id 'a'"),
        ([{"id": "a", "text": ["x"]}], "text is a list"),
    ],
    ids=["empty", "without text", "another column", "a repeated id", "a list"],
)
def test_a_corpus_that_cannot_be_indexed_is_refused(tmp_path: Path, rows: list[dict[str, object]], said: str) -> None:
    with pytest.raises(InputError, match=said):
        index(tmp_path, rows=rows)
    assert not (tmp_path / "index").exists()


def test_several_corpora_are_one_and_their_ids_must_differ(tmp_path: Path) -> None:
    corpora = [write_rows(tmp_path / "a.jsonl", CORPUS[:2]), write_rows(tmp_path / "b.jsonl", CORPUS[2:])]
    runner.Run(Index(), list(map(str, corpora)), tmp_path / "both", Options()).execute()
    assert shard_bytes(tmp_path / "both") != []
    assert [row["id"] for row in rows_of(tmp_path / "both")] == ["moon", "tides", "cells", "tokyo"]
    again = write_rows(tmp_path / "c.jsonl", CORPUS[1:2])
    with pytest.raises(InputError, match="'tides' is in two corpora"):
        runner.Run(Index(), [*map(str, corpora), str(again)], tmp_path / "all", Options()).execute()


def test_an_extended_index_is_as_one_made_of_all_and_leaves_the_first_whole(tmp_path: Path) -> None:
    whole = index(tmp_path, "whole")
    first = index(tmp_path, "first", CORPUS[:2])
    before = {path.name: path.read_bytes() for path in (first / "bm25").iterdir()}
    second = index(tmp_path, "second", CORPUS[2:], extend=first)
    assert rows_of(second) == rows_of(whole)
    for name, path in (("a", whole), ("b", second)):
        retrieve(tmp_path, path, name)
    assert shard_bytes(tmp_path / "a") == shard_bytes(tmp_path / "b")
    assert {path.name: path.read_bytes() for path in (first / "bm25").iterdir()} == before
    retrieve(tmp_path, first, "c", [{"id": "q", "text": "tides"}])
    assert [row["id"] for row in rows_of(tmp_path / "c")] == ["moon", "tides"]


def test_an_index_of_other_settings_is_not_extended(tmp_path: Path) -> None:
    first = index(tmp_path, "first", CORPUS[:2], passage_words=50)
    with pytest.raises(Stale, match="passage_words was 50 and is now 200"):
        index(tmp_path, "second", CORPUS[2:], extend=first, passage_words=200)
    with pytest.raises(Stale, match="stem was False and is now True"):
        index(tmp_path, "second", CORPUS[2:], extend=first, stem=True, passage_words=50)
    with pytest.raises(InputError, match="'moon' is in two corpora, or in a corpus and in the index"):
        index(tmp_path, "second", CORPUS[:1], extend=first, passage_words=50)


def test_what_is_no_index_or_one_of_other_rules_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = index(tmp_path)
    retrieve(tmp_path, path)
    for other, said in (
        (tmp_path / "docs", "docs is not an index, it was made by query-of-cc retrieve"),
        (tmp_path / "none", "is not a dataset directory"),
        (tmp_path / "index.jsonl", "is not a dataset directory"),
    ):
        with pytest.raises(InputError, match=said):
            OpenedIndex(other)
    with monkeypatch.context() as later:
        later.setattr(segments, "VERSION", 0)
        with pytest.raises(Stale, match=r"postings was \d+ and is now 0\): index the corpus again"):
            OpenedIndex(path)
    monkeypatch.setattr(analysis, "VERSION", 0)
    with pytest.raises(Stale, match=r"analysis was \d and is now 0.*index the corpus again"):
        OpenedIndex(path)


def test_an_index_that_has_lost_documents_is_refused(tmp_path: Path) -> None:
    path, other = index(tmp_path), index(tmp_path, "other", CORPUS[:1])
    shutil.rmtree(path / "bm25")
    shutil.copytree(other / "bm25", path / "bm25")
    with pytest.raises(InputError, match=r"is damaged: 1 of its 4 documents"):
        retrieve(tmp_path, path)
    postings = next((path / "bm25").glob("*.arrow"))
    postings.unlink()
    postings.touch()
    with pytest.raises(InputError, match=r"bm25 is damaged: .*\.arrow has 0 bytes of .*; index the corpus again"):
        retrieve(tmp_path, path)
    with pytest.raises(InputError, match=r"bm25 is damaged: .*\.arrow has 0 bytes of .*; index the corpus again"):
        index(tmp_path, "more", [{"id": "new", "text": "x"}], extend=path)
    shutil.rmtree(path / "bm25")
    with pytest.raises(InputError, match="is not a complete BM25 index"):
        retrieve(tmp_path, path)


def test_what_a_broken_off_run_committed_is_not_indexed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_module, "CHARACTERS_PER_COMMIT", 100)
    corpus = [{"id": f"d{number}", "text": "moon " * (number % 7)} for number in range(60)]
    added: list[int] = []
    add = Bm25Writer.add

    def failing(self: Bm25Writer, document: int, passage: list[str]) -> None:
        if len(added) == 40:
            raise RuntimeError("the machine stops")
        added.append(document)
        add(self, document, passage)

    monkeypatch.setattr(Bm25Writer, "add", failing)
    with pytest.raises(RuntimeError):
        index(tmp_path, rows=corpus)
    with pytest.raises(InputError, match="is not finished"):
        OpenedIndex(tmp_path / "index")
    with pytest.raises(Stale, match="stem was false and is now true"):
        index(tmp_path, rows=corpus, stem=True)
    first, added[:] = added.copy(), []
    index(tmp_path, rows=corpus)
    assert len(added) < 40
    assert first[-1] >= added[0]
    assert sorted({*first, *added}) == list(range(51))
    assert json.loads((tmp_path / "index" / "synth.json").read_text())["counts"]["tallies"] == {"passages": 51}
