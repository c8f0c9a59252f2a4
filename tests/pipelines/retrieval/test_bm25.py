"""BM25 as Lucene calculates it, whatever the index looks like inside."""

import math
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from synth.pipelines.retrieval import bm25
from synth.pipelines.retrieval.analysis import Analysis
from synth.pipelines.retrieval.bm25 import Bm25, Bm25Writer
from synth.schemas.errors import InputError

# Lengths that Lucene's `SmallFloat` keeps; any other is rounded down to one of them.
KEPT_LENGTHS = sorted(set(range(40)) | {24 + (m << shift) for shift in range(1, 20) for m in range(8, 16)})


def built(folder: Path, documents: Sequence[Sequence[str]], *, commit_every: int = 1000) -> Bm25:
    """An index of documents, each given as its passages."""
    writer = Bm25Writer(folder)
    for number, passages in enumerate(documents):
        for passage in passages:
            writer.add(number, passage.split())
        if (number + 1) % commit_every == 0:
            writer.commit()
    assert writer.close() == sum(map(len, documents))
    return Bm25(folder, Analysis(), max_terms=64)


def found(engine: Bm25, query: str, k: int = 100) -> list[tuple[int, float]]:
    (hits,) = engine.search([query], k)
    return list(zip(hits.ords.tolist(), hits.scores.tolist(), strict=True))


def lucene(passages: Sequence[str], query: str) -> dict[int, float]:
    """Lucene's `BM25Similarity` written out: k1 1.2, b 0.75, lengths rounded down to those that it keeps."""
    bags = [Counter(passage.split()) for passage in passages]
    average = sum(bag.total() for bag in bags) / len(bags)
    scores: dict[int, float] = {}
    for term in query.split():
        holding = sum(term in bag for bag in bags)
        idf = math.log(1 + (len(bags) - holding + 0.5) / (holding + 0.5))
        for number, bag in enumerate(bags):
            if term in bag:
                length = max(kept for kept in KEPT_LENGTHS if kept <= bag.total())
                weight = bag[term] / (bag[term] + 1.2 * (1 - 0.75 + 0.75 * length / average))
                scores[number] = scores.get(number, 0) + idf * weight
    return scores


def zipf(rng: random.Random, documents: int) -> list[str]:
    words = [f"w{number}" for number in range(400)]
    weights = [1 / (number + 2) for number in range(400)]
    return [
        " ".join(rng.choices(words, weights, k=rng.choice((1, 5, 39, 40, 41, 63, 92, 140)))) for _ in range(documents)
    ]


def test_six_documents_by_hand(tmp_path: Path) -> None:
    documents = ["the cat sat", "the cat sat on the mat", "dogs and cats", "the dog chased the cat", "a mat", "x y"]
    engine = built(tmp_path, [[text] for text in documents])
    # N = 6, average length 21 / 6 = 3.5.
    # idf(cat) = ln(1 + 3.5 / 3.5) = 0.693147, idf(mat) = ln(1 + 4.5 / 2.5) = 1.029619.
    # tf / (tf + 1.2 (0.25 + 0.75 length / 3.5)):
    # 0.551181 for length 2, 0.482759 for 3, 0.386740 for 5, 0.351759 for 6.
    cat = {0: 0.693147 * 0.482759, 1: 0.693147 * 0.351759, 3: 0.693147 * 0.386740}
    assert dict(found(engine, "cat")) == pytest.approx(cat, rel=3e-6)
    both = [(1, 0.351759 * (0.693147 + 1.029619)), (4, 1.029619 * 0.551181), (0, cat[0]), (3, cat[3])]
    assert [document for document, _ in found(engine, "cat mat")] == [document for document, _ in both]
    assert dict(found(engine, "cat mat")) == pytest.approx(dict(both), rel=3e-6)
    # Twice in the query counts twice; "the" stands twice in document 1: 2 / (2 + 1.842857) = 0.520446.
    assert dict(found(engine, "cat cat")) == pytest.approx(
        {document: 2 * score for document, score in cat.items()}, rel=3e-6
    )
    assert dict(found(engine, "the"))[1] == pytest.approx(0.693147 * 0.520446, rel=3e-6)


def test_two_hundred_documents_by_the_formula(tmp_path: Path) -> None:
    rng = random.Random(1)
    documents = zipf(rng, 200)
    engine = built(tmp_path, [[text] for text in documents], commit_every=37)
    for query in ("w0", "w1 w7 w30", "w2 w2 w390 w55", " ".join(documents[3].split()[:60]), "none w5"):
        assert dict(found(engine, query, 1000)) == pytest.approx(lucene(documents, query), rel=1e-5)


