"""Sampled paths judged question by question, as selecting and counting them both need."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import pyarrow as pa

from synth.pipelines.reject.questions import paths_by_question
from synth.pipelines.reject.selection import Path, judge
from synth.pipelines.runtime.answers.answer import GSM8K_MARKS, FinalAnswer
from synth.pipelines.runtime.answers.golds import NO_GOLDS, Golds
from synth.pipelines.runtime.answers.rules import ADVICE, answer_rule, check_marks
from synth.pipelines.runtime.stage import Output, Row, TableStage
from synth.schemas.record import Record
from synth.schemas.records import SAMPLED

__all__ = ["Judging", "Question"]


class Question(NamedTuple):
    """The rows of one question, its gold answer, and what each row's path is judged as.

    Where `gold` is None the rows have been rejected as `no_gold`, and there are no `paths`.
    """

    rows: list[Row]
    gold: FinalAnswer | None
    paths: list[Path]


@dataclass(frozen=True)
class Judging(TableStage):
    """A stage that reads sampled paths and judges each by its gold answer and its equations.

    `boxed` and `answer_marks` say how answers are read, `plain_equations` where equations are; `golds` has answers for
    rows without one.
    """

    advice: ClassVar[Mapping[str, str]] = ADVICE
    input: ClassVar[Record] = SAMPLED

    boxed: bool = False
    answer_marks: tuple[str, ...] = GSM8K_MARKS
    plain_equations: bool = False
    golds: Golds = NO_GOLDS

    def __post_init__(self) -> None:
        check_marks(self.answer_marks, boxed=self.boxed)

    def identity(self) -> dict[str, Any]:
        options = super().identity()
        del options["golds"]
        return options | self.golds.identity()

    def questions(self, tables: Sequence[pa.Table], output: Output) -> Iterator[Question]:
        """The questions of `tables` in order of first appearance; those without a gold answer are rejected."""
        answers = answer_rule(self.boxed, self.answer_marks)
        for rows in paths_by_question(tables, self.golds):
            gold = answers.gold(rows[0]["answer"])
            if gold is None:
                for row in rows:
                    output.reject(row, "no_gold", f"no final answer can be read from {row['answer']!r:.200}")
                yield Question(rows, None, [])
                continue
            paths = [judge(row["response"], gold, answers, plain_equations=self.plain_equations) for row in rows]
            yield Question(rows, gold, paths)
