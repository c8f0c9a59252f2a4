"""What the shell offers when Tab is pressed. If nothing matches, the shell completes file names."""

from collections.abc import Iterator
from pathlib import Path

from synth.schemas.layout import PARTIAL, Layout

__all__ = ["datasets", "outputs"]


def datasets(incomplete: str) -> list[str]:
    """Dataset directories in the folder that has been typed so far."""
    return [spelled for spelled, path in _folders(incomplete) if Layout(path).state.is_file()]


def outputs(incomplete: str) -> list[str]:
    """Dataset directories, and those of running and interrupted runs."""
    begun = [spelled.removesuffix(PARTIAL) for spelled, _ in _folders(incomplete) if spelled.endswith(PARTIAL)]
    return sorted({*datasets(incomplete), *begun})


def _folders(incomplete: str) -> Iterator[tuple[str, Path]]:
    """The directories that the word may become: as it would be spelled, and where it is."""
    above, slash, start = incomplete.rpartition("/")
    parent = Path(above + slash)
    if parent.is_dir():
        for path in sorted(parent.iterdir()):
            if path.name.startswith(start) and path.is_dir():
                yield f"{above}{slash}{path.name}", path
