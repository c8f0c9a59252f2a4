"""Faults specific to vLLM in this process."""

import asyncio
import json
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from synth.pipelines.engines import Completion, Engine, Message, PromptRefused, Request, Sampling
from synth.pipelines.engines.reasoning import separate_reasoning
from synth.pipelines.engines.vllm import VllmEngine, _marks_reasoning_by_special_tokens, _ReasoningParser
from synth.pipelines.prompted.fields import Fields
from synth.pipelines.prompted.map import Map
from synth.pipelines.retrieval.scoring import compiled
from synth.pipelines.runtime.options import Options
from synth.pipelines.runtime.prompts import Prompt
from synth.pipelines.runtime.runner import Run
from synth.schemas.errors import UsageError
from tests.conftest import LentEngine
from tests.rows import rows_of, write_rows

DEATH = """
import asyncio, json, sys
from synth.pipelines.engines import Request, Sampling
from synth.pipelines.engines.vllm import VllmEngine

async def main():
    engine = VllmEngine(sys.argv[1], {})
    await engine.start()
    await engine.answer(Request("before", Sampling(max_tokens=2)))

    from vllm import LLMEngine
    def step(self):
        raise RuntimeError("out of memory")
    LLMEngine.step = step
    requests = [engine.answer(Request(f"number {i}", Sampling())) for i in range(20)]
    under_way = await asyncio.gather(*requests, return_exceptions=True)
    later = await asyncio.gather(engine.answer(Request("later", Sampling())), return_exceptions=True)
    await engine.close()
    print(json.dumps([f"{type(error).__name__}: {error}" for error in under_way + later]))

asyncio.run(main())
"""


