"""What the drivers of search engines share: a collection whose texts are terms with blanks between them, and runs."""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import pyarrow as pa


class Collection:
    """`ids` and `texts` of the documents, from the command line, and what is to be searched for."""

    def __init__(self, doc: str | None) -> None:
        self.arguments = argparse.ArgumentParser(description=doc)
        self.arguments.add_argument("corpus", type=Path, help="a dataset directory")
        self.arguments.add_argument("--k", type=int, default=100)
        self.arguments.add_argument("--limit", type=int, nargs="*", default=[], help="queries of each --search")
        self.arguments.add_argument("--rounds", type=int, default=1)
        self.arguments.add_argument(
            "--search", nargs=2, type=Path, action="append", metavar=("QUERIES", "RUN"), default=[]
        )

    def read(self) -> argparse.Namespace:
        given = self.arguments.parse_args()
        files = sorted(given.corpus.glob("*.arrow"))
        table = pa.concat_tables(pa.ipc.open_stream(pa.memory_map(str(file))).read_all() for file in files)
        self.ids: list[str] = table["id"].to_pylist()
        self.texts: list[str] = table["text"].to_pylist()
        return given

    def report(
        self, given: argparse.Namespace, index: Callable[[], Any], search: Callable[[Any, list[str]], Sequence[Any]]
    ) -> None:
        """Time both and print it, as seconds and seconds of CPU, of a search those of a query.

        `search` gives for each query the positions of documents, the best first.
        """
        engine, built = _timed(index)
        per_query = []
        for number, (queries, run) in enumerate(given.search):
            rows = [json.loads(line) for line in queries.read_text().splitlines()]
            rows = rows[: given.limit[number]] if given.limit else rows
            texts = [row["text"] for row in rows]
            search(engine, texts[:1])
            rounds = [_timed(lambda texts=texts: search(engine, texts)) for _ in range(given.rounds)]
            found = rounds[0][0]
            per_query.append(
                [median(seconds) / len(texts) for seconds in zip(*(took for _, took in rounds), strict=True)]
            )
            with run.open("w") as file:
                for row, hits in zip(rows, found, strict=True):
                    file.writelines(
                        f"{row['id']} Q0 {self.ids[hit]} {rank} {-rank} rival\n" for rank, hit in enumerate(hits, 1)
                    )
        print(json.dumps({"index": built, "search": per_query}))


def _timed(work: Callable[[], Any]) -> tuple[Any, tuple[float, float]]:
    started, cpu = time.perf_counter(), time.process_time()
    result = work()
    return result, (time.perf_counter() - started, time.process_time() - cpu)
