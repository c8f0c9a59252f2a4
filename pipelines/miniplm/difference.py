"""Keep the texts with the largest differences between two models' scores (arXiv 2410.17215, difference sampling)."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import cached_property
from itertools import chain
from math import log
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from synth.pipelines.runtime.counts import Counts
from synth.pipelines.runtime.declared import Option, amount
from synth.pipelines.runtime.stage import Output, TableStage
from synth.schemas.errors import InputError, UsageError
from synth.schemas.phrases import listed
from synth.schemas.reading.sources import Source
from synth.schemas.record import Record
from synth.schemas.records import DIFFERENCE, ROW
from synth.schemas.sql import query

__all__ = ["Difference"]

ROWS_AT_A_TIME = 1 << 16
# The columns of a score, by what follows the name of the first one, as `score nll` writes them.
SCORE = {"nll": "", "tokens": "_tokens", "bytes": "_bytes", "tokenizer": "_tokenizer", "dtype": "_dtype"}
TYPES = {"nll": pa.float64(), "tokens": pa.int64(), "bytes": pa.int64(), "tokenizer": pa.string(), "dtype": pa.string()}
# A row for each of the teacher's, in their order. `length` is in the unit of the means.
PAIRS = """
SELECT
    reference.nll / reference.length - teacher.nll / teacher.length AS difference,
    teacher.bytes <> reference.bytes AS has_other_bytes,
    teacher.tokens <> reference.tokens AS has_other_tokens,
    CASE
        WHEN excluded.id IS NOT NULL THEN 'excluded'
        WHEN reference.id IS NULL THEN 'no_reference'
        WHEN teacher.nll IS NULL OR reference.nll IS NULL THEN 'no_score'
        WHEN teacher.length IS NULL OR reference.length IS NULL THEN 'no_score'
        WHEN isnan(teacher.nll) OR isnan(reference.nll) THEN 'not_a_number'
        WHEN isinf(teacher.nll) OR isinf(reference.nll) THEN 'infinite'
        WHEN teacher.length <= 0 OR reference.length <= 0 THEN 'zero_length'
        WHEN teacher.tokens < {least} OR reference.tokens < {least} THEN 'too_short'
    END AS reason,
    CASE WHEN reason NOT IN ('excluded', 'no_reference') THEN CAST(struct_pack(
        teacher := teacher.nll, teacher_tokens := teacher.tokens,
        reference := reference.nll, reference_tokens := reference.tokens
    ) AS VARCHAR) END AS detail
FROM teacher
    LEFT JOIN reference ON teacher.id = reference.id
    LEFT JOIN (SELECT DISTINCT id FROM excluded) AS excluded ON teacher.id = excluded.id
