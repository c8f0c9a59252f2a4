"""Dense search with a small real model: what means the same is found without a word in common."""

import os
import shutil
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from synth.pipelines.retrieval import dense
from synth.pipelines.retrieval.analysis import Analysis, slices
from synth.pipelines.retrieval.dense import Dense, DenseWriter
from synth.pipelines.retrieval.embedding import Embedder
from synth.schemas.errors import Stale, UsageError
from tests.pipelines.retrieval.meanings import MODEL, QUESTIONS, SENTENCES, needs_model

pytestmark = needs_model


@pytest.fixture(scope="module")
def embedder() -> Embedder:
    return Embedder.named(str(MODEL))


def written(folder: Path, embedder: Embedder, texts: list[str], passage_words: int = 200) -> Path:
    writer = DenseWriter(folder, embedder, Analysis(), passage_words)
    for document, text in enumerate(texts):
        writer.add(document, text)
    writer.close(len(texts), None)
    return folder


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_questions_find_the_sentences_that_answer_them(tmp_path: Path, embedder: Embedder) -> None:
    engine = Dense(written(tmp_path / "dense", embedder, SENTENCES), embedder, 32)
    assert engine.documents == len(SENTENCES)
    for found, answer in zip(engine.search(list(QUESTIONS), 3), QUESTIONS.values(), strict=True):
        assert found.ords[0] == answer
        assert found.scores.tolist() == sorted(found.scores.tolist(), reverse=True)
        assert 0.2 < found.scores[0] < 1.0
    assert list(engine.search([], 3)) == []


def test_a_long_document_is_found_by_a_part_of_it(tmp_path: Path, embedder: Embedder) -> None:
    long = " ".join([*SENTENCES[5:20], SENTENCES[0], *SENTENCES[20:23]])
    engine = Dense(written(tmp_path / "dense", embedder, [long, *SENTENCES[1:5]], passage_words=12), embedder, 32)
    (found,) = engine.search(["How do I mend a flat bicycle tyre?"], 5)
    assert found.ords[0] == 0
    assert sorted(found.ords.tolist()) == [0, 1, 2, 3, 4]


def test_what_the_model_would_not_read_is_a_passage_of_its_own(embedder: Embedder) -> None:
    text = " ".join(f"number{number}" for number in range(400))
    parts = list(embedder.split_to_fit([text, "short"]))
    assert len(parts) > 2
    assert "".join(parts) == text + "short"
    unbroken = "x9" * 2000
    assert "".join(embedder.split_to_fit([unbroken])) == unbroken


def test_prompts_go_before_queries_and_passages() -> None:
    plain, prompted = Embedder.named(str(MODEL)), Embedder.named(str(MODEL), "query: ", "passage: ")
    assert np.allclose(prompted.queries(["tides"]), plain.queries(["query: tides"]), atol=1e-6)
    assert np.allclose(prompted.passages(["tides"]), plain.passages(["passage: tides"]), atol=1e-6)
    assert prompted.identity() == {**plain.identity(), "query_prompt": "query: ", "passage_prompt": "passage: "}
    with pytest.raises(UsageError, match="--passage-prompt takes more than half of the 256 tokens"):
        list(Embedder.named(str(MODEL), None, "word " * 200).split_to_fit(["text"]))


def test_a_broken_off_index_goes_on_at_the_last_batch_with_equal_bytes(
    tmp_path: Path, embedder: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dense, "PASSAGES_AT_A_TIME", 8)
    texts = [" ".join(SENTENCES[number : number + 4]) for number in range(0, 20, 2)]
    whole = bytes_of(written(tmp_path / "whole", embedder, texts, passage_words=12))
    passages = len(whole["documents.uint32"]) // 4
    assert passages > 24
    embedded: list[int] = []
    embed = Embedder.passages

    def counting(self: Embedder, texts: list[str]) -> object:
        embedded.append(len(texts))
        return embed(self, texts)

    monkeypatch.setattr(Embedder, "passages", counting)
    for documents in (4, 7, 10):
        folder = tmp_path / f"broken-{documents}"
        broken = DenseWriter(folder, embedder, Analysis(), 12)
        for document in range(documents):
            broken.add(document, texts[document])
        laid_by = len((folder / "documents.uint32").read_bytes()) // 4
        assert laid_by % 8 == 0
        embedded.clear()
        assert bytes_of(written(folder, embedder, texts, passage_words=12)) == whole
        assert sum(embedded) == passages - laid_by
        assert bytes_of(written(folder, embedder, texts, passage_words=12)) == whole, "a finished one stays as it is"


def test_another_model_is_refused(tmp_path: Path, embedder: Embedder) -> None:
    changed = tmp_path / "changed"
    shutil.copytree(str(MODEL), changed, copy_function=os.symlink)
    assert np.array_equal(Embedder.recorded(embedder.identity(), str(changed)).queries(["a"]), embedder.queries(["a"]))
    (changed / "vocab.txt").unlink()
    with pytest.raises(Stale, match=r"--dense .*changed is not the model that the index was made with"):
        Embedder.recorded(embedder.identity(), str(changed))


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("/nowhere/model", "there is no such directory; give a model directory"),
        ("nowhere", "there is no such directory; give a model directory"),
        (".", "is not a model directory: it has neither modules.json"),
    ],
)
def test_what_is_no_model_is_refused(model: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=said):
        Embedder.named(model)


def test_a_directory_that_sentence_transformers_cannot_load_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UsageError, match="cannot be loaded by sentence-transformers: "):
        Embedder.named(str(tmp_path)).queries(["a"])


def test_slices_are_the_text_itself_in_passages_of_so_many_words() -> None:
    assert list(slices("  one two,\n three  four five six seven ", 3)) == ["one two,\n three", "four five six seven"]
    assert list(slices("東京都に住む猫 and a dog", 4)) == ["東京都に", "住む猫 and", "a dog"]
    assert list(slices("x" * 600, 1)) == ["x" * 255, "x" * 255, "x" * 90]
    assert list(slices(" \n", 3)) == []


def test_of_a_long_text_only_the_slice_at_hand_is_held() -> None:
    text = "the moon moves the tides\n" * 40_000
    tracemalloc.start()
    assert sum(1 for _ in slices(text, 200)) == 1_000
    held = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert held < 1 << 18
