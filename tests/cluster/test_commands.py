"""Commands on a cluster, as a person types them: what is refused, Ctrl-C, and who looks on."""

import asyncio
import json
import pickle
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from synth.pipelines.engines.echo import EchoEngine
from synth.pipelines.engines.models import TINY_FOLDER
from synth.pipelines.engines.vllm import VllmEngine
from synth.pipelines.runtime.chunk_worker import Task
from synth.pipelines.runtime.cluster import crew
from synth.pipelines.runtime.cluster.actor import Actor, Setting, versions
from synth.pipelines.runtime.lines import LineFormat
from synth.pipelines.runtime.options import Options
from synth.pipelines.runtime.runner import Run
from synth.pipelines.runtime.shared import Backends
from synth.pipelines.runtime.spending import Spending
from synth.schemas.errors import SynthError, UsageError
from synth.schemas.layout import Layout
from synth.schemas.records import QUERY
from tests.cluster.simulated import Simulated, kill_actor
from tests.command import SYNTH, run_synth
from tests.faults.campaign import TwoCalls, questions, shard_bytes
from tests.pages.page import Page
from tests.rows import write_rows

SAMPLE = ("reject", "sample", "questions.jsonl")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rows = [{"id": f"q-{i}", "question": f"{i}?", "answer": "#### 1"} for i in range(200)]
    write_rows(tmp_path / "questions.jsonl", rows)
    return tmp_path


def refused(folder: Path, *words: str) -> str:
    """The one sentence with which a command is refused; it leaves nothing behind."""
    ended = run_synth(*SAMPLE, "out", "--engine", "echo", *words, folder=folder)
    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1, ended.stderr
    assert not (folder / "out.partial").exists()
    return ended.stderr.removeprefix("synth: ").strip()


def test_what_cannot_be_used_is_said_in_one_sentence(folder: Path, cluster: Simulated) -> None:
    assert refused(folder, "--on", "spark") == "--on spark: must be ray or ray:ADDRESS, such as ray:10.0.0.1:6379"
    assert "add --on ray" in refused(folder, "--workers", "2")
    nobody = refused(folder, "--on", "ray:127.0.0.1:1")
    assert nobody == "--on ray: no cluster answers at 127.0.0.1:1: Connection refused"
    assert "run the command on a node of the cluster" in refused(folder, "--on", "ray:ray://127.0.0.1:10001")
    many = refused(folder, "--on", f"ray:{cluster.address}", "--workers", "3")
    assert many.startswith("3 workers with a processor each do not fit on the cluster (2 processors, 3 nodes)")


def test_without_ray_it_is_said_how_to_install_it(folder: Path) -> None:
    (folder / "hidden").mkdir()
    (folder / "hidden" / "ray.py").write_text("raise ImportError")
    command = (*SAMPLE, "out", "--engine", "echo", "--on", "ray:local")
    ended = run_synth(*command, folder=folder, PYTHONPATH=str(folder / "hidden"))
    assert ended.stderr == "synth: --on ray needs Ray, which is not installed: pip install '.[ray]'\n"
    assert ended.returncode == 2
    assert not (folder / "out.partial").exists()


def setting(folder: Path, engine: Any = None) -> Setting:
    """What the driver of a run in `folder` would tell a worker on another machine."""
    layout = Layout(folder / "out").partial
    layout.path.mkdir()
    layout.record.write_text("{}")
    task = Task(TwoCalls(), Backends(engine), layout, Options(), LineFormat(QUERY.schema, QUERY.schema), 4096)
    keys = [backend.key for backend in task.backends.shared(None, Spending()).used]
    return Setting("0", folder, (), {}, versions(), str(folder / "out"), "{}", 1, keys, pickle.dumps(task))


def unfit(told: Setting) -> str:
    # A worker goes to the folder of its driver, and this process has to come back.
    with pytest.raises(UsageError) as refused, chdir(Path.cwd()):
        asyncio.run(Actor().open(told))
    return str(refused.value)


def test_a_node_with_another_version_is_named(tmp_path: Path) -> None:
    told = replace(setting(tmp_path), versions={**versions(), "synth": "9.9"})
    sentence = unfit(told)
    assert sentence.startswith("on the node ")
    assert "it has synth 0.1.0 instead of 9.9: install the same version on all nodes" in sentence


def test_a_node_without_the_directory_is_named(tmp_path: Path) -> None:
    told = setting(tmp_path)
    assert "it does not see /nowhere: use directories on a file system" in unfit(replace(told, folder=Path("/nowhere")))
    elsewhere = tmp_path / "elsewhere"
    assert f"it does not see {elsewhere}.partial" in unfit(replace(told, output=str(elsewhere)))
    # A directory of that name, which is not the same one.
    assert f"it does not see {told.output}.partial" in unfit(replace(told, begun="of another run"))


def test_a_node_without_the_code_of_the_step_is_named(tmp_path: Path) -> None:
    told = replace(setting(tmp_path), task=b"cnowhere\nStep\n.")
    assert "it cannot load the code of the step (ModuleNotFoundError: No module named 'nowhere')" in unfit(told)


