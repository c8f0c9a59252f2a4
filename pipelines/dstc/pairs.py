"""Preference pairs from a model's own programs and tests (DSTC, arXiv 2411.13611)."""

import keyword
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from synth.pipelines.dstc.drafts import Drafts, join_program, read_code, read_test
from synth.pipelines.dstc.matrix import Cells, Selection, select, unsettled
from synth.pipelines.dstc.trials import Trials
from synth.pipelines.engines import Completion, Sampling
from synth.pipelines.runtime.common_options import MaxTokens, MemoryMb, Repeat, Seconds, Temperature, TopP
from synth.pipelines.runtime.declared import ByOption, Option, shipped
from synth.pipelines.runtime.prompts import Prompt
from synth.pipelines.runtime.stage import Reject, Rejected, Row, RowStage, Tools
from synth.sandbox.verdict import Limits
from synth.schemas.errors import UsageError
from synth.schemas.record import Record
from synth.schemas.records import INSTRUCTION, LABELLED, PREFERENCE

__all__ = ["Format", "Pairs", "Style"]

FOLDER = Path(__file__).parent

Format = Literal["dpo", "kto"]
Style = Literal["chat", "plain"]


@dataclass(frozen=True)
class Pairs(RowStage):
    """Make preference pairs from the programs and tests that a model writes for each task (DSTC).

    A chosen program for each instruction with a test that it passes, and a rejected one with a test that it fails.

    As in the paper, the model writes `n_code` programs and `n_tests` tests of a function with a fixed name, every
    program is run with every test, and the pair is chosen by minimax, so that wrong tests matter less. Program and test
    are concatenated, so that the label is true for the text (it runs, or does not) even if the test is wrong. With
    `format` `kto`, the two are labelled rows, `<id>/chosen` and `<id>/rejected`.

    The paper leaves the details open; these are ours. Before `matrix.select`, the stage filters duplicates, programs
    that fail without a test (otherwise no test would be passed by all), tests that all or none of the programs pass,
    and as few programs and tests as possible so that reruns agree on the rest (`repeat`). Each side keeps the reasoning
    before its program; the reasoning before its test is dropped.
    A row is rejected as `bad_entry_point`, `too_few_codes` (of two), `too_few_tests`, `all_pass`, `none_pass` or
    `gap_too_small`.
    """

    name: ClassVar[str] = "dstc"
    version: ClassVar[int] = 2
    input: ClassVar[Record] = INSTRUCTION

    output = ByOption("format", {"dpo": PREFERENCE, "kto": LABELLED})
    uses_engine: ClassVar[bool] = True
    uses_sandbox: ClassVar[bool] = True
    commands: ClassVar[tuple[str, ...]] = (
        "synth dstc tasks.jsonl pairs/ --model Qwen/Qwen2.5-Coder-7B-Instruct",
        "synth dstc tasks.jsonl rows/ --model Qwen/Qwen2.5-Coder-7B-Instruct --format kto --n-code 16",
    )

    code_prompt: Annotated[Prompt, Option("Prompt file that asks for a program.", metavar="FILE")] = shipped(
        "code", FOLDER
    )
    test_prompt: Annotated[Prompt, Option("Prompt file that asks for a test.", metavar="FILE")] = shipped(
        "test", FOLDER
    )
    task_prompt: Annotated[Prompt, Option("Text file with the prompt of the output rows.", metavar="FILE")] = shipped(
        "task", FOLDER
    )
    format: Annotated[Format, Option("`dpo`: chosen and rejected; `kto`: rows with a label.")] = "dpo"
    style: Annotated[Style, Option("`chat` adds columns of messages; `plain` leaves them out.")] = "chat"
    entry: Annotated[str, Option("The function's name if a row has none.", metavar="NAME")] = "solution"
    n_code: Annotated[int, Option("Programs to write for each task.", min=2)] = 8
    n_tests: Annotated[int, Option("Tests to write for each task.", min=1)] = 8
    temperature: Temperature = 0.8
    top_p: TopP = 0.95
    max_tokens: MaxTokens = 1024
    seconds: Seconds = 5.0
    memory_mb: MemoryMb = 512
    repeat: Repeat = True
    min_tests: Annotated[int, Option("Tests that must distinguish the programs.", min=1)] = 2
    min_gap: Annotated[float, Option("Share of these by which the chosen program must be ahead.", min=0, max=1)] = 0.25

    def __post_init__(self) -> None:
        super().__post_init__()
        if not _is_name(self.entry):
            raise UsageError(f"--entry {self.entry} is not a valid function name")
        if self.min_tests > self.n_tests:
            raise UsageError(f"--min-tests {self.min_tests} is more than --n-tests {self.n_tests}")
        if self.task_prompt.is_chat:
            raise UsageError(f"--task-prompt {self.task_prompt.origin} is a chat, but must be plain text")

    async def process(self, row: Row, tools: Tools) -> AsyncIterator[Row | Rejected]:
        # The columns of filtered drafts in `rejected/`.
        column = "rejected_{}" if self.format == "dpo" else "{}"
        codes, tests = (Drafts(kind, row["id"], column.format(kind)) for kind in ("code", "test"))
        made: list[Row] = []
        fault = None
        try:
            made = await self._make(row, tools, codes, tests)
        except Reject as reject:
            fault = reject
        for draft in (*codes.filtered, *tests.filtered):
            yield draft
        if fault:
            # It concerns all programs and tests, if some could be read.
            fault.replies = (*codes.replies, *tests.replies) or fault.replies
            raise fault
        for one in made:
            yield one

    async def _make(self, row: Row, tools: Tools, codes: Drafts, tests: Drafts) -> list[Row]:
        entry = row["entry_point"] or self.entry
        if not _is_name(entry):
            raise Reject("bad_entry_point", f"{entry!r:.100} is no name that a function can have")
        asked = {"instruction": row["instruction"], "starter_code": row["starter_code"], "entry": entry}
        trials = Trials(tools, Limits(seconds=self.seconds, memory_mb=self.memory_mb), self.repeat)

        codes.read(await self._ask(tools, self.code_prompt, asked, self.n_code), read_code, entry)
        for number, fault in (await trials.faults(codes.texts)).items():
            codes.drop(number, "code_does_not_run", fault)
        self._need_enough(codes)
        tests.read(await self._ask(tools, self.test_prompt, asked, self.n_tests), read_test, entry)
        self._need_enough(codes, tests)
        cells = await trials.matrix(codes.texts, tests.texts)
        self._drop_unsettled(cells, codes, tests)
        self._drop_uninformative(cells, codes, tests)
        pair = select(cells, list(codes.texts), list(tests.texts))
        if pair.gap < self.min_gap or pair.chosen_code == pair.rejected_code:
            raise Reject(
                "gap_too_small", f"the best code is ahead of the worst by {pair.gap:.2f} of {len(tests)} tests"
            )

        common = {
            "prompt": self.task_prompt.render(**asked),
            "entry_point": entry,
            "gap": pair.gap,
            "n_codes": len(codes),
            "n_tests": len(tests),
            "codes": list(codes.texts.values()),
            "tests": list(tests.texts.values()),
            "matrix": ["".join("01"[cells[code, test] is True] for test in tests.texts) for code in codes.texts],
            "model": tools.model,
        }
        return self._rows(row["id"], common, codes, tests, pair)

    def _rows(self, row_id: str, common: Mapping[str, Any], codes: Drafts, tests: Drafts, pair: Selection) -> list[Row]:
        sides: dict[str, dict[str, Any]] = {}
        for side, code, test in (
            ("chosen", pair.chosen_code, pair.chosen_test),
            ("rejected", pair.rejected_code, pair.rejected_test),
        ):
            completion = f"```python\n{join_program(codes.texts[code], tests.texts[test])}```"
            turns = [{"role": "user", "content": common["prompt"]}, {"role": "assistant", "content": completion}]
            sides[side] = {
                "completion": completion,
                "messages": turns if self.style == "chat" else None,
                "code": codes.texts[code],
                "test": tests.texts[test],
                "reasoning": codes.reasoning[code],
            }
        if self.format == "kto":
            return [
                {"id": f"{row_id}/{side}", "label": side == "chosen", **columns, **common}
                for side, columns in sides.items()
            ]
        both = {
            f"{side}_{name}".removesuffix("_completion"): value
            for side, columns in sides.items()
            for name, value in columns.items()
        }
        return [{"id": row_id, **both, **common}]

    async def _ask(self, tools: Tools, prompt: Prompt, asked: Mapping[str, Any], n: int) -> Sequence[Completion]:
        sampling = Sampling(temperature=self.temperature, top_p=self.top_p, max_tokens=self.max_tokens)
        return (await tools.llm.generate(prompt.render(**asked), sampling, n=n)).completions

    def _need_enough(self, codes: Drafts, tests: Drafts | None = None) -> None:
        if len(codes) < 2:
            raise Reject("too_few_codes", f"{len(codes)} of {self.n_code} codes can be used, 2 are needed")
        if tests is not None and len(tests) < self.min_tests:
            raise Reject(
                "too_few_tests", f"{len(tests)} of {self.n_tests} tests can be used, {self.min_tests} are needed"
            )

    def _drop_unsettled(self, cells: Cells, codes: Drafts, tests: Drafts) -> None:
        lost_codes, lost_tests = unsettled(cells)
        for number in sorted(lost_codes):
            codes.drop(number, "code_nondeterministic", "what it passes changes when it is run again")
        for number in sorted(lost_tests):
            tests.drop(number, "test_nondeterministic", "what passes it changes when it is run again")
        self._need_enough(codes, tests)

    def _drop_uninformative(self, cells: Cells, codes: Drafts, tests: Drafts) -> None:
        every = len(codes)
        passing = {test: sum(cells[code, test] is True for code in codes.texts) for test in tests.texts}
        for number, count in passing.items():
            if count == every:
                tests.drop(number, "test_passed_by_all", f"all {every} codes pass it")
            elif count == 0:
                tests.drop(number, "test_failed_by_all", f"none of {every} codes passes it")
        if set(passing.values()) == {every}:
            raise Reject("all_pass", f"all {every} codes pass all {len(passing)} tests")
        if set(passing.values()) == {0}:
            raise Reject("none_pass", f"none of {every} codes passes any of {len(passing)} tests")
        self._need_enough(codes, tests)


def _is_name(entry: str) -> bool:
    return entry.isidentifier() and not keyword.iskeyword(entry)
