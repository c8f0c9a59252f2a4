"""Why the values of a JSON column have no type in common: two of them, in words, with their places."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from synth.schemas.reading.formats import describe
from synth.schemas.reading.formats.exact import Number
from synth.schemas.reading.inputs import Input

__all__ = ["is_wide", "why_irregular"]


def is_wide(value: Any) -> bool:
    """Whether this is a whole number that float64 does not hold."""
    return type(value) is int and not -(2**53) <= value <= 2**53 and int(float(value)) != value


@dataclass(frozen=True)
class _Seen:
    value: Any
    place: str

    @property
    def kind(self) -> str:
        if isinstance(self.value, Number):
            return "a long number"
        if type(self.value) is float:
            return "a fraction"
        return "a wide number" if is_wide(self.value) else describe(self.value)

    def goes_with(self, other: "_Seen") -> bool:
        kinds = {self.kind, other.kind}
        return len(kinds) == 1 or kinds in ({"a number", "a fraction"}, {"a number", "a wide number"})


def why_irregular(source: Input, name: str) -> str | None:
    """Where two values of the column `name`, or of one place inside its values, do not go together; None if all do."""
    first: dict[str, dict[str, _Seen]] = {}
    for batch in source.batches(lenient=True):
        assert isinstance(batch.rows, list)
        for index, row in enumerate(batch.rows):
            for path, value in _parts(name, row.get(name)):
                found = _Seen(value, "")
                known = first.setdefault(path, {})
                if found.kind in known:
                    continue
                found = known[found.kind] = _Seen(value, batch.place(index))
                if found.kind == "a long number":
                    return f"{path} is {value} in {found.place}, which 64 bits do not hold"
                if other := next((seen for seen in known.values() if not seen.goes_with(found)), None):
                    return _said(path, other, found)
    return None


def _said(path: str, one: _Seen, other: _Seen) -> str:
    numbers = describe(one.value) == describe(other.value)
    words = [str(seen.value) if numbers else describe(seen.value) for seen in (one, other)]
    return f"{path} is {words[0]} in {one.place} and {words[1]} in {other.place}"


def _parts(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    """A value and all that is inside it, each with its path: `meta.scores[]` are the items of a list."""
    if value is None:
        return
    yield path, value
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _parts(f"{path}.{name}", inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _parts(f"{path}[]", inner)
