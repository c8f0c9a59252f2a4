"""usage: distilabel_sample.py QUESTIONS OUT BASE_URL MODEL"""

import re
import sys
from pathlib import Path

from datasets import load_dataset
from distilabel.models.llms import OpenAILLM
from distilabel.pipeline import Pipeline
from distilabel.steps import StepInput, step
from distilabel.steps.tasks import TextGeneration

questions, out, base_url, model = sys.argv[1:]
system = Path(questions).with_name("system.txt").read_text()


@step(inputs=["generation", "answer"], outputs=["generation", "answer"])
def keep_right(inputs: StepInput):
    yield [row for row in inputs if is_right(row["generation"], row["answer"])]


def is_right(response, answer):
    numbers = re.findall(r"-?\d+", response or "")
    return bool(numbers) and numbers[-1] == answer.split("#### ")[-1]


with Pipeline("sample") as pipeline:
    solve = TextGeneration(
        llm=OpenAILLM(
            model=model,
            base_url=base_url,
            api_key="none",
            generation_kwargs={"temperature": 0.7, "max_new_tokens": 256},
        ),
        system_prompt=system,
        input_mappings={"instruction": "question"},
        num_generations=4,
        input_batch_size=64,
    )
    solve >> keep_right(input_batch_size=256)

distiset = pipeline.run(dataset=load_dataset("json", data_files=questions, split="train"))
distiset["default"]["train"].to_json(f"{out}/accepted.jsonl")
