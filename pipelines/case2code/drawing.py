"""Draw calls that fit the expected types of a function's parameters: small, readable values, as a person would try.

Hypothesis does not fit here: its strategies look for extreme values that break programs, where examples to guess a
function from should be ordinary; and outside a test it is slow and cannot draw from a given generator.
"""

from collections.abc import Callable, Mapping
from random import Random
from typing import Any

from synth.pipelines.case2code.evidence import OBJECT, Evidence
from synth.pipelines.case2code.literals import write_call
from synth.pipelines.case2code.signature import Signature

__all__ = ["draw_calls"]

# Attempts per wanted call; a function of one bool has only two different calls.
ATTEMPTS = 8
MAX_DEPTH = 4

WORDS = [
    "apple", "river", "stone", "level", "cloud", "Python", "sugar", "Monday", "radar", "green", "banana", "window",
    "seven", "ocean", "Anna", "tiger", "bottle", "kayak", "music", "forest", "hello", "world", "letter", "noon",
    "garden", "silver", "paper", "x", "ab", "abc", "zebra", "Mississippi", "data",
]  # fmt: skip
SEPARATORS = (" ", " ", " ", ", ", "-", "_", "/", ".", ":", "\n")


def draw_calls(
    signature: Signature, expected: Mapping[str, Evidence], random: Random, wanted: int, known: set[str]
) -> list[dict[str, Any]]:
    """Up to `wanted` different calls, none of them written as one in `known`. Deterministic for a given `random`."""
    calls: list[dict[str, Any]] = []
    seen = set(known)
    for _ in range(ATTEMPTS * wanted):
        if len(calls) == wanted:
            break
        call = {
            one.name: _draw(expected[one.name], random, 0)
            for one in signature.parameters
            if one.required or _passes_optional(expected[one.name], random)
        }
        written = write_call(call)
        if written not in seen:
            seen.add(written)
            calls.append(call)
    return calls


def _passes_optional(evidence: Evidence, random: Random) -> bool:
    """Whether to pass an optional argument: never one of unknown type."""
    known = any(kind not in ("none", OBJECT) for kind in evidence.votes) and not evidence.needs_object
    return random.random() < 0.4 and known


def _draw(evidence: Evidence, random: Random, depth: int) -> Any:
    kind = _kind(evidence, random, depth)
    constants = [one for one in evidence.constants if type(one).__name__ == kind]
    if constants and (evidence.is_choice or random.random() < 0.35):
        constant = random.choice(constants)
        return constant if evidence.is_choice else _near(constant, random)
    return _GENERATORS[kind](evidence, random, depth)


def _kind(evidence: Evidence, random: Random, depth: int) -> str:
    if "none" in evidence.votes and random.random() < 0.1:
        return "none"
    votes = {kind: weight for kind, weight in evidence.votes.items() if kind in _GENERATORS and kind != "none"}
    if not votes:
        votes = {"int": 5.0, "str": 3.0, "list": 2.0} if depth == 0 else {"int": 3.0, "str": 1.5}
    if "str" in votes and any(isinstance(one, str) and len(one) == 1 for one in evidence.item.constants):
        votes["str"] += 2.0
    if depth >= MAX_DEPTH:
        return "int"
    most = max(votes.values())
    # Kinds that are much less likely than the likeliest one are left out.
    likely = {kind: weight**2 for kind, weight in votes.items() if weight >= most / 4}
    return random.choices(list(likely), list(likely.values()))[0]


def _near(constant: Any, random: Random) -> Any:
    """A value equal or close to `constant`, so that comparisons with it have both results."""
    if isinstance(constant, str):
        before, after = random.choice(WORDS), random.choice((*WORDS, str(random.randint(0, 50))))
        return random.choice(
            (constant, constant, constant, constant + after, constant + after, before + constant + after)
        )
    return constant + random.choice((-1, 0, 0, 1)) if isinstance(constant, int | float) else constant


