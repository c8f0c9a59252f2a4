"""`synth query-of-cc`: from a corpus to the documents that queries find, and how good they are."""

import json
from pathlib import Path

import pytest
from rich.console import Console
from rich.text import Text

from synth.cli.highlighting import best_part, mark
from synth.pipelines.retrieval.trec import MEASURES
from synth.schemas.dataset import Dataset
from synth.schemas.errors import InputError, Stale, UsageError
from tests.command import synth
from tests.pipelines.query_of_cc.searching import CORPUS, QUERIES
from tests.pipelines.retrieval.meanings import MODEL, SENTENCES, needs_model
from tests.rows import write_rows


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A corpus, its index, and queries."""
    write_rows(tmp_path / "queries.jsonl", QUERIES)
    synth("query-of-cc", "index", write_rows(tmp_path / "corpus.jsonl", CORPUS), tmp_path / "index")
    return tmp_path


def settings(index: Path) -> dict[str, object]:
    run = Dataset.open(index).run
    assert run
    return {name: run["identity"]["options"][name] for name in ("passage_words", "stem")}


def test_a_pool_of_queries_finds_documents_that_can_be_shown_and_measured(folder: Path) -> None:
    run, qrels = folder / "run.txt", folder / "qrels.txt"
    done = synth("query-of-cc", "retrieve", folder / "queries.jsonl", folder / "index", folder / "docs", "--run", run)
    assert "docs: 4 rows from 4 of 6 input rows" in done.stderr
    assert "rejected: 2 (no_terms 1, no_hits 1)" in done.stderr
    assert run.read_text().splitlines()[:2] == [
        "q-cats Q0 tokyo 1 0.588789403 synth",
        "q-cells Q0 cells 1 1.611696 synth",
    ]
    qrels.write_text("q-moon 0 moon 1\nq-tides 0 tides 1\nq-tides 0 moon 1\nq-else 0 moon 1\n")
    for source in (folder / "docs", run):
        result = synth("query-of-cc", "evaluate", source, qrels, "--json", "--by-query")
        assert json.loads(result.stdout) == {
            "queries": 3,
            **dict.fromkeys(("nDCG@10", "R@100", "AP"), pytest.approx(2 / 3)),
            "by_query": {
                "q-moon": {"nDCG@10": 1.0, "R@100": 1.0, "AP": 1.0},
                "q-tides": {"nDCG@10": 1.0, "R@100": 1.0, "AP": 1.0},
                "q-else": {"nDCG@10": 0.0, "R@100": 0.0, "AP": 0.0},
            },
        }
        assert "1 of 3 judged queries found nothing" in result.stderr
    shown = synth("query-of-cc", "evaluate", run, qrels).stdout
    assert shown.split() == ["query", "nDCG@10", "R@100", "AP", "─" * 35, "mean", "0.6667", "0.6667", "0.6667"]
    assert "q-else" in synth("query-of-cc", "evaluate", run, qrels, "--by-query").stdout
    again = synth("query-of-cc", "retrieve", folder / "queries.jsonl", folder / "index", folder / "docs", "--run", run)
    assert "complete already" in again.stderr


def test_the_words_that_found_a_document_are_marked_in_its_preview(folder: Path) -> None:
    synth("query-of-cc", "retrieve", folder / "queries.jsonl", folder / "index", folder / "docs")
    shown = synth("show", folder / "docs", "--row", "moon").stdout
    assert "The moon moves the tides of the sea." in shown
    text = Text("The MOON moves\nthe tides, 月の出")
    mark(text, ["moon", "tides", "月の"])
    assert [text.plain[span.start : span.end] for span in text.spans] == ["MOON", "tides", "月の"]
    console = Console(force_terminal=True, width=80)
    with console.capture() as capture:
        console.print(text)
    assert "\x1b[1;33mMOON\x1b[0m" in capture.get()


def test_a_long_text_is_shown_where_most_of_the_words_are() -> None:
    filler = "nothing to see\n" * 400
    text = f"{filler}a moon alone\n{filler}moon and tides\n{filler}"
    start = best_part(text, ["moon", "tides"], 750)
    assert text[start:].startswith("moon and tides")
    assert best_part(text, ["unheard"], 750) == 0
    line = "x " * 2000 + "moon " + "y " * 2000
    start = best_part(line, ["moon"], 750)
    assert 0 < line.index("moon") - start < 80
    assert text[best_part(filler + "moon", ["moon"], 750) :].startswith("nothing to see\n")


def test_an_extended_index_takes_the_settings_of_the_first(folder: Path) -> None:
    corpus, more = folder / "corpus.jsonl", write_rows(folder / "more.jsonl", [{"id": "more", "text": "more tides"}])
    first = folder / "first"
    synth("query-of-cc", "index", corpus, first, "--stem", "--passage-words", 30)
    synth("query-of-cc", "index", more, folder / "second", "--extend", first)
    assert settings(folder / "second") == settings(first) == {"passage_words": 30, "stem": True}
    assert settings(folder / "index") == {"passage_words": 200, "stem": False}
    with pytest.raises(Stale, match=r"--extend .*stem was True and is now False"):
        synth("query-of-cc", "index", more, folder / "third", "--extend", first, "--no-stem")


@needs_model
def test_an_index_with_vectors_is_searched_by_words_by_meaning_or_by_both(folder: Path) -> None:
    corpus = write_rows(folder / "corpus.jsonl", [{"id": f"s{n}", "text": text} for n, text in enumerate(SENTENCES)])
    queries = write_rows(folder / "questions.jsonl", [{"id": "q", "text": "How do I mend a punctured bicycle tyre?"}])
    qrels = folder / "qrels.txt"
    qrels.write_text("q 0 s0 1\n")
    synth("query-of-cc", "index", corpus, folder / "both", "--dense", MODEL)
    for by, tag in (((), "bm25"), (("--by", "dense"), "dense"), (("--by", "hybrid"), "hybrid")):
        run, out = folder / "run.txt", folder / tag
        synth("query-of-cc", "retrieve", queries, folder / "both", out, "--top-k", 3, "--run", run, *by)
        assert (Dataset.open(out).run or {})["identity"]["options"]["by"] == tag
        assert run.read_text().split()[2] == "s0"
        measured = [synth("query-of-cc", "evaluate", source, qrels, "--json").stdout for source in (out, run)]
        assert json.loads(measured[0]) == json.loads(measured[1]) == {"queries": 1, **dict.fromkeys(MEASURES, 1.0)}
    more = write_rows(folder / "more.jsonl", [{"id": "more", "text": "A saddle is what a cyclist sits upon."}])
    synth("query-of-cc", "index", more, folder / "second", "--extend", folder / "both")
    assert (folder / "second" / "dense" / "dense.json").exists()
    synth("query-of-cc", "index", more, folder / "meaning", "--dense", MODEL, "--no-bm25", "--faiss", "flat")
    synth("query-of-cc", "retrieve", queries, folder / "meaning", folder / "found", "--dense", MODEL)
    assert Dataset.open(folder / "found").table["id"].to_pylist() == ["more"]
    refused: tuple[tuple[tuple[object, ...], str], ...] = (
        (
            ("index", more, folder / "x", "--faiss", "ivf"),
            "--faiss, --query-prompt and --passage-prompt apply only to vectors",
        ),
        (("index", more, folder / "x", "--no-bm25"), "--no-bm25 leaves nothing to search by"),
        (("retrieve", queries, folder / "index", folder / "x", "--by", "dense"), "has no vectors"),
        (("retrieve", queries, folder / "both", folder / "x", "--by", "dense", "--dense", "none"), "no such directory"),
    )
    for command, said in refused:
        with pytest.raises(UsageError, match=said):
            synth("query-of-cc", *command)


def test_what_cannot_be_used_is_refused(folder: Path) -> None:
    retrieve = ("query-of-cc", "retrieve", folder / "queries.jsonl")
    with pytest.raises(InputError, match="is not a dataset directory"):
        synth(*retrieve, folder / "corpus.jsonl", folder / "docs")
    queries = write_rows(folder / "q.jsonl", [{"id": "q"}])
    with pytest.raises(InputError, match="no column text or query or question"):
        synth("query-of-cc", "retrieve", queries, folder / "index", folder / "docs")
    for place, why in (("none/run.txt", "none is not a directory"), ("index", "it is a directory")):
        with pytest.raises(UsageError, match=f"--run .*{place} cannot be written: .*{why}"):
            synth(*retrieve, folder / "index", folder / "found", "--run", folder / place)
    assert not any(folder.glob("found*")), "it was searched for what could not be written"
    with pytest.raises(UsageError, match="--top-k 1001: must be between 1 and 1000"):
        synth(*retrieve, folder / "index", folder / "more", "--top-k", 1001)
    (folder / "qrels.txt").write_text("q 0 moon 1\n")
    with pytest.raises(InputError, match="nowhere cannot be read: No such file"):
        synth("query-of-cc", "evaluate", folder / "nowhere", folder / "qrels.txt")


def test_why_says_that_another_index_makes_the_documents_stale(folder: Path) -> None:
    # As `make` would ask: the command is repeated with what lies there now.
    retrieve = ("query-of-cc", "retrieve", folder / "queries.jsonl", folder / "index", folder / "docs")
    synth(*retrieve)
    synth("query-of-cc", "index", folder / "corpus.jsonl", folder / "index", "--stem", "--fresh")
    with pytest.raises(Stale, match="is stale: index was"):
        synth(*retrieve)
