"""Worked vectors of MiniPLM (arXiv 2410.17215): scores of texts, and which of them are selected."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from synth.pipelines.engines import Request, Scores, Windows
from synth.pipelines.engines.scoring import TextScorer, scores_of
from synth.pipelines.miniplm.difference import Difference, decimal
from tests.pipelines.passing import passed
from tests.rows import Rows, write_rows

TOKENS = 100


def scored(folder: Path, name: str, means: Sequence[float]) -> Path:
    rows = [{"id": f"row-{number}", "nll": mean * TOKENS, "nll_tokens": TOKENS} for number, mean in enumerate(means, 1)]
    return write_rows(folder / f"{name}.jsonl", rows)


def selected(folder: Path, reference: Sequence[float], teacher: Sequence[float], ratio: str = "0.5") -> Rows:
    stage = Difference(str(scored(folder, "reference", reference)), decimal(ratio))
    rows, _ = passed(stage, [scored(folder, "teacher", teacher)], folder / "out", fresh=True)
    return rows


def test_the_texts_with_the_largest_differences_are_kept_in_input_order(tmp_path: Path) -> None:
    kept = selected(tmp_path, reference=(3.1, 2.0, 5.0, 1.2, 2.5), teacher=(2.0, 1.9, 4.8, 1.1, 1.0))
    assert {row["id"]: row["difference"] for row in kept} == pytest.approx({"row-1": 1.1, "row-5": 1.5})
    assert [row["id"] for row in kept] == ["row-1", "row-5"]


def test_the_paper_drops_a_text_that_both_models_know(tmp_path: Path) -> None:
    kept = selected(tmp_path, reference=(1.28, 3.0), teacher=(1.24, 1.0), ratio="1")
    assert kept[0]["difference"] == pytest.approx(0.04)
    assert [row["id"] for row in selected(tmp_path, reference=(1.28, 3.0), teacher=(1.24, 1.0))] == ["row-2"]


@pytest.mark.parametrize(("ratio", "count", "published"), [("0.29", 29, 28), ("0.57", 57, 56)])
def test_the_ratio_is_a_decimal_number(tmp_path: Path, ratio: str, count: int, published: int) -> None:
    assert len(selected(tmp_path, [2.0] * 100, [1.0] * 100, ratio)) == count
    # As the published code counts.
    assert int(float(ratio) * 100) == published


def test_of_equal_differences_the_earlier_row_is_kept(tmp_path: Path) -> None:
    kept = selected(tmp_path, reference=(1.5, 1.5, 1.7, 1.5), teacher=(1.0, 1.0, 1.0, 1.0))
    assert [row["id"] for row in kept] == ["row-1", "row-3"]


def test_it_is_a_difference_and_not_the_quotient_of_the_published_description(tmp_path: Path) -> None:
    reference, teacher = (6.0, 0.5), (5.0, 0.1)
    quotients = [ours / theirs for ours, theirs in zip(reference, teacher, strict=True)]
    assert quotients[0] < quotients[1]
    assert [row["id"] for row in selected(tmp_path, reference, teacher)] == ["row-1"]


def test_the_token_after_the_end_of_a_text_does_not_count() -> None:
    end = 0
    each = scores_of([5, 7, end, 9, 4], [-1.0, -2.0, -8.0, -3.0], bos=0, skip_after=end)
    assert each == [None, 1.0, 2.0, None, 3.0]
    kept = [score for score in each if score is not None]
    assert sum(kept) / len(kept) == 2.0
    assert (1 + 2 + 8 + 3) / 4 == 3.5


@pytest.fixture(scope="module")
def embedded() -> TextScorer[int]:
    """The embedded model, without an engine."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from synth.pipelines.engines.models import TINY_FOLDER

    tokenizer = AutoTokenizer.from_pretrained(TINY_FOLDER)
    network = AutoModelForCausalLM.from_pretrained(TINY_FOLDER, dtype=torch.float32).eval()

    async def encode(text: str, special: bool) -> list[int]:
        return list(tokenizer.encode(text, add_special_tokens=special))

    async def logprobs(windows: list[list[int]]) -> list[list[float]]:
        with torch.inference_mode():
            found = [torch.log_softmax(network(torch.tensor([one])).logits[0], -1) for one in windows]
        return [one[range(len(window) - 1), window[1:]].tolist() for one, window in zip(found, windows, strict=True)]

    return TextScorer(encode, logprobs)


def score(scorer: TextScorer[int], text: str, max_tokens: int = 1024) -> Scores:
    scores = asyncio.run(scorer.answer(Request.to_score(text, Windows(max_tokens)))).scores
    assert scores
    return scores


MUFFINS = "A bakery sells 12 muffins in the morning and 8 in the afternoon."


def test_all_tokens_but_the_first_have_a_score(embedded: TextScorer[int]) -> None:
    found = score(embedded, MUFFINS)
    # 17 tokens, and no BOS.
    assert found.tokens == 16
    assert found.nll > 0
    assert score(embedded, "A").tokens == 0


def test_each_window_leaves_one_more_token_without_a_score(embedded: TextScorer[int]) -> None:
    windows = [score(embedded, MUFFINS, size) for size in (17, 16, 6)]
    assert [found.tokens for found in windows] == [16, 15, 14]
    assert windows[0] == score(embedded, MUFFINS)
    assert windows[1].nll != windows[0].nll
