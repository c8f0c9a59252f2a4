import re
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import datasets
import orjson
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from synth.pipelines.dedup import fingerprints, matching
from synth.pipelines.dedup.dedup import Dedup
from synth.pipelines.runtime import portions
from synth.pipelines.runtime.observation import Observation
from synth.pipelines.runtime.options import Options
from synth.pipelines.runtime.runner import Run
from synth.schemas.dataset import Dataset
from synth.schemas.errors import InputError
from tests.pipelines.passing import passed, shards, texts_passed
from tests.pipelines.runtime.text.drawing import altered, drawn, similarity
from tests.rows import write_rows

ONE = "The cell is the smallest unit of life, and every living thing is made of one or more of them."
GSM8K = Path(__file__).parents[4] / "shared" / "data" / "gsm8k-train.jsonl"
few_files = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def test_the_first_of_equal_texts_is_kept(tmp_path: Path) -> None:
    kept, rejected = texts_passed(Dedup(), tmp_path, ONE, "short", f"  {ONE.replace(' ', '  ')}\n", "short ", "Short")
    assert kept == ["r-0", "r-1", "r-4"]
    assert rejected == {"r-2": ("exact_duplicate", "r-0"), "r-3": ("exact_duplicate", "r-1")}


def test_a_near_duplicate_is_rejected_with_its_twin_and_the_similarity(tmp_path: Path) -> None:
    kept, rejected = texts_passed(Dedup(), tmp_path, "something else", ONE, ONE.upper(), f"{ONE} Really.")
    assert kept == ["r-0", "r-1"]
    assert rejected == {
        "r-2": ("near_duplicate", "r-1, similarity 0.99"),
        "r-3": ("near_duplicate", "r-1, similarity 0.95"),
    }


def test_rows_of_one_page_are_one(tmp_path: Path) -> None:
    rows = [
        {"id": "a", "content": "one", "url": "https://example.org/x/"},
        {"id": "b", "content": "two", "url": "http://EXAMPLE.org:80/x#y"},
        {"id": "c", "content": "three", "url": None},
        {"id": "d", "content": "four", "url": ""},
        {"id": "e", "content": "one", "url": "http://example.org/x"},
    ]
    source = write_rows(tmp_path / "rows.jsonl", rows)
    kept, rejected = passed(Dedup(), [source], tmp_path / "out")
    assert kept == [rows[0], rows[2], rows[3]]
    assert [(row["id"], row["reason"], row["detail"]) for row in rejected] == [
        ("b", "same_url", "a"),
        ("e", "exact_duplicate", "a"),
    ]
    kept, _ = passed(Dedup(url=False), [source], tmp_path / "all")
    assert kept == rows[:4]


def test_without_near_duplicates_only_equal_texts_go(tmp_path: Path) -> None:
    kept, rejected = texts_passed(Dedup(near=False), tmp_path, ONE, ONE.upper(), ONE)
    assert kept == ["r-0", "r-1"]
    assert rejected == {"r-2": ("exact_duplicate", "r-0")}


def test_rows_without_text_are_kept(tmp_path: Path) -> None:
    kept, rejected = texts_passed(Dedup(), tmp_path, None, "", None, " \n", "", "?", "?")
    assert kept == ["r-0", "r-1", "r-2", "r-3", "r-4", "r-5"]
    assert rejected == {"r-6": ("exact_duplicate", "r-5")}


def test_of_a_chain_what_is_like_a_kept_row_goes(tmp_path: Path) -> None:
    # Each is like the next one, and no other: B goes for A, C stays as its only twin has gone, D goes for C.
    rng = Random(2)
    chain = [drawn(rng, 100)]
    for _ in range(3):
        chain.append(f"{' '.join(chain[-1].split()[10:])} {drawn(rng, 10)}")
    assert all(similarity(one, next_) >= 0.8 for one, next_ in pairwise(chain))
    assert all(similarity(one, other) < 0.75 for one, other in zip(chain, chain[2:], strict=False))
    kept, rejected = texts_passed(Dedup(), tmp_path, *chain)
    assert kept == ["r-0", "r-2"]
    assert [detail.split(",")[0] for _, detail in rejected.values()] == ["r-0", "r-2"]


def test_the_most_similar_of_several_kept_rows_is_the_twin(tmp_path: Path) -> None:
    rng = Random(5)
    base = drawn(rng, 200)
    versions = [altered(rng, base, 7), altered(rng, base, 5), base]
    assert similarity(*versions[:2]) < 0.7
    kept, rejected = texts_passed(Dedup(threshold=0.7), tmp_path, *versions)
    assert kept == ["r-0", "r-1"]
    assert rejected["r-2"][1] == f"r-1, similarity {similarity(base, versions[1]):.2f}"


