"""`synth select difference`: which rows are compared, which are kept, and what cannot be compared."""

import logging
from decimal import Decimal
from math import inf, log, nan
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest

from synth.pipelines.miniplm.difference import Difference
from synth.pipelines.runtime.options import Options
from synth.pipelines.runtime.runner import Run, Summary
from synth.schemas.errors import InputError, Stale, UsageError
from tests.command import type_synth
from tests.rows import Rows, rejected_of, rows_of, write_rows

TOKENS = 100


def score(row: str, mean: float | None, tokens: int | None = TOKENS, **more: Any) -> dict[str, Any]:
    nll = None if mean is None or tokens is None else mean * max(tokens, 1)
    return {"id": row, "nll": nll, "nll_tokens": tokens, **more}


def write(folder: Path, name: str, rows: Rows) -> Path:
    """A Parquet file, which may have NaN."""
    pyarrow.parquet.write_table(pa.Table.from_pylist(rows), folder / f"{name}.parquet")
    return folder / f"{name}.parquet"


def compare(folder: Path, teacher: Rows, reference: Rows, *, fresh: bool = True, **options: Any) -> Summary:
    stage = Difference(str(write(folder, "reference", reference)), **options)
    return Run(stage, [str(write(folder, "teacher", teacher))], folder / "out", Options(fresh=fresh)).execute()


def kept(folder: Path) -> list[str]:
    return [row["id"] for row in rows_of(folder / "out")]


def test_rows_keep_their_columns_and_get_the_difference(tmp_path: Path) -> None:
    teacher = [score("a", 2.0, text="one", model="m"), score("b", 1.0, text="two", model="m")]
    summary = compare(tmp_path, teacher, [score("b", 3.5), score("a", 1.5)], ratio=Decimal(1))
    assert rows_of(tmp_path / "out") == [teacher[0] | {"difference": -0.5}, teacher[1] | {"difference": 2.5}]
    assert summary.counts.tallies == {"compared": 2, "below_zero": 1, "least_kept": -0.5}
    assert summary.remarks == (
        "the least difference kept is -0.5000 nats for each token; 50.0% of the rows are below 0",
    )


def test_rows_are_found_by_their_ids_wherever_they_are(tmp_path: Path) -> None:
    random = Random(3)
    teacher = [score(f"row-{number}", random.random() * 5) for number in range(200)]
    reference = [score(f"row-{number}", random.random() * 5) for number in range(200)]
    compare(tmp_path, teacher, reference, ratio=Decimal("0.25"))
    expected = rows_of(tmp_path / "out")
    assert len(expected) == 50
    random.shuffle(reference)
    compare(tmp_path, teacher, reference, ratio=Decimal("0.25"))
    assert rows_of(tmp_path / "out") == expected


def test_scores_that_are_no_scores_are_rejected_by_name(tmp_path: Path) -> None:
    fine = score("fine", 2.0)
    teacher = [
        score("null", None), score("nan", nan), score("infinite", inf), score("no-tokens", 0.0, 0),
        score("no-count", 2.0, None), score("short", 2.0, 63), score("long-enough", 2.0, 64), score("alone", 2.0), fine,
    ]  # fmt: skip
    reference = [row | {"nll": 500.0} for row in teacher if row["id"] != "alone"]
    summary = compare(tmp_path, teacher, reference, ratio=Decimal(1))
    assert kept(tmp_path) == ["long-enough", "fine"]
    assert {row["id"]: row["reason"] for row in rejected_of(tmp_path / "out")} == {
        "null": "no_score",
        "nan": "not_a_number",
        "infinite": "infinite",
        "no-tokens": "zero_length",
        "no-count": "no_score",
        "short": "too_short",
    }
    assert rejected_of(tmp_path / "out")[1]["detail"] == (
        "{'teacher': nan, 'teacher_tokens': 100, 'reference': 500.0, 'reference_tokens': 100}"
    )
    assert summary.counts.reasons["no_reference"] == 1


@pytest.mark.parametrize(("mean", "reason"), [(None, "no_score"), (nan, "not_a_number"), (-inf, "infinite")])
def test_so_are_those_of_the_reference(tmp_path: Path, mean: float | None, reason: str) -> None:
    compare(tmp_path, [score("a", 1.0), score("b", 1.0)], [score("a", 2.0), score("b", mean)])
    assert [row["reason"] for row in rejected_of(tmp_path / "out")] == [reason]


def test_rows_of_the_reference_that_are_not_in_the_input_do_not_matter(tmp_path: Path) -> None:
    compare(tmp_path, [score("a", 1.0)], [score("other", 9.0), score("a", 2.0)], ratio=Decimal(1))
    assert kept(tmp_path) == ["a"]


def test_what_the_reference_was_trained_on_is_left_out_before_the_share_is_taken(tmp_path: Path) -> None:
    rows = [score(f"row-{number}", 1.0) for number in range(6)]
    reference = [score(f"row-{number}", 9.0 - number) for number in range(6)]
    sample = [str(write(tmp_path, f"sample-{number}", rows[number : number + 1])) for number in (0, 0, 1)]
    summary = compare(tmp_path, rows, reference, exclude=tuple(sample))
    assert kept(tmp_path) == ["row-2", "row-3"]
    assert summary.counts.reasons == {"not_selected": 2, "excluded": 2}


