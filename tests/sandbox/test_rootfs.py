"""The copy of Python in which programs run: made once, readable by anybody, and what users are promised of it."""

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
from tests.jails import JAILS, LentSandbox, told, why_not


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(rootfs, "_cache", lambda: tmp_path)
    monkeypatch.setattr(rootfs, "_held", {})
    yield cached_rootfs()
    for lock in rootfs._held.values():
        os.close(lock)


def test_it_is_made_once(root: Path) -> None:
    inode = root.stat().st_ino
    assert cached_rootfs() == root
    assert root.stat().st_ino == inode
    assert sorted(path.name.partition("-")[0] for path in root.parent.iterdir()) == ["rootfs", "sources"]


def test_anybody_may_read_it_and_nobody_but_its_owner_write_it(root: Path) -> None:
    for path in [root, *root.rglob("*")]:
        mode = path.stat().st_mode & 0o777
        assert mode == (0o755 if path.is_dir() or mode & 0o100 else 0o644), path


def test_it_has_the_interpreter_and_no_package(root: Path) -> None:
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    assert sorted(path.name for path in root.iterdir()) in (["dev", "lib", "lib64", "python"], ["dev", "lib", "python"])
    assert (root / "python/lib" / version / "os.py").exists()
    assert not (root / "python/lib" / version / "site-packages").exists()


def a_copy(root: Path, content: str, age_days: float) -> Path:
    """What another version of Python or of its packages has left, last used so many days ago."""
    copy = root.parent / f"rootfs-{content}"
    (copy / "lib").mkdir(parents=True)
    (copy / "lib" / "file").write_text(content)
    (root.parent / f"sources-{content}").symlink_to(copy.name)
    used = time.time() - age_days * 86_400
    os.utime(copy, (used, used))
    return copy


def test_copies_that_nobody_has_used_for_a_week_are_removed(root: Path) -> None:
    old, recent = a_copy(root, "old", 8), a_copy(root, "recent", 6)
    half_made = root.parent / "making-x"
    half_made.mkdir()
    os.utime(half_made, (0, 0))
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


def test_a_copy_that_a_process_uses_stays_however_old_it_is(root: Path, tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDING, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == f"{root}\n"
        # This process no longer knows of it, as one with another Python would not.
        os.close(rootfs._held.pop(root))
        os.utime(root, (0, 0))
        rootfs._remove_unused(tmp_path)
        assert root.exists()
        process.kill()
        process.wait()
        rootfs._remove_unused(tmp_path)
        assert not root.exists()
        # What is gone is made again.
        assert cached_rootfs() == root
        assert (root / "python/bin/python3").exists()


def test_a_copy_that_is_removed_while_it_is_looked_for_is_made_again(
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


def test_a_cache_that_cannot_be_written_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(rootfs, "_cache", lambda: tmp_path / "file" / "cache")
    with pytest.raises(SandboxUnavailable, match="cannot keep a copy of Python"):
        cached_rootfs()


@pytest.mark.parametrize("kind", JAILS)
def test_a_package_may_be_let_in(kind: str) -> None:
    if reason := why_not(kind):
        pytest.skip(reason)
    if importlib.util.find_spec("numpy") is None:
        pytest.skip("numpy is not installed")
    sandbox = LentSandbox(kind, packages=["numpy"])
    try:
        source = "import numpy\ndef f(n): return (numpy.eye(n) @ numpy.ones(n)).tolist()"
        assert told(sandbox.run(source, ([3], {}))) == "[1.0, 1.0, 1.0]"
        assert told(sandbox.run("import os, numpy\ndef f(): os.fork()")) == "exception PermissionError"
        assert told(sandbox.run("import numpy\ndef f(): open(numpy.__file__, 'a')")) == "exception PermissionError"
    finally:
        sandbox.take_back()


AS_NOBODY = """
import asyncio, os, sys
from synth.sandbox import filter, jails, rootfs
from synth.sandbox.pool import Sandbox
from synth.sandbox.program import Program
from tests.jails import told
# Files that nobody may not read are read beforehand.
root = rootfs.cached_rootfs()
filter.compiled_filters()
jails.first_frame()
rootfs.cached_rootfs = lambda packages: root
async def main():
    async with Sandbox(sys.argv[1], 1) as pool:
        print(told(await pool.answer(Program.of("def f(n): return n * 2", "f", [([21], {})]))))
loop = asyncio.new_event_loop()
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
loop.run_until_complete(main())
"""


# Whoever may speak to Docker's daemon is no ordinary user.
@pytest.mark.parametrize("kind", [kind for kind in JAILS if kind != "docker"])
def test_an_ordinary_user_has_jails_too(kind: str) -> None:
    if reason := why_not(kind):
        pytest.skip(reason)
    if os.geteuid() != 0:
        pytest.skip("all other tests run as an ordinary user already")
    command = [sys.executable, "-c", AS_NOBODY, kind]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2], check=False)
    assert done.stdout == "42\n", done.stderr
