"""The rows of any dataset without doubles: the first of those that are alike is kept."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import pyarrow as pa

from synth.pipelines.dedup.fingerprints import Compared, Fingerprints
from synth.pipelines.dedup.matching import Twin, Twins
from synth.pipelines.dedup.texts import Texts, text_columns, url_column
from synth.pipelines.runtime.declared import Option
from synth.pipelines.runtime.portions import pass_on, portions
from synth.pipelines.runtime.stage import Output, TableStage
from synth.pipelines.runtime.text.near import bands_for
from synth.pipelines.runtime.usual_options import ComparedText
from synth.schemas.record import Record
from synth.schemas.records import ROW

__all__ = ["Dedup"]


@dataclass(frozen=True)
class Dedup(TableStage):
    """Remove duplicates: rows with the same text, the same URL, or nearly the same words.

    Every column of what is kept goes through; `detail` of what is rejected names the kept row that it doubles.

    Rows are compared by the columns `text`, or by the one that holds the text of a document: they are an
    `exact_duplicate` where the texts are the same but for white space and invisible characters, the `same_url` where
    there are addresses that lead to the same page, and a `near_duplicate` where the sets of their five-word shingles
    have a Jaccard similarity of `threshold` or more. The signs between words count with them. Rows without any text are
    compared by their addresses only.

    What it takes on disk is some 500 bytes a row, and in memory some 30.
    """

    name: ClassVar[str] = "dedup"
    version: ClassVar[int] = 2
    input: ClassVar[Record] = ROW
    output: ClassVar[Record] = ROW

    commands: ClassVar[tuple[str, ...]] = (
        "synth dedup corpus/ unique/",
        "synth dedup a.jsonl b.parquet unique/ --text question --no-near",
    )

    text: ComparedText = ()
    threshold: Annotated[
        float, Option("Jaccard similarity from which texts are near duplicates; 1 for none.", min=0.1, max=1)
    ] = 0.8
    url: Annotated[bool, Option("Of rows with the same address, too, keep the first.")] = True
    near: Annotated[bool, Option("Look for near duplicates, and not only for equal texts.")] = True

    def identity(self) -> dict[str, Any]:
        if not self.near:
            return super().identity()
        from rensa import RMinHash

        return {**super().identity(), "minhash": f"rensa {RMinHash.ALGORITHM_VERSION}"}

    def process(self, tables: Sequence[pa.Table], output: Output) -> None:
        (table,) = tables
        compared = Compared(
            text_columns(table.schema, self.text),
            url_column(table.schema) if self.url else None,
            bands_for(self.threshold) if self.near else 0,
        )
        found = Fingerprints(table, compared, output.work, output.progress)
        twins = Twins(table, compared, self.threshold, found, output.work)
        ids = Texts(table, ["id"])
        start = 0
        for rows in portions(table):
            doubles = twins.among(start, start + rows.num_rows)
            pass_on(
                rows, {row - start: (twin.reason, _told(twin, *ids[twin.row])) for row, twin in doubles.items()}, output
            )
            start += rows.num_rows


def _told(twin: Twin, twin_id: str) -> str:
    return f"{twin_id}, similarity {twin.similarity:.2f}" if twin.reason == "near_duplicate" else twin_id
