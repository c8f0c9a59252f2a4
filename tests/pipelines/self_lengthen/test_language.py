import json
from pathlib import Path

import pytest

from synth.pipelines.self_lengthen import language

SHARED = Path(__file__).parents[4] / "shared" / "data"
INSTRUCTIONS = ("self-instruct-seed-tasks.jsonl", "self-instruct-user-instructions.jsonl")


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("Write a short story about a dragon.", "en"),
        ("naïve readers, and the café of their choice", "en"),
        ("Rock & roll", "en"),
        ("It’s well-known — isn’t it?", "en"),
        ("写一篇关于春天的文章。", "zh"),
        ("請寫一篇關於春天的文章。", "zh"),
        ("用Python写一个quicksort函数，并解释worst case的complexity。", "zh"),
        ("春についての作文を書いてください。", "other"),
        ("봄에 대해 쓰세요.", "other"),
        ("Напиши рассказ.", "other"),
        ("เขียนเรื่องสั้น", "other"),
        ("Écris une histoire courte sur un dragon.", "other"),
        ("Escribe una historia corta sobre un perro.", "other"),
        ("Schreibe eine kurze Geschichte von einem Drachen und dem Meer.", "other"),
        ("Tulis cerita pendek tentang naga yang baik.", "other"),
        ("", "other"),
        ("12 + 30 = 42", "other"),
    ],
)
def test_the_language_of_a_text(text: str, spoken: str) -> None:
    assert language.of(text) == spoken


def test_a_longer_text_needs_words_of_english_to_be_english() -> None:
    assert language.of("Habari ya asubuhi") == "en"
    assert language.of("Habari ya asubuhi " * 20) == "other"
    assert language.of("The cat sat on the mat with its dog. " * 20) == "en"


def test_quotations_do_not_decide() -> None:
    english = "The first line of the poem is 床前明月光, and what follows is of the same kind. " * 3
    assert language.of(english) == "en"
    assert (
        language.of("这首诗的第一句是“床前明月光”，英文译作 before my bed the bright moonlight，后面也是一样。" * 3)
        == "zh"
    )
    assert language.of("日本語の「の」は中国的“的”，这个句子主要是用中文写的，引用了一两个假名而已。") == "zh"


def test_of_a_long_text_the_beginning_decides() -> None:
    assert language.of("写作。" * 10_000 + "The end of the text. " * 50_000) == "zh"


@pytest.mark.skipif(
    not all((SHARED / name).is_file() for name in INSTRUCTIONS), reason="the Self-Instruct tasks are not at hand"
)
def test_real_instructions_in_english_are_all_found() -> None:
    lines = [line for name in INSTRUCTIONS for line in (SHARED / name).read_text(encoding="utf-8").splitlines()]
    texts = [json.loads(line)["instruction"] for line in lines]
    assert len(texts) == 427
    assert [text for text in texts if language.of(text) != "en"] == []