def test_a_node_without_synth_ends_the_run(tmp_path: Path, cluster: Simulated, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = ModuleType("nowhere")
    elsewhere.Actor = type("Actor", (Actor,), {"__module__": "nowhere"})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "nowhere", elsewhere)
    monkeypatch.setattr(crew, "Actor", elsewhere.Actor)
    source = str(questions(tmp_path, ["one"]))
    run = Run(TwoCalls(), [source], tmp_path / "out", Options(on=f"ray:{cluster.address}"), engine=EchoEngine())
    with pytest.raises(SynthError, match=r"no worker is left, .* it cannot start .* is synth installed on all nodes\?"):
        run.execute()


def test_a_step_of_your_own_runs_there_wherever_its_file_is(tmp_path: Path, cluster: Simulated) -> None:
    (tmp_path / "steps").mkdir()
    (tmp_path / "steps" / "louder.py").write_text(Page("docs/own-stage.md").files["louder.py"])
    questions(tmp_path, ["one", "two"])
    for out, on in (("here", ()), ("there", ("--on", f"ray:{cluster.address}"))):
        step = ("run", "steps/louder.py:Louder", "questions.jsonl", out, "--engine", "echo")
        ended = run_synth(*step, *on, folder=tmp_path)
        assert ended.returncode == 0, ended.stderr
    assert shard_bytes(tmp_path / "there") == shard_bytes(tmp_path / "here")


def test_a_node_without_the_model_or_with_another_one_is_named(tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(TINY_FOLDER, model)
    told = setting(tmp_path, VllmEngine(str(model), {}))
    (model / "config.json").write_text((model / "config.json").read_text() + "\n")
    assert "its model or its sandbox is another one: install the same everywhere" in unfit(told)
    shutil.rmtree(model)
    assert f"--model {model}: there is no such directory" in unfit(told)


def test_ctrl_c_keeps_what_is_finished_and_the_run_goes_on_without_the_cluster(
    folder: Path, cluster: Simulated
) -> None:
    command = [*SAMPLE, "out", "--engine", "echo", "-n", "2", "--in-flight", "10"]
    with started(folder, *command, "--engine-arg", "delay=0.2", "--on", f"ray:{cluster.address}") as run:
        wait_until(lambda: has_finished_rows(folder / "out"))
        shown = run_synth("show", "out", folder=folder)
        assert "out is under way" in shown.stderr
        assert "q-0/path-0" in shown.stdout
        with subprocess.Popen(
            [SYNTH, "watch", "out", "--json"], cwd=folder, stdout=subprocess.PIPE, text=True
        ) as watch:
            assert watch.stdout
            assert json.loads(watch.stdout.readline())["rows"] == 200
            run.send_signal(signal.SIGINT)
            assert run.wait(timeout=60) == 130
            assert watch.wait(timeout=60) == 3
    ended = run_synth(*command, folder=folder)
    assert ended.returncode == 0, ended.stderr
    cost = json.loads((folder / "out" / "synth.json").read_text())["cost"]
    assert cost["unused_requests"] == 0, "what was in flight was answered within the five seconds"


def test_programs_run_in_jails_there(tmp_path: Path, cluster: Simulated) -> None:
    calls = [f"dict(x={x})" for x in range(10)]
    functions = [
        {"id": f"f-{i}", "code": f"def f(x):\n    return x * {i + 2}", "func_name": "f", "example_inputs": calls}
        for i in range(20)
    ]
    write_rows(tmp_path / "functions.jsonl", functions)
    for out, on in (("here", ()), ("there", ("--on", f"ray:{cluster.address}"))):
        ended = run_synth("case2code", "execute", "functions.jsonl", out, *on, folder=tmp_path)
        assert ended.returncode == 0, ended.stderr
    here, there = (json.loads((tmp_path / out / "synth.json").read_text()) for out in ("here", "there"))
    assert here["counts"]["produced"] == 20
    assert there["shards"] == here["shards"]
    assert there["sandbox"] == here["sandbox"]
    assert there["sandbox"]["tier"]


def test_a_model_that_is_killed_in_the_middle_writes_the_same_texts(tmp_path: Path, cluster: Simulated) -> None:
    asked = [
        {"id": f"q-{i}", "question": f"Tom has {i} apples and buys 3. How many?", "answer": "#### 1"} for i in range(24)
    ]
    write_rows(tmp_path / "questions.jsonl", asked)
    command = (*SAMPLE, "there", "--model", "tiny", "-n", "2", "--max-tokens", "60", "--in-flight", "2")
    with started(tmp_path, *command, "--on", f"ray:{cluster.address}", "--workers", "1") as run:
        wait_until(lambda: has_finished_rows(tmp_path / "there"))
        assert kill_actor(random.Random(0))
        assert run.wait(timeout=120) == 0
    here = run_synth(*command[:3], "here", *command[4:], folder=tmp_path)
    assert here.returncode == 0, here.stderr
    assert shard_bytes(tmp_path / "there") == shard_bytes(tmp_path / "here")


@contextmanager
def started(folder: Path, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    """A command under way, which says nothing about the program's inside."""
    with (folder / "said").open("w+b") as said:
        process = subprocess.Popen([SYNTH, *words], cwd=folder, stderr=said)
        try:
            yield process
        finally:
            process.kill()
            process.wait()
            said.seek(0)
            assert b"Traceback" not in said.read()


def has_finished_rows(out: Path) -> bool:
    return any(journals.rows.is_file() for journals in Layout(out).partial.all_journals())


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 90
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
