"""`synth push`: a dataset on the Hugging Face hub."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from synth.cli.commands import with_options
from synth.cli.sharing.options import CardOptions, Shared
from synth.pipelines.runtime.declared import Option
from synth.schemas.errors import InputError, UsageError
from synth.schemas.phrases import plural

if TYPE_CHECKING:
    from synth.schemas.writing.hub import HubBranch
    from synth.schemas.writing.parts import Part, SharedSplit

__all__ = ["push"]


@dataclass(frozen=True)
class PushOptions(CardOptions):
    """Where and how a dataset is pushed."""

    private: Annotated[bool, Option("Create the dataset as a private one.")] = False
    revision: Annotated[str, Option("Branch to push to, created if needed.", metavar="BRANCH")] = "main"
    card: Annotated[
        Path | None, Option("Push this card, such as an edited one of `synth card`, instead of a new one.")
    ] = None

    def __post_init__(self) -> None:
        if self.card and (self.license or self.language or self.tag):
            raise UsageError("--license, --language and --tag apply only without --card: write them into that card")


@with_options
def push(
    outs: Shared,
    name: Annotated[str, typer.Argument(metavar="USER/NAME", help="Name of the dataset on the hub.")],
    options: PushOptions,
) -> None:
    """Push a dataset to the Hugging Face hub, where `datasets.load_dataset` opens it.

    Its rows as Parquet, its card and its run record become one commit; repeating it uploads only what changed. Without
    a name, the split is train; name all splits together, as in train=OUT test=OUT2. The hub is that of HF_ENDPOINT, and
    the token that of HF_TOKEN or `hf auth login`.
    """
    from synth.schemas.reading.inputs import locate
    from synth.schemas.writing.hub import CARD, HubBranch, check_name
    from synth.schemas.writing.parts import parts, splits

    check_name(name)
    shared = splits(outs)
    for split in shared:
        if not split.dataset.table.num_rows:
            raise InputError(f"{split.dataset.path} has no rows, and load_dataset opens no split without rows")
        locate(str(split.dataset.path)).verify()
    included = parts(shared, rejected=options.with_rejected, answers=options.with_answers)
    texts = {CARD: _card(name, shared, included, options), **_records(shared)}
    branch = HubBranch.open(name, options.revision, private=options.private)
    _keep_what_is_there(branch, included, texts[CARD], options)
    done = branch.push(included, texts, lambda file: print(f"{name}: {file}", file=sys.stderr))
    if not done.is_new:
        print(f"{done.address}: nothing to do, the hub has these files", file=sys.stderr)
        return
    removed = f", {plural(done.removed, 'old file')} removed" if done.removed else ""
    print(f"{done.address}: {plural(done.rows, 'row')} in {plural(done.files, 'file')}{removed}", file=sys.stderr)


def _card(name: str, shared: "Sequence[SharedSplit]", included: "Sequence[Part]", options: PushOptions) -> str:
    from synth.cli.sharing.page import page

    if options.card is None:
        return page(name.partition("/")[2], shared, included, options)
    try:
        return options.card.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UsageError(f"--card {options.card} cannot be read: {reason}") from error


def _records(shared: "Sequence[SharedSplit]") -> dict[str, str]:
    """The run records as files, without what is private."""
    from synth.schemas.inspecting.public import public_run
    from synth.schemas.writing.parts import record_name

    runs = {record_name(split, shared): split.dataset.run for split in shared}
    return {name: json.dumps(public_run(run), ensure_ascii=False, indent=1) + "\n" for name, run in runs.items() if run}


def _keep_what_is_there(branch: "HubBranch", included: "Sequence[Part]", card: str, options: PushOptions) -> None:
    """Raises `UsageError` where the push would remove other splits, or what somebody wrote into the card."""
    from synth.cli.sharing.page import is_as_written

    if others := branch.other_splits(included):
        raise UsageError(
            f"{branch.name} has the split {others[0]} on the hub, too: name all splits in one push, as in "
            f"{included[0].split.name}={included[0].split.dataset.path} {others[0]}=OUT, or delete its files there"
        )
    there = None if options.card else branch.card()
    if there is not None and there != card and not is_as_written(there):
        raise UsageError(
            f"the README.md of {branch.name} on the hub was written by hand: add the text to that of "
            "`synth card OUT -o README.md`, and push it with --card README.md"
        )
