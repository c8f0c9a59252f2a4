"""Balanced data for one criterion, as classifiers are trained and tested on (arXiv 2406.12534, section 4, AR-Bench)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import cycle
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash
from numpy.typing import NDArray

from synth.pipelines.probe.criteria import RETRIEVES
from synth.pipelines.runtime.counts import Counts
from synth.pipelines.runtime.declared import Option
from synth.pipelines.runtime.gather import gathered
from synth.pipelines.runtime.portions import reject_rows
from synth.pipelines.runtime.row_hashes import in_random_order, row_hashes
from synth.pipelines.runtime.stage import Output, TableStage
from synth.pipelines.runtime.text.exact import same_text
from synth.schemas.errors import InputError, UsageError
from synth.schemas.phrases import plural
from synth.schemas.reading.sources import Source
from synth.schemas.record import Record
from synth.schemas.records import CLASSED, PROBED, WISH

__all__ = ["Balance"]

Int64s = NDArray[np.int64]
# The class of a row that is in neither class.
NEITHER = -1


@dataclass(frozen=True)
class Balance(TableStage):
    """Make a balanced set of questions for one criterion: as many of class 0, the positive one, as of class 1.

    Classes come from the column named by the criterion, which `probe self` and `probe label` write. Or from where the
    questions are, as in the paper: those of the input are of class 0, those of `--negative` datasets of class 1. Or,
    for `intent`, from `--intents`: half of the questions, drawn by the seed, get a wish for a search, which stands
    before and after them in turn; the others are of class 1.

    Both classes are cut to the size of the smaller one, or to `-n`, and shuffled; which rows are taken, and their
    order, follow from `--seed` and their ids. The others are counted as `not_taken`. Questions in both classes, white
    space and capitals aside, are rejected as `in_both_classes`, rows without a class as `no_class` or `bad_class`,
    blank ones as `no_question`. Rows of several datasets get `/source-<number>` after their ids.

    Memory: 40 bytes per row.
    """

    name: ClassVar[str] = "probe balance"
    input: ClassVar[Record] = CLASSED
    output: ClassVar[Record] = PROBED
    commands: ClassVar[tuple[str, ...]] = (
        "synth probe balance known/ self/ --criterion self -n 4000",
        "synth probe balance requests.jsonl intent/ --criterion intent --intents wishes.jsonl",
    )

    criterion: Annotated[str, Option("The criterion that the classes are by.", choices=tuple(RETRIEVES))]
    negative: Annotated[
        tuple[str, ...],
        Option("Dataset with the questions of class 1, any input. Repeatable.", metavar="DATASET"),
    ] = field(default=(), compare=False)
    intents: Annotated[
        str | None, Option("Dataset of wishes for a search, to add to half of the questions.", metavar="DATASET")
    ] = None
    n: Annotated[
        int | None, Option("Rows of each class.", min=1, flag="-n", long="--rows", default="as many as possible")
    ] = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.intents is not None and self.criterion != "intent":
            raise UsageError(f"--intents makes questions for --criterion intent, not {self.criterion}")
        if self.intents is not None and self.negative:
            raise UsageError("--intents and --negative both say which questions are of class 1: leave one of them out")

    @property
    def further_inputs(self) -> tuple[str, ...]:
        return self.negative

    def identity(self) -> dict[str, Any]:
        # How many of the inputs are negative, and the content of the wishes, wherever they are.
        wishes = self._wishes.fingerprint if self._wishes else None
        return {**super().identity(), "negative": len(self.negative), "intents": wishes}

    @cached_property
    def _wishes(self) -> Source | None:
        try:
            return Source(self.intents, WISH, {}, None) if self.intents is not None else None
        except InputError as error:
            raise InputError(f"--intents: {error}") from error

    def published(self, out: Path, counts: Counts) -> Iterator[str]:  # noqa: ARG002
        taken = counts.outputs // 2
        yield f"{plural(taken, 'row')} of each class"
        if self.n and taken < self.n:
            yield f"{self.n - taken:,} fewer than -n {self.n:,}: a class has too few"

    def process(self, tables: Sequence[pa.Table], output: Output) -> None:
        table = pa.concat_tables(_with_own_ids(tables))
        if self._wishes:
            classes = _halves(table, output)
        elif self.negative:
            positive = sum(len(one) for one in tables[: -len(self.negative)])
            classes = np.repeat([0, 1], [positive, len(table) - positive])
        else:
            classes = self._given(table)
        faults = self._faults(table, classes)
        reject_rows(table, faults, output)
        classes[list(faults)] = NEITHER
        rows = self._drawn(table, classes, output)
        output.skip(len(table) - len(faults) - len(rows), "not_taken")
        self._write(table, rows, classes[rows], output)

    def _given(self, table: pa.Table) -> Int64s:
        """The class of each row in the column of the criterion, as it is; `NEITHER` for null."""
        column = table[self.criterion]
        if column.null_count == table.num_rows:
            raise UsageError(
                f"no row has a class in a column {self.criterion}: let `synth probe "
                f"{'self' if self.criterion == 'self' else 'label'}` find it, or name the dataset with the questions "
                "of class 1 with --negative"
            )
        classes: Int64s = column.fill_null(NEITHER).to_numpy().astype(np.int64)
        return classes

    def _faults(self, table: pa.Table, classes: Int64s) -> Mapping[int, tuple[str, str]]:
        """The reason and the detail of each row that cannot be taken, by its index."""
        blank = pc.equal(pc.utf8_trim_whitespace(table["question"]), "").to_numpy()
        texts = _question_hashes(table)
        in_both = np.isin(texts, np.intersect1d(texts[(classes == 0) & ~blank], texts[(classes == 1) & ~blank]))
        in_both &= np.isin(classes, (0, 1)) & ~blank
        # The first question of each text and class.
        first = {(texts[row], classes[row]): row for row in np.flatnonzero(in_both)[::-1].tolist()}
        has_no_class = (classes < 0) | (classes > 1) if not self.intents else np.zeros(len(table), bool)
        faults = {}
        for row in np.flatnonzero(blank | in_both | has_no_class).tolist():
            if blank[row]:
                faults[row] = ("no_question", "the question is blank")
            elif in_both[row]:
                other = table["id"][first[texts[row], 1 - classes[row]]].as_py()
                faults[row] = ("in_both_classes", f"{other} is the same question in the other class")
            else:
                label = table[self.criterion][row].as_py()
                said = f"{self.criterion} is {'null' if label is None else label}, where 0 or 1 is needed"
                faults[row] = ("no_class" if label is None else "bad_class", said)
        return faults

    def _drawn(self, table: pa.Table, classes: Int64s, output: Output) -> Int64s:
        """The rows to take, as many of each class, shuffled. Raises `InputError` if a class has none."""
        sizes = [int(np.count_nonzero(classes == label)) for label in (0, 1)]
        if not all(sizes):
            raise InputError(
                f"of the questions that are not in both classes, {sizes[0]:,} are of class 0 by {self.criterion} and "
                f"{sizes[1]:,} of class 1: a balanced set needs both"
            )
        size = min(*sizes, self.n or min(sizes))
        drawn = in_random_order(table["id"], output.salt("taken"))
        taken = np.concatenate([drawn[classes[drawn] == label][:size] for label in (0, 1)])
        order = np.argsort(row_hashes(table["id"], output.salt("order"))[taken], kind="stable")
        rows: Int64s = taken[order]
        return rows

    def _write(self, table: pa.Table, rows: Int64s, labels: Int64s, output: Output) -> None:
        wishes = self._texts_of_wishes(output)
        positions = cycle(("before", "after"))
        start = 0
        for portion in gathered(table, rows):
            part = slice(start, start := start + portion.num_rows)
            drawn = row_hashes(portion["id"], output.salt("wishes")).tolist()
            made = []
            for row, label, number in zip(portion.to_pylist(), labels[part].tolist(), drawn, strict=True):
                made.append(
                    {
                        "id": row["id"],
                        "question": row["question"],
                        "criterion": self.criterion,
                        "label": label,
                        "need_retrieve": row["need_retrieve"],
                    }
                )
                if wishes and label == 0:
                    wish, position = wishes[number % len(wishes)], next(positions)
                    texts = (wish, row["question"]) if position == "before" else (row["question"], wish)
                    # It asks for a search now, which decides.
                    made[-1] |= {"question": " ".join(texts), "wish": wish, "position": position, "need_retrieve": True}
            output.write(made, accounts_for=portion.num_rows)

    def _texts_of_wishes(self, output: Output) -> list[str]:
        if not self._wishes:
            return []
        given = self._wishes.table(output.work / "wishes")["wish"].to_pylist()
        wishes = [wish for text in given if (wish := text.strip())]
        if not wishes:
            raise InputError(f"--intents {self.intents}: all wishes are blank")
        return wishes


def _with_own_ids(tables: Sequence[pa.Table]) -> Iterator[pa.Table]:
    """The tables; of several ones, whose ids may coincide, each with its number in its ids."""
    for number, table in enumerate(tables, start=1):
        if len(tables) == 1:
            yield table
        else:
            ids = pc.binary_join_element_wise(table["id"], f"/source-{number}", "")
            yield table.set_column(0, table.schema.field(0), ids)


def _halves(table: pa.Table, output: Output) -> Int64s:
    """The class of each row: 0 for half of them, drawn by their ids; `NEITHER` for one that is left over."""
    drawn = in_random_order(table["id"], output.salt("half"))
    classes = np.full(len(table), NEITHER)
    half = len(table) // 2
    classes[drawn[:half]], classes[drawn[half : 2 * half]] = 0, 1
    return classes


def _question_hashes(table: pa.Table) -> NDArray[np.uint64]:
    """Hashes of the questions that are equal where only white space and capitals differ."""
    texts = (text for chunk in table["question"].chunks for text in chunk.to_pylist())
    hashes = (xxhash.xxh3_64_intdigest(same_text(text).casefold().encode()) for text in texts)
    return np.fromiter(hashes, np.uint64, len(table))
