"""The tag table, for review: each form's tag, or the step that dropped it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from synth.pipelines.instag.normalize.forms import Forms, Tags
from synth.pipelines.instag.normalize.groups import STEPS, Groups
from synth.pipelines.instag.tagsets import Int64s
from synth.schemas.records import VOCABULARY
from synth.schemas.writing.side_table import write_side_table

__all__ = ["TagTable"]


ROWS_AT_A_TIME = 1 << 14
_LARGE = pa.schema([("id", pa.large_string()), ("explanation", pa.large_string())])
_ORDER = [("tag_count", "descending"), ("tag", "ascending"), ("count", "descending"), ("form", "ascending")]


@dataclass(frozen=True)
class TagTable:
    """The tags of `forms`, the deciding steps recorded in `groups`, and the number of queries with each tag."""

    forms: Forms
    groups: Groups
    tags: Tags
    counts: Int64s

    def write(self, folder: Path, examples: pa.Table) -> None:
        """Write a dataset directory of all forms: the most frequent tag first, dropped forms last.

        `examples` are those of `Occurrences`.
        """
        write_side_table(folder, VOCABULARY.schema, self._tables(examples))

    def _tables(self, examples: pa.Table) -> Iterator[pa.Table]:
        table = self._table()
        # 64-bit offsets: the text may exceed 2 GB.
        queries = examples.select(["id", "explanation"]).cast(_LARGE).combine_chunks()
        form_of = examples["form"].to_numpy()
        by_form = np.argsort(form_of, kind="stable")
        starts = np.append(0, np.cumsum(np.bincount(form_of, minlength=table.num_rows)))
        order = pc.sort_indices(table, _ORDER).to_numpy().astype(np.int64)
        for first in range(0, len(order), ROWS_AT_A_TIME):
            forms = order[first : first + ROWS_AT_A_TIME]
            ends = np.cumsum(starts[forms + 1] - starts[forms])
            indices = np.arange(ends[-1]) + np.repeat(starts[forms + 1] - ends, np.diff(ends, prepend=0))
            taken = queries.take(pa.array(by_form[indices]))
            structs = pa.StructArray.from_arrays(
                [taken[name].combine_chunks().cast(pa.string()) for name in taken.column_names], taken.column_names
            )
            lists = pa.ListArray.from_arrays(pa.array(np.append(0, ends), pa.int32()), structs)
            yield table.take(pa.array(forms)).append_column("examples", lists).cast(VOCABULARY.schema)

    def _table(self) -> pa.Table:
        """All columns but the examples, in the order of `forms`."""
        steps = self.forms.dropped.copy()
        steps[self.forms.kept] = self.groups.step
        tag_of = pa.array(self.tags.of_form, mask=self.tags.of_form < 0)
        return pa.table(
            {
                "form": pa.array(self.forms.texts, pa.string()),
                "count": self.forms.counts,
                "step": pa.array(STEPS, pa.string()).take(pa.array(steps)),
                "tag": self.tags.texts.take(tag_of),
                "tag_count": pa.array(self.counts).take(tag_of),
            }
        )
