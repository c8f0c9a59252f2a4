"""The form of a word problem's template: what happens, what is asked, and the ways to work it out.

`{name}` stands for a word or a number; `[t=a*b]` is a calculation that is written out and named. The result of every
route is `r`, on which the four changes that make a new problem build: a share of it (divide by `d`, or take `f` times),
a factor `p`, an amount `k`. `s` and `sf` are the share that a story itself speaks of.
"""

from dataclasses import dataclass

__all__ = ["NAMES", "PARTS", "Change", "Story", "share", "then"]

Route = tuple[str, ...]

NAMES = (
    "Ada", "Amir", "Anna", "Ben", "Carla", "Chen", "Dana", "Eli", "Emma", "Felix", "Gita", "Hana", "Hugo", "Ines",
    "Ivan", "Jana", "Jonas", "Kai", "Lena", "Leo", "Lina", "Luis", "Maja", "Marta", "Milo", "Mina", "Nora", "Noah",
    "Olga", "Omar", "Paul", "Pia", "Rosa", "Sami", "Sara", "Tara", "Tom", "Vera", "Yuki", "Zoe",
)  # fmt: skip
# A share in words, in per cent, and what one divides by to get it.
PARTS = (("half", "50%", 2), ("a quarter", "25%", 4), ("a fifth", "20%", 5), ("a tenth", "10%", 10))


@dataclass(frozen=True)
class Change:
    """One more fact, the new question, and the steps that continue from `r`."""

    fact: str
    ask: str
    routes: tuple[Route, ...]


@dataclass(frozen=True)
class Story:
    """A kind of problem. `numbers` are inclusive ranges; `changes` are evolutions 2 to 5 in order."""

    kind: str
    numbers: dict[str, tuple[int, int]]
    things: tuple[str, ...]
    facts: tuple[str, ...]
    asks: tuple[str, ...]
    routes: tuple[Route, ...]
    changes: tuple[Change, Change, Change, Change]


def share(fact: str, ask: str, step: str) -> Change:
    """A change that asks for a share of `r`, got by division or by multiplication."""
    return Change(fact, ask, ((f"{step} [x=r/d].",), (f"{step} [x=r*f].",)))


def then(fact: str, ask: str, *steps: str) -> Change:
    """A change with one way to continue from `r`."""
    return Change(fact, ask, (steps,))