UNSEEDED = """
import asyncio, json, sys
from synth.pipelines.engines import Request, Sampling
from synth.pipelines.engines.vllm import VllmEngine

async def first_texts():
    engine = VllmEngine(sys.argv[1], {}, seeds=False)
    await engine.start()
    answer = await engine.answer(Request("why", Sampling(max_tokens=24), n=2))
    await engine.close()
    return [completion.text for completion in answer.completions]

async def main():
    print(json.dumps([*await first_texts(), *await first_texts()]))

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


def test_without_seeds_equal_requests_get_different_answers(
    vllm_engine: LentEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vllm_engine.engine, "_seeds", False)
    request = Request("why", Sampling(max_tokens=24), n=3, seed=7)
    answers = [asyncio.run(vllm_engine.answer(request)) for _ in range(2)]
    assert len({completion.text for answer in answers for completion in answer.completions}) == 6


def test_without_seeds_an_engine_that_starts_again_does_not_draw_the_same_again(random_model: Path) -> None:
    command = [sys.executable, "-c", UNSEEDED, str(random_model)]
    process = subprocess.run(command, capture_output=True, text=True, timeout=500, check=True)
    assert len(set(json.loads(process.stdout))) == 4


def test_only_the_schema_that_cannot_be_enforced_is_refused(vllm_engine: Engine) -> None:
    impossible = {"type": "array", "items": {"type": "integer"}, "uniqueItems": True}

    async def both() -> Any:
        refused = vllm_engine.answer(Request("a", Sampling(max_tokens=4), schema=impossible))
        answered = vllm_engine.answer(Request("a", Sampling(max_tokens=4)))
        return await asyncio.gather(refused, answered, return_exceptions=True)

    refusal, answer = asyncio.run(both())
    assert isinstance(refusal, PromptRefused)
    assert answer.prompt_tokens == 1


def test_it_tells_what_it_is_doing_while_it_starts(vllm_engine: LentEngine) -> None:
    phases: list[str] = vllm_engine.engine.phases  # type: ignore[attr-defined]
    assert phases[:2] == ["starting vLLM: reading the configuration", "starting vLLM: loading weights"]
    assert phases[-1] == "starting vLLM: warming up"
    logger = logging.getLogger("vllm")
    assert logger.level == logging.ERROR
    assert not [handler for handler in logger.handlers if handler.level == logging.INFO]


def test_it_takes_as_many_requests_at_a_time_as_bare_vllm(vllm_engine: LentEngine, random_model: Path) -> None:
    from vllm import EngineArgs
    from vllm.usage.usage_lib import UsageContext

    bare = EngineArgs(str(random_model)).create_engine_config(UsageContext.LLM_CLASS).scheduler_config
    ours = vllm_engine.engine.scheduling  # type: ignore[attr-defined]
    assert (ours.max_num_seqs, ours.max_num_batched_tokens) == (bare.max_num_seqs, bare.max_num_batched_tokens)


def test_it_starts_in_a_process_that_has_searched_words() -> None:
    from vllm.triton_utils.dispatcher import _rebind_kernels

    compiled()
    _rebind_kernels([])


def test_invalid_sampling_is_reported(vllm_engine: Engine) -> None:
    with pytest.raises(UsageError, match=r"vLLM rejects these sampling options: .*temperature"):
        asyncio.run(vllm_engine.answer(Request("a", Sampling(temperature=-1))))


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ({"max_modell_len": 512}, "--engine-arg max_modell_len: vLLM has no such engine argument"),
        ({"max_model_len": "many"}, "vLLM rejects --model .* --engine-arg max_model_len=many: max_model_len: "),
        ({"chat_template_kwargs": "no"}, "--engine-arg chat_template_kwargs is not a JSON object"),
        ({"dtype": "float7"}, "vLLM rejects --model .* --engine-arg dtype=float7: dtype: "),
    ],
)
def test_an_invalid_engine_argument_is_reported(random_model: Path, args: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        asyncio.run(VllmEngine(str(random_model), args).start())


def test_a_model_that_vllm_does_not_support_is_reported(folder: Path) -> None:
    with pytest.raises(UsageError, match=f"vLLM rejects --model {folder}"):
        asyncio.run(VllmEngine(str(folder), {}).start())


def test_reasoning_opened_by_the_chat_template_and_never_closed_is_recognized(
    vllm_engine: LentEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = Request((Message(role="user", content="why?"),), Sampling(max_tokens=6))
    plain = asyncio.run(vllm_engine.answer(request))
    monkeypatch.setattr(vllm_engine.engine, "_template", {"thinking": True})
    thinking = asyncio.run(vllm_engine.answer(request))
    assert thinking.prompt_tokens == plain.prompt_tokens + len("<think>\n")
    (completion,) = map(separate_reasoning, thinking.completions)
    assert (completion.text, completion.finish_reason) == ("", "length")
    assert completion.reasoning
    assert "<think>" not in completion.reasoning


def test_an_answer_with_a_schema_is_not_reasoning_even_if_the_template_opens_it(
    vllm_engine: LentEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vllm_engine.engine, "_template", {"thinking": True})
    schema = {"type": "object", "properties": {"a": {"enum": ["b"]}}, "required": ["a"], "additionalProperties": False}
    request = Request((Message(role="user", content="why?"),), Sampling(max_tokens=40), schema=schema)
    (completion,) = asyncio.run(vllm_engine.answer(request)).completions
    assert json.loads(separate_reasoning(completion).text) == {"a": "b"}


def test_a_random_model_fills_the_columns_of_a_schema(vllm_engine: LentEngine, tmp_path: Path) -> None:
    properties = {"colour": {"enum": ["red", "blue"]}, "sure": {"type": "boolean"}}
    schema = {"type": "object", "properties": properties, "required": [*properties], "additionalProperties": False}
    stage = Map(Prompt("# user\n{{ word }}?", "mine.md"), Fields(schema), n=4, max_tokens=60)
    source = write_rows(tmp_path / "words.jsonl", [{"word": "sky"}, {"word": "rose"}])
    summary = Run(stage, [str(source)], tmp_path / "out", Options(), engine=vllm_engine).execute()
    assert (summary.counts.produced, summary.counts.outputs) == (2, 8)
    assert {(row["colour"], type(row["sure"])) for row in rows_of(tmp_path / "out")} <= {("red", bool), ("blue", bool)}


@pytest.fixture(scope="module")
def marked_tokenizer(random_model: Path) -> Any:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(random_model)
    tokenizer.add_tokens(["<think>", "</think>"])
    return tokenizer


def test_a_parser_of_vllm_separates_reasoning_from_the_answer(marked_tokenizer: Any) -> None:
    parser = _ReasoningParser("deepseek_r1", marked_tokenizer, "model", {})
    whole = parser.separated(Completion("Two and two.</think>Four.", "stop", 9))
    assert (whole.reasoning, whole.text, whole.finish_reason, whole.tokens) == ("Two and two.", "Four.", "stop", 9)
    cut = parser.separated(Completion("Two and", "stop", 2))
    assert (cut.reasoning, cut.text, cut.finish_reason) == ("Two and", "", "length")
    stopped = separate_reasoning(parser.separated(Completion("Two and two.", "stop", 5, stop="</think>")))
    assert (stopped.reasoning, stopped.text, stopped.finish_reason) == ("Two and two.", "", "stop")


def test_an_unusable_reasoning_parser_is_reported(marked_tokenizer: Any) -> None:
    for name in ("no_such_parser", "openai_gptoss"):
        with pytest.raises(UsageError, match=f"reasoning_parser={name} cannot be used"):
            _ReasoningParser(name, marked_tokenizer, "model", {})


def test_markers_that_are_special_tokens_are_kept_in_the_text(marked_tokenizer: Any) -> None:
    assert not _marks_reasoning_by_special_tokens(marked_tokenizer)
    marked_tokenizer.add_special_tokens({"additional_special_tokens": ["[THINK]", "[/THINK]"]})
    assert _marks_reasoning_by_special_tokens(marked_tokenizer)


def test_an_engine_that_was_never_started_can_be_closed(folder: Path) -> None:
    asyncio.run(VllmEngine(str(folder), {}).close())
