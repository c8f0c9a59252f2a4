import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from synth.pipelines.engines.models import TINY_FOLDER
from synth.pipelines.runtime.options import Options
from synth.pipelines.runtime.runner import Run, Summary
from synth.pipelines.runtime.text.tokens import TokenCounter, TokenCounts
from synth.pipelines.tables.mix import Mix, weights_read
from synth.schemas.errors import InputError, Interrupted, Stale, SynthError, UsageError
from tests.rows import rows_of, write_rows

SIZES = {"math": 60, "code": 30, "prose": 10}


@pytest.fixture
def inputs(tmp_path: Path) -> list[str]:
    return [
        str(write_rows(tmp_path / f"{name}.jsonl", [{"text": f"{name} {i}", f"of_{name}": i} for i in range(size)]))
        for name, size in SIZES.items()
    ]


def mixed(folder: Path, inputs: list[str], *, seed: int = 0, **options: Any) -> tuple[Summary, Counter[str]]:
    summary = Run(Mix(**options), inputs, folder / "mixed", Options(seed=seed, fresh=True)).execute()
    return summary, Counter(row["source"] for row in rows_of(folder / "mixed"))


def test_without_weights_every_row_is_taken_and_keeps_its_columns(tmp_path: Path, inputs: list[str]) -> None:
    _, sources = mixed(tmp_path, inputs)
    assert sources == SIZES
    row = next(row for row in rows_of(tmp_path / "mixed") if row["id"] == "code-7")
    assert row == {"id": "code-7", "text": "code 7", "of_math": None, "of_code": 7, "of_prose": None, "source": "code"}


def test_the_mix_is_as_large_as_its_weights_allow(tmp_path: Path, inputs: list[str]) -> None:
    summary, sources = mixed(tmp_path, inputs, weights=(2.0, 1.0, 1.0))
    assert sources == {"math": 20, "code": 10, "prose": 10}
    assert summary.counts.reasons == {"not_taken": 60}
    assert summary.remarks[0].split() == ["math", "asked", "50.0%", "got", "50.0%", "20", "rows"]


def test_take_sets_the_size_and_a_shortfall_is_reported(tmp_path: Path, inputs: list[str]) -> None:
    assert mixed(tmp_path, inputs, weights=(1.0, 1.0, 1.0), take=10)[1] == {"math": 4, "code": 3, "prose": 3}
    summary, sources = mixed(tmp_path, inputs, weights=(1.0, 1.0, 2.0), take=80)
    assert sources == {"math": 20, "code": 20, "prose": 10}
    assert summary.remarks[-1] == "30 fewer rows than --take 80: an input has too few"


def test_rows_are_shuffled_by_the_seed_and_not_by_their_order(tmp_path: Path, inputs: list[str]) -> None:
    orders = []
    for seed, given in ((0, inputs), (0, inputs[::-1]), (1, inputs)):
        mixed(tmp_path, given, seed=seed)
        orders.append([row["id"] for row in rows_of(tmp_path / "mixed")])
    assert orders[0] == orders[1]
    assert sorted(orders[0]) == sorted(orders[2])
    assert orders[0] != orders[2]
    positions = [place for place, row_id in enumerate(orders[0]) if row_id.startswith("prose")]
    assert 30 < sum(positions) / len(positions) < 70


def test_bad_rows_do_not_shift_the_sources(tmp_path: Path, inputs: list[str]) -> None:
    with Path(inputs[0]).open("a") as file:
        file.write("{not json\n")
    out = tmp_path / "mixed"
    Run(Mix(), inputs, out, Options(bad_rows="reject")).execute()
    assert all(row["id"].startswith(row["source"]) for row in rows_of(out))
    assert Counter(row["source"] for row in rows_of(out)) == SIZES


def test_two_inputs_of_one_name_are_told_apart(tmp_path: Path) -> None:
    same = [
        str(write_rows(tmp_path / folder / "rows.jsonl", [{"id": f"{folder}-{i}"} for i in range(3)]))
        for folder in "ab"
    ]
    _, sources = mixed(tmp_path, same)
    assert sources == dict.fromkeys(same, 3)


def test_weights_in_a_file_are_those_of_the_inputs_with_these_names(tmp_path: Path, inputs: list[str]) -> None:
    file = tmp_path / "mixture.json"
    file.write_text('{"weights": {"prose": 1, "math": 2, "code": 1}, "eta": 0.5}')
    weights = weights_read(str(file))
    assert mixed(tmp_path, inputs, weights=weights)[1] == {"math": 20, "code": 10, "prose": 10}
    with pytest.raises(UsageError, match="--weights: there is a weight of prose, which is none of math, code"):
        mixed(tmp_path, inputs[:2], weights=weights)


def test_a_file_with_weights_counts_by_its_content(tmp_path: Path, inputs: list[str]) -> None:
    file = tmp_path / "mixture.json"

    def mix(content: str) -> Summary:
        file.write_text(content)
        return Run(Mix(weights=weights_read(str(file))), inputs, tmp_path / "mixed", Options()).execute()

    mix('{"weights": {"math": 2, "code": 1, "prose": 1}}')
    assert mix('{"weights": {"prose": 1, "math": 2, "code": 1}, "step": 7}').already_done
    with pytest.raises(Stale):
        mix('{"weights": {"math": 2, "code": 1, "prose": 2}}')


