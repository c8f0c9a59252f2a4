"""A table beside the rows of an output, about them: a dataset directory of one shard."""

from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa

from synth.schemas.atomic import remove
from synth.schemas.layout import Layout
from synth.schemas.shards import ShardWriter
from synth.schemas.writing.publication import write_datasets_json

__all__ = ["write_side_table"]


def write_side_table(folder: Path, schema: pa.Schema, tables: Iterable[pa.Table]) -> None:
    """Write the rows of `tables` to `folder`, in place of what a killed run may have left there."""
    remove(folder)
    folder.mkdir(parents=True)
    layout = Layout(folder)
    with ShardWriter(layout.data(0, 1), schema) as writer:
        for table in tables:
            writer.write(table)
        shard = writer.close()
    write_datasets_json(layout, [shard.filename], [shard.xxh3])
