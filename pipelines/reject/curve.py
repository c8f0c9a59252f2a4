"""How many distinct paths a question gets from its first k samples (arXiv 2308.01825, section 3.3)."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import pyarrow as pa

from pipelines.reject.answer import GSM8K_MARKS
from pipelines.reject.golds import NO_GOLDS, Golds
from pipelines.reject.questions import paths_by_question
from pipelines.reject.rules import ADVICE, answer_rule, check_marks
from pipelines.reject.selection import judge
from pipelines.stage import Output, TableStage
from schemas.record import Record
from schemas.records import CURVE, SAMPLED

__all__ = ["PAPER_DISTINCT_PATHS", "SAMPLE_COUNTS", "Curve"]

SAMPLE_COUNTS = (1, 3, 6, 12, 25, 50, 100)
# More than any sample index: all samples there are.
ALL = 1 << 31

# Distinct paths per question by k. At k = 1 the paper counts more than one path a question, so that it must count in
# another way than "distinct among the first k samples"; its set sizes agree with its table at k = 100 only. Compare
# there, and elsewhere only the shape.
PAPER_DISTINCT_PATHS = {
    "LLaMA-7B": (1.17, 1.44, 1.74, 2.20, 2.93, 3.94, 5.25),
    "LLaMA2-7B": (1.19, 1.47, 1.78, 2.23, 2.93, 3.91, 5.19),
    "LLaMA-13B": (1.15, 1.41, 1.69, 2.11, 2.88, 3.90, 5.26),
    "LLaMA2-13B": (1.18, 1.45, 1.76, 2.21, 2.94, 3.94, 5.29),
    "LLaMA-33B": (1.06, 1.16, 1.28, 1.46, 1.77, 2.19, 2.78),
}


@dataclass(frozen=True)
class Curve(TableStage):
    """Mean correct and distinct paths per question among the samples with an index below k.

    k runs over `SAMPLE_COUNTS` as far as there are samples, and ends with the number there are. Of several tables, each
    gives its first k samples; one that said nothing has no row and no path, but its index counts. Questions without a
    readable gold answer are rejected as `no_gold` and do not count, nor do those of which no sample said anything.
    """

    name: ClassVar[str] = "reject curve"
    version: ClassVar[int] = 2
    advice: ClassVar[Mapping[str, str]] = ADVICE
    input: ClassVar[Record] = SAMPLED
    output: ClassVar[Record] = CURVE

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

    def process(self, tables: Sequence[pa.Table], output: Output) -> None:
        answers = answer_rule(self.boxed, self.answer_marks)
        correct, distinct = Counter[int](), Counter[int]()
        questions = judged = most = 0
        for rows in paths_by_question(tables, self.golds):
            most = max(most, *(row["sample"] + 1 for row in rows))
            gold = answers.gold(rows[0]["answer"])
            if gold is None:
                for row in rows:
                    output.reject(row, "no_gold", f"no final answer can be read from {row['answer']!r:.200}")
                continue
            questions += 1
            judged += len(rows)
            paths = [
                (row["sample"], judge(row["response"], gold, answers, plain_equations=self.plain_equations))
                for row in rows
            ]
            for k in (*SAMPLE_COUNTS, ALL):
                keys = [path.key for sample, path in paths if sample < k and not path.reason]
                correct[k] += len(keys)
                distinct[k] += len(set(keys))
        output.write(
            (
                {
                    "id": f"k-{min(k, most)}",
                    "k": min(k, most),
                    "questions": questions,
                    "correct_paths": correct[k] / questions,
                    "distinct_paths": distinct[k] / questions,
                }
                for k in (*SAMPLE_COUNTS, ALL)
                if questions and (k < most or k == ALL)
            ),
            accounts_for=judged,
        )
