"""Options, declared once: as annotations of dataclass fields.

    n: Annotated[int, Option("Paths for each question.", min=1, flag="-n", long="--paths")] = 100

The command line, help, documentation, checks and identity derive from them. `Literal` types define choices; tuple and
mapping types make an option repeatable.
"""

import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from functools import cache
from math import isfinite
from pathlib import Path
from types import NoneType, UnionType
from typing import (
    TYPE_CHECKING,
    Any,
    Generic,
    Literal,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    overload,
)

from synth.schemas.errors import UsageError

if TYPE_CHECKING:
    from synth.pipelines.runtime.prompts import Prompt

__all__ = [
    "ByOption",
    "DeclaredOption",
    "Only",
    "Option",
    "amount",
    "amounts",
    "assignments",
    "build",
    "check",
    "condition",
    "declared",
    "names",
    "output",
    "own",
    "path",
    "shipped",
]

T = TypeVar("T")

_METAVARS = {int: "INTEGER", float: "NUMBER", str: "TEXT", Path: "FILE"}


@dataclass(frozen=True)
class Option:
    """Makes a dataclass field an option.

    `min` and `max` are inclusive. `flag` is a short form, `long` replaces the field's name. `default` is shown in help
    instead of the default value. `choices` lists the allowed strings if the type does not. `read` converts the string
    (the tuple of strings of a repeatable option) from the command line; `shown` makes of each string what the record of
    the command shows, without secrets; an option that is not `recorded` is left out there. An `argument` is positional,
    between input and output, and named by its `metavar`.
    """

    help: str
    min: float | None = None
    max: float | None = None
    flag: str | None = None
    long: str | None = None
    metavar: str | None = None
    default: str | None = None
    choices: Collection[str] = ()
    env: str | None = None
    read: Callable[[Any], Any] | None = None
    shown: Callable[[str], str] | None = None
    recorded: bool = True
    argument: bool = False
    panel: str | None = None


@dataclass(frozen=True)
class Only:
    """Added to an `Option` that applies only if the option `name` has this value (None: is not given; `...`: is)."""

    name: str
    value: Any

    def admits(self, value: Any) -> bool:
        return value is not None if self.value is ... else bool(value == self.value)

    def holds(self, instance: object) -> bool:
        return self.admits(getattr(instance, self.name))


@dataclass(frozen=True)
class DeclaredOption:
    """An option and its field. `type` excludes `None`."""

    option: Option
    only: Only | None
    field: "Field[Any]"
    type: Any

    @property
    def name(self) -> str:
        return self.field.name

    @property
    def flags(self) -> tuple[str, ...]:
        """As Typer takes them: `-n`, `--paths`. A switch that is on by default gets a `--no-` form."""
        plain = self.name.replace("_", "-")
        long = self.option.long or f"--{plain}"
        if self.type is bool and self.field.default is not False and "/" not in long:
            long += f"/--no-{plain}"
        return (self.option.flag, long) if self.option.flag else (long,)

    @property
    def shown_name(self) -> str:
        """The name in messages."""
        if self.option.argument:
            return self.option.metavar or self.name
        return self.flags[0].partition("/")[0]

    @property
    def is_repeatable(self) -> bool:
        origin, parts = get_origin(self.type), get_args(self.type)
        return origin is Mapping or (origin is tuple and _is_scalar(parts[0]))

    @property
    def cli_type(self) -> Any:
        """The type on the command line, of each value of a repeatable option; `str` if only `read` can convert it."""
        if get_origin(self.type) is tuple and self.is_repeatable and not self.option.read:
            return get_args(self.type)[0]
        return self.type if _is_scalar(self.type) else str

    @property
    def choices(self) -> tuple[Any, ...]:
        return get_args(self.cli_type) if get_origin(self.cli_type) is Literal else tuple(self.option.choices)

    @property
    def metavar(self) -> str | None:
        """The placeholder of the value; None for a switch."""
        return self.option.metavar or "|".join(map(str, self.choices)) or _METAVARS.get(self.cli_type)

    @property
    def is_required(self) -> bool:
        return self.field.default is MISSING and self.field.default_factory is MISSING

    @property
    def default(self) -> str:
        """The default in help; empty if there is nothing to show."""
        if self.option.default is not None or self.is_required:
            return self.option.default or ""
        if isinstance(self.field.default_factory, _Shipped):
            return self.field.default_factory.name
        value = self.field.default
        if value is MISSING or value is None or value is False or value in ("", ()) or self.option.read:
            return ""
        if value is True:
            return self.flags[-1].partition("/")[0].removeprefix("--")
        values = value if isinstance(value, tuple) else (value,)
        return ", ".join(repr(one) if isinstance(one, str) and one != one.strip() else str(one) for one in values)

    def value(self, typed: Any) -> Any:
        """The field's value, from the value on the command line."""
        read = self.option.read
        if isinstance(self.field.default_factory, _Shipped):
            return self.field.default_factory.read(typed, self.shown_name)
        typed = tuple(typed) if isinstance(typed, list) else typed
        return read(typed) if read else typed

    def suggestions(self, incomplete: str) -> list[str]:
        """Completions for the shell."""
        if isinstance(self.field.default_factory, _Shipped):
            return [name for name in self.field.default_factory.names if name.startswith(incomplete)]
        return [choice for choice in self.choices if choice.startswith(incomplete)]


