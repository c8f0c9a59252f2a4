"""BM25 by Lucene's formula, whatever the index looks like inside."""

import math
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from synth.pipelines.retrieval.analysis import Analysis
from synth.pipelines.retrieval.bm25 import Bm25, Bm25Writer
from synth.schemas.errors import InputError


def built(folder: Path, documents: Sequence[Sequence[str]], *, commit_every: int = 1000) -> Bm25:
    """An index of documents, each given as its passages."""
    writer = Bm25Writer(folder)
    for number, passages in enumerate(documents):
        for passage in passages:
            writer.add(number, passage.split())
        if (number + 1) % commit_every == 0:
            writer.commit()
    assert writer.close() == sum(map(len, documents))
    return Bm25(folder, Analysis())


def found(engine: Bm25, query: str, k: int = 100) -> list[tuple[int, float]]:
    (hits,) = engine.search([query], k)
    return list(zip(hits.ords.tolist(), hits.scores.tolist(), strict=True))


def lucene(passages: Sequence[str], query: str) -> dict[int, float]:
    """Lucene's `BM25Similarity` written out, k1 1.2, b 0.75, but for lengths, which are exact."""
    bags = [Counter(passage.split()) for passage in passages]
    average = sum(bag.total() for bag in bags) / len(bags)
    scores: dict[int, float] = {}
    for term in query.split():
        holding = sum(term in bag for bag in bags)
        idf = math.log(1 + (len(bags) - holding + 0.5) / (holding + 0.5))
        for number, bag in enumerate(bags):
            if term in bag:
                weight = bag[term] / (bag[term] + 1.2 * (1 - 0.75 + 0.75 * bag.total() / average))
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


@pytest.mark.parametrize("k", [1, 20, 250, 1000])
def test_equal_scores_come_in_the_order_of_the_documents_in_every_build(tmp_path: Path, k: int) -> None:
    rng = random.Random(3)
    documents = [[rng.choice(("a b", "a c", "a d d", "b c"))] for _ in range(1000)]
    expected = {
        query: sorted(lucene([passage for (passage,) in documents], query).items(), key=lambda hit: (-hit[1], hit[0]))
        for query in ("a", "a d", "b")
    }
    for commit_every in (1000, 333, 90):
        engine = built(tmp_path / str(commit_every), documents, commit_every=commit_every)
        for query, hits in expected.items():
            assert [document for document, _ in found(engine, query, k)] == [document for document, _ in hits[:k]]


def test_hits_are_the_same_to_the_last_bit_however_documents_and_queries_are_divided(tmp_path: Path) -> None:
    rng = random.Random(4)
    passages = zipf(rng, 240)
    documents = [passages[start : start + 2] for start in range(0, 240, 2)]
    queries = [
        *(" ".join(passage.split()[:4]) for passage in passages[:40]),
        *(" ".join(f"w{rng.randrange(60)}" for _ in range(100)) for _ in range(8)),
        *("w0", "w0 w1", "w399", "unheard", ""),
    ]
    whole, divided = built(tmp_path / "1", documents), built(tmp_path / "9", documents, commit_every=14)
    for k in (1, 7, 120):
        expected = [found(whole, query, k) for query in queries]
        for engine in (whole, divided):
            hits_of_all = engine.search(queries, k)
            assert [
                list(zip(hits.ords.tolist(), hits.scores.tolist(), strict=True)) for hits in hits_of_all
            ] == expected
        for query, hits in zip(queries[::4], expected[::4], strict=True):
            best: dict[int, float] = {}
            for number, score in lucene(passages, query).items():
                best[number // 2] = max(best.get(number // 2, 0), score)
            assert [score for _, score in hits] == pytest.approx(sorted(best.values(), reverse=True)[:k], rel=1e-5)
            assert dict(hits) == pytest.approx({number: best[number] for number, _ in hits}, rel=1e-5)


def test_a_query_is_a_bag_of_terms_whatever_signs_stand_in_it(tmp_path: Path) -> None:
    engine = built(tmp_path, [["c and"], ["not c"], ["text x"]])
    assert {document for document, _ in found(engine, 'C++ AND ("')} == {0, 1}
    assert {document for document, _ in found(engine, "text:x -c^2 [a TO b]")} == {0, 1, 2}
    assert found(engine, "") == found(engine, "!!!") == found(engine, "unheard of") == []


def test_the_terms_that_tell_something_are_the_rarer_ones(tmp_path: Path) -> None:
    engine = built(tmp_path, [["common rare"], ["common less"], ["common less"], *[["common"]] * 12])
    assert engine.informative("common less rare less unheard") == ["rare", "less"]
    assert engine.informative("unheard common") == ["common"]
    assert engine.informative("unheard") == engine.informative("") == []


def test_a_document_of_very_many_passages_and_all_that_follow_it(tmp_path: Path) -> None:
    documents = [["x"] * 3, ["a b"] * 1000 + ["a"], *[["a b c"]] * 200, ["a"]]
    engine = built(tmp_path, documents)
    assert [document for document, _ in found(engine, "a", 4)] == [1, 202, 2, 3]
    assert found(engine, "a")[0][1] == found(engine, "a")[1][1] > found(engine, "a")[2][1] == found(engine, "a")[3][1]


def test_passages_of_very_many_lengths_and_frequencies(tmp_path: Path) -> None:
    documents = [f"b {'a ' * frequency}".strip() for frequency in range(1, 301)]
    engine = built(tmp_path, [[text] for text in documents])
    assert dict(found(engine, "a b", 300)) == pytest.approx(lucene(documents, "a b"), rel=1e-5)


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
    assert {document for document, _ in found(Bm25(tmp_path, Analysis()), "b")} == {1, 2}


def test_a_folder_without_a_whole_index_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not a complete BM25 index"):
        Bm25(tmp_path / "none", Analysis())
    writer = Bm25Writer(tmp_path)
    writer.add(0, ["a"])
    writer.commit()
    with pytest.raises(InputError, match=r"is not a complete BM25 index: files.json cannot be read"):
        Bm25(tmp_path, Analysis())
    writer.close()
    Bm25(tmp_path, Analysis())
    next(tmp_path.glob("*.arrow")).write_text("{}")
    (tmp_path / "files.json").write_text('{"000000.arrow": 2}')
    with pytest.raises(InputError, match="is not a readable BM25 index"):
        Bm25(tmp_path, Analysis())


def test_a_file_that_is_missing_or_cut_off_is_noticed(tmp_path: Path) -> None:
    built(tmp_path, [["a b"], ["b c"]])
    postings = next(tmp_path.glob("*.arrow"))
    whole = postings.read_bytes()
    postings.unlink()
    postings.write_bytes(whole[:-1])
    cut = f"{postings.name} has {len(whole) - 1:,} bytes of {len(whole):,}"
    with pytest.raises(InputError, match=f"damaged: {cut}; index the corpus again"):
        Bm25(tmp_path, Analysis())
    postings.unlink()
    with pytest.raises(InputError, match=f"damaged: {postings.name} is missing; index the corpus again"):
        Bm25(tmp_path, Analysis())
