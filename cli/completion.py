"""Shell completion of dataset directories. If nothing matches, the shell completes file names."""

from collections.abc import Iterator
from pathlib import Path

from synth.schemas.layout import PARTIAL, Layout

__all__ = ["datasets", "outputs"]


def datasets(incomplete: str) -> list[str]:
    """Dataset directories that the typed path may become."""
    return [spelled for spelled, path in _folders(incomplete) if Layout(path).state.is_file()]


def outputs(incomplete: str) -> list[str]:
    """Dataset directories, and those of running and interrupted runs."""
    begun = [spelled.removesuffix(PARTIAL) for spelled, _ in _folders(incomplete) if spelled.endswith(PARTIAL)]
    return sorted({*datasets(incomplete), *begun})


def _folders(incomplete: str) -> Iterator[tuple[str, Path]]:
    """The directories that the word may become: the completed word, and its path."""
    above, slash, start = incomplete.rpartition("/")
    parent = Path(above + slash)
    if parent.is_dir():
        for path in sorted(parent.iterdir()):
            if path.name.startswith(start) and path.is_dir():
                yield f"{above}{slash}{path.name}", path
