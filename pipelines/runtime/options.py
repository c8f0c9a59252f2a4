"""What a run is told beside its stage, and which of it has a part in the rows that come out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Options"]


@dataclass(frozen=True)
class Options:
    """How to run a stage.

    `identity` holds what determines the rows. Everything else only decides how the work is done and may change from one
    run to the next without making what lies there stale: it is these fields, where the input and the output lie, what
    is shown meanwhile, and the engine arguments in `synth.pipelines.engines.vllm.SCHEDULING`.
    """

    seed: int = 0
    # Read only the first rows of the input.
    limit: int | None = None
    # Read only as many rows, from the first, as give this many output rows.
    until: int | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    # What becomes of input rows that cannot be read or used: `refuse` the input, or `reject` them.
    bad_rows: str = "refuse"
    # The text column that gets the name of each row's file.
    file_column: str | None = None

    # Start over.
    fresh: bool = False
    # Parse anew what the engine answered, and ask only what it was never asked.
    reparse: bool = False
    # Try the failed rows of a complete output again.
    retry_failed: bool = False
    # Publish the engine's raw answers beside the rows.
    keep_answers: bool = False
    in_flight: int = 2048
    # Rows that are published together; an output that has been begun keeps the size that it was begun with.
    chunk_rows: int = 4096
    max_failures: int = 0
    # Stop when prompts and completions come to this many tokens, those of earlier runs of the same output included.
    budget_tokens: int | None = None
    # The command line, recorded for whoever wants to repeat it.
    command: Sequence[str] = ()

    @property
    def rejects_bad_rows(self) -> bool:
        return self.bad_rows == "reject"

    def identity(self) -> dict[str, Any]:
        reading = {"bad_rows": None if self.bad_rows == "refuse" else self.bad_rows, "file_column": self.file_column}
        return {
            "columns": dict(self.columns),
            "limit": self.limit,
            "until": self.until,
            "seed": self.seed,
            # What was made before there were these options stays what it is.
            **{name: value for name, value in reading.items() if value is not None},
        }
