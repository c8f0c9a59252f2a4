"""usage: datatrove_sample.py QUESTIONS OUT BASE_URL MODEL"""

import re
import sys
from pathlib import Path

from datatrove.data import Document
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.filters import LambdaFilter
from datatrove.pipeline.inference.run_inference import InferenceConfig, InferenceRunner
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.writers import JsonlWriter

questions, out, base_url, model = sys.argv[1:]
system = Path(questions).with_name("system.txt").read_text()


async def solve(document, generate):
    messages = [{"role": "system", "content": system}, {"role": "user", "content": document.text}]
    return await generate({"messages": messages, "temperature": 0.7, "max_tokens": 256})


def one_row_per_solution(data, rank=0, world_size=1):  # noqa: ARG001
    for document in data:
        for number, result in enumerate(document.metadata["rollout_results"]):
            metadata = {"response": result["text"], "answer": document.metadata["answer"]}
            yield Document(document.text, f"{document.id}/{number}", metadata=metadata)


def is_right(document):
    numbers = re.findall(r"-?\d+", document.metadata["response"])
    return bool(numbers) and numbers[-1] == document.metadata["answer"].split("#### ")[-1]


config = InferenceConfig(
    server_type="endpoint",
    endpoint_url=base_url.removesuffix("/v1"),
    model_name_or_path=model,
    rollouts_per_document=4,
    max_concurrent_generations=256,
)
sampling = [
    JsonlReader(str(Path(questions).parent), glob_pattern=Path(questions).name, text_key="question"),
    InferenceRunner(
        solve,
        config,
        JsonlWriter(f"{out}/samples", output_filename="${rank}_${chunk_index}.jsonl", compression=None),
        checkpoints_local_dir=f"{out}/checkpoints",
        records_per_chunk=256,
    ),
]
selecting = [
    JsonlReader(f"{out}/samples"),
    one_row_per_solution,
    LambdaFilter(is_right),
    JsonlWriter(f"{out}/accepted", compression=None),
]
sampled = LocalPipelineExecutor(sampling, logging_dir=f"{out}/logs/sample")
LocalPipelineExecutor(selecting, logging_dir=f"{out}/logs/select", depends=sampled).run()
