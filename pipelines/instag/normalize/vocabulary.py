"""The tag table: the tag or the drop of each form, for a person to review."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from synth.pipelines.instag.normalize.forms import Forms, Tags
from synth.pipelines.instag.normalize.groups import STEPS, Groups
from synth.schemas.layout import Layout
from synth.schemas.records import VOCABULARY
from synth.schemas.shards import ShardWriter
from synth.schemas.writing.publication import write_datasets_json

__all__ = ["TagTable"]

Whole = NDArray[np.int64]

ROWS_AT_A_TIME = 1 << 14
_LARGE = pa.schema([("id", pa.large_string()), ("explanation", pa.large_string())])
_ORDER = [("tag_count", "descending"), ("tag", "ascending"), ("count", "descending"), ("form", "ascending")]


@dataclass(frozen=True)
class TagTable:
    """The outcomes of `forms` by the steps that `groups` record: their `tags`, each with the queries that have it."""

    forms: Forms
    groups: Groups
    tags: Tags
    counts: Whole

    def write(self, folder: Path, examples: pa.Table) -> None:
        """A dataset directory of all forms: the most frequent tag first, what was dropped last.

        `examples` are queries of forms, as `Occurrences` has them.
        """
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        layout = Layout(folder)
        with ShardWriter(layout.data(0, 1), VOCABULARY.schema) as writer:
            for table in self._tables(examples):
                writer.write(table)
            shard = writer.close()
        write_datasets_json(layout, [shard.filename], [shard.xxh3])

    def _tables(self, examples: pa.Table) -> Iterator[pa.Table]:
        table = self._table()
        # Offsets of 64 bits, since there may be more text than 32 reach.
        shown = examples.select(["id", "explanation"]).cast(_LARGE).combine_chunks()
        of = examples["form"].to_numpy()
        by_form = np.argsort(of, kind="stable")
        starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(np.bincount(of, minlength=table.num_rows))])
        order = pc.sort_indices(table, _ORDER).to_numpy().astype(np.int64)
        for first in range(0, len(order), ROWS_AT_A_TIME):
            forms = order[first : first + ROWS_AT_A_TIME]
            ends = np.cumsum(starts[forms + 1] - starts[forms])
            places = np.arange(ends[-1]) + np.repeat(starts[forms + 1] - ends, np.diff(ends, prepend=0))
            taken = shown.take(pa.array(by_form[places]))
            structs = pa.StructArray.from_arrays(
                [taken[name].combine_chunks().cast(pa.string()) for name in taken.column_names], taken.column_names
            )
            lists = pa.ListArray.from_arrays(pa.array(np.append(0, ends), pa.int32()), structs)
            yield table.take(pa.array(forms)).append_column("examples", lists).cast(VOCABULARY.schema)

    def _table(self) -> pa.Table:
        """All columns but the examples, in the order in which forms are numbered."""
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
