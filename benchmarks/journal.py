"""Writing and recovering a journal of a million answers, beside an Arrow stream without checksums, and SQLite.

Records look like those of a run: the id of a row, a hash, a request of some 250 characters, an answer of some 150. They
are written in batches, as a run flushes them. Recovery is opening what was written: synth's journal proves each batch
on the way, a plain stream is read and believed, a mapped one is not even looked at, and SQLite fetches its rows. Nobody
syncs: what they withstand is the death of the process, not that of the machine.
"""

import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from contest import MIB, call_apart, multiple, parser, print_table, say, scratch

Record = tuple[str, bytes, str, str]
COLUMNS = ("row", "request_hash", "request", "answer")


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--records", type=int, default=1_000_000)
    arguments.add_argument("--batch", type=int, nargs="+", default=[4096, 256], help="records in a batch")
    given = arguments.parse_args()
    table = []
    for batch in given.batch:
        recovered = {}
        for name, write, recover in CONTENDERS:
            say(f"{name}, batches of {batch}")
            with scratch() as folder:
                path = folder / "journal"
                written, _ = call_apart(write, path, given.records, batch)
                size = path.stat().st_size / MIB
                (rows, recovered[name]), peak = call_apart(timed, recover, path)
            if rows != given.records:
                raise SystemExit(f"{name} recovered {rows} of {given.records} records")
            table.append([
                name, f"{batch:,}", f"{size:,.0f}", f"{written:.2f}", f"{recovered[name]:.2f}",
                multiple(recovered["synth's journal"] / recovered[name]), f"{peak:,.0f}",
            ])  # fmt: skip
    columns = ["what", "batch", "MiB", "write, s", "recover, s", "synth's / its", "peak MiB of recovery"]
    print_table(f"{given.records:,} records written and recovered", columns, table)


def timed(recover: Callable[[Path], int], path: Path) -> tuple[int, float]:
    import synth.schemas.journal  # noqa: F401  so that the import is not timed

    started = time.perf_counter()
    rows = recover(path)
    return rows, time.perf_counter() - started


def batches(records: int, size: int) -> Iterator[list[Record]]:
    request = '{"prompt":[{"role":"user","content":"Question %d: %s"}],"sampling":{"temperature":0.7,"max_tokens":256}}'
    answer = '{"completions":[{"text":"%s #### %d","finish_reason":"stop","tokens":48}],"prompt_tokens":61}'
    long, short = "how many of the buns are left " * 5, "some of them are left " * 3
    for start in range(0, records, size):
        yield [
            (f"row-{number}", number.to_bytes(16, "big"), request % (number, long), answer % (short, number))
            for number in range(start, min(start + size, records))
        ]


def write_ours(path: Path, records: int, size: int) -> float:
    from synth.schemas.journal import Journal

    journal = Journal(path, arrow_schema())
    seconds = _write(journal.write, records, size)
    journal.close()
    return seconds


def recover_ours(path: Path) -> int:
    from synth.schemas.journal import read_journal

    return int(read_journal(path, arrow_schema()).num_rows)


def write_stream(path: Path, records: int, size: int) -> float:
    import pyarrow as pa

    schema = arrow_schema()
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, schema) as stream:

        def write(rows: list[Record]) -> None:
            columns = zip(*rows, strict=True)
            arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
            stream.write_batch(pa.record_batch(arrays, schema=schema))

        return _write(write, records, size)


def recover_stream(path: Path) -> int:
    import pyarrow as pa

    with pa.OSFile(str(path)) as file:
        return int(pa.ipc.open_stream(file).read_all().num_rows)


def map_stream(path: Path) -> int:
    import pyarrow as pa

    return int(pa.ipc.open_stream(pa.memory_map(str(path))).read_all().num_rows)


def write_sqlite(path: Path, records: int, size: int) -> float:
    base = sqlite3.connect(path)
    base.execute("PRAGMA synchronous = OFF")
    base.execute("CREATE TABLE answers (row TEXT, request_hash BLOB, request TEXT, answer TEXT)")

    def write(rows: list[Record]) -> None:
        with base:
            base.executemany("INSERT INTO answers VALUES (?, ?, ?, ?)", rows)

    seconds = _write(write, records, size)
    base.close()
    return seconds


def recover_sqlite(path: Path) -> int:
    base = sqlite3.connect(path)
    rows = base.execute("SELECT * FROM answers").fetchall()
    base.close()
    return len(rows)


def _write(write: Callable[[list[Record]], Any], records: int, size: int) -> float:
    """Seconds in `write` alone, without the making of the records."""
    seconds = 0.0
    for rows in batches(records, size):
        started = time.perf_counter()
        write(rows)
        seconds += time.perf_counter() - started
    return seconds


def arrow_schema() -> Any:
    import pyarrow as pa

    return pa.schema(list(zip(COLUMNS, [pa.string(), pa.binary(16), pa.string(), pa.string()], strict=True)))


CONTENDERS = [
    ("synth's journal", write_ours, recover_ours),
    ("Arrow stream, read", write_stream, recover_stream),
    ("Arrow stream, mapped", write_stream, map_stream),
    ("SQLite", write_sqlite, recover_sqlite),
]


if __name__ == "__main__":
    main()
