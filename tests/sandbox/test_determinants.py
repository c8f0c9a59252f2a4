"""The key of recorded verdicts: equal wherever verdicts would be equal, and changed by all that can change them."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from synth.sandbox import determinants as module
from synth.sandbox import rootfs
from synth.sandbox.determinants import source_digest
from synth.sandbox.jails import registry
from synth.sandbox.pool import Sandbox
from synth.schemas.errors import SandboxUnavailable
from tests import docker_engine
from tests.jails import JAILS, BlockingSandbox, why_not

ROOT = Path(__file__).parents[2]
DETERMINANTS = "from synth.sandbox.pool import Sandbox; print(json.dumps(Sandbox({jail!r}).identity()))"
SOURCE = "from synth.sandbox.determinants import source_digest; print(json.dumps(source_digest()))"


def in_another_process(code: Path, script: str, **variables: str) -> Any:
    done = subprocess.run(
        [sys.executable, "-c", f"import json; {script}"],
        capture_output=True,
        text=True,
        check=True,
        cwd="/",
        env={**os.environ, "PYTHONPATH": f"{code}:{ROOT}/.src", **variables},
    )
    return json.loads(done.stdout)


def install(folder: Path, version: str, code: str) -> None:
    """A distribution `demo` of one module, with an installer's metadata."""
    shutil.rmtree(folder, ignore_errors=True)
    about = folder / f"demo-{version}.dist-info"
    about.mkdir(parents=True)
    (folder / "demo.py").write_text(code)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: demo\nVersion: {version}\n")
    (about / "INSTALLER").write_text("by hand")
    (about / "RECORD").write_text(
        f"demo.py,,\n{about.name}/METADATA,,\n{about.name}/INSTALLER,,\n{about.name}/RECORD,,\n"
    )


@pytest.mark.parametrize("jail", JAILS)
def test_they_are_the_same_in_every_process(jail: str) -> None:
    here = Sandbox(jail).identity()
    assert (
        in_another_process(ROOT, DETERMINANTS.format(jail=jail), PYTHONHASHSEED="7", HOME="/nowhere", TZ="Asia/Tokyo")
        == here
    )
    assert json.loads(json.dumps(here)) == here


def test_each_jail_has_its_own() -> None:
    assert len({json.dumps(Sandbox(jail).identity()) for jail in JAILS}) == len(JAILS)


CHANGES: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "python": lambda patch: patch.setattr("platform.python_version", lambda: "3.99.1"),
    "platform": lambda patch: patch.setattr("platform.machine", lambda: "riscv64"),
    "clock_shift": lambda patch: patch.setattr(module, "faketime", lambda: None if rootfs.faketime() else Path("/")),
    "landlock": lambda patch: patch.setattr(module, "landlock_version", lambda: 0),
}


@pytest.mark.parametrize("name", CHANGES)
def test_each_change_changes_one_entry(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if reason := why_not("bwrap") or why_not("landlock"):
        pytest.skip(reason)
    before = Sandbox("bwrap").identity()
    CHANGES[name](monkeypatch)
    after = Sandbox("bwrap").identity()
    assert {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)} == {name}


@pytest.mark.parametrize("file", ["worker.py", "values.py", "filter.py", "payload.py", "jails/__init__.py"])
def test_another_worker_or_parser_has_another_digest(tmp_path: Path, file: str) -> None:
    package = tmp_path / "synth" / "sandbox"
    shutil.copytree(Path(module.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    assert in_another_process(tmp_path, SOURCE) == source_digest()
    with (package / file).open("a") as source:
        source.write("\nCHANGED = True\n")
    assert in_another_process(tmp_path, SOURCE) != source_digest()


def test_packages_count_by_what_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path / "site"))

    def versions_of(version: str, code: str) -> list[str]:
        install(tmp_path / "site", version, code)
        packages: list[str] = Sandbox("bwrap", packages=["demo"]).identity()["packages"]
        return packages

    first = versions_of("1.0", "answer = 42\n")
    assert first[0].startswith("demo==1.0 ")
    assert versions_of("1.0", "answer = 42\n") == first
    assert versions_of("1.0", "answer = 43\n") != first
    assert versions_of("1.1", "answer = 42\n") != first
    # The installer and the time of installation do not matter.
    install(tmp_path / "site", "1.0", "answer = 42\n")
    (tmp_path / "site" / "demo-1.0.dist-info" / "INSTALLER").write_text("pip")
    os.utime(tmp_path / "site" / "demo.py", (0, 0))
    assert Sandbox("bwrap", packages=["demo"]).identity()["packages"] == first


def test_a_package_that_is_not_installed_is_reported_before_anything_runs() -> None:
    with pytest.raises(SandboxUnavailable, match="pip install no-such-package"):
        Sandbox("bwrap", packages=["no-such-package"]).identity()


def test_where_no_docker_answers_auto_is_bwrap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/socket")
    assert Sandbox("auto").identity() == Sandbox("bwrap").identity()


def test_where_docker_answers_auto_is_docker() -> None:
    if reason := docker_engine.why_not():
        pytest.skip(reason)
    assert Sandbox("auto").identity() == Sandbox("docker").identity()


def test_a_docker_without_limits_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    if reason := docker_engine.why_not():
        pytest.skip(reason)
    monkeypatch.setattr("docker.APIClient.info", lambda _: {"CgroupDriver": "none"})
    assert registry.automatic() == "bwrap"


@pytest.mark.parametrize("jail", JAILS)
def test_they_are_part_of_the_record(jail: str) -> None:
    if reason := why_not(jail):
        pytest.skip(reason)
    with BlockingSandbox(jail) as sandbox:
        assert sandbox.pool.identity().items() <= sandbox.pool.record().items()
