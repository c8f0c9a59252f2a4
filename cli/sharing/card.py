"""`synth card`: the card of a dataset, as the Hugging Face hub shows it."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from synth.cli.commands import with_options
from synth.cli.sharing.options import CardOptions, Shared
from synth.pipelines.runtime.declared import Option
from synth.schemas.phrases import plural

__all__ = ["card"]


@dataclass(frozen=True)
class WrittenCardOptions(CardOptions):
    """Where the card goes."""

    output: Annotated[Path | None, Option("The file to write, by default standard output.", flag="-o")] = None
    force: Annotated[bool, Option("Replace the file.")] = False


@with_options
def card(outs: Shared, options: WrittenCardOptions) -> None:
    """Write the card of a dataset: the README.md that the Hugging Face hub shows.

    It is made from the run records of the dataset and of the datasets that it was made from, and says nothing else.
    Without a name, the split is train.
    """
    from synth.cli.sharing.page import page
    from synth.schemas.writing.export import replacing
    from synth.schemas.writing.parts import parts, splits

    shared = splits(outs)
    included = parts(shared, rejected=options.with_rejected, answers=options.with_answers)
    text = page(shared[0].dataset.path.resolve().name, shared, included, options)
    if options.output is None:
        sys.stdout.write(text)
        return
    with replacing(options.output, force=options.force) as file:
        file.write(text.encode())
    print(f"{options.output}: the card of {plural(len(shared), 'split')}", file=sys.stderr)