def _int(_: Evidence, random: Random, __: int) -> int:
    return random.choices(
        (
            random.randint(0, 10),
            random.randint(11, 100),
            -random.randint(1, 20),
            random.randint(101, 2_000),
            random.choice((12321, 65536, 99999, 1_000_000)),
        ),
        (50, 27, 12, 9, 2),
    )[0]


def _float(_: Evidence, random: Random, __: int) -> float:
    return random.choice(
        (round(random.uniform(0, 10), 1), round(random.uniform(-50, 150), 2), float(random.randint(0, 9)))
    )


def _str(evidence: Evidence, random: Random, _: int) -> str:
    letters = [one for one in evidence.item.constants if isinstance(one, str)]
    if letters and random.random() < 0.6:
        # The function compares single characters with these.
        return "".join(random.choices((*letters, *letters, *random.choice(WORDS), *"0123"), k=random.randint(1, 8)))
    form = random.randrange(10)
    words = random.choices(WORDS, k=random.randint(2, 4))
    if form < 3:
        return random.choice(words)
    if form < 6:
        return random.choice(SEPARATORS).join(words)
    if form == 6:
        return str(random.randint(0, 5_000))
    if form == 7:
        return "".join(random.choices("aabbcdexyz", k=random.randint(1, 8)))
    if form == 8:
        return f"{words[0].capitalize()} {random.randint(1, 99)}{random.choice(('!', '?', '.', ''))}"
    return random.choice(("", " ", words[0].upper(), f"  {words[0]} ", f"({words[0]})", "3.14", "a=1,b=2"))


def _list(evidence: Evidence, random: Random, depth: int) -> list[Any]:
    if evidence.parts:
        return list(_tuple(evidence, random, depth))
    item = evidence.item
    if not item.votes:
        # Even if nothing is known of the items, those of one list have one type.
        item = Evidence()
        item.vote({random.choices(("int", "str"), (2, 1))[0]: 1.0})
    items = [_draw(item, random, depth + 1) for _ in range(_length(random))]
    if items and random.random() < 0.3:
        items.append(random.choice(items))
    if random.random() < 0.2 and all(type(one) is int for one in items):
        items.sort()
    return items


def _tuple(evidence: Evidence, random: Random, depth: int) -> tuple[Any, ...]:
    if evidence.parts:
        return tuple(_draw(part, random, depth + 1) for part in evidence.parts)
    return tuple(_list(evidence, random, depth))


def _set(evidence: Evidence, random: Random, depth: int) -> set[Any]:
    items = _list(evidence, random, depth)
    return {one if _is_hashable(one) else str(one) for one in items}


def _dict(evidence: Evidence, random: Random, depth: int) -> dict[Any, Any]:
    if evidence.entries:
        return {key: _draw(entry, random, depth + 1) for key, entry in evidence.entries.items()}
    key = evidence.key
    if not key.votes:
        key = Evidence()
        key.vote({"str": 1.0})
        key.constants, key.is_choice = list(WORDS), True
    keys = [_draw(key, random, depth + 1) for _ in range(_length(random))]
    return {one if _is_hashable(one) else str(one): _draw(evidence.item, random, depth + 1) for one in keys}


def _length(random: Random) -> int:
    return random.choices(range(8), (5, 12, 18, 22, 18, 12, 8, 5))[0]


def _is_hashable(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(map(_is_hashable, value))
    return not isinstance(value, list | dict | set)


_GENERATORS: dict[str, Callable[[Evidence, Random, int], Any]] = {
    "int": _int,
    "float": _float,
    "str": _str,
    "bool": lambda _, random, __: random.random() < 0.5,
    "bytes": lambda evidence, random, depth: _str(evidence, random, depth).encode(),
    "list": _list,
    "tuple": _tuple,
    "set": _set,
    "dict": _dict,
    "none": lambda *_: None,
}
