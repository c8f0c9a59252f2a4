"""Deduplicate the rows of any dataset: the first of each set of duplicates is kept."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import pyarrow as pa

from synth.pipelines.dedup.fingerprints import Compared, Fingerprints
from synth.pipelines.dedup.matching import Match, Matcher
from synth.pipelines.runtime.common_options import ComparedText
from synth.pipelines.runtime.declared import Option
from synth.pipelines.runtime.portions import portions, write_kept
from synth.pipelines.runtime.stage import Output, TableStage
from synth.pipelines.runtime.text.columns import Texts, text_columns, url_column
from synth.pipelines.runtime.text.near import bands_for
from synth.schemas.record import Record
from synth.schemas.records import ROW

__all__ = ["Dedup"]


@dataclass(frozen=True)
class Dedup(TableStage):
    """Remove duplicates: rows with the same text, the same URL, or nearly the same words.

    Kept rows keep all columns; the `detail` of a rejected row names the kept row that it duplicates.

    Rows are compared by the columns `text`, or else by the document's text column. A row is an `exact_duplicate` if the
    texts are equal except for white space and invisible characters, `same_url` if the URLs lead to the same page, and a
    `near_duplicate` if the sets of five-word shingles have a Jaccard similarity of at least `threshold`. Punctuation
    and other signs count with the word before them. Rows without text are compared by URL only.

    Takes some 500 bytes per row on disk and 30 in memory.
    """

    name: ClassVar[str] = "dedup"
    version: ClassVar[int] = 2
    input: ClassVar[Record] = ROW
    output: ClassVar[Record] = ROW
    keeps_ids: ClassVar[bool] = True

    commands: ClassVar[tuple[str, ...]] = (
        "synth dedup corpus/ unique/",
        "synth dedup a.jsonl b.parquet unique/ --text question --no-near",
    )

    text: ComparedText = ()
    threshold: Annotated[
        float, Option("Jaccard similarity from which texts are near duplicates; 1 for none.", min=0.1, max=1)
    ] = 0.8
    url: Annotated[bool, Option("Also keep only the first of rows with the same URL.")] = True
    near: Annotated[bool, Option("Also remove near duplicates, not only equal texts.")] = True

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
        matcher = Matcher(table, compared, self.threshold, found, output.work)
        ids = Texts(table, ["id"])
        start = 0
        for rows in portions(table):
            duplicates = matcher.among(start, start + rows.num_rows)
            write_kept(
                rows,
                {row - start: (match.reason, _detail(match, *ids[match.row])) for row, match in duplicates.items()},
                output,
            )
            start += rows.num_rows


def _detail(match: Match, match_id: str) -> str:
    return f"{match_id}, similarity {match.similarity:.2f}" if match.reason == "near_duplicate" else match_id
