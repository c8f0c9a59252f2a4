"""Mean number of distinct paths per question among the first k samples (arXiv 2308.01825, section 3.3)."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa

from synth.pipelines.reject.judging import JudgingStage
from synth.pipelines.runtime.stage import Output
from synth.schemas.record import Record
from synth.schemas.records import CURVE

__all__ = ["Curve"]

# The paper reports more than one distinct path per question at k = 1, so it cannot count those among the first k
# samples. Only its figures for k = 100 can be compared, such as 5.25 for LLaMA-7B.
SAMPLE_COUNTS = (1, 3, 6, 12, 25, 50, 100)
# Exceeds every sample index.
ALL = 1 << 31


@dataclass(frozen=True)
class Curve(JudgingStage):
    """Count correct and distinct paths per question by the number of samples, as the paper's table does.

    Writes the mean per question over the samples with an index below k, for 1, 3, 6, 12, 25, 50, 100 and the number of
    samples. With several tables, each contributes its first k samples. An empty sample has no row and no path, but its
    index counts. Questions without a readable gold answer are rejected as `no_gold` and do not count; nor do questions
    whose samples are all empty.
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
        questions = judged = samples = 0
        for rows, gold, paths in self.questions(tables, output):
            samples = max(samples, *(row["sample"] + 1 for row in rows))
            if gold is None:
                continue
            questions += 1
            judged += len(rows)
            for k in (*SAMPLE_COUNTS, ALL):
                first = [path for row, path in zip(rows, paths, strict=True) if row["sample"] < k]
                keys = [path.key for path in first if not path.reason]
                correct[k] += len(keys)
                distinct[k] += len(set(keys))
        output.write(
            (
                {
                    "id": f"k-{min(k, samples)}",
                    "k": min(k, samples),
                    "questions": questions,
                    "correct_paths": correct[k] / questions,
                    "distinct_paths": distinct[k] / questions,
                }
                for k in (*SAMPLE_COUNTS, ALL)
                if questions and (k < samples or k == ALL)
            ),
            accounts_for=judged,
        )
