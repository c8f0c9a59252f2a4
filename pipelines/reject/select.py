"""Selecting sampled paths (arXiv 2308.01825, sections 3.2 and 3.3)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

import pyarrow as pa

from synth.pipelines.reject.judging import JudgingStage
from synth.pipelines.reject.selection import select_paths
from synth.pipelines.runtime.answers.answer import FinalAnswer
from synth.pipelines.runtime.answers.equations import calculation_key, find_equations
from synth.pipelines.runtime.declared import Option
from synth.pipelines.runtime.stage import Output, Row
from synth.schemas.record import Record
from synth.schemas.records import SELECTED

__all__ = ["SelectPaths"]


@dataclass(frozen=True)
class SelectPaths(JudgingStage):
    """Keep the paths with the right answer, correct equations, and a calculation that no other kept path has.

    Writes the gold solution of each question, then its kept paths, each cut after its answer line and stripped of
    surrounding white space (a completion of the Alpaca prompt starts with a line break). Paths are compared unstripped.

    Several tables are the samples of several models: selection runs over their union in the given order (the paper's
    U13B and U33B). The order of models and of samples affects the result.

    The gold row is `<query id>/gold`; it is omitted if the gold is a bare answer or `gold` is false. As in the
    published code, a sampled path with the gold solution's calculation may be kept. Kept paths keep their id (with
    several tables, `/source-<number of the table>` is appended) and their reasoning, which is not judged. Rows without
    a query id are matched to a question by its exact text, rows without a gold answer to `golds`. The other paths are
    rejected as `no_gold`, `no_answer`, `wrong_answer`, `wrong_equation` or `duplicate` (of the kept path in `detail`).
    """

    name: ClassVar[str] = "reject select"
    version: ClassVar[int] = 2
    output: ClassVar[Record] = SELECTED
    commands: ClassVar[tuple[str, ...]] = (
        "synth reject select samples/ accepted/",
        "synth reject select samples-7b/ accepted/ --merge samples-13b/ --no-gold",
    )

    gold: Annotated[bool, Option("Write each question's gold solution before its paths.")] = True

    def process(self, tables: Sequence[pa.Table], output: Output) -> None:
        for rows, gold, paths in self.questions(tables, output):
            output.tally("questions")
            if gold is None:
                continue
            kept_for = select_paths(paths)
            kept = list(dict.fromkeys(kept_for.values()))
            if self.gold and (gold_row := self._gold_row(rows, gold)):
                output.write([gold_row], accounts_for=0)
            output.write(
                [_selected(rows[index], "sampled", paths[index].text.strip(), paths[index].key) for index in kept],
                accounts_for=len(kept),
            )
            for index, (row, path) in enumerate(zip(rows, paths, strict=True)):
                if path.reason:
                    output.reject(row, path.reason, path.detail)
                elif kept_for[index] != index:
                    output.reject(row, "duplicate", f"same calculation as {rows[kept_for[index]]['id']}")
            output.tally("correct_paths", len(kept_for))
            output.tally("distinct_paths", len(kept))
            output.tally("questions_with_2_distinct", len(kept) >= 2)

    def _gold_row(self, rows: Sequence[Row], gold: FinalAnswer) -> Row | None:
        row = rows[0]
        solution = row["answer"]
        if not solution[: gold.start].strip():
            return None
        key = calculation_key(find_equations(solution, plain=self.plain_equations))
        gold_id = f"{row['query_id']}/gold"
        # The paths may come from an earlier selection, which has this id already.
        if any(path["id"] == gold_id for path in rows):
            gold_id += "/gold"
        overrides = {"id": gold_id, "sample": None, "model": None, "reasoning": None}
        return {**_selected(row, "gold", solution, key), **overrides}


def _selected(row: Row, origin: str, response: str, key: str) -> dict[str, object]:
    return {
        "id": row["id"],
        "query_id": row["query_id"],
        "query": row["query"],
        "response": response,
        "origin": origin,
        "key": key,
        "sample": row["sample"],
        "model": row["model"],
        "reasoning": row["reasoning"],
    }
