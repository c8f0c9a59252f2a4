"""How many distinct paths a question gets from its first k samples (arXiv 2308.01825, section 3.3)."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa

from synth.pipelines.reject.judging import Judging
from synth.pipelines.runtime.stage import Output
from synth.schemas.record import Record
from synth.schemas.records import CURVE

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
class Curve(Judging):
    """Count correct and distinct paths per question by the number of samples, as the paper's table does.

    Mean correct and distinct paths per question among the samples with an index below k.

    k runs over `SAMPLE_COUNTS` as far as there are samples, and ends with the number there are. Of several tables, each
    gives its first k samples; one that said nothing has no row and no path, but its index counts. Questions without a
    readable gold answer are rejected as `no_gold` and do not count, nor do those of which no sample said anything.
    """

    name: ClassVar[str] = "reject curve"
    version: ClassVar[int] = 2
    output: ClassVar[Record] = CURVE
    prints_rows: ClassVar[bool] = True
    commands: ClassVar[tuple[str, ...]] = (
        "synth reject curve samples/ curve/",
        "synth reject curve published/ curve/ --questions questions.jsonl --boxed",
    )

    def process(self, tables: Sequence[pa.Table], output: Output) -> None:
        correct, distinct = Counter[int](), Counter[int]()
        questions = judged = most = 0
        for rows, gold, paths in self.questions(tables, output):
            most = max(most, *(row["sample"] + 1 for row in rows))
            if gold is None:
                continue
            questions += 1
            judged += len(rows)
            for k in (*SAMPLE_COUNTS, ALL):
                among = [path for row, path in zip(rows, paths, strict=True) if row["sample"] < k]
                keys = [path.key for path in among if not path.reason]
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
