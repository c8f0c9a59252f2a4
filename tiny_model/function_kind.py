"""The form of a kind of small function: what it may be called, what it does in several ways, and calls to try it with.

In the templates `{a}`, `{b}` and `{c}` stand for the parameters in order, and `{name}` for a constant of that name,
which is written as Python writes it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

__all__ = ["COUNT", "NUMBERS", "TEXT", "WORDS", "Constants", "Kind", "Parameter", "numbers", "sentence", "settings"]

Constants = Mapping[str, Any]

WORDS = (
    "tea", "sun", "boat", "river", "lamp", "apple", "cloud", "green", "stone", "paper", "music", "garden", "window",
    "silver", "hello", "world", "red", "blue", "owl", "ice", "ant", "tree", "night", "bread", "under", "over", "old",
    "quick", "small", "orange", "winter", "market", "yellow", "table", "fox", "up", "is", "my", "a", "we",
)  # fmt: skip


@dataclass(frozen=True)
class Parameter:
    """One of its names is drawn; no two parameters of a kind share one."""

    names: tuple[str, ...]
    annotation: str


NUMBERS = Parameter(("numbers", "values", "items", "data"), "list[int]")
COUNT = Parameter(("n", "number", "amount", "num"), "int")
TEXT = Parameter(("text", "s", "sentence", "line"), "str")


@dataclass(frozen=True)
class Kind:
    """Functions that do the same but for their constants, of which each entry of `constants` is a choice.

    `bodies` all return the same; the first is what a model should write that knows only results. `tells` say what the
    function does, `about` what its arguments are. `call` draws the values of the arguments in order.
    """

    kind: str
    names: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    returns: str
    bodies: tuple[str, ...]
    tells: tuple[str, ...]
    about: str
    call: Callable[[Random, Constants], tuple[Any, ...]]
    constants: Sequence[Constants] = ({},)


def settings(name: str, *values: Any) -> tuple[Constants, ...]:
    """The choices of a kind with one constant."""
    return tuple({name: value} for value in values)


def numbers(random: Random, low: int = -9, high: int = 20) -> list[int]:
    """Up to six integers, and now and then none."""
    return [random.randint(low, high) for _ in range(random.choice((0, 1, 2, 3, 4, 4, 5, 6)))]


def sentence(random: Random) -> str:
    """Up to four words, and now and then none."""
    words = random.sample(WORDS, random.choice((0, 1, 1, 2, 2, 3, 3, 4)))
    if words and random.random() < 0.2:
        words[0] = words[0].capitalize()
    return " ".join(words)
