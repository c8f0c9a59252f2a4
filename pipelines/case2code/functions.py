"""Functions worth learning from, out of any Python source (Case2Code, arXiv 2407.12504, section 3.1)."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, ClassVar

import pyarrow as pa

from synth.pipelines.case2code.candidates import Candidate, Unusable, candidates
from synth.pipelines.runtime.declared import Option
from synth.pipelines.runtime.processes import in_processes
from synth.pipelines.runtime.stage import Output, Rejected, Row, TableStage
from synth.schemas.record import Record
from synth.schemas.records import FUNCTION, PROGRAM

__all__ = ["Functions"]

# What one process takes at a time, in characters: about half a second of work.
CHARS_AT_A_TIME = 1_000_000


@dataclass(frozen=True)
class Functions(TableStage):
    """Take the functions that run on their own out of Python source, each program once.

    The functions at module level that run on their own, `<id>/<name>`, each program once.

    A function that is not kept is turned away with a reason: see `candidates` for what makes one unfit. A program that
    is there already is a `duplicate` or a `near_duplicate` (see `likeness`) of the first one in the order of the input,
    which `detail` names. A source is rejected if it cannot be read (`syntax_error`, `too_long`, `too_nested`), has no
    function at module level (`no_function`) or only such as are turned away (`nothing_kept`).

    Whether a program is a duplicate depends on all before it, hence a table stage. Memory holds two hashes for each
    kept function, and the sources under way.
    """

    name: ClassVar[str] = "case2code functions"
    input: ClassVar[Record] = PROGRAM
    output: ClassVar[Record] = FUNCTION

    reads: ClassVar[str] = (
        "Rows with a column `content`, a folder of .py files, or `packages:` (all that Python has installed)."
    )
    commands: ClassVar[tuple[str, ...]] = (
        "synth case2code functions packages: functions/",
        "synth case2code functions src/ functions/ --allow-package numpy",
    )

    max_chars: Annotated[int, Option("Longest program, in characters.", min=1)] = 5_120
    packages: Annotated[
        tuple[str, ...],
        Option(
            "A module outside the standard library that may be imported, where the sandbox has it. Repeatable.",
            long="--allow-package",
            metavar="NAME",
            read=lambda names: tuple(sorted(set(names))),
        ),
    ] = ()

    def process(self, tables: Sequence[pa.Table], output: Output) -> None:
        twins: dict[bytes, str] = {}
        for row, found in self._read(tables[0]):
            # The text of a source that gives nothing is not written again: it may be the most of a large corpus.
            source = {"id": row["id"]}
            if isinstance(found, Unusable):
                output.reject(source, found.reason, found.detail)
                continue
            kept = []
            for function_id, candidate in _with_ids(row["id"], found):
                function = {
                    "id": function_id,
                    "source_id": row["id"],
                    "code": candidate.code,
                    "func_name": candidate.name,
                }
                reason, detail = _fault(candidate, twins)
                if reason:
                    output.reject_output(Rejected(function, reason, detail))
                else:
                    twins.update(dict.fromkeys(candidate.likeness, function_id))
                    kept.append(function)
            output.tally("functions_seen", len(found))
            if kept:
                output.write(kept, accounts_for=1)
            elif found:
                output.reject(source, "nothing_kept", f"{len(found)} functions, all turned away")
            else:
                output.reject(source, "no_function", "no function at module level")

    def _read(self, table: pa.Table) -> Iterator[tuple[Row, list[Candidate] | Unusable]]:
        """Each source with its functions, or why it has none that can be looked at."""
        look = partial(_all_candidates, max_chars=self.max_chars, packages=self.packages)
        for rows, found in in_processes(look, _portions(table)):
            yield from zip(rows, found, strict=True)


def _portions(table: pa.Table) -> Iterator[list[Row]]:
    """All rows in order, in lists of about `CHARS_AT_A_TIME`."""
    portion: list[Row] = []
    chars = 0
    for batch in table.to_batches(max_chunksize=256):
        for row in batch.to_pylist():
            portion.append(row)
            chars += len(row["content"])
            if chars >= CHARS_AT_A_TIME:
                yield portion
                portion, chars = [], 0
    yield portion


def _all_candidates(
    rows: Sequence[Row], *, max_chars: int, packages: Sequence[str]
) -> list[list[Candidate] | Unusable]:
    return [_candidates(row, max_chars, packages) for row in rows]


def _candidates(row: Row, max_chars: int, packages: Sequence[str]) -> list[Candidate] | Unusable:
    try:
        return candidates(row["content"], row["import_code"] or (), max_chars=max_chars, packages=packages)
    except Unusable as unusable:
        return unusable


def _with_ids(source_id: str, found: Sequence[Candidate]) -> Iterator[tuple[str, Candidate]]:
    """A module may define a name again and again: the second time it is `name-2`, which is no name in Python."""
    times: Counter[str] = Counter()
    for candidate in found:
        times[candidate.name] += 1
        again = f"-{times[candidate.name]}" if times[candidate.name] > 1 else ""
        yield f"{source_id}/{candidate.name}{again}", candidate


def _fault(candidate: Candidate, twins: dict[bytes, str]) -> tuple[str, str]:
    if candidate.reason:
        return candidate.reason, candidate.detail
    exact, near = candidate.likeness
    if exact in twins:
        return "duplicate", f"the same text as {twins[exact]}"
    if near in twins:
        return "near_duplicate", f"the same but for names, docstring and annotations as {twins[near]}"
    return "", ""