def declared(owner: type) -> tuple[DeclaredOption, ...]:
    """The options of a dataclass: its own, then inherited ones."""
    key: Any = owner
    return _declared(key)


def own(owner: type) -> list[DeclaredOption]:
    """The options of a dataclass without inherited ones."""
    return [one for one in declared(owner) if one.name in owner.__annotations__]


@cache
def _declared(owner: type) -> tuple[DeclaredOption, ...]:
    hints = get_type_hints(owner, include_extras=True)
    depth: dict[str, int] = {}
    for number, base in enumerate(owner.__mro__):
        for name in vars(base).get("__annotations__", ()):
            depth.setdefault(name, number)
    found = []
    for one in sorted(fields(owner), key=lambda one: depth[one.name]):
        marks = getattr(hints[one.name], "__metadata__", ())
        only = next((mark for mark in marks if isinstance(mark, Only)), None)
        # The last one counts, so that a field can override a shared option.
        if option := next((mark for mark in reversed(marks) if isinstance(mark, Option)), None):
            found.append(DeclaredOption(option, only, one, _without_none(get_args(hints[one.name])[0])))
    return tuple(found)


def _without_none(hint: Any) -> Any:
    if get_origin(hint) in (Union, UnionType):
        parts = [part for part in get_args(hint) if part is not NoneType]
        return parts[0] if len(parts) == 1 else hint
    return hint


def _is_scalar(hint: Any) -> bool:
    return hint in (bool, int, float, str, Path) or get_origin(hint) is Literal


def build(owner: type[T], typed: Mapping[str, Any], **others: Any) -> T:
    """A dataclass instance from values on the command line (None or empty: the default).

    Raises `UsageError` if an option is missing or does not apply.
    """
    options = declared(owner)
    given = {one.name: one for one in options if typed.get(one.name) not in (None, [])}
    values = dict(others)
    for one in options:
        if one.name in given:
            values[one.name] = one.value(typed[one.name])
        elif one.option.env and one.option.env in os.environ:
            values[one.name] = one.value(os.environ[one.option.env])
        elif one.is_required:
            raise UsageError(
                f"{one.shown_name} is missing: {one.option.help[0].lower()}{one.option.help[1:].rstrip('.')}"
            )
    for one in given.values():
        if one.only:
            (other,) = (other for other in options if other.name == one.only.name)
            if not one.only.admits(values.get(other.name, other.field.default)):
                raise UsageError(f"{one.shown_name} applies only {condition(other, [one.only.value])}")
    instance = owner(**values)
    check(instance)
    return instance


def condition(option: DeclaredOption, values: list[Any]) -> str:
    """That an option has one of these values, as text: `with --judge`, `without --gold`, `with --role extender`."""
    if values in ([True], [...]):
        return f"with {option.shown_name}"
    if values in ([False], [None]):
        return f"without {option.shown_name}"
    return f"with {option.shown_name} {' or '.join(map(str, values))}"


def check(instance: Any) -> None:
    """Raises `UsageError` if a value is not one of the choices, or out of bounds."""
    for one in declared(type(instance)):
        value = getattr(instance, one.name)
        for each in value if isinstance(value, tuple) else (value,):
            if fault := _fault(one, each):
                raise UsageError(f"{one.shown_name} {each}: must be {fault}")


