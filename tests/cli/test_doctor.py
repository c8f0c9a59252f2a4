"""`synth doctor`: what is here, what is not, and that nothing makes it wait or write."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from threading import Thread
from typing import Any

from tests.command import run_synth

ROOT = Path(__file__).parents[2]


def doctor(*arguments: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return run_synth("doctor", *arguments, folder=folder, **environment)


def findings(folder: Path, **environment: str) -> dict[str, Mapping[str, Any]]:
    done = doctor("--json", folder=folder, **environment)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return {finding["name"]: finding for finding in json.loads(done.stdout)["findings"]}


def program(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_every_line_has_a_state_a_fact_and_what_to_do_about_it(tmp_path: Path) -> None:
    found = findings(tmp_path)
    assert {"python", "synth", "arrow", "gpu", "vllm", "model tiny", "docker", "bubblewrap", "faiss"} <= found.keys()
    for name, finding in found.items():
        assert finding["state"] in ("ok", "missing", "broken"), name
        assert all(finding[what] for what in ("fact", "cost", "cure")), name
    assert version("pyarrow") in found["arrow"]["fact"]
    assert found["model tiny"]["state"] == "ok"


def test_a_pipe_gets_80_columns_with_costs_only_for_what_is_not_there(tmp_path: Path) -> None:
    done = doctor(folder=tmp_path, SYNTH_MODEL="", HF_HOME=str(tmp_path))
    assert done.returncode == 0
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "every generating command needs --model" in done.stdout
    assert "hf download NAME" in done.stdout
    assert "no dataset can be read or written" not in done.stdout


def test_nothing_is_written(tmp_path: Path) -> None:
    doctor(folder=tmp_path, HOME=str(tmp_path), HF_HOME=str(tmp_path / "hub"))
    assert list(tmp_path.iterdir()) == []


def test_models_are_known_by_the_variable_and_by_the_cache(tmp_path: Path) -> None:
    snapshot = tmp_path / "hub" / "models--acme--small" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text("{}")
    (snapshot / "model.safetensors").write_text("")
    refs = snapshot.parents[1] / "refs"
    refs.mkdir()
    (refs / "main").write_text("abc")
    (tmp_path / "hub" / "models--acme--halfway" / "refs").mkdir(parents=True)
    found = findings(tmp_path, HF_HOME=str(tmp_path), SYNTH_MODEL="acme/small")
    assert (found["hub models"]["state"], found["hub models"]["fact"]) == ("ok", "acme/small")
    assert found["SYNTH_MODEL"]["state"] == "ok"
    assert findings(tmp_path, HF_HOME=str(tmp_path), SYNTH_MODEL="acme/large")["SYNTH_MODEL"]["state"] == "missing"
    broken = findings(tmp_path, SYNTH_MODEL="./no-such")["SYNTH_MODEL"]
    assert broken["state"] == "broken"
    assert "no such directory" in broken["fact"]


def test_a_docker_daemon_counts_when_it_answers(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "s"))
        listening.listen()

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(64)
                connection.sendall(b"HTTP/1.0 200 OK\r\n\r\nOK")

        daemon = Thread(target=serve)
        daemon.start()
        assert findings(tmp_path, DOCKER_HOST=f"unix://{tmp_path}/s")["docker"]["state"] == "ok"
        daemon.join()
    # Nobody listens there any more.
    assert findings(tmp_path, DOCKER_HOST=f"unix://{tmp_path}/s")["docker"]["state"] == "broken"
    assert findings(tmp_path, DOCKER_HOST="tcp://example.invalid:1")["docker"]["state"] == "missing"


def test_programs_and_daemons_that_never_answer_are_broken_and_not_waited_for(tmp_path: Path) -> None:
    program(tmp_path, "nvidia-smi", "exec sleep 600")
    program(tmp_path, "bwrap", "exec sleep 600")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "s"))
        listening.listen()
        path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
        found = findings(tmp_path, PATH=path, DOCKER_HOST=f"unix://{tmp_path}/s")
    assert {found[name]["state"] for name in ("gpu", "bubblewrap", "docker")} == {"broken"}


def test_what_programs_answer_is_told(tmp_path: Path) -> None:
    program(tmp_path, "nvidia-smi", "echo 'Some GPU, 81920'; echo 'Some GPU, 81920'")
    program(tmp_path, "bwrap", "echo 'bwrap: No permissions to create new namespace' >&2; exit 1")
    found = findings(tmp_path, PATH=f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert found["gpu"]["fact"] == "Some GPU 80.0 GiB, Some GPU 80.0 GiB"
    assert found["bubblewrap"]["state"] == "broken"
    assert "No permissions" in found["bubblewrap"]["fact"]


def test_without_pyarrow_and_datasets_synth_cannot_work_and_the_exit_code_says_so(tmp_path: Path) -> None:
    import typer

    packages = Path(typer.__file__).parents[1]
    for entry in packages.iterdir():
        if not entry.name.startswith(("pyarrow", "datasets")):
            (tmp_path / entry.name).symlink_to(entry)
    done = subprocess.run(
        [sys.executable, "-S", "-B", "-c", "from synth.cli.main import main; main()", "doctor"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT / '.src'}:{tmp_path}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "pyarrow missing, datasets missing" in done.stdout
    assert "no dataset can be read or written" in done.stdout
