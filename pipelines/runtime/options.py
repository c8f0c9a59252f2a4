"""Options of a run, apart from those of its stage, and which of them determine the output."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from synth.pipelines.runtime.declared import Option, assignments

__all__ = ["Options", "ReadingOptions", "TableOptions"]

PANEL = "Running"


@dataclass(frozen=True)
class ReadingOptions:
    """How inputs are read."""

    columns: Annotated[
        Mapping[str, str],
        Option(
            "Read column TO from input column FROM. Repeatable.",
            long="--column",
            metavar="TO=FROM",
            read=assignments("--column", "TO=FROM"),
            panel=PANEL,
        ),
    ] = field(default_factory=dict)
    limit: Annotated[int | None, Option("Read only the first rows of the input.", min=1, panel=PANEL)] = None
    bad_rows: Annotated[
        Literal["refuse", "reject"],
        Option("Input rows that cannot be used end the run, or go to rejected/.", panel=PANEL),
    ] = "refuse"
    file_column: Annotated[
        str | None, Option("A text column for the name of each row's file.", metavar="NAME", panel=PANEL)
    ] = None
    fresh: Annotated[bool, Option("Start over, replacing OUTPUT.", panel=PANEL)] = False

    @property
    def rejects_bad_rows(self) -> bool:
        return self.bad_rows == "reject"


@dataclass(frozen=True)
class TableOptions(ReadingOptions):
    """Options of every stage."""

    seed: Annotated[int, Option("All randomness follows from it and from row ids.", panel=PANEL)] = 0


@dataclass(frozen=True)
class Options(TableOptions):
    """How to run a stage; the fields of this class itself concern row stages.

    `identity` holds what determines the rows. Everything else only decides how the work is done and may change from one
    run to the next without making an output stale: it is these fields, where the input and the output lie, what is
    shown meanwhile, and the engine arguments in `synth.pipelines.engines.vllm.SCHEDULING`.
    """

    until: Annotated[int | None, Option("Stop when N output rows are complete.", min=1, metavar="N", panel=PANEL)] = (
        None
    )
    budget_tokens: Annotated[
        int | None,
        Option(
            "Stop after N tokens (exit 3); rerun with a larger budget to continue.", min=1, metavar="N", panel=PANEL
        ),
    ] = None
    max_failures: Annotated[
        int, Option("Publish although up to this many rows failed (exit 3 beyond).", min=0, panel=PANEL)
    ] = 0
    retry_failed: Annotated[bool, Option("Try the failed rows of a complete OUTPUT again.", panel=PANEL)] = False
    keep_answers: Annotated[bool, Option("Keep the model's raw answers in OUTPUT.", panel=PANEL)] = False
    reparse: Annotated[bool, Option("Parse stored answers again; ask only what was never asked.", panel=PANEL)] = False
    in_flight: Annotated[int, Option("Rows processed concurrently.", min=1, panel=PANEL)] = 2048
    # Rows published together; a resumed output keeps its chunk size.
    chunk_rows: int = 4096
    # The command line, recorded for whoever wants to repeat it.
    command: Sequence[str] = ()

    def identity(self) -> dict[str, Any]:
        reading = {"bad_rows": None if self.bad_rows == "refuse" else self.bad_rows, "file_column": self.file_column}
        return {
            "columns": dict(self.columns),
            "limit": self.limit,
            "until": self.until,
            "seed": self.seed,
            # Absent rather than null, so that older outputs keep their identity.
            **{name: value for name, value in reading.items() if value is not None},
        }
