"""What only vLLM in this process can do wrong."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipelines.engines import Engine, Request, Sampling
from pipelines.engines.vllm import VllmEngine
from schemas.errors import EngineFailed, UsageError

DEATH = """
import asyncio, json, sys
from pipelines.engines import Request, Sampling
from pipelines.engines.vllm import VllmEngine

async def main():
    engine = VllmEngine(sys.argv[1], {})
    await engine.start()
    await engine.generate(Request("before", Sampling(max_tokens=2)))

    from vllm import LLMEngine
    def step(self):
        raise RuntimeError("out of memory")
    LLMEngine.step = step
    requests = [engine.generate(Request(f"number {i}", Sampling())) for i in range(20)]
    under_way = await asyncio.gather(*requests, return_exceptions=True)
    later = await asyncio.gather(engine.generate(Request("later", Sampling())), return_exceptions=True)
    await engine.close()
    print(json.dumps([f"{type(error).__name__}: {error}" for error in under_way + later]))

asyncio.run(main())
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config.json").write_text("{}")
    return tmp_path


def test_a_dead_engine_fails_all_requests_and_the_process_ends_quietly(random_model: Path) -> None:
    command = [sys.executable, "-c", DEATH, str(random_model)]
    process = subprocess.run(command, capture_output=True, text=True, timeout=500, check=False)
    assert (process.returncode, process.stderr) == (0, "")
    assert json.loads(process.stdout) == ["EngineFailed: vLLM has died: out of memory"] * 21


def test_a_schema_that_cannot_be_enforced_is_refused_and_nothing_else_is(vllm_engine: Engine) -> None:
    impossible = {"type": "array", "items": {"type": "integer"}, "uniqueItems": True}

    async def both() -> Any:
        refused = vllm_engine.generate(Request("a", Sampling(max_tokens=4), schema=impossible))
        answered = vllm_engine.generate(Request("a", Sampling(max_tokens=4)))
        return await asyncio.gather(refused, answered, return_exceptions=True)

    refusal, answer = asyncio.run(both())
    assert isinstance(refusal, EngineFailed)
    assert answer.prompt_tokens == 1


def test_sampling_that_makes_no_sense_is_told(vllm_engine: Engine) -> None:
    with pytest.raises(UsageError, match=r"vLLM does not take these sampling options: .*temperature"):
        asyncio.run(vllm_engine.generate(Request("a", Sampling(temperature=-1))))


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ({"max_modell_len": 512}, "--engine-arg max_modell_len: vLLM has no such engine argument"),
        ({"max_model_len": "many"}, "vLLM does not take --model .* --engine-arg max_model_len=many: max_model_len: "),
        ({"dtype": "float7"}, "vLLM does not take --model .* --engine-arg dtype=float7: dtype: "),
    ],
)
def test_an_engine_argument_that_vllm_does_not_take_is_told(
    random_model: Path, args: dict[str, Any], says: str
) -> None:
    with pytest.raises(UsageError, match=says):
        asyncio.run(VllmEngine(str(random_model), args).start())


def test_a_directory_whose_model_vllm_does_not_know_is_told(folder: Path) -> None:
    with pytest.raises(UsageError, match=f"vLLM does not take --model {folder}"):
        asyncio.run(VllmEngine(str(folder), {}).start())


def test_an_engine_that_was_never_started_can_be_closed(folder: Path) -> None:
    asyncio.run(VllmEngine(str(folder), {}).close())