def test_planted_near_duplicates_are_found_and_unlike_texts_kept(tmp_path: Path) -> None:
    rng = Random(7)
    texts: list[str] = []
    like, unlike = set(), set()
    for _ in range(1500):
        base = drawn(rng, 150)
        other = altered(rng, base, rng.choice([1, 2, 12, 18]))
        same = similarity(base, other)
        texts += [base, other]
        if 0.85 <= same <= 0.95:
            like.add(f"r-{len(texts) - 1}")
        elif same < 0.6:
            unlike.add(f"r-{len(texts) - 1}")
    assert min(len(like), len(unlike)) > 200
    _, rejected = texts_passed(Dedup(), tmp_path, *texts)
    assert len(like & rejected.keys()) >= 0.97 * len(like)
    assert not unlike & rejected.keys()
    for name, (_, detail) in rejected.items():
        twin = detail.split(",")[0]
        found, said = similarity(*(texts[int(one[2:])] for one in (name, twin))), float(detail[-4:])
        assert said >= 0.8
        # Far above the threshold it is estimated, at the threshold it is counted.
        assert abs(found - said) < (0.1 if said >= 0.895 else 0.0051)


@few_files
@given(
    st.lists(
        st.tuples(
            st.lists(st.sampled_from(["a b c d e f", "g h i", "j k l m", "東京都", "", "A  b", "x"]), max_size=4).map(
                " ".join
            ),
            st.sampled_from([None, "", "http://a.org", "https://a.org/", "http://b.org/x"]),
        ),
        min_size=1,
        max_size=12,
    ),
    st.sampled_from([0.3, 0.5, 0.8, 1.0]),
)
def test_what_came_through_comes_through_again(
    tmp_path: Path, rows: list[tuple[str, str | None]], threshold: float
) -> None:
    source = [{"id": f"r-{i}", "text": text, "url": url} for i, (text, url) in enumerate(rows)]
    first, again = tmp_path / "first", tmp_path / "again"
    kept, rejected = passed(
        Dedup(threshold=threshold), [write_rows(tmp_path / "rows.jsonl", source)], first, fresh=True
    )
    assert passed(Dedup(threshold=threshold), [first], again, fresh=True) == (kept, [])
    ids = [row["id"] for row in kept]
    assert sorted(ids + [row["id"] for row in rejected], key=lambda name: int(name[2:])) == [r["id"] for r in source]
    for row in rejected:
        twin = row["detail"].split(",")[0]
        assert twin in ids
        assert int(twin[2:]) < int(row["id"][2:])


def test_all_columns_go_through_as_they_are(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {
            "id": f"r-{index}",
            "text": text,
            "nested": {"a": [1, None, 3], "b": {"c": None if index else "x"}},
            "null": None,
            "flag": index == 1,
            "share": 0.1 * index,
            "tags": None if index == 2 else ["x", None],
            "名前": "\x00 \ufeff 😀",
        }
        for index, text in enumerate([ONE, "other", ONE])
    ]
    kept, rejected = passed(Dedup(), [write_rows(tmp_path / "rows.jsonl", rows)], tmp_path / "out")
    assert kept == rows[:2]
    assert rejected == [{"reason": "exact_duplicate", "detail": "r-0", **rows[2]}]


def test_a_directory_that_datasets_wrote_goes_through_with_its_features(tmp_path: Path) -> None:
    features = datasets.Features(
        {
            "id": datasets.Value("string"),
            "label": datasets.ClassLabel(names=["good", "bad"]),
            "passage": datasets.Value("large_string"),
            "when": datasets.Value("timestamp[ns]"),
            "vectors": datasets.List(datasets.Value("float16")),
        }
    )
    rows = {
        "id": ["a", "b", "c"],
        "label": [0, 1, None],
        "passage": [ONE, ONE, None],
        "when": [1, 1_000_000_007, None],
        "vectors": [[0.5], [], None],
    }
    datasets.Dataset.from_dict(rows, features).save_to_disk(tmp_path / "in")
    Run(Dedup(), [str(tmp_path / "in")], tmp_path / "out", Options()).execute()
    output = datasets.load_from_disk(str(tmp_path / "out"))
    assert output.features["label"].names == ["good", "bad"]
    assert output["id"][:] == ["a", "c"]
    assert output["label"][:] == [0, None]
    rejected = Dataset.open(tmp_path / "out" / "rejected").table
    assert rejected["when"].cast(pa.int64()).to_pylist() == [1_000_000_007]


