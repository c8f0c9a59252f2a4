"""JSON lines to and from Arrow files with other libraries, as their users would: LIBRARY import|export FROM TO.

`import` makes of a file of JSON lines an Arrow file, or with `datasets` a directory of them; `export` writes the rows
of a dataset directory as JSON lines. Types are those that each library infers by itself.
"""

import sys
from pathlib import Path


def duckdb_import(source: str, out: str) -> None:
    import duckdb
    import pyarrow as pa

    reader = duckdb.connect().read_json(source, format="newline_delimited").to_arrow_reader(1 << 16)
    with pa.OSFile(out, "wb") as file, pa.ipc.new_stream(file, reader.schema) as stream:
        for batch in reader:
            stream.write_batch(batch)


def duckdb_export(source: str, out: str) -> None:
    import duckdb
    import pyarrow as pa

    tables = [pa.ipc.open_stream(pa.memory_map(str(shard))).read_all() for shard in shards(source)]
    connection = duckdb.connect()
    connection.register("rows", pa.concat_tables(tables))
    connection.execute(f"COPY (SELECT * FROM rows) TO '{out}' (FORMAT json)")


def polars_import(source: str, out: str) -> None:
    import polars

    polars.scan_ndjson(source).sink_ipc(out)


def polars_export(source: str, out: str) -> None:
    import polars

    polars.concat([polars.read_ipc_stream(shard) for shard in shards(source)], rechunk=False).write_ndjson(out)


def datasets_import(source: str, out: str) -> None:
    from datasets import load_dataset

    load_dataset("json", data_files=source, split="train", cache_dir=f"{out}.cache").save_to_disk(out)


def datasets_export(source: str, out: str) -> None:
    from datasets import load_from_disk

    load_from_disk(source).to_json(out, lines=True, num_proc=2)


def shards(folder: str) -> list[Path]:
    return sorted(Path(folder).glob("data-*.arrow"))


if __name__ == "__main__":
    library, task, source, out = sys.argv[1:]
    globals()[f"{library}_{task}"](source, out)
