"""usage: curator_sample.py QUESTIONS OUT BASE_URL MODEL"""

import re
import sys
from pathlib import Path

from bespokelabs import curator
from datasets import load_dataset

questions, out, base_url, model = sys.argv[1:]
system = Path(questions).with_name("system.txt").read_text()


class Solver(curator.LLM):
    return_completions_object = True

    def prompt(self, row):
        return [{"role": "system", "content": system}, {"role": "user", "content": row["question"]}]

    def parse(self, row, response):
        return [{**row, "response": choice["message"]["content"]} for choice in response["choices"]]


def is_right(row):
    numbers = re.findall(r"-?\d+", row["response"])
    return bool(numbers) and numbers[-1] == row["answer"].split("#### ")[-1]


solver = Solver(
    model_name=model,
    backend="openai",
    generation_params={"n": 4, "temperature": 0.7, "max_tokens": 256},
    backend_params={
        "base_url": base_url,
        "api_key": "none",
        "max_concurrent_requests": 64,
        "max_requests_per_minute": 10**6,
        "max_tokens_per_minute": 10**9,
    },
)
samples = solver(load_dataset("json", data_files=questions, split="train")).dataset
samples.filter(is_right).to_json(f"{out}/accepted.jsonl")
