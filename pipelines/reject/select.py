"""Selecting sampled paths (arXiv 2308.01825, sections 3.2 and 3.3)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

import pyarrow as pa

from synth.pipelines.reject.judging import Judging
from synth.pipelines.reject.selection import select_paths
from synth.pipelines.runtime.answers.answer import FinalAnswer
from synth.pipelines.runtime.answers.equations import calculation_key, find_equations
from synth.pipelines.runtime.declared import Option
from synth.pipelines.runtime.stage import Output, Row
from synth.schemas.record import Record
from synth.schemas.records import SELECTED

__all__ = ["SelectPaths"]


@dataclass(frozen=True)
class SelectPaths(Judging):
    """Keep the paths with the right answer, right equations, and a calculation that no other kept path has.

    The gold solution of each question, then its kept paths, each trimmed after its answer line.

    A kept path is written without white space around it, such as the line break that a completion of the Alpaca prompt
    opens with, so that gold and sampled rows have one form; paths are compared as the model wrote them.

    Several tables are the samples of several models: selection runs over their union, in the order in which they are
    given (the paper's U13B and U33B). The order of the models matters, as the order of samples does.

    The gold row is `<query id>/gold`, left out where the gold is a bare answer or `gold` is false. Its calculation does
    not compete: a sampled path that repeats it may be kept, as in the published code. A kept path keeps its id (with
    several tables see `paths_by_question`, which also says how rows find their question and its gold answer in `golds`
    where they do not name them) and its reasoning, which no rule looks at. The other paths are rejected as `no_gold`,
    `no_answer`, `wrong_answer`, `wrong_equation` or `duplicate`, the last naming the path that is kept in their place.
    """

    name: ClassVar[str] = "reject select"
    version: ClassVar[int] = 2
    output: ClassVar[Record] = SELECTED
    commands: ClassVar[tuple[str, ...]] = (
        "synth reject select samples/ accepted/",
        "synth reject select samples-7b/ accepted/ --merge samples-13b/ --no-gold",
    )

    gold: Annotated[bool, Option("Put each question's gold solution before its paths.")] = True

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
        # Where the paths are an earlier selection, one of them has the name.
        if any(path["id"] == gold_id for path in rows):
            gold_id += "/gold"
        own = {"id": gold_id, "sample": None, "model": None, "reasoning": None}
        return {**_selected(row, "gold", solution, key), **own}


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
