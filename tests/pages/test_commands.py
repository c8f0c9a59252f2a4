"""Every command of the documentation runs, one after the other, where its page says that it runs."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from synth.pipelines.engines.models import TINY_FOLDER
from tests.counting_server import serving
from tests.hub import hub
from tests.jails import why_not
from tests.object_store import Bucket
from tests.pages.page import PAGES, Page
from tests.pages.recorded import RecordedServer
from tests.pages.shell import Shell
from tests.pipelines.retrieval.meanings import MODEL
from tests.pipelines.reward import reward_model

# Why a command is not run: it begins with these words.
NOT_RUN = {
    "pip install": "changes the environment of the tests; tests/test_installed.py installs the package",
    "vllm serve": "needs a GPU, and serves until it is stopped",
    "python -m vllm.entrypoints.openai.api_server": "serves until it is stopped, as in test_contract.py of the engines",
    "python -m benchmarks.": "measures for many minutes; test_text.py checks that the module exists",
    "sbatch": "needs Slurm; tests/faults/test_slices.py runs slices",
    "seq": "needs GNU parallel and GPUs; tests/faults/test_slices.py runs slices",
    "tail -f": "follows the file until it is stopped",
    "ray": "needs several machines; tests/cluster/test_scaling_page.py has a simulated cluster",
}
# Pages with a test module of their own.
ELSEWHERE = {"docs/scaling.md": "tests/cluster/test_scaling_page.py"}
# Files that readers bring along.
GIVEN: dict[str, dict[str, str]] = {
    "docs/self-lengthen.md": {"train.sh": '#!/bin/sh\ncp -r "$2" "$3"\n'},
    "docs/query-of-cc.md": {"qrels.txt": "network-category 0 http.cookiejar 1\nnetwork-phrase 0 ssl 1\n"},
}
# The models of embeddings that pages name, by their place below the folder, which comes before the hub.
ENCODERS = (
    "whaleloops/phrase-bert",
    "my-encoder",
    "sentence-transformers/all-MiniLM-L6-v2",
    "intfloat/e5-base-v2",
)
RUNS_PROGRAMS = ("synth case2code execute", "synth case2code evaluate", "synth dstc", "synth run-code")
HERE = [page for page in PAGES if page.commands and page.name not in ELSEWHERE]


def reason_not_to(command: str) -> str | None:
    return next((reason for start, reason in NOT_RUN.items() if command.startswith(start)), None)


def small_model(folder: Path) -> Path:
    """A language model of random weights that reads long texts and is trained in no time."""
    from transformers import AutoTokenizer, Qwen2Config, Qwen2ForCausalLM

    tokenizer = AutoTokenizer.from_pretrained(TINY_FOLDER)
    shape = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "max_position_embeddings": 2048}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 2}
    Qwen2ForCausalLM(Qwen2Config(vocab_size=len(tokenizer), **shape, **heads)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def server() -> Iterator[RecordedServer]:
    with serving(RecordedServer()) as one:
        yield one


@pytest.fixture(scope="module")
def other_server() -> Iterator[RecordedServer]:
    with serving(RecordedServer()) as other:
        yield other


@pytest.fixture
def shell(
    page: Page,
    tmp_path: Path,
    server: RecordedServer,
    other_server: RecordedServer,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Shell]:
    if any(command.startswith(RUNS_PROGRAMS) for command in page.commands) and (reason := why_not("bwrap")):
        pytest.skip(reason)
    monkeypatch.setenv("GATEWAY_KEY", "a key")
    stand_ins = {
        r"http://node-b:8000": other_server.host,
        r"https?://(localhost:8000|node-a:8000|[\w.]+\.azure\.com|gateway\.example)": server.host,
        r"^(?=.*--base-url)(.*) --model \S+": r"\1",
        r"^(?!synth self-lengthen train)(.*) --model \S+": rf"\1 --base-url {server.url}",
    }
    shell = Shell(page, tmp_path, stand_ins)
    for name, content in GIVEN.get(page.name, {}).items():
        shell.give(name, content)
    for encoder in ENCODERS:
        if MODEL and encoder in page.text:
            (shell.folder / encoder).parent.mkdir(exist_ok=True)
            (shell.folder / encoder).symlink_to(MODEL)
    if "Skywork/" in page.text:
        reward_model(shell.folder / "Skywork" / "Skywork-Reward-V2-Qwen3-8B", context=4096)
    if any("s3://" in command for command in page.commands):
        bucket: Bucket = request.getfixturevalue("bucket")
        bucket.upload(tmp_path / "examples" / "questions.jsonl", "questions/questions.jsonl")
        stand_ins["s3://data"] = bucket.url
    if any("self-lengthen train" in command for command in page.commands):
        stand_ins[r"^(synth self-lengthen train .*)--model \S+"] = rf"\1--model {small_model(tmp_path / 'small')}"
        stand_ins[r"^(synth self-lengthen train (?!.*--train-command).*)"] = r"\1 --epochs 1"
    if any("synth push" in command for command in page.commands):
        with hub() as running:
            shell.environment.update(running.environment(tmp_path))
            yield shell
    else:
        yield shell


@pytest.mark.parametrize("page", HERE, ids=str)
def test_the_commands_of_a_page_run_one_after_the_other(page: Page, shell: Shell) -> None:
    for command in page.commands:
        if not reason_not_to(command):
            shell.run(command)


@pytest.mark.parametrize("start", NOT_RUN)
def test_what_is_not_run_is_on_a_page(start: str) -> None:
    assert any(command.startswith(start) for page in PAGES for command in page.commands)
