"""The operators of data_juicer_sample.yaml: the server and the file with the system prompt are in the environment."""

import os
import re
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from data_juicer.ops.base_op import OPERATORS, Filter, Mapper
from data_juicer.utils.constant import Fields
from data_juicer.utils.model_utils import get_model, prepare_model


@OPERATORS.register_module("solve_mapper")
class SolveMapper(Mapper):
    _batched_op = True

    def __init__(self, **options):
        super().__init__(**options)
        self.system = Path(os.environ["SYSTEM"]).read_text()
        self.model_key = prepare_model(model_type="api", model=None, response_path="choices")

    def process_batched(self, samples, rank=None):
        rows = [dict(zip(samples, values, strict=True)) for values in zip(*samples.values(), strict=True)]
        with ThreadPoolExecutor(self.batch_size) as pool:
            replies = list(pool.map(partial(self.solve, get_model(self.model_key, rank=rank)), rows))
        made = [
            {**row, "response": choice["message"]["content"]}
            for row, choices in zip(rows, replies, strict=True)
            for choice in choices
        ]
        return {name: [row[name] for row in made] for name in [*samples, "response"]}

    def solve(self, model, row):
        messages = [{"role": "system", "content": self.system}, {"role": "user", "content": row["question"]}]
        return model(messages, n=4, temperature=0.7, max_tokens=256)


@OPERATORS.register_module("right_filter")
class RightFilter(Filter):
    def compute_stats_single(self, sample, context=False):  # noqa: ARG002
        numbers = re.findall(r"-?\d+", sample["response"])
        right = bool(numbers) and numbers[-1] == sample["answer"].split("#### ")[-1]
        sample[Fields.stats]["right"] = right
        return sample

    def process_single(self, sample):
        return sample[Fields.stats]["right"]
