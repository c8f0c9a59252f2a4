"""Real instructions, tagged by vLLM over the random model: nothing is known of what it says but that it is JSON."""

from pathlib import Path

import pytest
from datasets import load_from_disk

from synth.pipelines.instag.tag import Tag
from synth.pipelines.runtime.options import Options
from synth.pipelines.runtime.prompts import Prompt
from synth.pipelines.runtime.runner import Run
from synth.schemas.dataset import Dataset
from tests.conftest import LentEngine

FILE = Path(__file__).parents[4] / "shared" / "data" / "self-instruct-seed-tasks.jsonl"
REASONS = {"truncated", "prompt_too_long"}


def test_every_instruction_ends_with_tags_or_with_the_reason_why_it_has_none(
    tmp_path: Path, vllm_engine: LentEngine
) -> None:
    if not FILE.is_file():
        pytest.skip(f"the instructions of Self-Instruct are not at {FILE}")
    # A letter is a token of this model, and it writes on until a limit ends a text.
    stage = Tag(
        prompt=Prompt("# user\n{{ query }}", "bare"), max_tag_chars=10, temperature=1.0, max_tokens=128, tries=1
    )
    summary = Run(
        stage, [str(FILE)], tmp_path / "out", Options(limit=64, max_failures=64), engine=vllm_engine
    ).execute()
    tagged = load_from_disk(str(tmp_path / "out")).to_list()
    rejected = Dataset.open(tmp_path / "out").rejected.table.to_pylist()
    assert len(tagged) + len(rejected) == summary.record["input_rows"] == 64
    assert tagged
    assert all(0 < len(each["tag"]) <= 10 for row in tagged for each in row["raw_tags"])
    assert {row["reason"] for row in rejected} <= REASONS
    assert all(row["detail"] for row in rejected)
