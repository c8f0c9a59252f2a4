"""Put documents in buckets of sequences of one length (arXiv 2405.13226)."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import numpy as np
import pyarrow as pa
import xxhash
from numpy.typing import NDArray

from synth.pipelines.decomposition.cutting import Piece, cut, drawn_bucket, length
from synth.pipelines.runtime.counts import Counts
from synth.pipelines.runtime.declared import Option
from synth.pipelines.runtime.packing import PackedDocuments
from synth.pipelines.runtime.stage import Output
from synth.pipelines.runtime.text.tokenizing import Documents
from synth.schemas.atomic import atomic
from synth.schemas.errors import UsageError
from synth.schemas.record import Record
from synth.schemas.records import PIECE

__all__ = ["Buckets"]

MANIFEST = "buckets.jsonl"
TAILS = "short"
# Tallies of tokens.
ALL, KEPT, LOST_SHORT, LOST_TAILS = "tokens", "kept", "lost_in_short_documents", "lost_in_tails"


# A piece, the id of its document, and where that begins among the tokens at hand.
Cut = tuple[Piece, str, int]


@dataclass(frozen=True)
class Buckets(PackedDocuments):
    """Cut documents into sequences of powers of two, with a dataset directory for each length.

    A document is tokenized and gets an end token. From its front, each piece takes the largest 2^i + 1 tokens that fit,
    for i from `--min` to `--max`; a model predicts 2^i of them. What is then left of a document is lost, and counted;
    with `--keep-tail` it goes to `short`, unless it is a single token. No sequence has tokens of two documents.

    The output is one dataset of all sequences: bucket after bucket, each in the order of the input. The files of a
    bucket lie in a dataset directory of its own, `bucket_8` for i = 8; `buckets.jsonl` lists these, and
    `datasets.DatasetDict.load_from_disk` opens them by name.

    Documents without text are rejected as `no_text`, those of which nothing is kept as `too_short`.

    Memory: 200 MB for each core. Disk, meanwhile: 4 bytes for each token besides those of the output.
    """

    name: ClassVar[str] = "pack buckets"
    output: ClassVar[Record] = PIECE
    commands: ClassVar[tuple[str, ...]] = (
        "synth pack buckets corpus/ packed/ --tokenizer Qwen/Qwen2.5-7B",
        "synth pack buckets corpus/ packed/ --tokenizer tiny --min 6 --max 11 --cut random --keep-tail",
    )

    min: Annotated[int, Option("The shortest sequences have 2^N + 1 tokens.", min=1, max=24, metavar="N")] = 8
    max: Annotated[int, Option("The longest sequences have 2^N + 1 tokens.", min=1, max=24, metavar="N")] = 13
    cut: Annotated[
        Literal["longest", "random"],
        Option("How to cut longer documents: into the longest, or at random, so that all buckets get as many tokens."),
    ] = "longest"
    keep_tail: Annotated[bool, Option("Keep what is left of documents, as sequences of any length in `short`.")] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.min > self.max:
            raise UsageError(f"--min {self.min} must not exceed --max {self.max}")

    @property
    def _buckets(self) -> tuple[int | None, ...]:
        return (*range(self.min, self.max + 1), *((None,) if self.keep_tail else ()))

    @property
    def parts(self) -> tuple[str, ...]:
        return tuple(map(_folder, self._buckets))

    def process(self, tables: Sequence[pa.Table], output: Output) -> None:
        (table,) = tables
        sequences, tokens = Counter[int | None](), Counter[int | None]()
        for documents in self.documents(table, output):
            for bucket, pieces in self._cut(documents, output).items():
                rows = _rows(pieces, documents.tokens)
                sequences[bucket] += rows.num_rows
                tokens[bucket] += sum(piece.size for piece, *_ in pieces)
                # The first piece of a document stands for it.
                begun = sum(piece.number == 1 for piece, *_ in pieces)
                output.write_table(rows, accounts_for=begun, part=_folder(bucket))
        listed = [
            {
                "id": _folder(bucket),
                "bucket": bucket,
                "length": bucket and length(bucket),
                "sequences": sequences[bucket],
                "tokens": tokens[bucket],
            }
            for bucket in self._buckets
        ]
        with atomic(output.kept / MANIFEST, durable=True) as temporary:
            temporary.write_text("".join(f"{json.dumps(row)}\n" for row in listed))

    def _cut(self, documents: Documents, output: Output) -> Mapping[int | None, list[Cut]]:
        """The pieces of documents by bucket. Rejects the documents of which none is kept, and counts tokens."""
        found: defaultdict[int | None, list[Cut]] = defaultdict(list)
        without: dict[int, str] = {}
        tokens = Counter({ALL: len(documents.tokens), KEPT: 0, LOST_SHORT: 0, LOST_TAILS: 0})
        salt = output.salt("cut")
        for row, (document, first, end) in enumerate(documents.each()):
            drawn = partial(self._drawn, document, salt) if self.cut == "random" else None
            pieces = list(cut(end - first, self.min, self.max, drawn=drawn, keep_tail=self.keep_tail))
            for piece in pieces:
                found[piece.bucket].append((piece, document, first))
            kept = sum(piece.size for piece in pieces)
            tokens[KEPT] += kept
            tokens[LOST_TAILS if pieces else LOST_SHORT] += end - first - kept
            if not pieces:
                without[row] = "too_short" if end > first else "no_text"
        for name, count in tokens.items():
            output.tally(name, count)
        if without:
            output.reject_table(documents.rows.take(pa.array([*without])), [*without.values()], [""] * len(without))
        return found

    def _drawn(self, document: str, salt: int, number: int) -> int:
        return drawn_bucket(xxhash.xxh3_64_intdigest(f"{document}/{number}".encode(), salt), self.min, self.max)

    def published(self, out: Path, counts: Counts) -> Iterator[str]:
        buckets = [json.loads(line) for line in (out / MANIFEST).read_text().splitlines()]
        tokens = counts.tallies[ALL]
        for bucket in buckets:
            size = f" of {bucket['length']:,}" if bucket["length"] else ""
            share = bucket["tokens"] / max(1, tokens)
            yield f"{bucket['id']:9}  {bucket['sequences']:,} sequences{size}, {share:.1%} of all tokens"


def _folder(bucket: int | None) -> str:
    return TAILS if bucket is None else f"bucket_{bucket}"


def _rows(pieces: Sequence[Cut], tokens: NDArray[np.int32]) -> pa.Table:
    places = [first + piece.start for piece, _, first in pieces]
    sizes = [piece.size for piece, *_ in pieces]
    taken = np.concatenate([tokens[place : place + size] for place, size in zip(places, sizes, strict=True)])
    starts = pa.array(np.cumsum([0, *sizes]), pa.int32())
    columns = {
        "id": [f"{document}/piece-{piece.number}" for piece, document, _ in pieces],
        "bucket": pa.array([piece.bucket for piece, *_ in pieces], pa.int32()),
        "tokens": pa.ListArray.from_arrays(starts, pa.array(taken)),
        "document": [document for _, document, _ in pieces],
        "start": pa.array([piece.start for piece, *_ in pieces], pa.int32()),
    }
    return pa.table(columns, schema=PIECE.schema)
