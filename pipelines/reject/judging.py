"""Judging sampled paths question by question, for selecting and for counting them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

import pyarrow as pa

from synth.pipelines.reject.questions import paths_by_question
from synth.pipelines.reject.selection import Path, judge
from synth.pipelines.runtime.answers.answer import GSM8K_MARKS, FinalAnswer
from synth.pipelines.runtime.answers.golds import NO_GOLDS, Golds
from synth.pipelines.runtime.answers.rules import ADVICE, answer_rule, check_marks
from synth.pipelines.runtime.common_options import AnswerMarks, Boxed, PlainEquations
from synth.pipelines.runtime.declared import Option
from synth.pipelines.runtime.stage import Output, Row, TableStage
from synth.schemas.record import Record
from synth.schemas.records import SAMPLED

__all__ = ["JudgingStage"]


@dataclass(frozen=True)
class JudgingStage(TableStage):
    """A stage that judges sampled paths by their gold answers and their equations.

    `boxed` and `answer_marks` set how answers are read, `plain_equations` where equations are found. Rows without a
    gold answer take theirs from `golds`.
    """

    advice: ClassVar[Mapping[str, str]] = ADVICE
    input: ClassVar[Record] = SAMPLED

    boxed: Boxed = False
    answer_marks: AnswerMarks = GSM8K_MARKS
    plain_equations: PlainEquations = False
    golds: Annotated[
        Golds,
        Option("Questions with gold answers, matched by text.", long="--questions", metavar="INPUT", read=Golds.read),
    ] = field(default=NO_GOLDS, compare=False)
    merge: Annotated[
        tuple[str, ...],
        Option("Samples of another model, appended to the previous ones. Repeatable.", metavar="INPUT"),
    ] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_marks(self.answer_marks, boxed=self.boxed)

    @property
    def further_inputs(self) -> tuple[str, ...]:
        return self.merge

    def identity(self) -> dict[str, Any]:
        return super().identity() | self.golds.identity()

    def questions(
        self, tables: Sequence[pa.Table], output: Output
    ) -> Iterator[tuple[list[Row], FinalAnswer | None, list[Path]]]:
        """The rows, the gold answer and the judged paths of each question, in order of first appearance.

        Rows of a question without a gold answer are rejected as `no_gold`; it has no paths.
        """
        answers = answer_rule(self.boxed, self.answer_marks)
        for rows in paths_by_question(tables, self.golds):
            gold = answers.gold(rows[0]["answer"])
            paths = []
            if gold:
                paths = [judge(row["response"], gold, answers, plain_equations=self.plain_equations) for row in rows]
            else:
                for row in rows:
                    output.reject(row, "no_gold", f"no final answer can be read from {row['answer']!r:.200}")
            yield rows, gold, paths
