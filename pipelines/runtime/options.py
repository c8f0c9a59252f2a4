"""The options of a run besides those of its stage, and which of them determine the output."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from synth.pipelines.runtime.declared import Option, amount, assignments
from synth.schemas.errors import UsageError
from synth.schemas.slices import Slice

__all__ = ["Options", "RowOptions", "ScaleOptions", "TableOptions", "ToolOptions"]

PANEL = "Running"


@dataclass(frozen=True)
class TableOptions:
    """Options of every stage."""

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
        Option("Whether unusable input rows end the run or go to rejected/.", panel=PANEL),
    ] = "refuse"
    file_column: Annotated[
        str | None, Option("Add a text column with the name of each row's file.", metavar="NAME", panel=PANEL)
    ] = None
    events: Annotated[
        Path | None,
        Option("Append what happens during the run to FILE, one JSON object a line.", metavar="FILE", panel=PANEL),
    ] = None
    seed: Annotated[int, Option("Seed of all randomness, together with row ids.", panel=PANEL)] = 0
    fresh: Annotated[bool, Option("Start over, replacing OUTPUT.", panel=PANEL)] = False
    stale: Annotated[
        Literal["refuse", "update", "fresh"],
        Option(
            "What to do if OUTPUT was made with other settings: update it with the answers that still apply, start "
            "over, or refuse (exit 4).",
            env="SYNTH_STALE",
            panel=PANEL,
        ),
    ] = "refuse"

    @property
    def rejects_bad_rows(self) -> bool:
        return self.bad_rows == "reject"


@dataclass(frozen=True)
class ScaleOptions(TableOptions):
    """Where the chunks of a row stage are processed."""

    on: Annotated[
        str | None,
        Option(
            "Run on a Ray cluster, by default the one that RAY_ADDRESS names, else one on this machine.",
            metavar="ray[:ADDRESS]",
            panel=PANEL,
        ),
    ] = None
    workers: Annotated[
        int | None,
        Option(
            "Workers on the cluster, each with its own engine and sandbox.",
            min=1,
            default="as many as its GPUs allow; without GPUs, one for each node",
            panel=PANEL,
        ),
    ] = None
    slice: Annotated[
        Slice | None,
        Option(
            "Do only slice I of N, from 0 to N-1. When all are done, the command without --slice publishes OUTPUT.",
            metavar="I/N",
            read=Slice.parse,
            # What is repeated to finish the output is the command without it.
            recorded=False,
            panel=PANEL,
        ),
    ] = None


@dataclass(frozen=True)
class RowOptions(ScaleOptions):
    """Further options of row stages."""

    until: Annotated[int | None, Option("Stop when N output rows are complete.", min=1, metavar="N", panel=PANEL)] = (
        None
    )
    max_failures: Annotated[
        int, Option("Publish although up to this many rows failed (exit 3 beyond).", min=0, panel=PANEL)
    ] = 0
    retry_failed: Annotated[bool, Option("Try the failed rows of a complete OUTPUT again.", panel=PANEL)] = False


@dataclass(frozen=True)
class ToolOptions(RowOptions):
    """Further options of row stages that use a model or the sandbox."""

    keep_answers: Annotated[
        bool, Option("Keep the raw answers of the model and the sandbox in OUTPUT, compressed.", panel=PANEL)
    ] = True
    update: Annotated[bool, Option("Remake OUTPUT from the recorded answers; send only new requests.", panel=PANEL)] = (
        False
    )
    in_flight: Annotated[int, Option("Rows processed concurrently.", min=1, panel=PANEL)] = 2048


@dataclass(frozen=True)
class Options(ToolOptions):
    """All options of a run; those declared here are for row stages that use a model.

    `identity` has the options that determine the rows. The others only decide how the work is done: they may change
    between runs without making an output stale, like the paths of input and output, the display of progress, and the
    engine arguments in `synth.pipelines.engines.vllm.SCHEDULING`.
    """

    budget_tokens: Annotated[
        int | None,
        Option(
            "Stop after N tokens (exit 3); rerun with a larger budget to continue.", min=1, metavar="N", panel=PANEL
        ),
    ] = None
    price_in: Annotated[
        float | None,
        Option(
            "Price of a million prompt tokens, in any currency, for the cost in synth.json.",
            min=0,
            env="SYNTH_PRICE_IN",
            read=amount("--price-in"),
            panel=PANEL,
        ),
    ] = None
    price_out: Annotated[
        float | None,
        Option(
            "Price of a million completion tokens.",
            min=0,
            env="SYNTH_PRICE_OUT",
            read=amount("--price-out"),
            panel=PANEL,
        ),
    ] = None
    # Rows published together; by default as many as the number of all rows suggests.
    chunk_rows: int | None = None
    # The command line, recorded so that it can be repeated.
    command: Sequence[str] = ()

    def __post_init__(self) -> None:
        if self.on is not None and self.on.partition(":")[0] != "ray":
            raise UsageError(f"--on {self.on}: must be ray or ray:ADDRESS, such as ray:10.0.0.1:6379")
        if self.workers is not None and self.on is None:
            raise UsageError("--workers is the number of workers on a cluster: add --on ray")
        if self.slice is not None:
            self._require_a_part(self.slice)
        if (self.price_in is None) != (self.price_out is None):
            given, other = ("--price-in", "--price-out") if self.price_out is None else ("--price-out", "--price-in")
            raise UsageError(f"{given} alone does not give a cost: set {other}, too (0 if those tokens are free)")

    def _require_a_part(self, part: Slice) -> None:
        """Raises `UsageError` for an option that a process with some of the chunks cannot obey."""
        whole = {
            "--on": self.on,
            "--until": self.until,
            "--fresh": self.fresh,
            "--retry-failed": self.retry_failed,
            "--update": self.update,
            f"--stale {self.stale} (or SYNTH_STALE)": self.stale != "refuse",
        }
        for flag, given in whole.items():
            if given:
                raise UsageError(
                    f"{flag} is about the whole output, of which --slice {part} is a part: leave one of the two out"
                )

    def price(self, prompt_tokens: float, completion_tokens: float) -> float | None:
        """What these tokens cost; None without prices."""
        if self.price_in is None or self.price_out is None:
            return None
        return round((prompt_tokens * self.price_in + completion_tokens * self.price_out) / 1e6, 9)

    @property
    def remake(self) -> Literal["update", "fresh"] | None:
        """How to remake an output even if it is not stale."""
        return "fresh" if self.fresh else "update" if self.update else None

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
