"""The root of a jail: the running interpreter, its standard library and the shared libraries they need, and no more.

It is copied once into a cache directory that any user may read, since a jail's user may not enter the home directory in
which an interpreter often lies. The directory is named by a hash of its content; a link, named by what the sources
looked like (path, size, time), leads to it, so that finding it again takes milliseconds.

    python/bin/python3, python/lib/python3.x    lib: all shared libraries    dev/null: a place to mount the real one

A process that uses a copy holds a lock on it. Copies that nobody has used for a week are removed.
"""

import fcntl
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

import xxhash

from synth.schemas.errors import SandboxUnavailable

__all__ = ["cached_rootfs", "faketime", "module_names", "versions"]

_LEFT_OUT = {"__phello__", "ensurepip", "idlelib", "lib2to3", "site-packages", "dist-packages", "test", "tests"}
_LEFT_OUT |= {"tkinter", "turtledemo"}
_TAG = f".{sys.implementation.cache_tag}.pyc"
_UNUSED_SECONDS = 7 * 86_400
_FAKETIME = ("/usr/lib/{}/faketime/libfaketime.so.1", "/usr/lib64/faketime/libfaketime.so.1")


def cached_rootfs(packages: Sequence[str] = ()) -> Path:
    """The root for this interpreter, made if it is not there yet. `packages` are distributions installed beside synth.

    It stays until this process ends. Raises `SandboxUnavailable` for a package that is not installed, and where the
    cache cannot be written or read.
    """
    cache = _cache()
    sources = dict(_sources(packages))
    link = cache / f"sources-{_hash(f'{_stat(path)} {inside}' for inside, path in sources.items())}"
    try:
        root = link.resolve() if link.is_dir() else _made(cache, sources, link)
        while not _hold(root):
            root = _made(cache, sources, link)
        _remove_unused(cache)
    except OSError as error:
        raise SandboxUnavailable(f"the sandbox cannot keep a copy of Python in {cache}: {error.strerror}") from error
    return root


def _made(cache: Path, sources: dict[str, Path], link: Path) -> Path:
    cache.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix="making-", dir=cache))
    try:
        _copy(sources, made)
        root = cache / f"rootfs-{_content(made)}"
        if not root.is_dir():
            made.rename(root)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    fresh = cache / f"{made.name}.link"
    fresh.symlink_to(root.name)
    fresh.rename(link)
    return root


# The locks of this process, by what they lock.
_held: dict[Path, int] = {}


def _hold(root: Path) -> bool:
    """Keep a root from being removed while this process lives. False where it has just been removed."""
    if root not in _held:
        try:
            folder = os.open(root, os.O_RDONLY)
        except FileNotFoundError:
            return False
        fcntl.flock(folder, fcntl.LOCK_SH)
        if not (root.exists() and os.path.samestat(root.stat(), os.fstat(folder))):
            os.close(folder)
            return False
        _held[root] = folder
    # When it was last used. Somebody else's can only be read.
    with suppress(OSError):
        os.utime(root)
    return True


def _remove_unused(cache: Path) -> None:
    """Remove the copies that no process holds and none has used for a week, and the links to what is gone."""
    too_old = time.time() - _UNUSED_SECONDS
    for entry in cache.iterdir():
        # Another process may be removing it, too.
        with suppress(OSError):
            if entry.name.startswith(("rootfs-", "making-", "gone-")) and entry.stat().st_mtime < too_old:
                _remove(entry)
    for link in cache.glob("sources-*"):
        if not link.exists():
            link.unlink(missing_ok=True)


