"""Extract self-contained functions from Python source (Case2Code, arXiv 2407.12504, section 3.1)."""

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

# Batch size of a process, in characters: about half a second of work.
BATCH_CHARS = 1_000_000


@dataclass(frozen=True)
class Functions(TableStage):
    """Take the functions that run on their own out of Python source, each program once.

    The functions at module level that run on their own, `<id>/<name>`, each program once.

    Other functions are filtered with a reason: see `candidates`. A repeated program is a `duplicate` or
    `near_duplicate` (see `likeness`) of the first one in input order, which `detail` names. A source is rejected if it
    cannot be parsed (`syntax_error`, `too_long`, `too_nested`), has no function at module level (`no_function`) or if
    all its functions are filtered (`nothing_kept`).

    Deduplication depends on all earlier programs, hence a table stage. Memory holds two hashes for each kept function,
    and the sources being processed.
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
        seen: dict[bytes, str] = {}
        for row, found in self._read(tables[0]):
            # Rejected sources are written without their text, which may be most of a large corpus.
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
                reason, detail = _fault(candidate, seen)
                if reason:
                    output.reject_output(Rejected(function, reason, detail))
                else:
                    seen.update(dict.fromkeys(candidate.likeness, function_id))
                    kept.append(function)
            output.tally("functions_seen", len(found))
            if kept:
                output.write(kept, accounts_for=1)
            elif found:
                output.reject(source, "nothing_kept", f"{len(found)} functions, all turned away")
            else:
                output.reject(source, "no_function", "no function at module level")

    def _read(self, table: pa.Table) -> Iterator[tuple[Row, list[Candidate] | Unusable]]:
        """Each source with its functions, or why it cannot be parsed."""
        read = partial(_all_candidates, max_chars=self.max_chars, packages=self.packages)
        for rows, found in in_processes(read, _portions(table)):
            yield from zip(rows, found, strict=True)


def _portions(table: pa.Table) -> Iterator[list[Row]]:
    """All rows in order, in lists of about `BATCH_CHARS`."""
    portion: list[Row] = []
    chars = 0
    for batch in table.to_batches(max_chunksize=256):
        for row in batch.to_pylist():
            portion.append(row)
            chars += len(row["content"])
            if chars >= BATCH_CHARS:
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
    """Repeated definitions of a name get ids `name-2`, `name-3`, ..., which no Python name can equal."""
    times: Counter[str] = Counter()
    for candidate in found:
        times[candidate.name] += 1
        suffix = f"-{times[candidate.name]}" if times[candidate.name] > 1 else ""
        yield f"{source_id}/{candidate.name}{suffix}", candidate


def _fault(candidate: Candidate, seen: dict[bytes, str]) -> tuple[str, str]:
    if candidate.reason:
        return candidate.reason, candidate.detail
    exact, near = candidate.likeness
    if exact in seen:
        return "duplicate", f"the same text as {seen[exact]}"
    if near in seen:
        return "near_duplicate", f"the same but for names, docstring and annotations as {seen[near]}"
    return "", ""
