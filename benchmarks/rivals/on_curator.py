"""Curator over HTTP, without its telemetry. In process it runs nothing but an old vLLM.

It counts tokens with an encoding that it downloads at its start; here a stand-in counts words, so that it starts
without a network and spends less.
"""

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

import tiktoken


class Words:
    def encode(self, text: str, **_: Any) -> list[str]:
        return text.split()


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("input", type=Path)
    arguments.add_argument("out", type=Path)
    arguments.add_argument("--base-url", required=True)
    arguments.add_argument("--in-flight", type=int, default=64)
    given = arguments.parse_args()
    os.environ["TELEMETRY_ENABLED"] = "false"
    os.environ["HOME"] = str(given.out)
    # The model's prices would be fetched, too.
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    tiktoken.get_encoding = lambda _name: Words()
    from bespokelabs import curator

    class Asker(curator.LLM):
        def prompt(self, row: dict[str, str]) -> str:
            return row["query"]

        def parse(self, row: dict[str, str], response: str) -> dict[str, str]:
            return {"id": row["id"], "text": response}

    started = time.perf_counter()
    with (given.input / "rows.jsonl").open() as lines:
        rows = [json.loads(line) for line in lines]
    asker = Asker(
        model_name="loopback",
        backend="openai",
        generation_params={"max_tokens": 128},
        backend_params={
            "base_url": given.base_url,
            "api_key": "none",
            "max_concurrent_requests": given.in_flight,
            "max_requests_per_minute": 10**9,
            "max_tokens_per_minute": 10**12,
        },
    )
    made = asker(rows, working_dir=str(given.out / "work")).dataset
    seconds = time.perf_counter() - started
    print(json.dumps({"rows": len(made), "seconds": seconds}))


if __name__ == "__main__":
    main()
