"""Options are declared on the fields of a dataclass: values are made, checked and refused by what is declared."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import pytest

from synth.pipelines.reject.sample import SamplePaths
from synth.pipelines.runtime.declared import ByOption, Only, Option, assignments, build, check, declared, shipped
from synth.pipelines.runtime.prompts import Prompt
from synth.schemas.errors import UsageError

Share = Annotated[float, Option("A share.", min=0, max=1)]


@dataclass(frozen=True)
class Baking:
    kind: Annotated[Literal["bread", "cake"], Option("What to bake.")]
    n: Annotated[int, Option("How many.", min=1, flag="-n", long="--loaves")] = 2
    crust: Annotated[bool, Option("With a crust.")] = True
    sweet: Annotated[bool, Option("With sugar.")] = False
    sugar: Annotated[Share, Option("Share of sugar.", min=0, max=1), Only("sweet", True)] = 0.25
    times: Annotated[tuple[int, ...], Option("Minutes.", min=1, read=lambda times: tuple(sorted(times)))] = ()
    spices: Annotated[Mapping[str, str], Option("Grams of each.", read=assignments("--spices"))] = field(
        default_factory=dict
    )
    oven: Annotated[str | None, Option("Where.", env="OVEN", choices=("gas", "wood"))] = None
    turns: Annotated[int, Option("Turns in it."), Only("oven", ...)] = 1
    warmth: ClassVar[ByOption[int]] = ByOption("kind", {"bread": 220, "cake": 180})
    # No option.
    baker: str = "nobody"

    def __post_init__(self) -> None:
        check(self)


def test_flags_follow_from_names_and_defaults() -> None:
    assert {one.name: one.flags for one in declared(Baking)} == {
        "kind": ("--kind",),
        "n": ("-n", "--loaves"),
        "crust": ("--crust/--no-crust",),
        "sweet": ("--sweet",),
        "sugar": ("--sugar",),
        "times": ("--times",),
        "spices": ("--spices",),
        "oven": ("--oven",),
        "turns": ("--turns",),
    }


def test_what_was_typed_becomes_the_values_and_the_rest_is_by_default() -> None:
    typed: dict[str, Any] = {"kind": "bread", "times": [20, 10], "spices": ["salt=3", "anise=1"], "n": None}
    assert build(Baking, typed) == Baking("bread", times=(10, 20), spices={"salt": "3", "anise": "1"})


def test_an_environment_variable_stands_in_for_an_option(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OVEN", "wood")
    assert build(Baking, {"kind": "cake"}).oven == "wood"
    assert build(Baking, {"kind": "cake", "oven": "gas"}).oven == "gas"


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({}, "--kind is missing: what to bake"),
        ({"kind": "pie"}, "--kind pie: must be one of bread, cake"),
        ({"kind": "cake", "n": 0}, "-n 0: must be at least 1"),
        ({"kind": "cake", "sweet": True, "sugar": 1.5}, "--sugar 1.5: must be between 0 and 1"),
        ({"kind": "cake", "sugar": 0.5}, "--sugar applies only with --sweet"),
        ({"kind": "cake", "turns": 2}, "--turns applies only with --oven"),
        ({"kind": "cake", "times": [5, 0]}, "--times 0: must be at least 1"),
        ({"kind": "cake", "oven": "sun"}, "--oven sun: must be one of gas, wood"),
        ({"kind": "cake", "spices": ["salt"]}, "--spices salt: expected NAME=VALUE"),
        ({"kind": "cake", "spices": ["a=1", "a=2"]}, "--spices a: given twice"),
    ],
)
def test_what_cannot_be_is_refused(typed: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as raised:
        build(Baking, typed)
    assert str(raised.value) == said


def test_values_given_in_python_are_checked_too() -> None:
    with pytest.raises(UsageError, match="-n 0: must be at least 1"):
        SamplePaths(n=0)


def test_a_fact_can_follow_from_an_option() -> None:
    assert Baking("cake").warmth == 180
    assert Baking.warmth.when(Baking, lambda warmth: warmth > 200) == "with --kind bread"


def test_own_options_come_before_shared_ones() -> None:
    @dataclass(frozen=True)
    class Frying(Baking):
        fat: Annotated[Literal["oil", "lard"], Option("In what.")] = "oil"

    assert declared(Frying)[0].name == "fat"


def test_a_prompt_is_the_one_shipped_or_a_file(tmp_path: Path) -> None:
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "plain.md").write_text("Bake {{ what }}.")
    (tmp_path / "other.md").write_text("Roast {{ what }}.")

    @dataclass(frozen=True)
    class Asking:
        prompt: Annotated[Prompt, Option("How to ask.")] = shipped("plain", tmp_path)

    (option,) = declared(Asking)
    assert (option.default, option.suggestions("pl")) == ("plain", ["plain"])
    assert build(Asking, {}).prompt.render(what="bread") == "Bake bread."
    assert build(Asking, {"prompt": str(tmp_path / "other.md")}).prompt.render(what="beans") == "Roast beans."
    with pytest.raises(UsageError, match=r"--prompt none: no such file, and the recipe's own prompts are plain"):
        build(Asking, {"prompt": "none"})


def test_a_prompt_that_is_the_same_for_all_rows_is_noticed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "plain.md").write_text("Bake {{ what }} {{ how }}.")

    @dataclass(frozen=True)
    class Asking:
        prompt: Annotated[Prompt, Option("How to ask.")] = shipped("plain", tmp_path)

    for name, text in (("some.md", "Roast {{ what }}."), ("none.md", "Roast.")):
        (tmp_path / name).write_text(text)
        build(Asking, {"prompt": str(tmp_path / name)})
    (record,) = caplog.records
    assert record.getMessage() == f"--prompt {tmp_path}/none.md has no variable (how, what): all rows get the same"