def test_a_document_has_the_score_of_its_best_passage_and_comes_once(tmp_path: Path) -> None:
    rng = random.Random(2)
    passages = zipf(rng, 300)
    documents = [passages[start : start + size] for start, size in zip(range(0, 300, 3), [3] * 100, strict=True)]
    engine = built(tmp_path, documents)
    for query in ("w0 w9", "w3"):
        best: dict[int, float] = {}
        for number, score in lucene(passages, query).items():
            best[number // 3] = max(best.get(number // 3, 0), score)
        hits = found(engine, query, 20)
        assert len(hits) == len(dict(hits)) == 20
        assert [score for _, score in hits] == pytest.approx(sorted(best.values(), reverse=True)[:20], rel=1e-5)
        assert dict(hits) == pytest.approx({number: best[number] for number, _ in hits}, rel=1e-5)


@pytest.mark.parametrize("most_hits", [1 << 18, 40, 160])
def test_equal_scores_come_in_the_order_of_the_documents_in_every_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most_hits: int
) -> None:
    monkeypatch.setattr(bm25, "MAX_HITS", most_hits)
    rng = random.Random(3)
    documents = [[rng.choice(("a b", "a c", "a d d", "b c"))] for _ in range(1000)]
    expected = {
        query: sorted(lucene([passage for (passage,) in documents], query).items(), key=lambda hit: (-hit[1], hit[0]))
        for query in ("a", "a d", "b")
    }
    for number, (threads, commit_every) in enumerate([(1, 1000), (2, 90), (4, 333)]):
        monkeypatch.setattr(bm25, "MAX_WRITERS", threads)
        engine = built(tmp_path / str(number), documents, commit_every=commit_every)
        for query, hits in expected.items():
            assert [document for document, _ in found(engine, query, 20)] == [document for document, _ in hits[:20]]


def test_a_query_is_a_bag_of_terms_whatever_signs_stand_in_it(tmp_path: Path) -> None:
    engine = built(tmp_path, [["c and"], ["not c"], ["text x"]])
    assert {document for document, _ in found(engine, 'C++ AND ("')} == {0, 1}
    assert {document for document, _ in found(engine, "text:x -c^2 [a TO b]")} == {0, 1, 2}
    assert found(engine, "") == found(engine, "!!!") == found(engine, "unheard of") == []


def test_of_long_queries_the_rarest_terms_count(tmp_path: Path) -> None:
    documents = ["common rare", "common less", "common less", "common"]
    built(tmp_path, [[text] for text in documents])
    engine = Bm25(tmp_path, Analysis(), max_terms=2)
    query = "common less rare less unheard"
    assert list(engine.terms(query).items()) == [("rare", 1), ("less", 2)]
    assert dict(found(engine, query)) == pytest.approx(lucene(documents, "rare less less"), rel=1e-5)


def test_what_was_committed_is_there_and_more_can_be_added(tmp_path: Path) -> None:
    writer = Bm25Writer(tmp_path)
    writer.add(0, ["a"])
    writer.add(1, ["a", "b"])
    writer.commit()
    writer.add(2, ["a"])
    del writer
    writer = Bm25Writer(tmp_path)
    assert writer.committed == 2
    writer.add(2, ["b"])
    assert writer.close() == 3
    assert {document for document, _ in found(Bm25(tmp_path, Analysis(), 64), "b")} == {1, 2}


def test_a_folder_without_a_whole_index_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not a complete BM25 index"):
        Bm25(tmp_path / "none", Analysis(), 64)
    writer = Bm25Writer(tmp_path)
    writer.add(0, ["a"])
    writer.commit()
    with pytest.raises(InputError, match=r"is not a complete BM25 index: files.json cannot be read"):
        Bm25(tmp_path, Analysis(), 64)
    writer.close()
    Bm25(tmp_path, Analysis(), 64)
    (tmp_path / "meta.json").write_text("{}")
    (tmp_path / "files.json").write_text('{"meta.json": 2}')
    with pytest.raises(InputError, match="is not a readable BM25 index"):
        Bm25(tmp_path, Analysis(), 64)


def test_a_file_that_is_missing_or_cut_off_is_noticed(tmp_path: Path) -> None:
    built(tmp_path, [["a b"], ["b c"]])
    postings = next(tmp_path.glob("*.idx"))
    whole = postings.read_bytes()
    # In its place: the file itself is still mapped by a thread that looks whether the index has changed.
    postings.unlink()
    postings.write_bytes(whole[:-1])
    cut = f"{postings.name} has {len(whole) - 1} bytes of {len(whole)}"
    with pytest.raises(InputError, match=f"damaged: {cut}; index the corpus again"):
        Bm25(tmp_path, Analysis(), 64)
    postings.unlink()
    with pytest.raises(InputError, match=f"damaged: {postings.name} is missing; index the corpus again"):
        Bm25(tmp_path, Analysis(), 64)