def test_ids_are_made_where_there_are_none_and_columns_renamed_where_asked_for(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [{"key": "k1", "body": "x"}, {"key": "k2", "body": "x"}])
    kept, _ = passed(Dedup(), [source], tmp_path / "out", columns={"id": "key"})
    assert kept == [{"id": "k1", "body": "x"}]
    _, rejected = passed(Dedup(text=("body",)), [source], tmp_path / "made")
    assert rejected == [
        {"id": "rows-1", "reason": "exact_duplicate", "detail": "rows-0", "key": "k2", "body": "x"},
    ]


def test_several_inputs_become_one_with_the_columns_of_all(tmp_path: Path) -> None:
    one = write_rows(tmp_path / "one.jsonl", [{"id": "a", "text": ONE, "n": 1}])
    two = write_rows(tmp_path / "two.jsonl", [{"id": "b", "text": ONE}, {"id": "c", "text": "new", "n": 0.5, "m": "!"}])
    kept, rejected = passed(Dedup(), [one, two], tmp_path / "out")
    assert kept == [
        {"id": "a", "text": ONE, "n": 1.0, "m": None},
        {"id": "c", "text": "new", "n": 0.5, "m": "!"},
    ]
    assert [(row["id"], row["detail"]) for row in rejected] == [("b", "a")]


def test_what_was_rejected_can_go_through_in_turn(tmp_path: Path) -> None:
    texts_passed(Dedup(), tmp_path, ONE, ONE, ONE)
    kept, rejected = passed(Dedup(), [tmp_path / "out" / "rejected"], tmp_path / "again")
    assert [(row["id"], row["detail"]) for row in kept] == [("r-1", "r-0")]
    assert [(row["id"], row["detail"]) for row in rejected] == [("r-2", "r-1")]


def test_chats_are_compared_by_what_was_said(tmp_path: Path) -> None:
    def chat(name: str, *said: str | None) -> dict[str, Any]:
        messages = [{"role": role, "content": text} for role, text in zip("ua" * 2, said, strict=False)]
        return {"id": name, "messages": messages}

    rows = [chat("a", "Hi", "Hello!"), chat("b", "Hi", "Hello!"), chat("c", "Hi Hello!"), chat("d", "Hi", None)]
    kept, rejected = passed(Dedup(), [write_rows(tmp_path / "rows.jsonl", rows)], tmp_path / "out")
    assert [row["id"] for row in kept] == ["a", "c", "d"]
    assert kept == [rows[0], *rows[2:]]
    assert rejected[0]["detail"] == "a"


def test_several_columns_are_compared_together(tmp_path: Path) -> None:
    rows = [{"id": f"{q}{a}{n}", "q": q, "a": a} for n, (q, a) in enumerate([("x", "y"), ("x", "z"), ("x", "y")])]
    source = write_rows(tmp_path / "rows.jsonl", rows)
    kept, _ = passed(Dedup(text=("q", "a")), [source], tmp_path / "both")
    assert kept == rows[:2]
    kept, _ = passed(Dedup(text=("q",)), [source], tmp_path / "one")
    assert kept == rows[:1]


def test_a_text_of_50_mb_and_one_that_is_nearly_the_same(tmp_path: Path) -> None:
    rng = Random(4)
    text = " ".join(f"{drawn(rng, 50_000)} {n} " * 4 for n in range(60))
    assert len(text) > 50_000_000
    kept, rejected = texts_passed(Dedup(), tmp_path, text, "small", f"{text} more")
    assert kept == ["r-0", "r-1"]
    assert rejected == {"r-2": ("near_duplicate", "r-0, similarity 0.99")}


def test_boilerplate_makes_rows_alike_only_where_it_is_most_of_them(tmp_path: Path) -> None:
    rng = Random(6)
    notice = drawn(rng, 60)
    kept, rejected = texts_passed(Dedup(), tmp_path, *(f"{notice} {drawn(rng, 60)}" for _ in range(400)))
    assert len(kept) == 400
    assert not rejected


def test_rows_are_the_same_however_they_are_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = Random(8)
    bases = [drawn(rng, 200) for _ in range(200)]
    rows = [{"id": f"r-{i}", "text": altered(rng, bases[rng.randrange(200)], 1)} for i in range(600)]
    source = write_rows(tmp_path / "rows.jsonl", rows)
    whole = passed(Dedup(), [source], tmp_path / "whole")
    monkeypatch.setattr(portions.portions, "__defaults__", (97, 5000))
    assert passed(Dedup(), [source], tmp_path / "cut") == whole
    assert 50 < len(whole[1]) < 500


def test_questions_of_gsm8k(tmp_path: Path) -> None:
    if not GSM8K.is_file():
        pytest.skip("GSM8K is not beside the repository")
    kept, rejected = passed(Dedup(text=("question",)), [GSM8K], tmp_path / "out")
    assert len(kept) == 7472
    assert [(row["id"], row["detail"]) for row in rejected] == [
        ("gsm8k-train-6691", "gsm8k-train-2483, similarity 0.92")
    ]
    lines = [orjson.loads(line) for line in GSM8K.read_bytes().splitlines()]
    assert [{"question": row["question"], "answer": row["answer"]} for row in kept] == lines[:6691] + lines[6692:]


