from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from synth.pipelines.dedup import contamination
from synth.pipelines.dedup.contamination import Decontaminate, Gram
from synth.pipelines.runtime import portions
from synth.pipelines.runtime.options import Options
from synth.pipelines.runtime.runner import Run
from synth.schemas.errors import InputError, Stale
from tests.pipelines.passing import passed
from tests.pipelines.runtime.text.drawing import drawn
from tests.rows import Rows, write_rows

DATA = Path(__file__).parents[4] / "shared" / "data"
ITEM = "Natalia sold clips to 48 of her friends in April, and then she sold half as many in May."
SHARED = "sold clips to 48 of her friends in april and then she sold"


def judged(folder: Path, rows: Rows, evaluation: Rows, **options: Any) -> tuple[list[str], dict[str, str]]:
    """Ids that came through; details of the others."""
    against = write_rows(folder / "eval.jsonl", evaluation)
    source = write_rows(folder / "rows.jsonl", rows)
    stage = Decontaminate(against=(str(against),), **options)
    kept, rejected = passed(stage, [source], folder / "out", fresh=True)
    assert {row["reason"] for row in rejected} <= {"contaminated"}
    return [row["id"] for row in kept], {row["id"]: row["detail"] for row in rejected}


def texts(*values: str | None) -> Rows:
    return [{"id": f"r-{index}", "text": text} for index, text in enumerate(values)]


def test_a_row_that_shares_13_words_is_rejected_with_where_they_stand(tmp_path: Path) -> None:
    kept, rejected = judged(
        tmp_path,
        texts(
            f"Some say: {SHARED.upper()} -- everything.",
            SHARED.rsplit(" ", 1)[0],
            SHARED.replace("48", "49"),
            None,
            "",
            SHARED.replace(" ", "\n... "),
        ),
        [{"id": "q-1", "question": "Something else?", "answer": "72"}, {"id": "q-2", "question": ITEM}],
    )
    assert kept == ["r-1", "r-2", "r-3", "r-4"]
    assert rejected == {"r-0": f"eval, q-2: {SHARED}", "r-5": f"eval, q-2: {SHARED}"}


def test_fewer_words_are_asked_for_with_ngram(tmp_path: Path) -> None:
    rows = texts("her friends in April", "friends of her in April")
    kept, rejected = judged(tmp_path, rows, [{"id": "q", "question": ITEM}], ngram=3)
    assert kept == ["r-1"]
    assert rejected == {"r-0": "eval, q: her friends in"}


def test_a_short_evaluation_text_is_found_as_a_whole_text(tmp_path: Path) -> None:
    evaluation = [{"id": "q", "question": "What is 17 * 23?"}]
    kept, rejected = judged(tmp_path, texts("what is 17*23", "What is 17 * 23? It is 391.", "17 * 23"), evaluation)
    assert kept == ["r-1", "r-2"]
    assert rejected == {"r-0": "eval, q: what is 17 23"}


def test_of_several_texts_of_a_row_short_ones_tell_nothing(tmp_path: Path) -> None:
    def chat(name: str, *said: str) -> dict[str, Any]:
        return {"id": name, "messages": [{"role": "user", "content": text} for text in said]}

    evaluation = [
        {"id": "q-1", "question": "Is the sky blue at noon?", "answer": "Yes"},
        {"id": "q-2", "question": ITEM},
    ]
    rows = [
        chat("a", "Does it rain?", "Yes"),
        chat("b", "Is the sky blue at noon?", "Yes"),
        chat("c", "Yes."),
        chat("d", "Hello", f"{ITEM} How many?"),
        # Not across two messages.
        chat("e", ITEM[:45], ITEM[45:]),
    ]
    kept, rejected = judged(tmp_path, rows, evaluation)
    assert kept == ["a", "e"]
    assert rejected == {
        "b": "eval, q-1: is the sky blue at noon",
        "c": "eval, q-1: yes",
        "d": "eval, q-2: natalia sold clips to 48 of her friends in april and then she",
    }


def test_columns_of_the_evaluation_set_can_be_chosen(tmp_path: Path) -> None:
    evaluation = [{"id": "q", "question": ITEM, "answer": "It is seventy two"}]
    rows = texts(ITEM, "It is seventy-two.")
    assert judged(tmp_path, rows, evaluation)[0] == []
    assert judged(tmp_path, rows, evaluation, against_column=("question",))[0] == ["r-1"]


def test_an_input_against_itself_loses_all_rows_that_have_words(tmp_path: Path) -> None:
    rng = Random(1)
    rows = [{"text": drawn(rng, words)} for words in (1, 4, 12, 13, 14, 200)] + [{"text": "..."}, {"text": None}]
    source = write_rows(tmp_path / "rows.jsonl", rows)
    kept, rejected = passed(Decontaminate(against=(str(source),)), [source], tmp_path / "out")
    assert [row["id"] for row in kept] == ["rows-6", "rows-7"]
    for row in rejected:
        words = " ".join(row["text"].split()[:13])
        assert row["detail"] == f"rows, {row['id']}: {words}"


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.lists(st.sampled_from("abc"), max_size=9), min_size=1, max_size=6),
    st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=9), min_size=1, max_size=4),
    st.integers(1, 5),
)
def test_it_finds_what_a_plain_search_finds(
    tmp_path: Path, rows: list[list[str]], evaluation: list[list[str]], ngram: int
) -> None:
    def grams(words: list[str]) -> set[tuple[str, ...]]:
        return {tuple(words[i : i + ngram]) for i in range(max(1, len(words) - ngram + 1))} if words else set()

    known = set().union(*map(grams, evaluation))
    kept, rejected = judged(
        tmp_path,
        texts(*map(" ".join, rows)),
        [{"id": f"q-{i}", "question": " ".join(words)} for i, words in enumerate(evaluation)],
        ngram=ngram,
    )
    assert kept == [f"r-{i}" for i, words in enumerate(rows) if not grams(words) & known]
    for detail in rejected.values():
        row, shared = detail.removeprefix("eval, q-").split(": ")
        assert tuple(shared.split()) in grams(evaluation[int(row)])


