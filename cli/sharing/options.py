"""What `synth card` and `synth push` have in common: the datasets, and what is said of them and shared."""

from dataclasses import dataclass
from typing import Annotated

import typer

from synth.cli.completion import datasets
from synth.pipelines.runtime.declared import Option, names

__all__ = ["CardOptions", "Shared"]

Shared = Annotated[
    list[str],
    typer.Argument(
        metavar="[SPLIT=]OUT...", help="Dataset directories, each with the name of its split.", autocompletion=datasets
    ),
]


@dataclass(frozen=True)
class CardOptions:
    """What a card says beyond the run records, and what is shared."""

    license: Annotated[
        str | None, Option("The licence of the dataset, by the hub's name for it, such as cc-by-4.0.", metavar="ID")
    ] = None
    language: Annotated[
        tuple[str, ...], Option("Language of the texts, such as en. Repeatable.", metavar="CODE", read=names)
    ] = ()
    tag: Annotated[tuple[str, ...], Option("A tag to find the dataset by. Repeatable.", metavar="TAG", read=names)] = ()
    with_rejected: Annotated[bool, Option("Share the rejected rows, too, as the config rejected.")] = False
    with_answers: Annotated[bool, Option("Share the kept answers of the model, too, as the config answers.")] = False