@pytest.mark.parametrize(
    ("rows", "stage", "said"),
    [
        ([{"id": "a", "n": 1}], Dedup(), "the input has no column with text or messages, only id, n"),
        ([{"a": "x", "b": "y"}], Dedup(), "the columns a, b have text: name the one to use with --text NAME"),
        (
            [{"a": "x", "n": 1}],
            Dedup(text=("n",)),
            "--text n: the input has no column n with text or messages, only a",
        ),
        ([{"id": "a", "text": "x"}, {"id": "a", "text": "y"}], Dedup(), "id 'a' stands in .* and again in .*--column"),
        (
            [{"text": "x"}, {"text": ["y"]}],
            Dedup(),
            "the input has no column with text or messages, only id, text",
        ),
        ([], Dedup(), "has no rows"),
    ],
)
def test_what_cannot_be_compared_is_refused(tmp_path: Path, rows: list[Any], stage: Dedup, said: str) -> None:
    with pytest.raises(InputError, match=said):
        passed(stage, [write_rows(tmp_path / "rows.jsonl", rows)], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_inputs_that_do_not_go_together_are_refused(tmp_path: Path) -> None:
    one = write_rows(tmp_path / "one.jsonl", [{"id": "a", "text": "x", "n": 1}])
    parquet.write_table(pa.table({"id": ["b"], "text": ["y"], "n": [b"bytes"]}), tmp_path / "two.parquet")
    with pytest.raises(InputError, match=r"two.parquet does not fit the inputs before it: n is int64 in .*"):
        passed(Dedup(), [one, tmp_path / "two.parquet"], tmp_path / "out")
    three = write_rows(tmp_path / "three.jsonl", [{"id": "z", "text": "z"}, {"id": "a", "text": "w"}])
    with pytest.raises(InputError, match=rf"id 'a' stands in {re.escape(str(one))}:1 and again in .*three.jsonl:2:"):
        passed(Dedup(), [one, three], tmp_path / "out")


def test_no_more_candidates_are_compared_than_there_is_time_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = Random(9)
    notice = drawn(rng, 100)
    texts = [f"{notice} {drawn(rng, 30)}" for _ in range(60)]
    monkeypatch.setattr(matching, "CANDIDATES", 3)
    kept, rejected = texts_passed(Dedup(), tmp_path, *texts, f"{texts[-1]} more")
    assert len(kept) == 60
    assert rejected["r-60"][1].startswith("r-59")


def test_fingerprints_that_were_laid_by_are_not_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portions.portions, "__defaults__", (10, 4 << 20))
    monkeypatch.setattr(fingerprints, "SECONDS_PER_SYNC", 0.0)
    rng = Random(10)
    rows = [{"id": f"r-{i}", "text": drawn(rng, 20)} for i in range(100)]
    source = write_rows(tmp_path / "rows.jsonl", [*rows, {**rows[3], "id": "again"}])
    whole = passed(Dedup(), [source], tmp_path / "whole")

    made: list[int] = []

    def here(function: Any, portions: Any) -> Any:
        for portion in portions:
            found = function(portion)
            made.append(len(found[0]))
            yield portion, found
            if len(made) == 4:
                raise KeyboardInterrupt

    monkeypatch.setattr(fingerprints, "in_processes", here)
    with pytest.raises(Exception, match="interrupted"):
        passed(Dedup(), [source], tmp_path / "out")
    # A tail that was being written.
    for name in ("keys", "signatures"):
        with (tmp_path / "out.partial" / "work" / name).open("ab") as file:
            file.write(b"torn")
    assert passed(Dedup(), [source], tmp_path / "out") == whole
    assert sum(made) == len(rows) + 1
    assert shards(tmp_path / "out") == shards(tmp_path / "whole")


def test_the_first_pass_over_the_rows_is_told_as_it_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portions.portions, "__defaults__", (10, 4 << 20))
    monkeypatch.setattr("synth.pipelines.runtime.progress.OBSERVE_SECONDS", 0.0)
    source = write_rows(tmp_path / "rows.jsonl", [{"id": f"r-{i}", "text": f"text {i}"} for i in range(20)])
    told: list[tuple[int, int, int]] = []

    def observe(seen: Observation) -> None:
        told.append((seen.counts.finished, seen.prepared, seen.rows))

    Run(Dedup(), [str(source)], tmp_path / "out", Options()).execute(observe)
    assert told == [(0, 0, 0), (0, 0, 20), (0, 10, 20), (0, 20, 20), (10, 20, 20), (20, 20, 20)]
