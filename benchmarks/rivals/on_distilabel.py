"""distilabel: TextGeneration in a pipeline. Its engine takes whole batches, so 64 in flight are batches of 64."""

import argparse
import json
import time
from pathlib import Path
from typing import Any

from distilabel.models.llms import LLM, OpenAILLM
from distilabel.pipeline import Pipeline
from distilabel.steps import LoadDataFromDicts
from distilabel.steps.tasks import TextGeneration

IN_PROCESS_BATCH = 256


class Echo(LLM):
    def load(self) -> None:
        super().load()

    @property
    def model_name(self) -> str:
        return "echo"

    def generate(self, inputs: list[Any], num_generations: int = 1) -> list[Any]:  # noqa: ARG002
        return [
            {
                "generations": [f"{messages[-1]['content']} [0]"],
                "statistics": {"input_tokens": [40], "output_tokens": [40]},
            }
            for messages in inputs
        ]


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("input", type=Path)
    arguments.add_argument("out", type=Path)
    arguments.add_argument("--base-url")
    arguments.add_argument("--in-flight", type=int, default=64)
    given = arguments.parse_args()
    llm: LLM = Echo()
    batch = IN_PROCESS_BATCH
    if given.base_url:
        llm = OpenAILLM(model="loopback", base_url=given.base_url, api_key="none")
        batch = given.in_flight
    started = time.perf_counter()
    with (given.input / "rows.jsonl").open() as lines:
        rows = [json.loads(line) for line in lines]
    with Pipeline("contest", cache_dir=given.out) as pipeline:
        load = LoadDataFromDicts(data=rows, batch_size=batch, output_mappings={"query": "instruction"})
        load >> TextGeneration(llm=llm, input_batch_size=batch)
    made = pipeline.run(use_cache=False)["default"]["train"]
    seconds = time.perf_counter() - started
    answered = sum(text is not None for text in made["generation"])
    print(json.dumps({"rows": answered, "seconds": seconds}))


if __name__ == "__main__":
    main()
