"""`synth embed`: one vector for each text, whole or cut, and rows that come out as they were."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from synth.pipelines.embed import embed as module
from synth.pipelines.embed.embed import Embed
from synth.pipelines.retrieval.embedding import Embedder
from synth.pipelines.retrieval.vectors import Vectors
from synth.pipelines.runtime.counts import Counts
from synth.pipelines.runtime.options import Options
from synth.pipelines.runtime.runner import Run
from synth.schemas.errors import InputError, Interrupted, Stale, UsageError
from tests.pipelines.retrieval.meanings import MODEL, SENTENCES, needs_model
from tests.rows import rejected_of, rows_of, write_rows

pytestmark = needs_model


@pytest.fixture(scope="module")
def embedder() -> Embedder:
    return Embedder.named(str(MODEL), option="--embedder")


def embedded(embedder: Embedder, source: Path, out: Path, **options: Any) -> tuple[NDArray[np.float16], Counts]:
    counts = Run(Embed(embedder, **options), [str(source)], out, Options()).execute().counts
    return np.asarray(Vectors.open(out / "vectors").array), counts


def texts(folder: Path, *rows: str | None) -> Path:
    return write_rows(folder / "rows.jsonl", [{"id": f"r{at}", "n": at, "text": text} for at, text in enumerate(rows)])


def test_rows_come_out_as_they_were_with_a_unit_vector_each(embedder: Embedder, tmp_path: Path) -> None:
    source = texts(tmp_path, *SENTENCES[:5], None, " \n", SENTENCES[5])
    vectors, counts = embedded(embedder, source, tmp_path / "out")
    assert [row["id"] for row in rows_of(tmp_path / "out")] == ["r0", "r1", "r2", "r3", "r4", "r7"]
    assert rows_of(tmp_path / "out")[5] == {"id": "r7", "n": 7, "text": SENTENCES[5]}
    assert [(row["id"], row["reason"]) for row in rejected_of(tmp_path / "out")] == [
        ("r5", "no_text"),
        ("r6", "no_text"),
    ]
    assert (counts.produced, counts.rejected, counts.tallies) == (6, 2, {"truncated": 0})
    alone = embedder.passages(SENTENCES[:6])
    assert np.einsum("ij,ij->i", vectors.astype(float), alone) == pytest.approx(1, abs=1e-3)


def test_only_the_first_tokens_count_or_the_mean_of_all_pieces(embedder: Embedder, tmp_path: Path) -> None:
    long = " ".join(SENTENCES)
    source = texts(tmp_path, long, SENTENCES[0])
    first, counts = embedded(embedder, source, tmp_path / "first", max_tokens=20)
    assert counts.tallies == {"truncated": 1}
    # All but its first sentence, and a little of the next one, is cut off.
    beginning = embedder.passages([SENTENCES[0], long]).astype(float)
    assert first[0].astype(float) @ beginning[0] > 0.7 > 0.4 > beginning[1] @ beginning[0]
    mean, counts = embedded(embedder, source, tmp_path / "mean", max_tokens=20, pool="mean")
    assert counts.tallies == {}
    cut = Embedder.named(str(MODEL), option="--embedder")
    pieces = [*Embed(cut, 20)._embedder.split_to_fit([long])]
    assert "".join(pieces) == long
    total = embedder.passages(pieces).astype(float).sum(axis=0)
    assert float(mean[0].astype(float) @ total / np.linalg.norm(total)) == pytest.approx(1, abs=2e-3)
    assert np.linalg.norm(mean.astype(float), axis=1) == pytest.approx(1, abs=1e-3)


def test_several_columns_and_the_messages_of_a_chat_are_one_text(embedder: Embedder, tmp_path: Path) -> None:
    chat = [{"role": "user", "content": SENTENCES[0]}, {"role": "assistant", "content": SENTENCES[1]}]
    source = write_rows(tmp_path / "chats.jsonl", [{"id": "a", "title": SENTENCES[2], "messages": chat}])
    found, _ = embedded(embedder, source, tmp_path / "out", text=("title", "messages"))
    (whole,) = embedder.passages(["\n\n".join([SENTENCES[2], *SENTENCES[:2]])])
    assert found[0].astype(float) @ whole == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("pool", ["first", "mean"])
def test_what_is_embedded_is_not_embedded_again_and_the_bytes_are_the_same(
    embedder: Embedder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pool: str
) -> None:
    monkeypatch.setattr(module, "TEXTS_AT_A_TIME", 4)
    source = texts(tmp_path, *(None if at % 5 == 2 else text for at, text in enumerate(SENTENCES)))
    options = {"pool": pool, "max_tokens": 8}
    whole, _ = embedded(embedder, source, tmp_path / "whole", **options)
    passages, batches = Embedder.passages, []

    def breaking(self: Embedder, given: list[str]) -> NDArray[np.float32]:
        if len(batches) == 3:
            raise KeyboardInterrupt
        batches.append(given)
        return passages(self, given)

    monkeypatch.setattr(Embedder, "passages", breaking)
    with pytest.raises(Interrupted):
        embedded(embedder, source, tmp_path / "out", **options)
    batches.clear()
    again, _ = embedded(embedder, source, tmp_path / "out", **options)
    assert len(batches) == -(-len(whole) // 4) - 3 == 2
    assert again.tobytes() == whole.tobytes()


def test_another_length_or_another_text_makes_it_stale(embedder: Embedder, tmp_path: Path) -> None:
    source = texts(tmp_path, *SENTENCES[:3])
    embedded(embedder, source, tmp_path / "out")
    with pytest.raises(Stale, match="max_tokens was null and is now 50"):
        embedded(embedder, source, tmp_path / "out", max_tokens=50)


def test_rows_without_any_text_and_models_that_are_none_are_refused(embedder: Embedder, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no row has any text in text: name its column with --text NAME"):
        embedded(embedder, texts(tmp_path, None, ""), tmp_path / "out")
    with pytest.raises(UsageError, match=r"--embedder .*nowhere"):
        Embedder.named(str(tmp_path / "nowhere"), option="--embedder")
