"""What several test modules share: a random model, one vLLM over it and one object store for the whole session."""

import asyncio
import json
import signal
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future
from importlib.util import find_spec
from pathlib import Path
from threading import Thread
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, settings

from synth.pipelines.engines import Answer, Engine, Request
from tests.object_store import Bucket, object_store

# Tests say nothing of how long anything takes, nor of how busy the machine is.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")
# A shell that starts the tests in the background has Ctrl-C ignored, and every process that they start inherits that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

CONTEXT = 512
CHAT_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% if thinking %}<think>\n{% endif %}{% endif %}"
)


class LentEngine:
    """A started engine in an event loop of its own, so that any test may use it from any loop; nobody closes it."""

    starting = "borrowing the engine"

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._call(engine.start()).result()

    @property
    def gpus(self) -> int | None:
        return self.engine.gpus

    def identity(self) -> dict[str, Any]:
        return self.engine.identity()

    async def start(self) -> None:
        pass

    async def answer(self, request: Request) -> Answer:
        return await asyncio.wrap_future(self._call(self.engine.answer(request)))

    async def close(self) -> None:
        pass

    def take_back(self) -> None:
        self._call(self.engine.close()).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _call(self, coroutine: Coroutine[Any, Any, Any]) -> Future[Any]:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)


@pytest.fixture(scope="session")
def random_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Qwen2 of random weights over ASCII: a chat template, a context of 512 tokens, a character a token."""
    if find_spec("vllm") is None:
        pytest.skip("vLLM is not installed, and nothing else runs this model")
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import Qwen2Config, Qwen2ForCausalLM

    folder = tmp_path_factory.mktemp("random-model")
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    letters = ["Ġ", "Ċ", *map(chr, range(33, 127))]
    tokenizer = Tokenizer(models.BPE({token: i for i, token in enumerate(special + letters)}, merges=[]))
    tokenizer.add_special_tokens(special)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.save(str(folder / "tokenizer.json"))
    names = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}
    (folder / "tokenizer_config.json").write_text(json.dumps({**names, "chat_template": CHAT_TEMPLATE}))

    torch.manual_seed(0)
    model = Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=len(special) + len(letters),
            hidden_size=128,
            intermediate_size=256,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=2,
            max_position_embeddings=CONTEXT,
            bos_token_id=0,
            eos_token_id=2,
            tie_word_embeddings=False,
        )
    )
    with torch.no_grad():
        # Sharp enough that what is said depends on what was asked, and not on the dice alone.
        model.lm_head.weight.mul_(10)
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def vllm_engine(random_model: Path) -> Iterator[LentEngine]:
    """vLLM over the random model, started once."""
    from synth.pipelines.engines.vllm import VllmEngine

    class Telling(VllmEngine):
        """It remembers what it was doing while it started, and with which settings."""

        def _load(self) -> Any:
            engine = super()._load()
            self.scheduling = engine.vllm_config.scheduler_config
            return engine

        def _begin(self, phase: str) -> None:
            super()._begin(phase)
            self.phases = [*getattr(self, "phases", []), self.starting]

    engine = LentEngine(Telling(str(random_model), {"dtype": "float32"}))
    yield engine
    engine.take_back()


@pytest.fixture(scope="session")
def object_store_address() -> Iterator[str]:
    with object_store() as address:
        yield address


@pytest.fixture
def bucket(object_store_address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """An empty bucket that the environment leads to, with folders of their own for copies and workplaces."""
    made = Bucket(object_store_address, f"bucket-{uuid4().hex[:12]}")
    folders = {"XDG_CACHE_HOME": str(tmp_path / "cache"), "XDG_STATE_HOME": str(tmp_path / "state")}
    for name, value in {**made.environment, **folders}.items():
        monkeypatch.setenv(name, value)
    made.make()
    return made
