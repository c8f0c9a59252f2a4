"""The root file system of a jail: only the running interpreter, its standard library and their shared libraries.

It is copied once to a cache directory that any user may read, because a jail's user cannot enter the home directory in
which the interpreter may be installed. The copy is named by a hash of its content; a symbolic link named by the path,
size and time of the sources points to it, so finding it again takes milliseconds.

    python/bin/python3, python/lib/python3.x    lib: all shared libraries    dev/null: mount point of the real one

A process locks the copy that it uses. Copies that have not been used for a week are removed.
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

_EXCLUDED = {"__phello__", "ensurepip", "idlelib", "lib2to3", "site-packages", "dist-packages", "test", "tests"}
_EXCLUDED |= {"tkinter", "turtledemo"}
_TAG = f".{sys.implementation.cache_tag}.pyc"
_UNUSED_SECONDS = 7 * 86_400
_FAKETIME = ("/usr/lib/{}/faketime/libfaketime.so.1", "/usr/lib64/faketime/libfaketime.so.1")


def cached_rootfs(packages: Sequence[str] = ()) -> Path:
    """The root for this interpreter with these distributions, created on first use and kept while this process lives.

    Raises `SandboxUnavailable` if a package is not installed or the cache cannot be read or written.
    """
    cache = _cache()
    sources = dict(_sources(packages))
    link = cache / f"sources-{_hash(f'{_stat(path)} {inside}' for inside, path in sources.items())}"
    try:
        root = link.resolve() if link.is_dir() else _create(cache, sources, link)
        while not _hold(root):
            root = _create(cache, sources, link)
        _remove_unused(cache)
    except OSError as error:
        raise SandboxUnavailable(f"the sandbox cannot keep a copy of Python in {cache}: {error.strerror}") from error
    return root


def _create(cache: Path, sources: dict[str, Path], link: Path) -> Path:
    cache.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix="making-", dir=cache))
    try:
        _copy(sources, temporary)
        content = _digest((str(path.relative_to(temporary)), path) for path in temporary.rglob("*") if path.is_file())
        root = cache / f"rootfs-{content}"
        if not root.is_dir():
            temporary.rename(root)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    new_link = cache / f"{temporary.name}.link"
    new_link.symlink_to(root.name)
    new_link.rename(link)
    return root


# The locks of this process, by root.
_held: dict[Path, int] = {}


def _hold(root: Path) -> bool:
    """Lock a root while this process lives, so that it is not removed. False if it has just been removed."""
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
    # The time of the last use. Fails for another user's copy.
    with suppress(OSError):
        os.utime(root)
    return True


def _remove_unused(cache: Path) -> None:
    """Remove unlocked copies that have not been used for a week, and dangling links."""
    too_old = time.time() - _UNUSED_SECONDS
    for entry in cache.iterdir():
        # Locked, or being removed by another process.
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
        # Renamed first, so that no process finds a partly removed root.
        gone = root.with_name(f"gone-{root.name}")
        root.rename(gone)
        shutil.rmtree(gone)
    finally:
        os.close(folder)


def module_names(packages: Iterable[str]) -> list[str]:
    """The top-level modules of these distributions."""
    names: list[str] = []
    for package in packages:
        files = [path.parts for path in _distribution(package).files or ()]
        names += sorted({parts[0] for parts in files if len(parts) == 2 and parts[1] == "__init__.py"})
        names += sorted(parts[0].removesuffix(".py") for parts in files if len(parts) == 1)
    return [name for name in names if name.isidentifier() and not name.startswith("_")]


def versions(packages: Iterable[str]) -> list[str]:
    """These distributions and their dependencies, each as `name==version` and a digest of its installed files."""
    return [
        f"{package}=={_distribution(package).version} {_installed_content(package)}"
        for package in _with_dependencies(list(packages))
    ]


def faketime() -> Path | None:
    """The library that shifts the clock of programs, if it is installed."""
    paths = (Path(path.format(sysconfig.get_config_var("MULTIARCH"))) for path in _FAKETIME)
    return next((path for path in paths if path.exists()), None)


def _cache() -> Path:
    # Root's jails run as nobody, who cannot enter root's home directory.
    if os.geteuid() == 0:
        return Path("/var/cache/synth")
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "synth"


def _sources(packages: Sequence[str]) -> Iterator[tuple[str, Path]]:
    """Each file of the root, by its relative path there, and the original."""
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
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in _EXCLUDED and not name.startswith("config-"))
        for name in sorted(names):
            if not name.endswith((".pyc", ".a", ".exe")) or name.endswith(_TAG):
                path = Path(parent, name)
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
    """Dependencies without extras; one for certain platforms counts if it is installed."""
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
    """The shared libraries that these files need, in one folder; except the loader, whose full path is in binaries."""
    output = subprocess.run(["ldd", *map(str, linked)], capture_output=True, text=True, check=False).stdout
    for name, path in sorted(set(re.findall(r"^\s+(\S+) => (/\S+)", output, re.MULTILINE))):
        yield f"lib/{name}", Path(path)
    for path in sorted(set(re.findall(r"^\s+/(\S*ld\S+) \(", output, re.MULTILINE))):
        yield path, Path("/", path)


def _copy(sources: dict[str, Path], root: Path) -> None:
    root.chmod(0o755)
    for folder in ("dev", "lib", "python/lib"):
        (root / folder).mkdir(parents=True)
    (root / "dev/null").touch()
    for inside, path in sources.items():
        copy = root / inside
        copy.parent.mkdir(parents=True, exist_ok=True)
        # Keeps the modification time: compiled modules are valid only for that of their source.
        shutil.copy2(path, copy)
        copy.chmod(0o755 if os.access(path, os.X_OK) else 0o644)
    for parent, folders, _ in os.walk(root):
        for folder in folders:
            Path(parent, folder).chmod(0o755)


def _stat(path: Path) -> str:
    stat = path.stat()
    return f"{path} {stat.st_size} {stat.st_mtime_ns}"


def _hash(lines: Iterable[str]) -> str:
    return xxhash.xxh3_128_hexdigest("\n".join(sorted(lines)).encode())[:16]


def _installed_content(package: str) -> str:
    """A digest without metadata, which depends on how it was installed, and compiled modules, which depend on when."""
    files = _installed(package)
    return _digest((inside, path) for inside, path in files if path.suffix != ".pyc" and ".dist-info/" not in inside)


def _digest(files: Iterable[tuple[str, Path]]) -> str:
    return _hash(f"{xxhash.xxh3_128_hexdigest(path.read_bytes())} {inside}" for inside, path in files)
