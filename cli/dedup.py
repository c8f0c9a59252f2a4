"""`synth dedup` and `synth decontaminate`: stages that any dataset can go through."""

from typing import Annotated

import typer

from synth.cli.options import Inputs, Output, RunOptions, shared_options
from synth.cli.running import run_stage

__all__ = ["decontaminate", "dedup"]

Text = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME",
        help="Column to compare: text, or the messages of a chat. Repeatable; needed where several hold text.",
    ),
]


@shared_options
def dedup(
    sources: Inputs,
    output: Output,
    text: Text = None,
    threshold: Annotated[
        float,
        typer.Option(min=0.1, max=1.0, help="Jaccard similarity from which texts are near duplicates; 1 for none."),
    ] = 0.8,
    url: Annotated[bool, typer.Option(help="Of rows with the same address, too, keep the first.")] = True,
    near: Annotated[bool, typer.Option(help="Look for near duplicates, and not only for equal texts.")] = True,
    *,
    run: RunOptions,
) -> None:
    """Keep the first of rows that are alike: with the same text, the same URL, or nearly the same words."""
    from synth.pipelines.dedup.dedup import Dedup

    run_stage(Dedup(text=tuple(text or ()), threshold=threshold, url=url, near=near), sources, output, run)


@shared_options
def decontaminate(
    sources: Inputs,
    output: Output,
    against: Annotated[
        list[str], typer.Option(metavar="EVAL", help="An evaluation set, any input. Repeatable.", show_default=False)
    ],
    text: Text = None,
    against_column: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Column of the evaluation sets to look for. Repeatable; all that hold text."),
    ] = None,
    ngram: Annotated[int, typer.Option(min=1, help="Words in a row that may not be shared.")] = 13,
    *,
    run: RunOptions,
) -> None:
    """Reject the rows that share 13 words in a row with an evaluation set."""
    from synth.pipelines.dedup.contamination import Decontaminate

    stage = Decontaminate(
        against=tuple(against),
        text=tuple(text or ()),
        against_column=tuple(against_column or ()),
        ngram=ngram,
    )
    run_stage(stage, sources, output, run)