def test_rows_are_repeated_where_an_input_has_too_few(tmp_path: Path, inputs: list[str]) -> None:
    summary, sources = mixed(tmp_path, inputs, weights=(1.0, 1.0, 1.0), take=75, max_repeats=3)
    assert sources == {"math": 25, "code": 25, "prose": 25}
    rows = rows_of(tmp_path / "mixed")
    times = Counter(row["text"] for row in rows if row["source"] == "prose")
    assert sorted(times.values()) == [2] * 5 + [3] * 5
    assert all(row["repeat"] == 1 for row in rows if row["source"] != "prose")
    assert {row["id"] for row in rows if row["text"] == "prose 3"} >= {"prose-3", "prose-3/repeat-2"}
    assert all(row["id"].endswith(f"/repeat-{row['repeat']}") for row in rows if row["repeat"] > 1)
    assert len({row["id"] for row in rows}) == len(rows)
    # An input row counts once, however often it is taken.
    assert (summary.counts.produced, summary.counts.rejected) == (60, 40)
    assert summary.remarks[-1] == "15 rows are repeats"


def test_no_row_comes_more_often_than_it_may_and_the_rest_is_missing(tmp_path: Path, inputs: list[str]) -> None:
    summary, sources = mixed(tmp_path, inputs, weights=(1.0, 1.0, 1.0), take=99, max_repeats=2)
    assert sources == {"math": 33, "code": 33, "prose": 20}
    assert summary.remarks[-1] == "13 fewer rows than --take 99: an input has too few"
    # Without --take, the mix is as large as weights and repeats allow.
    assert mixed(tmp_path, inputs, weights=(1.0, 1.0, 1.0), max_repeats=2)[1] == {"math": 20, "code": 20, "prose": 20}


def test_repeats_are_shuffled_among_the_others_and_leave_the_first_times_in_their_order(
    tmp_path: Path, inputs: list[str]
) -> None:
    mixed(tmp_path, inputs[:1], take=60, weights=(1.0,))
    once = [row["id"] for row in rows_of(tmp_path / "mixed")]
    mixed(tmp_path, inputs[:1], take=120, weights=(1.0,), max_repeats=2)
    twice = rows_of(tmp_path / "mixed")
    assert [row["id"] for row in twice if row["repeat"] == 1] == once
    places = [place for place, row in enumerate(twice) if row["repeat"] == 2]
    assert 40 < sum(places) / len(places) < 80


def test_a_mix_of_repeats_is_told_where_an_id_would_come_twice(tmp_path: Path) -> None:
    rows = [{"id": "a", "text": "x"}, {"id": "a/repeat-2", "text": "y"}]
    source = str(write_rows(tmp_path / "rows.jsonl", rows))
    with pytest.raises(InputError, match="a repeated row would get the id 'a/repeat-2', which another row has"):
        mixed(tmp_path, [source], take=4, weights=(1.0,), max_repeats=2)
    mixed(tmp_path, [source], take=2, weights=(1.0,), max_repeats=2)


@pytest.fixture
def texts(tmp_path: Path) -> list[str]:
    """Chats, and plain texts that are ten times as long."""
    said = [[{"role": "user", "content": "Add 1."}, {"role": "assistant", "content": "2" * (i % 7)}] for i in range(60)]
    files = {
        "chats": [{"id": f"c-{i}", "messages": messages} for i, messages in enumerate(said)],
        "pages": [{"id": f"p-{i}", "page": "Count the eggs of the hens. " * (10 + i % 5)} for i in range(40)],
    }
    return [str(write_rows(tmp_path / f"{name}.jsonl", rows)) for name, rows in files.items()]


BY_TOKENS = {"by": "tokens", "tokenizer": "tiny", "text": ("messages", "page")}


def tokens_of(folder: Path) -> Counter[str]:
    """The tokens from each source, as the tokenizer of transformers counts them."""
    tokenizer = AutoTokenizer.from_pretrained(TINY_FOLDER)
    counted: Counter[str] = Counter()
    for row in rows_of(folder / "mixed"):
        said = [row["page"] or "", *(message["content"] for message in row["messages"] or ())]
        counted[row["source"]] += sum(len(tokenizer(text, add_special_tokens=False)["input_ids"]) for text in said)
    return counted


def test_by_tokens_the_texts_weigh_as_the_tokenizer_counts_them(tmp_path: Path, texts: list[str]) -> None:
    summary, sources = mixed(tmp_path, texts, weights=(1.0, 2.0), **BY_TOKENS)
    tokens = tokens_of(tmp_path)
    assert summary.counts.tallies == tokens
    assert sources["chats"] == 60
    assert sources["pages"] < 20
    longest = 14 * len("Count the eggs of the hens. ")
    assert 2 * tokens["chats"] <= tokens["pages"] < 2 * tokens["chats"] + longest
    assert f"got {tokens['pages'] / tokens.total():6.1%}  {tokens['pages']:,} tokens" in summary.remarks[1]
    assert "asked  66.7%" in summary.remarks[1]


