"""datatrove: read JSONL, answer, write JSONL (uncompressed); over HTTP its InferenceRunner with 64 in flight.

Without `--checkpoints` a crash loses the run; with it, each request goes to SQLite and each chunk to a local copy.
"""

import argparse
import json
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from datatrove.data import Document
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.base import PipelineStep
from datatrove.pipeline.inference.run_inference import InferenceConfig, InferenceRunner
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.writers import JsonlWriter


class Echo(PipelineStep):
    name = "Echo"

    def run(self, data: Iterable[Document], rank: int = 0, world_size: int = 1) -> Iterator[Document]:  # noqa: ARG002
        for document in data:
            with self.track_time():
                document.text = f"{document.text} [0]"
            yield document


async def ask(document: Document, generate: Any) -> Any:
    return await generate({"messages": [{"role": "user", "content": document.text}], "max_tokens": 128})


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("input", type=Path)
    arguments.add_argument("out", type=Path)
    arguments.add_argument("--base-url")
    arguments.add_argument("--in-flight", type=int, default=64)
    arguments.add_argument("--checkpoints", action="store_true")
    given = arguments.parse_args()
    reader = JsonlReader(str(given.input), glob_pattern="rows.jsonl", text_key="query")
    name = "${rank}_${chunk_index}.jsonl" if given.checkpoints else "${rank}.jsonl"
    writer = JsonlWriter(str(given.out / "answers"), output_filename=name, compression=None)
    if given.base_url:
        config = InferenceConfig(
            server_type="endpoint",
            model_name_or_path="loopback",
            endpoint_url=given.base_url.removesuffix("/v1"),
            max_concurrent_generations=given.in_flight,
        )
        kept = str(given.out / "checkpoints") if given.checkpoints else None
        steps = [reader, InferenceRunner(ask, config, writer, checkpoints_local_dir=kept)]
    else:
        steps = [reader, Echo(), writer]
    started = time.perf_counter()
    LocalPipelineExecutor(steps, tasks=1, logging_dir=str(given.out / "logs")).run()
    seconds = time.perf_counter() - started
    rows = sum(file.read_bytes().count(b"\n") for file in (given.out / "answers").iterdir())
    print(json.dumps({"rows": rows, "seconds": seconds}))


if __name__ == "__main__":
    main()
