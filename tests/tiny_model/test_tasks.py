"""The examples that the embedded model is trained on."""

import pytest

from synth.pipelines.engines.models import TINY_FOLDER
from tiny_model.tasks import TASKS, Sources


@pytest.mark.parametrize("name", ["inputs", "inputs_plain", "induce", "ask", "think", "tag"])
def test_an_example_fits_well_into_the_context(name: str) -> None:
    transformers = pytest.importorskip("transformers", reason="the model's tokenizer needs transformers")
    tokenizer = transformers.AutoTokenizer.from_pretrained(TINY_FOLDER, local_files_only=True)
    (task,) = (task for task in TASKS if task.__name__ == f"_{name}")
    sources = Sources("lengths")
    texts = ["".join(task(sources)) for _ in range(100)]
    assert max(map(len, tokenizer(texts)["input_ids"])) < 1800
