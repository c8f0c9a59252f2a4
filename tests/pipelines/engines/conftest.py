import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from synth.pipelines.engines.openai import OpenAIEngine, Server, served_models
from synth.schemas.errors import EngineFailed
from tests.conftest import LentEngine
from tests.pipelines.engines.scripted_server import Script, scripted_server


@pytest.fixture
def script() -> Iterator[Script]:
    with scripted_server() as script:
        yield script


@pytest.fixture(scope="session")
def server(random_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The base URL of vLLM's server with the random model."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        *(sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--host", "127.0.0.1", "--port", str(port)),
        *("--model", str(random_model), "--served-model-name", "random", "--dtype", "float32", "--enforce-eager"),
        "--no-enable-chunked-prefill",
        *("--structured-outputs-config", json.dumps({"backend": "xgrammar", "disable_any_whitespace": True})),
    ]
    environment = {**os.environ, "VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_NO_USAGE_STATS": "1"}
    # Like a user's server, with an engine process of its own, regardless of the settings of this process.
    environment.pop("VLLM_ENABLE_V1_MULTIPROCESSING", None)
    log = tmp_path_factory.mktemp("server") / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output, start_new_session=True)
    url = f"http://127.0.0.1:{port}/v1"
    try:
        while not _answers(url):
            if process.poll() is not None:
                pytest.fail(f"the server did not start: {log.read_text()[-3000:]}")
            time.sleep(0.5)
        yield url
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture(scope="session")
def openai_engine(server: str) -> Iterator[LentEngine]:
    engine = LentEngine(OpenAIEngine(Server(server), "random"))
    yield engine
    engine.take_back()


def _answers(url: str) -> bool:
    try:
        return bool(served_models(Server(url)))
    except EngineFailed:
        return False