def test_take_counts_tokens_and_without_weights_all_is_taken(tmp_path: Path, texts: list[str]) -> None:
    _, sources = mixed(tmp_path, texts, **BY_TOKENS)
    assert sources == {"chats": 60, "pages": 40}
    most = tokens_of(tmp_path)
    summary, _ = mixed(tmp_path, texts, weights=(0.0, 1.0), take=500, **BY_TOKENS)
    assert 500 <= tokens_of(tmp_path)["pages"] < 500 + most["pages"] // 20
    assert len(summary.remarks) == 2
    summary, _ = mixed(tmp_path, texts, weights=(1.0, 0.0), take=10**6, **BY_TOKENS)
    missing = 10**6 - most["chats"]
    assert summary.remarks[-1] == f"{missing:,} fewer tokens than --take 1,000,000: an input has too few"


def test_by_tokens_rows_are_repeated_until_there_are_enough(tmp_path: Path, texts: list[str]) -> None:
    mixed(tmp_path, texts, **BY_TOKENS)
    most = tokens_of(tmp_path)
    wanted = int(3.5 * most["chats"])
    mixed(tmp_path, texts, weights=(1.0, 0.0), take=wanted, max_repeats=4, **BY_TOKENS)
    assert wanted <= tokens_of(tmp_path)["chats"] < wanted + 10
    assert max(row["repeat"] for row in rows_of(tmp_path / "mixed")) == 4


def test_token_ids_count_without_a_tokenizer(tmp_path: Path) -> None:
    inputs = [
        str(write_rows(tmp_path / f"{name}.jsonl", [{"tokens": [7] * size} for _ in range(40)]))
        for name, size in (("short", 3), ("long", 9))
    ]
    summary, sources = mixed(tmp_path, inputs, weights=(2.0, 1.0), by="tokens", text=("tokens",))
    assert sources == {"short": 40, "long": 7}
    assert summary.counts.tallies == {"short": 120, "long": 63}


def test_tokens_that_were_counted_are_not_counted_again(
    tmp_path: Path, texts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("synth.pipelines.runtime.text.tokens.ROWS_PER_FILE", 30)
    count, counted = TokenCounter._count, []

    def interrupted(self: TokenCounter, rows: list[list[str]]) -> TokenCounts:
        if len(counted) == 3:
            raise KeyboardInterrupt
        counted.append(len(rows))
        return count(self, rows)

    mix = Run(Mix(weights=(1.0, 2.0), **BY_TOKENS), texts, tmp_path / "mixed", Options())  # type: ignore[arg-type]
    monkeypatch.setattr(TokenCounter, "_count", interrupted)
    with pytest.raises(Interrupted):
        mix.execute()
    counted[:] = counted[:0]
    summary = mix.execute()
    assert counted == [10]
    assert summary.counts.tallies == tokens_of(tmp_path)


def test_another_tokenizer_makes_a_mix_stale_and_an_older_mix_of_rows_is_not(tmp_path: Path, texts: list[str]) -> None:
    here = tmp_path / "here"
    shutil.copytree(TINY_FOLDER, here)

    def mix(options: dict[str, Any]) -> Summary:
        return Run(Mix(**options), texts, tmp_path / "mixed", Options()).execute()

    by_tokens = {**BY_TOKENS, "tokenizer": str(here)}
    mix(by_tokens)
    assert mix(by_tokens).already_done
    (here / "tokenizer.json").write_text((here / "tokenizer.json").read_text() + " ")
    with pytest.raises(Stale, match="tokenizer was"):
        mix(by_tokens)
    assert "by" not in Mix().identity()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tokenizer": None}, "--by tokens needs --tokenizer"),
        ({"tokenizer": "nowhere"}, "--tokenizer nowhere: there is no such directory"),
        ({"tokenizer": "{here}"}, "its tokenizer cannot be loaded"),
        ({"text": ()}, "the columns messages, page have text: name the one to use with --text NAME"),
        ({"text": ("page",)}, "chats has no text in page: name its column with --text NAME"),
        ({"text": ("pages",)}, "--text pages: the input has no column pages"),
    ],
)
def test_tokens_that_cannot_be_counted_are_refused(
    tmp_path: Path, texts: list[str], options: dict[str, Any], message: str
) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "tokenizer.json").write_text("{}")
    options = {name: str(tmp_path) if value == "{here}" else value for name, value in options.items()}
    with pytest.raises(SynthError, match=message):
        mixed(tmp_path, texts, weights=(1.0, 1.0), **{**BY_TOKENS, **options})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weights": (1.0,)}, "--weights has 1 numbers for 3 inputs"),
        ({"weights": (1.0, -1.0, 1.0)}, "must not be negative"),
        ({"source_column": "text"}, "an input has a column text"),
        ({"source_column": "repeat", "max_repeats": 2}, "an input has a column repeat"),
    ],
)
def test_a_mix_that_cannot_be_made_is_a_usage_error(
    tmp_path: Path, inputs: list[str], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        mixed(tmp_path, inputs, **options)
