"""A dataset directory of the rows that an unfinished run has finished so far, for whoever wants to look at them.

The run may be under way: its files are only read, and may disappear at any moment.
"""

import json
import os
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from synth.pipelines.runtime.counts import OUTPUT, Counts, Published
from synth.pipelines.runtime.lines import LineFormat
from synth.schemas.atomic import write_json
from synth.schemas.journal import copied_journal
from synth.schemas.layout import Layout, PartialLayout
from synth.schemas.shards import ShardWriter
from synth.schemas.writing.publication import write_datasets_json

__all__ = ["write_snapshot"]


def write_snapshot(partial: PartialLayout, folder: Path) -> Counts:
    """Write the finished rows, in input order as far as they are finished, as the new dataset directory `folder`.

    Returns their counts. Raises `FileNotFoundError` for a run that has no rows of this kind: it is a table stage, it
    has not begun, or it has just been published.
    """
    form = LineFormat.load(partial.form)
    identity = json.loads(partial.record.read_text())["identity"]
    target, counts = Layout(folder), Counts()
    data, rejected = _DataFiles(target, form.outputs), _DataFiles(target.rejected, form.rejected)
    # In this order, because a chunk that is published meanwhile moves from the first to the second.
    for chunk in sorted({*partial.begun_chunks(), *partial.published_chunks()}):
        lines = _lines(partial, chunk, form)
        if isinstance(lines, Published):
            counts.add(lines.counts)
            data.link(partial.shards / lines.data.filename, lines.data.rows)
            rejected.link(partial.shards / lines.rejected.filename, lines.rejected.rows)
        else:
            counts.add(Counts.of(lines))
            is_output = pa.array(lines["_kind"].to_numpy() == OUTPUT)
            data.write(lines.filter(is_output))
            rejected.write(lines.filter(pc.invert(is_output)))
    data.close()
    if rejected.names:
        rejected.close()
    write_json(target.record, {"identity": identity, "input_rows": counts.finished, "counts": asdict(counts)})
    return counts


def _lines(partial: PartialLayout, chunk: int, form: LineFormat) -> Published | pa.Table:
    """The record of a published chunk, or the lines of an open one in input order."""
    with suppress(FileNotFoundError):
        return _published(partial, chunk)
    # Usually one, or none if no row is finished.
    lines = form.schema.empty_table()
    for journals in partial.journals_of(chunk):
        with suppress(FileNotFoundError):
            lines = max(lines, copied_journal(journals.rows, form.schema), key=len)
    with suppress(FileNotFoundError):
        # It may be published by now.
        return _published(partial, chunk)
    return lines.take(pa.array(np.argsort(lines["_row"].to_numpy(), kind="stable")))


def _published(partial: PartialLayout, chunk: int) -> Published:
    record: dict[str, Any] = json.loads(partial.published(chunk).read_text())
    return Published.read(record)


class _DataFiles:
    """The data files of a dataset directory, numbered as they come."""

    def __init__(self, target: Layout, schema: pa.Schema) -> None:
        self._target, self._schema = target, schema
        self.names: list[str] = []

    def link(self, shard: Path, rows: int) -> None:
        if rows:
            path = self._next()
            try:
                os.link(shard, path)
            except FileNotFoundError:
                raise
            except OSError:
                # On another file system.
                path.symlink_to(shard.resolve(strict=True))

    def write(self, lines: pa.Table) -> None:
        if lines.num_rows:
            with ShardWriter(self._next(), self._schema) as writer:
                writer.write(lines.select(self._schema.names).cast(self._schema))
                writer.close()

    def close(self) -> None:
        """Make the directory complete; without rows, with an empty shard that has the columns."""
        if not self.names:
            with ShardWriter(self._next(), self._schema) as writer:
                writer.close()
        write_datasets_json(self._target, self.names, self.names)

    def _next(self) -> Path:
        self._target.path.mkdir(parents=True, exist_ok=True)
        path = self._target.path / f"rows-{len(self.names):05d}.arrow"
        self.names.append(path.name)
        return path