def _fault(one: DeclaredOption, value: Any) -> str | None:
    if value is None:
        return None
    if one.choices and value not in one.choices:
        return f"one of {', '.join(map(str, one.choices))}"
    low, high = one.option.min, one.option.max
    if (low is None or value >= low) and (high is None or value <= high):
        return None
    if low is None or high is None:
        return f"at least {low:g}" if high is None else f"at most {high:g}"
    return f"between {low:g} and {high:g}"


class ByOption(Generic[T]):
    """A stage attribute that depends on an option: `output = ByOption("format", {"dpo": PREFERENCE, ...})`.

    An instance has the value for its option; the class has the `ByOption`.
    """

    def __init__(self, option: str, values: Mapping[Any, T]) -> None:
        self.option = option
        self.values = values

    @overload
    def __get__(self, instance: None, owner: type) -> "ByOption[T]": ...

    @overload
    def __get__(self, instance: object, owner: type) -> T: ...

    def __get__(self, instance: object | None, owner: type) -> "ByOption[T] | T":
        return self if instance is None else self.values[getattr(instance, self.option)]

    def when(self, owner: type, wanted: Callable[[T], bool]) -> str:
        """The condition under which the value is a wanted one, as text."""
        (option,) = (one for one in declared(owner) if one.name == self.option)
        return condition(option, [value for value, fact in self.values.items() if wanted(fact)])


@dataclass(frozen=True)
class _Shipped:
    """The default of an option for a prompt: one of those in `folder`/prompts, which the option can select by name."""

    name: str
    folder: Path

    def __call__(self) -> "Prompt":
        return self.read(self.name, "--prompt")

    def read(self, name: str, flag: str) -> "Prompt":
        from synth.pipelines.runtime.prompts import Prompt

        return Prompt.load(name, self.folder, flag, self.name)

    @property
    def names(self) -> list[str]:
        return sorted(path.stem for path in (self.folder / "prompts").glob("*.md"))


def shipped(name: str, folder: Path) -> Any:
    """A field whose default is the prompt of this name of the recipe in `folder`."""
    return field(default_factory=_Shipped(name, folder))


def path(name: str) -> Path:
    """The path of this name. Raises `UsageError` if it is a URL, or blank: that would be the working directory."""
    from synth.schemas.specs import STORES

    if name.startswith(STORES):
        raise UsageError(
            f"{name} is in an object store, where only steps that process row by row can write: "
            "name a place on disk, and copy it there"
        )
    if not name.strip():
        raise UsageError("the name of a file or directory is empty: is a shell variable not set?")
    return Path(name)


def output(name: str) -> Path:
    """The path of the output of a row stage; of a URL, the one that stands for it on this machine.

    Raises `UsageError` if the name is blank, or a URL without a place in a bucket.
    """
    from synth.schemas.specs import STORES
    from synth.schemas.stores.places import output_at

    return output_at(name) if name.startswith(STORES) else path(name)


def assignments(
    flag: str, form: str = "NAME=VALUE", separator: str = "="
) -> Callable[[tuple[str, ...]], dict[str, str]]:
    """A `read` function for a repeatable option of the form `form`."""

    def read(texts: tuple[str, ...]) -> dict[str, str]:
        parsed: dict[str, str] = {}
        for text in texts:
            name, found, right = text.partition(separator)
            if not (name and found):
                raise UsageError(f"{flag} {text}: expected {form}")
            if name in parsed:
                raise UsageError(f"{flag} {name}: given twice")
            parsed[name] = right
        return parsed

    return read


def amount(flag: str) -> Callable[[str | float], float]:
    """A `read` function for a number that may come from the environment, where it is text."""

    def read(text: str | float) -> float:
        try:
            number = float(text)
        except ValueError:
            raise UsageError(f"{flag} {text}: expected a number") from None
        if not isfinite(number):
            raise UsageError(f"{flag} {text}: expected a number")
        return number

    return read


def amounts(flag: str) -> Callable[[str], tuple[float, ...]]:
    """A `read` function for numbers separated by commas."""
    return lambda text: tuple(map(amount(flag), text.split(",")))


def names(texts: tuple[str, ...]) -> tuple[str, ...]:
    """The reader of a repeatable option that takes names, several of them separated by commas."""
    return tuple(name.strip() for text in texts for name in text.split(",") if name.strip())