def test_a_threshold_keeps_all_rows_from_it_on(tmp_path: Path) -> None:
    teacher = [score(f"row-{number}", 1.0) for number in range(4)]
    reference = [score(f"row-{number}", 1.0 + number / 4) for number in range(4)]
    compare(tmp_path, teacher, reference, threshold=0.5)
    assert kept(tmp_path) == ["row-2", "row-3"]


def test_both_scores_may_be_in_one_dataset(tmp_path: Path) -> None:
    rows = [
        {"id": "a", "nll": 100.0, "nll_tokens": 100, "small": 300.0, "small_tokens": 100},
        {"id": "b", "nll": 100.0, "nll_tokens": 100, "small": 150.0, "small_tokens": 100},
    ]
    stage = Difference(reference_score="small")
    Run(stage, [str(write_rows(tmp_path / "both.jsonl", rows))], tmp_path / "out", Options()).execute()
    assert rows_of(tmp_path / "out") == [rows[0] | {"difference": 2.0}]


BYTES = {"nll_bytes": 400}


def test_bits_for_each_byte_compare_models_with_different_tokenizers(tmp_path: Path) -> None:
    teacher = [score("a", 2.0, 100, nll_tokenizer="one", **BYTES)]
    reference = [score("a", 2.0, 200, nll_tokenizer="other", **BYTES)]
    with pytest.raises(InputError, match=r"different tokenizers \(one and other\), .*: use --per byte"):
        compare(tmp_path, teacher, reference, ratio=Decimal(1))
    compare(tmp_path, teacher, reference, ratio=Decimal(1), per="byte")
    assert rows_of(tmp_path / "out")[0]["difference"] == pytest.approx((400 - 200) / log(2) / 400)


def test_scores_in_other_windows_are_not_compared(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the row a has scores of another number of tokens in the reference"):
        compare(tmp_path, [score("a", 2.0)], [score("a", 2.0, 99)])


def test_scores_of_other_texts_are_not_compared(tmp_path: Path) -> None:
    for per in ("token", "byte"):
        with pytest.raises(InputError, match="the row a has a text of another length in the reference"):
            compare(tmp_path, [score("a", 2.0, **BYTES)], [score("a", 2.0, nll_bytes=500)], per=per)


def test_scores_of_other_number_types_are_compared_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "synth"):
        compare(tmp_path, [score("a", 2.0, nll_dtype="bfloat16")], [score("a", 3.0, nll_dtype="float32")])
    assert caplog.messages == ["the scores were computed in bfloat16 and float32: small differences may come from that"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"teacher_score": "loss"}, "--teacher-score loss: there is no column loss, only id, nll, nll_tokens"),
        ({"reference_score": "loss"}, "--reference-score loss: there is no column loss, only id, nll"),
        ({"per": "byte"}, "--teacher-score nll: there is no column nll_bytes"),
    ],
)
def test_columns_that_are_missing_are_named(tmp_path: Path, options: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        compare(tmp_path, [score("a", 2.0)], [score("a", 3.0)], **options)


def test_a_column_of_another_type_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--reference-score nll: nll is string, where double is needed"):
        compare(tmp_path, [score("a", 2.0)], [score("a", 3.0) | {"nll": "many"}])


def test_other_scores_of_the_reference_make_the_output_stale(tmp_path: Path) -> None:
    teacher = [score("a", 2.0), score("b", 2.0)]
    compare(tmp_path, teacher, [score("a", 3.0), score("b", 2.0)])
    assert compare(tmp_path, teacher, [score("a", 3.0), score("b", 2.0)], fresh=False).already_done
    with pytest.raises(Stale, match="reference was"):
        compare(tmp_path, teacher, [score("a", 2.0), score("b", 3.0)], fresh=False)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "the reference's scores are missing: name their dataset with --reference, or their column"),
        (["--reference", "nowhere"], "--reference: nowhere does not exist"),
        (["--reference", "in.jsonl", "--exclude", "nowhere"], "--exclude: nowhere does not exist"),
        (["--reference", "in.jsonl", "--ratio", "half"], "--ratio half: expected a number"),
        (["--reference", "in.jsonl", "--ratio", "1.5"], "--ratio 1.5: must be between 0 and 1"),
        (["--reference", "in.jsonl", "--ratio", "nan"], "--ratio nan: expected a number"),
        (["--reference", "in.jsonl", "--threshold", "nan"], "--threshold nan: expected a number"),
        (["--reference", "in.jsonl", "--ratio", "0.5", "--threshold", "1"], "--ratio and --threshold both say"),
    ],
)
def test_what_cannot_be_used_is_refused_in_a_sentence(tmp_path: Path, arguments: list[str], says: str) -> None:
    write_rows(tmp_path / "in.jsonl", [score("a", 2.0)])
    done = type_synth("select", "difference", "in.jsonl", "out", *arguments, folder=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith(f"synth: {says}")
    assert done.stderr.count("\n") == 1
