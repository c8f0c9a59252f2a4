"""DuckDB alone over the shards of a dataset: TASK INPUT OTHER OUT.arrow. It checks and records nothing."""

import sys
from pathlib import Path

import duckdb
import pyarrow as pa

TASKS = {
    "filter": "SELECT * FROM rows WHERE score > 0.5 AND text LIKE '%word99%'",
    "split": "SELECT * FROM rows WHERE hash(id) % 10 < 9",
    "join": "SELECT rows.*, other.grade FROM rows JOIN other ON rows.id = other.row_id",
    "mix": "SELECT * FROM rows UNION ALL SELECT id, grade AS score, row_id AS text FROM other ORDER BY hash(id)",
}


def table(folder: str) -> pa.Table:
    shards = sorted(Path(folder).glob("data-*.arrow"))
    return pa.concat_tables([pa.ipc.open_stream(pa.memory_map(str(shard))).read_all() for shard in shards])


def main() -> None:
    task, rows, other, out = sys.argv[1:]
    connection = duckdb.connect()
    connection.register("rows", table(rows))
    connection.register("other", table(other))
    reader = connection.sql(TASKS[task]).to_arrow_reader(1 << 16)
    with pa.OSFile(out, "wb") as file, pa.ipc.new_stream(file, reader.schema) as stream:
        for batch in reader:
            stream.write_batch(batch)


if __name__ == "__main__":
    main()
