"""The user's decisions about tags: forms to merge, forms to keep apart, forms to drop."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import xxhash

from synth.schemas.errors import InputError

__all__ = ["Overrides"]


@dataclass(frozen=True)
class Overrides:
    """`pins` map forms to tags (None: drop the form); `apart` are pairs of forms with different tags.

    No step merges a pinned tag into another.
    """

    pins: Mapping[str, str | None]
    apart: Sequence[tuple[str, str]]
    digest: str | None = None

    @classmethod
    def read(cls, path: Path) -> "Overrides":
        """Read lines `{"form": "AI", "tag": "artificial intelligence"}`, `{"form": "N/A", "tag": null}` and
        `{"apart": ["C", "C++"]}`. Raises `InputError` for any other line, or one that contradicts another."""
        try:
            content = path.read_bytes()
        except OSError as error:
            raise InputError(f"--overrides {path} cannot be read: {error.strerror}") from error
        pins: dict[str, str | None] = {}
        apart: list[tuple[str, str]] = []
        for place, line in _lines(path, content):
            match line:
                case {"form": str(form), "tag": str() | None as tag, **others} if form and tag != "" and not others:
                    if pins.setdefault(form, tag) != tag:
                        raise InputError(f"{place} maps {form!r} to {tag!r}, another line to {pins[form]!r}")
                case {"apart": [_, _, *_] as forms, **others} if _are_forms(forms) and not others:
                    apart += [(one, other) for i, one in enumerate(forms) for other in forms[:i]]
                case _:
                    raise InputError(
                        f'{place} is neither {{"form": TEXT, "tag": TEXT or null}} nor {{"apart": [TEXT, TEXT, ...]}}'
                    )
        overrides = cls(pins, apart, xxhash.xxh3_128_hexdigest(content))
        for tag in sorted(overrides.tags):
            if pins.get(tag, tag) != tag:
                raise InputError(f"--overrides {path} maps forms to {tag!r}, but {tag!r} itself to {pins[tag]!r}")
        for one, other in apart:
            tag = pins.get(one, one)
            if tag is not None and tag == pins.get(other, other):
                raise InputError(f"--overrides {path} keeps {one!r} and {other!r} apart, but maps both to {tag!r}")
        return overrides

    @property
    def tags(self) -> set[str]:
        """The tags of pinned forms."""
        return {tag for tag in self.pins.values() if tag is not None}

    @property
    def forms(self) -> set[str]:
        """All forms with a decision."""
        return {*self.pins, *(form for pair in self.apart for form in pair)}


NONE = Overrides({}, ())


def _lines(path: Path, content: bytes) -> Iterator[tuple[str, Any]]:
    for number, line in enumerate(content.splitlines(), start=1):
        place = f"--overrides {path}:{number}"
        if line.strip():
            try:
                yield place, orjson.loads(line)
            except orjson.JSONDecodeError as error:
                raise InputError(f"{place} is not JSON: {error}") from error


def _are_forms(forms: Sequence[Any]) -> bool:
    return all(isinstance(form, str) and form for form in forms) and len(set(forms)) == len(forms)