def test_a_hash_that_another_text_has_is_not_enough(tmp_path: Path) -> None:
    from synth.schemas.reading.sources import Source
    from synth.schemas.records import ROW

    source = Source(str(write_rows(tmp_path / "eval.jsonl", [{"id": "q", "question": ITEM}])), ROW, {}, None)
    sets = contamination._Sets([source], (), 13, tmp_path)
    for number in sets._hashes.tolist():
        gram = Gram(number, "some other thirteen words whose hash happens to be the very same one here")
        assert sets.locate([gram]) is None


def test_several_sets_and_inputs_and_portions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = Random(3)
    items = [drawn(rng, 20) for _ in range(40)]
    one = write_rows(tmp_path / "one.jsonl", [{"id": f"q-{i}", "question": item} for i, item in enumerate(items[:20])])
    (tmp_path / "b").mkdir()
    two = write_rows(tmp_path / "b" / "one.jsonl", [{"choices": [item, "no"]} for item in items[20:]])
    rows = [{"id": f"r-{i}", "text": drawn(rng, 30)} for i in range(300)]
    for i, item in enumerate(items):
        rows[7 * i + 1]["text"] += f" {item} {drawn(rng, 5)}"
    sources = [write_rows(tmp_path / "x.jsonl", rows[:100]), write_rows(tmp_path / "y.jsonl", rows[100:])]
    monkeypatch.setattr(portions.portions, "__defaults__", (16, 4 << 20))
    stage = Decontaminate(against=(str(one), str(two)))
    summary = Run(stage, list(map(str, sources)), tmp_path / "out", Options()).execute()
    assert summary.counts.tallies == {f"in {one}": 20, f"in {two}": 20}
    kept, rejected = passed(stage, sources, tmp_path / "out")
    assert [row["id"] for row in rejected] == [f"r-{7 * i + 1}" for i in range(40)]
    assert [row["detail"].split(":")[0] for row in rejected[19:21]] == [f"{one}, q-19", f"{two}, one-0"]
    assert len(kept) == 260


def test_evaluation_sets_are_part_of_what_a_run_is(tmp_path: Path) -> None:
    evaluation = [{"id": "q", "question": ITEM}]
    judged(tmp_path, texts(ITEM), evaluation)
    against, source = tmp_path / "eval.jsonl", tmp_path / "rows.jsonl"
    moved = against.rename(tmp_path / "moved.jsonl")
    assert Run(Decontaminate(against=(str(moved),)), [str(source)], tmp_path / "out", Options()).execute().already_done
    write_rows(moved, [{"id": "q", "question": "Another"}])
    with pytest.raises(Stale, match=r"against was .* and is now"):
        Run(Decontaminate(against=(str(moved),)), [str(source)], tmp_path / "out", Options()).execute()


@pytest.mark.parametrize(
    ("evaluation", "options", "said"),
    [
        ([{"id": "q", "n": 1}], {}, "--against .*eval.jsonl has no column with text, only id, n"),
        ([{"id": "q", "a": "x"}], {"against_column": ("b",)}, "has no column b with text, only id, a"),
        ([{"id": "q", "a": "..."}], {}, "--against .*: there is no word in it"),
        ([], {}, "--against: .*eval.jsonl has no rows"),
        ([{"id": "q", "a": "x"}, {"id": "q", "a": "y"}], {}, "--against: id 'q' stands in"),
    ],
)
def test_evaluation_sets_without_texts_are_refused(
    tmp_path: Path, evaluation: Rows, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        judged(tmp_path, texts("x"), evaluation, **options)


def test_a_set_that_is_not_there_is_named(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "rows.jsonl", texts("x"))
    with pytest.raises(InputError, match=r"^--against: \S*none.jsonl does not exist$"):
        passed(Decontaminate(against=(str(tmp_path / "none.jsonl"),)), [source], tmp_path / "out")


def test_gsm8k_against_itself_and_humaneval(tmp_path: Path) -> None:
    gsm8k, humaneval = DATA / "gsm8k-train.jsonl", DATA / "humaneval.jsonl.gz"
    if not (gsm8k.is_file() and humaneval.is_file()):
        pytest.skip("GSM8K and HumanEval are not beside the repository")
    both = ("question", "answer")
    kept, rejected = passed(Decontaminate(against=(str(gsm8k),), text=both), [gsm8k], tmp_path / "itself")
    assert (len(kept), len(rejected)) == (0, 7473)
    kept, rejected = passed(Decontaminate(against=(str(humaneval),), text=both), [gsm8k], tmp_path / "other")
    assert (len(kept), len(rejected)) == (7473, 0)
