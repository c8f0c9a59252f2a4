"""No framework at all: read rows from Arrow, ask, write an Arrow file. Nothing is journaled, synced or checked.

In process it calls the very engine that synth is given, one row after another; over HTTP it is an aiohttp session with
64 workers.
"""

import argparse
import asyncio
import json
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import aiohttp
import orjson
import pyarrow as pa
from ask_once import AtOnce

from synth.pipelines.engines import Message, Request, Sampling
from synth.pipelines.engines.echo import EchoEngine

ROWS_AT_A_TIME = 4096


def read(path: Path) -> Iterator[tuple[str, str]]:
    with pa.ipc.open_stream(pa.memory_map(str(path))) as batches:
        for batch in batches:
            yield from zip(batch["id"].to_pylist(), batch["query"].to_pylist(), strict=True)


def write(path: Path, answers: Iterable[tuple[str, str]]) -> int:
    ids, texts = zip(*answers, strict=True)
    table = pa.table({"id": ids, "text": texts})
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, table.schema) as stream:
        stream.write_table(table, max_chunksize=ROWS_AT_A_TIME)
    return table.num_rows


async def call(engine: EchoEngine, rows: Iterator[tuple[str, str]]) -> list[tuple[str, str]]:
    sampling = Sampling(max_tokens=128)
    answers = []
    for row_id, query in rows:
        answer = await engine.answer(Request((Message(role="user", content=query),), sampling))
        answers.append((row_id, answer.text))
    return answers


async def ask(rows: Iterator[tuple[str, str]], base_url: str, in_flight: int) -> list[tuple[str, str]]:
    answers = []

    async def work(session: aiohttp.ClientSession) -> None:
        for row_id, query in rows:
            body = {"model": "loopback", "messages": [{"role": "user", "content": query}], "max_tokens": 128}
            async with session.post(f"{base_url}/chat/completions", data=orjson.dumps(body)) as response:
                read = orjson.loads(await response.read())
            answers.append((row_id, read["choices"][0]["message"]["content"]))

    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0), headers={"Content-Type": "application/json"}
    ) as session:
        await asyncio.gather(*(work(session) for _ in range(in_flight)))
    return answers


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("input", type=Path)
    arguments.add_argument("out", type=Path)
    arguments.add_argument("--echo", action="store_true")
    arguments.add_argument("--base-url")
    arguments.add_argument("--in-flight", type=int, default=64)
    given = arguments.parse_args()
    given.out.mkdir()
    started = time.perf_counter()
    rows = read(given.input / "rows.arrow")
    engine = EchoEngine() if given.echo else AtOnce()
    answers = asyncio.run(ask(rows, given.base_url, given.in_flight) if given.base_url else call(engine, rows))
    written = write(given.out / "answers.arrow", answers)
    print(json.dumps({"rows": written, "seconds": time.perf_counter() - started}))


if __name__ == "__main__":
    main()