def _remove(root: Path) -> None:
    folder = os.open(root, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Under another name, for half a root must not be found under its own.
        gone = root.with_name(f"gone-{root.name}")
        root.rename(gone)
        shutil.rmtree(gone)
    finally:
        os.close(folder)


def module_names(packages: Iterable[str]) -> list[str]:
    """The modules that these distributions are imported by."""
    names: list[str] = []
    for package in packages:
        found = _distribution(package)
        places = [path.parts for path in found.files or ()]
        names += sorted({place[0] for place in places if len(place) == 2 and place[1] == "__init__.py"})
        names += sorted(place[0].removesuffix(".py") for place in places if len(place) == 1)
    return [name for name in names if name.isidentifier() and not name.startswith("_")]


def versions(packages: Iterable[str]) -> list[str]:
    """These distributions and what they need, each as `name==version` and a digest of what is installed."""
    return [
        f"{package}=={_distribution(package).version} {_installed_content(package)}"
        for package in _with_dependencies(list(packages))
    ]


def faketime() -> Path | None:
    """The library that shows programs another clock, where it is installed."""
    places = (Path(place.format(sysconfig.get_config_var("MULTIARCH"))) for place in _FAKETIME)
    return next((path for path in places if path.exists()), None)


def _cache() -> Path:
    # Root's jails run as nobody, who may not enter root's home.
    if os.geteuid() == 0:
        return Path("/var/cache/synth")
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "synth"


def _sources(packages: Sequence[str]) -> Iterator[tuple[str, Path]]:
    """Each file of the root, by its place there, and the file it is a copy of."""
    binary = Path(sys._base_executable).resolve()  # type: ignore[attr-defined]
    library = Path(sysconfig.get_path("stdlib", vars={"installed_base": sys.base_prefix, "base": sys.base_prefix}))
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    yield "python/bin/python3", binary
    linked = [binary]
    for inside, path in _tree(library):
        yield f"python/lib/{version}/{inside}", path
        if path.suffix == ".so":
            linked.append(path)
    for package in _with_dependencies(packages):
        for inside, path in _installed(package):
            yield f"python/lib/{version}/site-packages/{inside}", path
            if ".so" in path.suffixes:
                linked.append(path)
    if clock := faketime():
        yield "lib/libfaketime.so.1", clock
        linked.append(clock)
    yield from _libraries(linked)


def _tree(folder: Path) -> Iterator[tuple[str, Path]]:
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in _LEFT_OUT and not name.startswith("config-"))
        for name in sorted(names):
            if not name.endswith((".pyc", ".a", ".exe")) or name.endswith(_TAG):
                path = Path(place, name)
                yield str(path.relative_to(folder)), path


def _with_dependencies(packages: Sequence[str]) -> list[str]:
    found: dict[str, None] = {}
    waiting = list(packages)
    while waiting:
        package = waiting.pop()
        if package not in found:
            found[package] = None
            waiting += _requirements(_distribution(package))
    return sorted(found)


def _requirements(package: Distribution) -> Iterator[str]:
    """What a distribution always needs: a requirement for one platform only counts where it is installed."""
    for line in package.requires or ():
        name = re.match(r"[\w.-]+", line)
        if name and "extra ==" not in line:
            try:
                distribution(name[0])
            except PackageNotFoundError:
                continue
            yield re.sub(r"[-_.]+", "-", name[0]).lower()


def _distribution(package: str) -> Distribution:
    try:
        return distribution(package)
    except PackageNotFoundError as error:
        raise SandboxUnavailable(f"the package {package} is not installed here: pip install {package}") from error


def _installed(package: str) -> Iterator[tuple[str, Path]]:
    for file in _distribution(package).files or ():
        path = Path(str(file.locate()))
        wanted = ".." not in file.parts and "tests" not in file.parts and path.is_file()
        if wanted and (path.suffix != ".pyc" or path.name.endswith(_TAG)):
            yield str(file), path


def _libraries(linked: Sequence[Path]) -> Iterator[tuple[str, Path]]:
    """The shared libraries that these need; all in one folder but the loader, which binaries name by its full path."""
    told = subprocess.run(["ldd", *map(str, linked)], capture_output=True, text=True, check=False).stdout
    for name, path in sorted(set(re.findall(r"^\s+(\S+) => (/\S+)", told, re.MULTILINE))):
        yield f"lib/{name}", Path(path)
    for path in sorted(set(re.findall(r"^\s+/(\S*ld\S+) \(", told, re.MULTILINE))):
        yield path, Path("/", path)


def _copy(sources: dict[str, Path], root: Path) -> None:
    root.chmod(0o755)
    for folder in ("dev", "lib", "python/lib"):
        (root / folder).mkdir(parents=True)
    (root / "dev/null").touch()
    for inside, path in sources.items():
        copy = root / inside
        copy.parent.mkdir(parents=True, exist_ok=True)
        # With its time: compiled modules count as stale when their source has another.
        shutil.copy2(path, copy)
        copy.chmod(0o755 if os.access(path, os.X_OK) else 0o644)
    for place, folders, _ in os.walk(root):
        for folder in folders:
            Path(place, folder).chmod(0o755)


def _stat(path: Path) -> str:
    stat = path.stat()
    return f"{path} {stat.st_size} {stat.st_mtime_ns}"


def _hash(lines: Iterable[str]) -> str:
    return xxhash.xxh3_128_hexdigest("\n".join(sorted(lines)).encode())[:16]


def _content(root: Path) -> str:
    return _digest((str(path.relative_to(root)), path) for path in root.rglob("*") if path.is_file())


def _installed_content(package: str) -> str:
    """Without what tells how it was installed, and without compiled modules, which tell when."""
    files = _installed(package)
    return _digest((inside, path) for inside, path in files if path.suffix != ".pyc" and ".dist-info/" not in inside)


def _digest(files: Iterable[tuple[str, Path]]) -> str:
    return _hash(f"{xxhash.xxh3_128_hexdigest(path.read_bytes())} {inside}" for inside, path in files)
