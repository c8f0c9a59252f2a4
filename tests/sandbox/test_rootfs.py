"""The copy of Python in which programs run: created once, readable by anyone, removed when it is unused."""

import importlib.util
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from synth.sandbox import rootfs
from synth.sandbox.rootfs import cached_rootfs
from synth.schemas.errors import SandboxUnavailable
from tests.jails import JAILS, BlockingSandbox, summary_of, why_not


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(rootfs, "_cache", lambda: tmp_path)
    monkeypatch.setattr(rootfs, "_held", {})
    yield cached_rootfs()
    for lock in rootfs._held.values():
        os.close(lock)


def test_it_is_created_once(root: Path) -> None:
    inode = root.stat().st_ino
    assert cached_rootfs() == root
    assert root.stat().st_ino == inode
    assert sorted(path.name.partition("-")[0] for path in root.parent.iterdir()) == ["rootfs", "sources"]


def test_anyone_may_read_it_and_only_its_owner_write_it(root: Path) -> None:
    for path in [root, *root.rglob("*")]:
        mode = path.stat().st_mode & 0o777
        assert mode == (0o755 if path.is_dir() or mode & 0o100 else 0o644), path


def test_it_has_the_interpreter_and_no_packages(root: Path) -> None:
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    assert sorted(path.name for path in root.iterdir()) in (["dev", "lib", "lib64", "python"], ["dev", "lib", "python"])
    assert (root / "python/lib" / version / "os.py").exists()
    assert not (root / "python/lib" / version / "site-packages").exists()


def a_copy(root: Path, content: str, age_days: float) -> Path:
    """A copy of another version, last used `age_days` ago."""
    copy = root.parent / f"rootfs-{content}"
    (copy / "lib").mkdir(parents=True)
    (copy / "lib" / "file").write_text(content)
    (root.parent / f"sources-{content}").symlink_to(copy.name)
    used = time.time() - age_days * 86_400
    os.utime(copy, (used, used))
    return copy


def test_copies_that_are_unused_for_a_week_are_removed(root: Path) -> None:
    old, recent = a_copy(root, "old", 8), a_copy(root, "recent", 6)
    incomplete = root.parent / "making-x"
    incomplete.mkdir()
    os.utime(incomplete, (0, 0))
    (root.parent / "other").mkdir()
    os.utime(root.parent / "other", (0, 0))
    assert cached_rootfs() == root
    assert not old.exists()
    left = {path.name for path in root.parent.iterdir() if not path.name.startswith("sources-")}
    assert left == {root.name, recent.name, "other"}
    assert all(path.exists() for path in root.parent.glob("sources-*"))


HOLDING = """
import sys, time
from pathlib import Path
from synth.sandbox import rootfs
rootfs._cache = lambda: Path(sys.argv[1])
print(rootfs.cached_rootfs(), flush=True)
time.sleep(60)
"""


def test_an_old_copy_in_use_is_kept(root: Path, tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDING, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == f"{root}\n"
        # Drop this process's own lock, as if it used another Python.
        os.close(rootfs._held.pop(root))
        os.utime(root, (0, 0))
        rootfs._remove_unused(tmp_path)
        assert root.exists()
        process.kill()
        process.wait()
        rootfs._remove_unused(tmp_path)
        assert not root.exists()
        # A removed copy is created again.
        assert cached_rootfs() == root
        assert (root / "python/bin/python3").exists()


def test_a_copy_that_is_removed_during_the_lookup_is_created_again(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold, removed = rootfs._hold, []

    def removing_first(found: Path) -> bool:
        if not removed:
            removed.append(found)
            os.close(rootfs._held.pop(root))
            os.utime(found, (0, 0))
            rootfs._remove_unused(tmp_path)
        return hold(found)

    monkeypatch.setattr(rootfs, "_hold", removing_first)
    assert cached_rootfs() == root
    assert removed == [root]
    assert (root / "python/bin/python3").exists()


def test_a_package_that_is_not_installed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rootfs, "_cache", lambda: tmp_path)
    with pytest.raises(SandboxUnavailable, match="no_such_package is not installed here"):
        cached_rootfs(["no_such_package"])


def test_a_cache_that_cannot_be_written_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(rootfs, "_cache", lambda: tmp_path / "file" / "cache")
    with pytest.raises(SandboxUnavailable, match="cannot keep a copy of Python"):
        cached_rootfs()


@pytest.mark.parametrize("kind", JAILS)
def test_a_package_can_be_allowed(kind: str) -> None:
    if reason := why_not(kind):
        pytest.skip(reason)
    if importlib.util.find_spec("numpy") is None:
        pytest.skip("numpy is not installed")
    with BlockingSandbox(kind, packages=["numpy"]) as sandbox:
        source = "import numpy\ndef f(n): return (numpy.eye(n) @ numpy.ones(n)).tolist()"
        assert summary_of(sandbox.run(source, ([3], {}))) == "[1.0, 1.0, 1.0]"
        assert summary_of(sandbox.run("import os, numpy\ndef f(): os.fork()")) == "exception PermissionError"
        assert (
            summary_of(sandbox.run("import numpy\ndef f(): open(numpy.__file__, 'a')")) == "exception PermissionError"
        )


AS_NOBODY = """
import asyncio, os, sys
from synth.sandbox import filter, jails, rootfs
from synth.sandbox.pool import Sandbox
from synth.sandbox.program import Program
from tests.jails import summary_of
# Files that nobody may not read are read beforehand.
root = rootfs.cached_rootfs()
filter.compiled_filters()
jails.first_frame()
rootfs.cached_rootfs = lambda packages: root
async def main():
    async with Sandbox(sys.argv[1], 1) as pool:
        print(summary_of(await pool.answer(Program.of("def f(n): return n * 2", "f", [([21], {})]))))
loop = asyncio.new_event_loop()
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
loop.run_until_complete(main())
"""


# Users with access to Docker's daemon are as powerful as root.
@pytest.mark.parametrize("kind", [kind for kind in JAILS if kind != "docker"])
def test_an_ordinary_user_can_run_jails(kind: str) -> None:
    if reason := why_not(kind):
        pytest.skip(reason)
    if os.geteuid() != 0:
        pytest.skip("all other tests run as an ordinary user already")
    command = [sys.executable, "-c", AS_NOBODY, kind]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2], check=False)
    assert done.stdout == "42\n", done.stderr
