"""Every command of the documentation runs, one after the other, where its page says that it runs."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hub import hub
from tests.jails import why_not
from tests.object_store import Bucket
from tests.pages.page import PAGES, Page
from tests.pages.recorded import RecordedServer
from tests.pages.shell import RUNS_PROGRAMS, Shell
from tests.pages.stand_ins import lend_models

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
HERE = [page for page in PAGES if page.commands and page.name not in ELSEWHERE]


def reason_not_to(command: str) -> str | None:
    return next((reason for start, reason in NOT_RUN.items() if command.startswith(start)), None)


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
    shell = Shell(
        page,
        tmp_path,
        {
            r"http://node-b:8000": other_server.host,
            r"https?://(localhost:8000|node-a:8000|[\w.]+\.azure\.com|gateway\.example)": server.host,
        },
    )
    for name, content in GIVEN.get(page.name, {}).items():
        shell.give(name, content)
    lend_models(shell, page.commands, server)
    if any("s3://" in command for command in page.commands):
        bucket: Bucket = request.getfixturevalue("bucket")
        bucket.upload(tmp_path / "examples" / "questions.jsonl", "questions/questions.jsonl")
        shell.stand_ins["s3://data"] = bucket.url
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
