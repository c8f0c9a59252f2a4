"""Training rows from what the model gets right and wrong: tasks within its reach, and answers to be revised."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Annotated, Any, ClassVar

import pyarrow as pa
import xxhash

from synth.pipelines.engines import Message
from synth.pipelines.runtime.common_options import PromptFile
from synth.pipelines.runtime.declared import Option, amounts, shipped
from synth.pipelines.runtime.prompts import Prompt
from synth.pipelines.runtime.stage import Output, Reject, Rejected, Row, TableStage
from synth.pipelines.tools.calls import ToolCall, parsed, written
from synth.pipelines.tools.task import RIGHT, ToolTask, check_chat, check_text
from synth.pipelines.tools.turns import ToolTurn, expected_calls, for_templates
from synth.schemas.errors import UsageError
from synth.schemas.record import Record
from synth.schemas.records import TOOL_LESSON, TOOL_SAMPLES

__all__ = ["SelectTools"]

FOLDER = Path(__file__).parent
ROWS_AT_A_TIME = 256
# The columns with a value for each sample.
SAMPLES = ("responses", "attempts", "labels")
# Samples in which the model said nothing that it could revise.
WITHOUT_ANSWER = frozenset({"truncated", "refused", "empty_answer"})


@dataclass(frozen=True)
class SelectTools(TableStage):
    """Select the tasks within the model's reach, and make training rows of them and of its samples (ToolACE-R).

    Reads the output of `refine tools`. A task is selected if its `difficulty`, the share of right samples, is above the
    first number of `between` and not above the second (arXiv 2504.01400 trains on what is within reach; the bounds are
    ours). Others are rejected as `out_of_reach` or `too_easy`, and may come back in the next round; rows that are not
    such an output as `bad_samples`, or as `refine tools` rejects them.

    A selected task gives up to three rows: `<id>/call`, the right calls; `<id>/corrected`, the right calls after the
    model's first wrong sample; `<id>/unchanged`, its first right sample after itself, which teaches to stop. Of the
    last kind as many are kept as make up `unchanged_share` of the rows with a first answer, rounded up, and at least
    one. The rest is filtered as `enough_unchanged`. The first answer stands in the user's turn, in the words of
    `refine_prompt`, so that nothing is learnt from a wrong one.

    `messages` are the chat as `refine tools` asks it, to train on as it is; `chat` and `functions` are the same with
    tools and calls apart, for `synth export --as tool-calls`.
    """

    name: ClassVar[str] = "refine tools select"
    input: ClassVar[Record] = TOOL_SAMPLES
    output: ClassVar[Record] = TOOL_LESSON
    commands: ClassVar[tuple[str, ...]] = (
        "synth refine tools select tool-samples/ tool-lessons/",
        "synth refine tools select tool-samples/ hard-lessons/ --between 0,0.75 --unchanged-share 0.5",
    )

    prompt: PromptFile = shipped("call", FOLDER)
    refine_prompt: Annotated[Prompt, Option("Text file with the request to revise an answer.", metavar="FILE")] = (
        shipped("refine", FOLDER)
    )
    between: Annotated[
        Sequence[float],
        Option(
            "Select tasks with more than LOW and at most HIGH of their samples right.",
            min=0,
            max=1,
            metavar="LOW,HIGH",
            default="0,1",
            read=amounts("--between"),
        ),
    ] = (0.0, 1.0)
    unchanged_share: Annotated[
        float, Option("Share of the rows with a first answer that leave it unchanged.", min=0, max=0.99)
    ] = 0.3

    def __post_init__(self) -> None:
        super().__post_init__()
        check_chat(self.prompt)
        check_text(self.refine_prompt)
        if len(self.between) != 2 or self.between[0] >= self.between[1]:
            raise UsageError(
                f"--between {','.join(f'{one:g}' for one in self.between)}: expected LOW,HIGH, as in 0,0.5"
            )

    def process(self, tables: Sequence[pa.Table], output: Output) -> None:
        kept = self._unchanged_to_keep(tables, output)
        low, high = self.between
        for row in _rows(tables):
            share = f"{row['difficulty']:.3g} of its samples are right"
            if row["difficulty"] <= low:
                output.reject(row, "out_of_reach", share)
            elif row["difficulty"] > high:
                output.reject(row, "too_easy", share)
            else:
                try:
                    lessons = list(self._lessons(row))
                except Reject as reject:
                    output.reject(row, reject.reason, reject.detail)
                    continue
                spare = {lesson["id"] for lesson in lessons if lesson["kind"] == "unchanged" and row["id"] not in kept}
                for lesson in lessons:
                    if lesson["id"] in spare:
                        output.reject_output(Rejected(lesson, "enough_unchanged", "", []))
                output.write([lesson for lesson in lessons if lesson["id"] not in spare], accounts_for=1)
                output.tally("selected_tasks")

    def _unchanged_to_keep(self, tables: Sequence[pa.Table], output: Output) -> set[str]:
        """The ids of the tasks whose right sample becomes a row: a random choice of their number."""
        salt = output.salt("unchanged")
        low, high = self.between
        corrected, unchanged = 0, list[tuple[int, str]]()
        for row in _rows(tables, ["id", "difficulty", "labels"]):
            if low < row["difficulty"] <= high:
                corrected += _first_wrong(row) is not None
                unchanged.append((xxhash.xxh3_64_intdigest(row["id"].encode(), salt), row["id"]))
        wanted = ceil(round(corrected * self.unchanged_share / (1 - self.unchanged_share), 6))
        return {name for _, name in sorted(unchanged)[: max(wanted, 1 if self.unchanged_share else 0)]}

    def _lessons(self, row: Row) -> Iterator[Row]:
        task = ToolTask.read(row)
        if task.calls is None or RIGHT not in row["labels"] or len({len(row[name]) for name in SAMPLES}) > 1:
            raise Reject("bad_samples", f"no right sample in {', '.join(SAMPLES)}, or they are not equally many")
        if None in row["labels"] or None in row["responses"]:
            raise Reject("bad_samples", "a sample has no label or no response")
        gold = written(task.calls)
        yield self._lesson(row, task, "call", None, gold, task.calls)
        wrong = _first_wrong(row)
        if wrong is not None:
            yield self._lesson(row, task, "corrected", _answer(row, wrong), gold, task.calls)
        right = row["labels"].index(RIGHT)
        first = _answer(row, right)
        yield self._lesson(row, task, "unchanged", first, first, expected_calls(row["attempts"][right], ()))

    def _lesson(
        self, row: Row, task: ToolTask, kind: str, first: str | None, target: str, calls: Sequence[ToolCall]
    ) -> dict[str, Any]:
        if first is not None:
            task = task.requested(str(self.refine_prompt.render(first=first)))
        answer = ToolTurn("assistant", "" if calls else target, tuple(calls))
        return {
            "id": f"{row['id']}/{kind}",
            "task_id": row["id"],
            "kind": kind,
            "messages": [*task.asked(self.prompt), Message(role="assistant", content=target)],
            "first": first,
            "target": target,
            "changed": None if first is None else kind == "corrected",
            "difficulty": row["difficulty"],
            "chat": json.dumps(for_templates((*task.turns, answer)), ensure_ascii=False),
            "functions": json.dumps(task.toolbox.specified, ensure_ascii=False),
        }


def _first_wrong(row: Row) -> int | None:
    """The first sample that says something wrong."""
    return next((at for at, label in enumerate(row["labels"]) if label not in (RIGHT, *WITHOUT_ANSWER)), None)


def _answer(row: Row, sample: int) -> str:
    """The calls of a sample in JSON, or what it says if it has none."""
    attempt: str | None = row["attempts"][sample]
    return attempt if attempt and parsed(attempt) else str(row["responses"][sample])


def _rows(tables: Sequence[pa.Table], names: Sequence[str] | None = None) -> Iterator[Row]:
    for table in tables:
        for batch in (table.select(list(names)) if names else table).to_batches(max_chunksize=ROWS_AT_A_TIME):
            yield from batch.to_pylist()
