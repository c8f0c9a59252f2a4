"""How often a training takes a batch from each bucket (arXiv 2405.13226): with a curriculum, short sequences first."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import pyarrow as pa

from synth.pipelines.runtime.counts import Counts
from synth.pipelines.runtime.declared import Option, amounts
from synth.pipelines.runtime.mixtures import MIXTURE, Mixture
from synth.pipelines.runtime.stage import Output, Row, TableStage
from synth.schemas.errors import InputError, UsageError
from synth.schemas.record import Record
from synth.schemas.records import BUCKET, PLANNED_BUCKET

__all__ = ["Curriculum"]

WANTED, PLANNED = "wanted_tokens", "planned_tokens"


@dataclass(frozen=True)
class Curriculum(TableStage):
    """Plan a training on buckets: what it takes of each, and how likely, so that short sequences come first.

    Every batch has sequences of one bucket, and as many tokens as any other. In each of the cycles, a bucket gives its
    share of `--tokens`, rounded to whole batches. At each step of a cycle a batch is drawn from a bucket, with a
    probability in proportion to the batches that it gives in a cycle times its odds; a bucket that has given all
    leaves. So buckets with larger odds are used up earlier.

    The weights, batches times odds, are in `mixture.json`, and so are the numbers of sequences. `synth mix --weights`
    reads it. `--tokens` and `--batch-tokens` count tokens that are predicted: 2^i of each 2^i + 1. A bucket that has
    too few for a batch in each cycle gives none. Tails are rejected as `not_a_bucket`.
    """

    name: ClassVar[str] = "pack curriculum"
    input: ClassVar[Record] = BUCKET
    output: ClassVar[Record] = PLANNED_BUCKET
    prints_rows: ClassVar[bool] = True
    arguments: ClassVar[tuple[str, str]] = ("BUCKETS", "OUTPUT")
    reads: ClassVar[str] = "The list that `synth pack buckets` leaves in its output: packed/buckets.jsonl."
    commands: ClassVar[tuple[str, ...]] = (
        "synth pack curriculum packed/buckets.jsonl plan/",
        "synth pack curriculum packed/buckets.jsonl plan/ --tokens 28795904000 --odds 6,5,4,3,2,1",
    )

    tokens: Annotated[
        int | None, Option("Tokens to train on in all.", min=1, default="as many as there are, each once")
    ] = None
    cycles: Annotated[int, Option("Cycles of the training.", min=1)] = 8
    batch_tokens: Annotated[int, Option("Tokens in a batch.", min=1)] = 64 * 8192
    odds: Annotated[
        Sequence[float] | None,
        Option(
            "Odds of each bucket, the shortest sequences first.",
            metavar="N,...",
            read=amounts("--odds"),
            default="powers of two, down to 1 for the longest",
        ),
    ] = None

    def process(self, tables: Sequence[pa.Table], output: Output) -> None:
        (table,) = tables
        rows = []
        for row in table.to_pylist():
            if row["bucket"] is None:
                output.reject(row, "not_a_bucket", "its sequences differ in length")
            else:
                rows.append(row)
        planned = self._planned(sorted(rows, key=lambda row: row["bucket"]))
        output.write(planned, accounts_for=len(planned))
        Mixture({row["id"]: row["weight"] for row in planned}).write(
            output.kept / MIXTURE,
            cycles=self.cycles,
            batch_tokens=self.batch_tokens,
            **{
                name: {row["id"]: row[name] for row in planned}
                for name in ("sequences_per_batch", "sequences_per_cycle")
            },
        )
        output.tally(WANTED, self.tokens or sum(map(_tokens, planned)))
        output.tally(PLANNED, sum(row["batches_per_cycle"] for row in planned) * self.cycles * self.batch_tokens)

    def _planned(self, rows: Sequence[Row]) -> list[Row]:
        """What a training takes of the buckets, which are in order of length."""
        available = sum(map(_tokens, rows))
        if not available:
            raise InputError("there are no sequences in any bucket")
        odds = self.odds or [float(1 << number) for number in reversed(range(len(rows)))]
        if len(odds) != len(rows):
            raise UsageError(f"--odds has {len(odds)} numbers for {len(rows)} buckets")
        if min(odds) < 0:
            raise UsageError("--odds must not be negative")
        planned: list[Row] = []
        for row, its_odds in zip(rows, odds, strict=True):
            length = 1 << row["bucket"]
            if self.batch_tokens % length:
                raise UsageError(f"--batch-tokens {self.batch_tokens} is no multiple of the {length} in {row['id']}")
            # All batches have one size, so that no other numbers of batches come closer to the tokens wanted.
            batches = round((self.tokens or available) * _tokens(row) / available / self.cycles / self.batch_tokens)
            planned.append(
                {
                    **row,
                    "sequences_per_batch": self.batch_tokens // length,
                    "batches_per_cycle": batches,
                    "sequences_per_cycle": batches * self.batch_tokens // length,
                    "odds": its_odds,
                    "weight": batches * its_odds,
                }
            )
        if not any(row["weight"] for row in planned):
            raise UsageError(
                f"{available:,} tokens are not a batch of {self.batch_tokens:,} from a bucket in each of {self.cycles} "
                "cycles: choose a smaller --batch-tokens, or fewer --cycles"
            )
        return planned

    def published(self, out: Path, counts: Counts) -> Iterator[str]:  # noqa: ARG002
        wanted, planned = counts.tallies[WANTED], counts.tallies[PLANNED]
        yield f"{planned / wanted - 1:+.2%} of the tokens wanted, because a bucket gives whole batches in each cycle"


def _tokens(row: Row) -> int:
    """Those that a model predicts."""
    predicted: int = row["sequences"] << row["bucket"]
    return predicted
