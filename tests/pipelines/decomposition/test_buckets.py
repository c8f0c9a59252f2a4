import json
import os
import shutil
from collections import defaultdict
from pathlib import Path
from typing import Any

import datasets
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from synth.pipelines.decomposition.buckets import Buckets
from synth.pipelines.engines.models import TINY_FOLDER
from synth.pipelines.runtime.options import Options
from synth.pipelines.runtime.runner import Run, Summary
from synth.pipelines.runtime.text import tokenizing
from synth.schemas.dataset import Dataset
from synth.schemas.errors import InputError, Interrupted, Stale, SynthError
from tests.pipelines.passing import passed, shards
from tests.rows import Rows, rejected_of, rows_of, write_rows

TOKENIZER = Tokenizer.from_file(str(TINY_FOLDER / "tokenizer.json"))
END = TOKENIZER.token_to_id("<|end|>")
SENTENCES = "A bakery sells 12 muffins in the morning. Who buys them? The answer is 7 + 5 = 12.\n"


def documents(folder: Path, *sizes: int) -> Path:
    """Documents of about so many characters."""
    texts = [(f"Day {number}. " + SENTENCES * (size // 60 + 1))[:size] for number, size in enumerate(sizes)]
    return write_rows(folder / "docs.jsonl", [{"id": f"d{n}", "text": text} for n, text in enumerate(texts)])


def packed(folder: Path, source: Path, out: str = "out", **options: Any) -> tuple[Rows, Summary]:
    stage = Buckets(**{"tokenizer": "tiny", "min": 3, "max": 6, **options})
    summary = Run(stage, [str(source)], folder / out, Options(fresh=True)).execute()
    return rows_of(folder / out), summary


def test_the_pieces_of_a_document_tile_its_tokens_from_the_front(tmp_path: Path) -> None:
    source = documents(tmp_path, 2_000, 30, 700, 5_000)
    rows, _ = packed(tmp_path, source)
    texts = {json.loads(line)["id"]: json.loads(line)["text"] for line in source.read_text().splitlines()}
    pieces = defaultdict(list)
    for row in rows:
        assert TOKENIZER.decode(row["tokens"]) in texts[row["document"]]
        assert row["id"].startswith(f"{row['document']}/piece-")
        pieces[row["document"]].append(row)
    assert pieces.keys() == texts.keys()
    for document, of_it in pieces.items():
        of_it.sort(key=lambda row: int(row["id"].rpartition("-")[2]))
        whole = [*TOKENIZER.encode(texts[document], add_special_tokens=False).ids, END]
        tiled = [token for row in of_it for token in row["tokens"]]
        assert tiled == whole[: len(tiled)]
        assert len(whole) - len(tiled) < 2**3 + 1
        assert [row["start"] for row in of_it] == [sum(len(r["tokens"]) for r in of_it[:n]) for n in range(len(of_it))]


def test_rows_come_by_bucket_and_within_it_in_the_order_of_the_input(tmp_path: Path) -> None:
    rows, _ = packed(tmp_path, documents(tmp_path, 3_000, 500, 3_000))
    places = [(row["bucket"], row["document"], row["start"]) for row in rows]
    assert places == sorted(places)
    assert {bucket for bucket, *_ in places} == {3, 4, 5, 6}


def test_datasets_opens_the_whole_and_each_bucket_and_no_file_is_stored_twice(tmp_path: Path) -> None:
    rows, _ = packed(tmp_path, documents(tmp_path, 3_000, 500), max=7)
    whole = datasets.load_from_disk(str(tmp_path / "out"))
    buckets = datasets.DatasetDict.load_from_disk(str(tmp_path / "out"))
    assert list(buckets) == ["bucket_3", "bucket_4", "bucket_5", "bucket_6", "bucket_7"]
    assert whole["id"][:] == [row["id"] for row in rows] == [i for bucket in buckets.values() for i in bucket["id"][:]]
    for name, bucket in buckets.items():
        size = 2 ** int(name.removeprefix("bucket_")) + 1
        assert {len(tokens) for tokens in bucket["tokens"][:]} <= {size}
        assert datasets.load_from_disk(str(tmp_path / "out" / name))["id"][:] == bucket["id"][:]
    assert not list((tmp_path / "out").glob("*.arrow"))
    listed = [json.loads(line) for line in (tmp_path / "out" / "buckets.jsonl").read_text().splitlines()]
    assert [(one["id"], one["sequences"]) for one in listed] == [(name, len(b)) for name, b in buckets.items()]
    assert sum(one["tokens"] for one in listed) == sum(len(row["tokens"]) for row in rows)


def test_an_empty_bucket_is_a_dataset_directory_too(tmp_path: Path) -> None:
    rows, _ = packed(tmp_path, documents(tmp_path, 60), min=3, max=12)
    assert {row["bucket"] for row in rows} <= {3, 4}
    empty = Dataset.open(tmp_path / "out" / "bucket_12")
    assert empty.table.num_rows == 0
    assert empty.table.column_names == ["id", "bucket", "tokens", "document", "start"]


def test_the_next_step_reads_the_whole_and_a_bucket_and_notices_damage(tmp_path: Path) -> None:
    from synth.pipelines.tables.sample import Sample

    rows, _ = packed(tmp_path, documents(tmp_path, 3_000))
    sampled, _ = passed(Sample(n=3), [tmp_path / "out"], tmp_path / "sampled", limit=5)
    assert {row["id"] for row in sampled} <= {row["id"] for row in rows[:5]}
    of_bucket, _ = passed(Sample(n=1), [tmp_path / "out" / "bucket_6"], tmp_path / "of-bucket")
    assert of_bucket[0]["bucket"] == 6
    file = next((tmp_path / "out" / "bucket_4").glob("*.arrow"))
    content = bytearray(file.read_bytes())
    content[-40] ^= 1
    file.write_bytes(content)
    with pytest.raises(
        InputError, match=r"bucket_4/data.* is damaged: its checksum is not the one in .*out/synth.json"
    ):
        passed(Sample(n=3), [tmp_path / "out"], tmp_path / "again")


@settings(max_examples=25)
@given(st.lists(st.integers(0, 400), min_size=1, max_size=6), st.sampled_from(["longest", "random"]), st.booleans())
def test_every_token_is_kept_or_counted_as_lost(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], cut: str, keep_tail: bool
) -> None:
    folder = tmp_path_factory.mktemp("packed")
    source = write_rows(folder / "docs.jsonl", [{"id": f"d{i}", "text": "7" * size} for i, size in enumerate(sizes)])
    rows, summary = packed(folder, source, cut=cut, keep_tail=keep_tail)
    tallies, counts = summary.counts.tallies, summary.counts
    assert tallies["tokens"] == sum(size + 1 for size in sizes if size)
    assert tallies["kept"] == sum(len(row["tokens"]) for row in rows)
    assert tallies["tokens"] == tallies["kept"] + tallies["lost_in_short_documents"] + tallies["lost_in_tails"]
    assert counts.produced == len({row["document"] for row in rows})
    assert counts.produced + counts.rejected == len(sizes)
    shutil.rmtree(folder)


def test_tails_are_kept_on_request_and_documents_without_text_are_not_documents(tmp_path: Path) -> None:
    texts: list[str | None] = ["7" * 11, "7", "7" * 8, "", None, " \n"]
    source = write_rows(tmp_path / "docs.jsonl", [{"id": f"d{n}", "text": text} for n, text in enumerate(texts)])
    rows, summary = packed(tmp_path, source, keep_tail=True)
    found = {row["id"]: (row["bucket"], row["start"], len(row["tokens"])) for row in rows}
    # A single token that is left has nothing to predict: 12 - 9 are a tail, 9 - 9 and 2 of a whole document.
    assert found == {
        "d0/piece-1": (3, 0, 9),
        "d0/piece-2": (None, 9, 3),
        "d1/piece-1": (None, 0, 2),
        "d2/piece-1": (3, 0, 9),
    }
    assert len(Dataset.open(tmp_path / "out" / "short").table) == 2
    assert {row["id"]: row["reason"] for row in rejected_of(tmp_path / "out")} == dict.fromkeys(
        ("d3", "d4", "d5"), "no_text"
    )
    assert summary.counts.tallies["lost_in_tails"] == 0


def test_text_that_spells_a_special_token_is_text(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "docs.jsonl", [{"text": "What is <|end|> here? " * 9}])
    rows, _ = packed(tmp_path, source, keep_tail=True)
    tokens = [token for row in sorted(rows, key=lambda row: row["start"]) for token in row["tokens"]]
    assert tokens.count(END) == 1
    assert tokens[-1] == END


def test_another_end_token_and_another_column(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "docs.jsonl", [{"story": "7" * 8, "title": "Sevens"}])
    rows, _ = packed(tmp_path, source, text="story", end_token="<|user|>")
    assert rows[0]["tokens"][-1] == TOKENIZER.token_to_id("<|user|>")


def test_random_cuts_follow_from_the_seed_and_the_id_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = documents(tmp_path, 9_000, 9_000, 9_000)
    rows, _ = packed(tmp_path, source, cut="random")
    assert len({len(row["tokens"]) for row in rows if row["document"] == "d0"}) > 2
    lines = source.read_text().splitlines(keepends=True)
    source.write_text("".join(reversed(lines)))
    monkeypatch.setattr(tokenizing, "ROWS_PER_PORTION", 2)
    again, _ = packed(tmp_path, source, out="again", cut="random")
    by_id = {row["id"]: row for row in again}
    assert by_id == {row["id"]: row for row in rows}
    Run(Buckets("tiny", min=3, max=6, cut="random"), [str(source)], tmp_path / "other", Options(seed=1)).execute()
    assert {row["id"]: row for row in rows_of(tmp_path / "other")} != by_id


def test_the_bytes_do_not_depend_on_the_number_of_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = documents(tmp_path, *range(200, 1_000, 40))
    monkeypatch.setattr(tokenizing, "ROWS_PER_PORTION", 4)
    made = {}
    for workers in (1, 3):
        monkeypatch.setattr(os, "cpu_count", lambda workers=workers: workers)
        packed(tmp_path, source, out=f"by-{workers}", cut="random")
        made[workers] = shards(tmp_path / f"by-{workers}")
    assert made[1] == made[3]


def test_tokens_that_were_made_are_not_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = documents(tmp_path, 500, 900)
    # Two portions are few enough for this process.
    monkeypatch.setattr(tokenizing, "ROWS_PER_PORTION", 1)
    packed(tmp_path, source, out="whole")
    make, made = tokenizing._tokens, []

    def interrupted(texts: list[str | None], *others: Any) -> Any:
        if len(made) == 1:
            raise KeyboardInterrupt
        made.append(texts)
        return make(texts, *others)

    run = Run(Buckets("tiny", min=3, max=6), [str(source)], tmp_path / "out", Options())
    monkeypatch.setattr(tokenizing, "_tokens", interrupted)
    with pytest.raises(Interrupted):
        run.execute()
    first = made.pop()
    run.execute()
    assert len(made) == 1
    assert made[0] != first
    assert shards(tmp_path / "out") == shards(tmp_path / "whole")


def test_another_tokenizer_makes_an_output_stale(tmp_path: Path) -> None:
    here = tmp_path / "here"
    shutil.copytree(TINY_FOLDER, here)
    source = documents(tmp_path, 500)
    run = Run(Buckets(str(here), min=3, max=6), [str(source)], tmp_path / "out", Options())
    run.execute()
    assert run.execute().already_done
    (here / "tokenizer.json").write_text((here / "tokenizer.json").read_text() + " ")
    with pytest.raises(Stale, match="tokenizer was"):
        Run(Buckets(str(here), min=3, max=6), [str(source)], tmp_path / "out", Options()).execute()


def model_with(folder: Path, **changed: Any) -> str:
    """A model folder with other settings of the tokenizer."""
    shutil.copytree(TINY_FOLDER, folder)
    file = folder / "tokenizer_config.json"
    kept = {name: value for name, value in json.loads(file.read_text()).items() if name != "eos_token"}
    file.write_text(json.dumps({**kept, **changed}))
    return str(folder)


def test_the_end_token_may_be_saved_with_its_properties(tmp_path: Path) -> None:
    model = model_with(tmp_path / "older", eos_token={"__type": "AddedToken", "content": "<|pad|>", "lstrip": False})
    rows, _ = packed(tmp_path, write_rows(tmp_path / "docs.jsonl", [{"text": "7" * 8}]), tokenizer=model)
    assert rows[0]["tokens"][-1] == TOKENIZER.token_to_id("<|pad|>")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min": 7}, "--min 7 must not exceed --max 6"),
        ({"end_token": "<eos>"}, "--end-token <eos>: there is no such token in the vocabulary"),
        ({"tokenizer": "nowhere"}, "--tokenizer nowhere: there is no such directory"),
        ({"tokenizer": "{without}"}, "does not say which token ends a text: add --end-token TOKEN"),
        ({"text": "chat"}, "a row of chat has several texts or messages: name a column of texts with --text NAME"),
        ({"text": "tale"}, "--text tale: the input has no column tale"),
    ],
)
def test_what_cannot_be_packed_is_refused(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    row = {"text": "One two.", "chat": [{"role": "user", "content": "Hi."}]}
    source = write_rows(tmp_path / "docs.jsonl", [row])
    if options.get("tokenizer") == "{without}":
        options = {"tokenizer": model_with(tmp_path / "without")}
    with pytest.raises(SynthError, match=message):
        packed(tmp_path, source, **options)
