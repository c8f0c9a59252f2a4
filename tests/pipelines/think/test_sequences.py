"""`synth pack sequences`: texts joined and cut, of which every token is in one place."""

import shutil
from collections import defaultdict
from itertools import chain
from pathlib import Path
from typing import Any

import datasets
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from synth.pipelines.engines.models import TINY_FOLDER
from synth.pipelines.runtime.options import Options
from synth.pipelines.runtime.runner import Run, Summary
from synth.pipelines.runtime.text import tokenizing
from synth.pipelines.think.sequences import PackSequences
from synth.schemas.errors import Interrupted, SynthError
from tests.pipelines.passing import shards
from tests.rows import Rows, rejected_of, rows_of, write_rows

TOKENIZER = Tokenizer.from_file(str(TINY_FOLDER / "tokenizer.json"))
END = TOKENIZER.token_to_id("<|end|>")
SEVEN = TOKENIZER.token_to_id("7")


def of_tokens(folder: Path, *sizes: int) -> Path:
    """Texts `d0`, `d1`, ... of so many tokens, without the end token: digits are tokens of the embedded model."""
    return write_rows(folder / "in.jsonl", [{"id": f"d{n}", "text": "7" * size} for n, size in enumerate(sizes)])


def packed(folder: Path, source: Path, **options: Any) -> tuple[Rows, Summary]:
    stage = PackSequences(**{"tokenizer": "tiny", "context_tokens": 8, **options})
    summary = Run(stage, [str(source)], folder / "out", Options(fresh=True)).execute()
    return rows_of(folder / "out"), summary


def test_texts_are_joined_by_end_tokens_and_cut_at_one_length(tmp_path: Path) -> None:
    rows, summary = packed(tmp_path, of_tokens(tmp_path, 3, 10, 2, 2))
    assert rows == [
        {
            "id": "sequence-0",
            "tokens": [SEVEN] * 3 + [END] + [SEVEN] * 4,
            "documents": ["d0", "d1"],
            "starts": [0, 4],
        },
        {
            "id": "sequence-1",
            "tokens": [SEVEN] * 6 + [END] + [SEVEN],
            "documents": ["d1", "d2"],
            "starts": [0, 7],
        },
        {"id": "sequence-2", "tokens": [SEVEN, END, SEVEN, SEVEN, END], "documents": ["d2", "d3"], "starts": [0, 2]},
    ]
    assert summary.counts.tallies["tokens"] == 4 + 11 + 3 + 3
    assert summary.counts.produced == 4


def test_a_text_that_ends_with_a_sequence_does_not_go_on_in_the_next(tmp_path: Path) -> None:
    rows, _ = packed(tmp_path, of_tokens(tmp_path, 7, 23, 1))
    assert [(row["documents"], row["starts"], len(row["tokens"])) for row in rows] == [
        (["d0"], [0], 8),
        *[(["d1"], [0], 8)] * 3,
        (["d2"], [0], 2),
    ]


@settings(max_examples=25)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=12), st.integers(2, 30), st.integers(1, 5))
def test_every_token_is_in_one_place_whatever_the_portions(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], context: int, rows_per_portion: int
) -> None:
    folder = tmp_path_factory.mktemp("packed")
    source = of_tokens(folder, *sizes)
    with pytest.MonkeyPatch.context() as patch:
        # Of fewer than three portions, so that no other process makes them.
        patch.setattr(tokenizing, "ROWS_PER_PORTION", max(rows_per_portion, -(-len(sizes) // 2)))
        rows, summary = packed(folder, source, context_tokens=context)
    assert [len(row["tokens"]) for row in rows[:-1]] == [context] * (len(rows) - 1)
    pieces = defaultdict[str, list[int]](list)
    for row in rows:
        for document, start, stop in zip(row["documents"], row["starts"], [*row["starts"][1:], None], strict=True):
            pieces[document] += row["tokens"][start:stop]
    assert pieces == {f"d{number}": [SEVEN] * size + [END] for number, size in enumerate(sizes) if size}
    assert list(chain.from_iterable(row["tokens"] for row in rows)) == list(chain.from_iterable(pieces.values()))
    assert (summary.counts.produced, summary.counts.rejected) == (len(pieces), len(sizes) - len(pieces))
    shutil.rmtree(folder)


def test_datasets_opens_it(tmp_path: Path) -> None:
    rows, _ = packed(tmp_path, of_tokens(tmp_path, 30, 4))
    assert datasets.load_from_disk(str(tmp_path / "out")).to_list() == rows


def test_texts_without_text_are_rejected_and_text_that_spells_a_special_token_is_text(tmp_path: Path) -> None:
    texts = ["What is <|end|>?", None, "", " \n"]
    source = write_rows(tmp_path / "in.jsonl", [{"id": f"d{n}", "text": text} for n, text in enumerate(texts)])
    (row,), _ = packed(tmp_path, source, context_tokens=100)
    assert row["tokens"].count(END) == 1
    assert {row["id"]: row["reason"] for row in rejected_of(tmp_path / "out")} == dict.fromkeys(
        ("d1", "d2", "d3"), "no_text"
    )


def test_the_text_of_a_thought_is_the_one_to_pack(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "in.jsonl", [{"text": "77 9", "document": "77", "thought": "9", "model": "m"}])
    (row,), _ = packed(tmp_path, source, end_token="<|user|>")
    assert row["tokens"] == [*TOKENIZER.encode("77 9").ids, TOKENIZER.token_to_id("<|user|>")]


def test_tokens_that_were_made_are_not_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = of_tokens(tmp_path, 30, 41)
    monkeypatch.setattr(tokenizing, "ROWS_PER_PORTION", 1)
    packed(tmp_path, source)
    whole = shards(tmp_path / "out")
    make, made = tokenizing._tokens, []

    def interrupted(texts: list[str | None], *others: Any) -> Any:
        if len(made) == 1:
            raise KeyboardInterrupt
        made.append(texts)
        return make(texts, *others)

    run = Run(PackSequences("tiny", context_tokens=8), [str(source)], tmp_path / "again", Options())
    monkeypatch.setattr(tokenizing, "_tokens", interrupted)
    with pytest.raises(Interrupted):
        run.execute()
    first = made.pop()
    run.execute()
    assert len(made) == 1
    assert made[0] != first
    assert shards(tmp_path / "again") == whole


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"context_tokens": 1}, "--context-tokens 1: must be at least 2"),
        ({"end_token": "<eos>"}, "--end-token <eos>: there is no such token in the vocabulary"),
        ({"tokenizer": "nowhere"}, "--tokenizer nowhere: there is no such directory"),
        ({"text": "chat"}, "a row of chat has several texts or messages: name a column of texts with --text NAME"),
    ],
)
def test_what_cannot_be_packed_is_refused(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    source = write_rows(tmp_path / "in.jsonl", [{"text": "One.", "chat": [{"role": "user", "content": "Hi."}]}])
    with pytest.raises(SynthError, match=message):
        packed(tmp_path, source, **options)
