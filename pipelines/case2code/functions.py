"""Extract self-contained functions from Python source (Case2Code, arXiv 2407.12504, section 3.1)."""

import gc
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, ClassVar

import pyarrow as pa

from synth.pipelines.case2code.candidates import Candidate, Unusable, candidates
from synth.pipelines.runtime.declared import Option
from synth.pipelines.runtime.portions import pack, portions, unpack
from synth.pipelines.runtime.processes import in_processes
from synth.pipelines.runtime.stage import Output, Rejected, TableStage
from synth.schemas.record import Record
from synth.schemas.records import FUNCTION, PROGRAM

__all__ = ["Functions"]

# What a worker process is given at once: about a tenth of a second of work.
PORTION_BYTES = 1 << 20


@dataclass(frozen=True)
class Functions(TableStage):
    """Extract self-contained functions from Python source, without duplicates.

    Keeps the module-level functions that run on their own, as `<id>/<name>`.

    Other functions are filtered with a reason: see `candidates`. A repeated program is a `duplicate` or
    `near_duplicate` (see `fingerprint`) of the first one in input order, which `detail` names. A source is rejected if
    it cannot be parsed (`syntax_error`, `too_long`, `too_nested`), has no module-level function (`no_function`) or if
    all its functions are filtered (`nothing_kept`).

    Deduplication depends on all earlier programs, hence a table stage. Memory: two hashes per kept function, and the
    sources being processed.
    """

    name: ClassVar[str] = "case2code functions"
    input: ClassVar[Record] = PROGRAM
    output: ClassVar[Record] = FUNCTION

    reads: ClassVar[str] = (
        "Rows with a column `content`, a folder of .py files, or `packages:` (all packages installed in Python)."
    )
    commands: ClassVar[tuple[str, ...]] = (
        "synth case2code functions packages: functions/",
        "synth case2code functions src/ functions/ --allow-package numpy",
    )

    max_chars: Annotated[int, Option("Longest program, in characters.", min=1)] = 5_120
    packages: Annotated[
        tuple[str, ...],
        Option(
            "Allow imports of a module outside the standard library; the sandbox must have it. Repeatable.",
            long="--allow-package",
            metavar="NAME",
            read=lambda names: tuple(sorted(set(names))),
        ),
    ] = ()

    def process(self, tables: Sequence[pa.Table], output: Output) -> None:
        seen: dict[bytes, str] = {}
        for source_id, found in self._read(tables[0]):
            # Without the text, which may be most of a large corpus.
            source = {"id": source_id}
            if isinstance(found, Unusable):
                output.reject(source, found.reason, found.detail)
                continue
            kept = []
            for function_id, candidate in _with_ids(source_id, found):
                function = {
                    "id": function_id,
                    "source_id": source_id,
                    "code": candidate.code,
                    "func_name": candidate.name,
                }
                reason, detail = _fault(candidate, seen)
                if reason:
                    output.reject_output(Rejected(function, reason, detail))
                else:
                    seen.update(dict.fromkeys(candidate.fingerprint, function_id))
                    kept.append(function)
            output.tally("functions_seen", len(found))
            if kept:
                output.write(kept, accounts_for=1)
            elif found:
                output.reject(source, "nothing_kept", f"{len(found)} functions, all turned away")
            else:
                output.reject(source, "no_function", "no function at module level")

    def _read(self, table: pa.Table) -> Iterator[tuple[str, list[Candidate] | Unusable]]:
        """The id of each source with its functions, or why it cannot be used."""
        read = partial(_read_portion, max_chars=self.max_chars, packages=self.packages)
        for _, found in in_processes(read, map(pack, portions(table, max_bytes=PORTION_BYTES))):
            yield from found


def _read_portion(
    packed: bytes, *, max_chars: int, packages: Sequence[str]
) -> list[tuple[str, list[Candidate] | Unusable]]:
    found: list[tuple[str, list[Candidate] | Unusable]] = []
    # Syntax trees have no cycles, and looking for some in them takes a sixth of the time.
    gc.disable()
    try:
        for row in unpack(packed).to_pylist():
            imports = row["import_code"] or ()
            try:
                functions = candidates(row["content"], imports, max_chars=max_chars, packages=packages)
            except Unusable as unusable:
                found.append((row["id"], unusable))
            else:
                found.append((row["id"], functions))
    finally:
        gc.enable()
    return found


def _with_ids(source_id: str, found: Sequence[Candidate]) -> Iterator[tuple[str, Candidate]]:
    """Repeated definitions of a name get ids `name-2`, `name-3`, ..., which cannot collide with a Python name."""
    times: Counter[str] = Counter()
    for candidate in found:
        times[candidate.name] += 1
        suffix = f"-{times[candidate.name]}" if times[candidate.name] > 1 else ""
        yield f"{source_id}/{candidate.name}{suffix}", candidate


def _fault(candidate: Candidate, seen: dict[bytes, str]) -> tuple[str, str]:
    if candidate.reason:
        return candidate.reason, candidate.detail
    exact, near = candidate.fingerprint
    if exact in seen:
        return "duplicate", f"the same text as {seen[exact]}"
    if near in seen:
        return "near_duplicate", f"the same but for names, docstring and annotations as {seen[near]}"
    return "", ""