ORDER BY teacher.row
"""


def decimal(text: str) -> Decimal:
    """`0.29` as it is written: as a binary number it is less, and 0.29 of 100 rows would be 28."""
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = Decimal("nan")
    if not number.is_finite():
        raise UsageError(f"--ratio {text}: expected a number")
    return number


@dataclass(frozen=True)
class Difference(TableStage):
    """Keep the texts that a teacher knows better than a small reference model does.

    The input has the teacher's scores, as `score nll` writes them, and `--reference` those of a small model for the
    same rows, which are found by their ids. The difference of a row is the reference's mean negative log-likelihood of
    a token minus the teacher's. Near 0, both models find the text easy; far below 0 it is noise; a large difference is
    something to learn. Kept are the rows with the largest differences, in the order of the input: `ratio` of those
    that can be compared, rounded down, the earlier of two equal ones; or all from a `threshold` on.

    Means of tokens can be compared if both models have the same tokenizer and were given the same windows. Otherwise,
    `--per byte` compares bits for each byte.

    Rows that can be compared but are not kept are counted as `not_selected`, those of an `--exclude` dataset as
    `excluded`, and those without a reference score as `no_reference`. Rejected: `no_score` (null), `not_a_number`,
    `infinite`, `zero_length`, and `too_short` with fewer than `min_tokens` tokens, whose means say little.
    """

    name: ClassVar[str] = "select difference"
    input: ClassVar[Record] = ROW
    output: ClassVar[Record] = DIFFERENCE
    keeps_ids: ClassVar[bool] = True
    commands: ClassVar[tuple[str, ...]] = (
        "synth select difference teacher/ kept/ --reference reference/ --ratio 0.5",
        "synth select difference both/ kept/ --reference-score reference --threshold 0 --per byte",
    )

    reference: Annotated[
        str | None,
        Option("Dataset with the reference's scores of the same rows, any input.", metavar="DATASET", default="INPUT"),
    ] = None
    ratio: Annotated[
        Decimal | None,
        Option(
            "Share of the rows to keep.", min=0, max=1, metavar="NUMBER", read=decimal, default="0.5 if no --threshold"
        ),
    ] = None
    threshold: Annotated[
        float | None, Option("Keep the rows with at least this difference.", read=amount("--threshold"))
    ] = None
    per: Annotated[Literal["token", "byte"], Option("What the difference is a mean over: nats, or bits.")] = "token"
    min_tokens: Annotated[int, Option("Fewest tokens with a score.", min=1)] = 64
    exclude: Annotated[
        tuple[str, ...],
        Option("Dataset whose rows are left out: what the reference was trained on. Repeatable.", metavar="DATASET"),
    ] = ()
    teacher_score: Annotated[
        str, Option("Column of the teacher's score, as `score nll --into` names it.", metavar="NAME")
    ] = "nll"
    reference_score: Annotated[str, Option("Column of the reference's score.", metavar="NAME")] = "nll"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.ratio is not None and self.threshold is not None:
            raise UsageError("--ratio and --threshold both say how many rows to keep: leave one of them out")
        if self.reference is None and self.reference_score == self.teacher_score:
            raise UsageError(
                "the reference's scores are missing: name their dataset with --reference, or their column in the input "
                "with --reference-score"
            )

    def identity(self) -> dict[str, Any]:
        # The contents of the other datasets, wherever they are.
        reference = self._reference.fingerprint if self._reference else None
        exclude = [source.fingerprint for source in self._excluded]
        return {**super().identity(), "reference": reference, "exclude": exclude}

    @cached_property
    def _reference(self) -> Source | None:
        return _source(self.reference, "--reference") if self.reference else None

    @cached_property
    def _excluded(self) -> list[Source]:
        return [_source(spec, "--exclude") for spec in self.exclude]

    def process(self, tables: Sequence[pa.Table], output: Output) -> None:
        (table,) = tables
        pairs = self._pairs(table, output.work)
        differences = pairs["difference"].to_numpy()
        can_be_compared = pairs["reason"].is_null().to_numpy()
        is_kept = self._largest(differences, can_be_compared)
        output.tally("compared", int(np.count_nonzero(can_be_compared)))
        output.tally("below_zero", int(np.count_nonzero(differences[can_be_compared] < 0)))
        if is_kept.any():
            output.tally("least_kept", float(differences[is_kept].min()))
        output.skip(int(np.count_nonzero(can_be_compared & ~is_kept)), "not_selected")
        for reason in ("excluded", "no_reference"):
            output.skip(pc.sum(pc.equal(pairs["reason"], reason)).as_py() or 0, reason)
        self._write(table, is_kept, pairs, output)

    def published(self, out: Path, counts: Counts) -> Iterator[str]:  # noqa: ARG002
        found = counts.tallies
        if "least_kept" in found:
            unit = "nats for each token" if self.per == "token" else "bits for each byte"
            below = found.get("below_zero", 0) / found["compared"]
            yield f"the least difference kept is {found['least_kept']:.4f} {unit}; {below:.1%} of the rows are below 0"

    def _pairs(self, table: pa.Table, work: Path) -> pa.Table:
        """The rows of `PAIRS`. Raises `InputError` for scores that cannot be subtracted."""
        other = self._reference.table(work / "reference") if self._reference else table
        teacher = self._scores(table, self.teacher_score, "--teacher-score")
        reference = self._scores(other, self.reference_score, "--reference-score")
        if len(types := _values(teacher, reference, "dtype")) > 1:
            logging.getLogger("synth").warning(
                "the scores were computed in %s: small differences may come from that", listed(types)
            )
        if self.per == "token" and len(tokenizers := _values(teacher, reference, "tokenizer")) > 1:
            raise InputError(
                f"the scores are of tokens of different tokenizers ({listed(tokenizers)}), whose means cannot be "
                "compared: use --per byte"
            )
        ids = [source.table(work / f"exclude-{number}").select(["id"]) for number, source in enumerate(self._excluded)]
        tables = {
            "teacher": teacher.append_column("row", pa.array(np.arange(table.num_rows))),
            "reference": reference,
            "excluded": pa.concat_tables([*ids, teacher.select(["id"]).slice(0, 0)]),
        }
        sql = PAIRS.format(least=self.min_tokens)
        pairs = query(sql, tables, "--reference", self.reference or self.reference_score, work)
        if (at := pc.index(pairs["has_other_bytes"], True).as_py()) >= 0:
            raise InputError(
                f"the row {table['id'][at]} has a text of another length in the reference: it is another one"
            )
        if self.per == "token" and (at := pc.index(pairs["has_other_tokens"], True).as_py()) >= 0:
            raise InputError(
                f"the row {table['id'][at]} has scores of another number of tokens in the reference: score both in the "
                "same windows, or use --per byte"
            )
        return pairs.select(["difference", "reason", "detail"])

    def _scores(self, table: pa.Table, name: str, flag: str) -> pa.Table:
        """The id and the score of each row; columns that are not needed and not there are null."""
        needed = ("nll", "tokens", "bytes") if self.per == "byte" else ("nll", "tokens")
        columns = {"id": table["id"]}
        for role, suffix in SCORE.items():
            column = name + suffix
            if column in table.column_names:
                try:
                    columns[role] = table[column].cast(TYPES[role])
                except pa.ArrowException as error:
                    found = table[column].type
                    raise InputError(f"{flag} {name}: {column} is {found}, where {TYPES[role]} is needed") from error
            elif role in needed:
                raise UsageError(f"{flag} {name}: there is no column {column}, only {', '.join(table.column_names)}")
            else:
                columns[role] = pa.nulls(table.num_rows, TYPES[role])
        columns["length"] = pc.multiply(columns["bytes"], log(2)) if self.per == "byte" else columns["tokens"]
        return pa.table(columns)

    def _largest(self, differences: NDArray[np.float64], can_be_compared: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Which rows to keep."""
        if self.threshold is not None:
            return can_be_compared & (differences >= self.threshold)
        rows = np.flatnonzero(can_be_compared)
        ratio = Decimal("0.5") if self.ratio is None else Decimal(str(self.ratio))
        # Stable, so that of equal ones the earlier row comes first.
        order = np.argsort(-differences[rows], kind="stable")
        is_kept = np.zeros(len(differences), bool)
        is_kept[rows[order[: int(ratio * len(rows))]]] = True
        return is_kept

    def _write(self, table: pa.Table, is_kept: NDArray[np.bool_], pairs: pa.Table, output: Output) -> None:
        """The rows that are kept, with their differences, and those that are copied to rejected/, with a detail."""
        names = self.output_schema(table.schema).names
        for start in range(0, table.num_rows, ROWS_AT_A_TIME):
            rows, found = table.slice(start, ROWS_AT_A_TIME), pairs.slice(start, ROWS_AT_A_TIME)
            columns = {**dict(zip(rows.column_names, rows.columns, strict=True)), "difference": found["difference"]}
            kept = pa.table([columns[name] for name in names], names)
            kept = kept.filter(pa.array(is_kept[start : start + ROWS_AT_A_TIME]))
            if kept.num_rows:
                output.write_table(kept, accounts_for=kept.num_rows)
            copied = found.filter(found["detail"].is_valid())
            if copied.num_rows:
                faulty = rows.filter(found["detail"].is_valid())
                output.reject_table(faulty, copied["reason"].to_pylist(), copied["detail"].to_pylist())


def _source(spec: str, flag: str) -> Source:
    try:
        return Source(spec, ROW, {}, None)
    except InputError as error:
        raise InputError(f"{flag}: {error}") from error


def _values(teacher: pa.Table, reference: pa.Table, role: str) -> list[str]:
    """The values that both have together, without null."""
    found = (pc.unique(scores[role]).drop_null().to_pylist() for scores in (teacher, reference))
    return sorted(set(chain.from_iterable(found)))
