"""Where a run begins: from nothing, where it stopped, or with a part of what a finished run left.

A finished output keeps two things that a later run can begin with. `answers/` holds the journals of the engine's
answers, one for each chunk, where `--keep-answers` asked for them: `--reparse` lays them out again and runs every row
over them. `failed/` holds all journals of the chunks in which rows were allowed to fail, and what every chunk was
published as: `--retry-failed` lays out those chunks as they were, and the others as published.
"""

import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from synth.pipelines.runtime.counts import Published
from synth.pipelines.runtime.options import Options
from synth.schemas.atomic import atomic, write_json
from synth.schemas.dataset import Dataset
from synth.schemas.errors import UsageError
from synth.schemas.layout import Layout
from synth.schemas.writing.publication import OutputClaim, OutputStatus, published_names

__all__ = ["claim_output"]


def claim_output(
    out: Path, identity: Mapping[str, Any], options: Options, chunk_rows: int | None
) -> OutputClaim | None:
    """The hold on `out` with which the run continues; None where it is complete and nothing is to be done again.

    Raises what `OutputClaim.open` raises, and `UsageError` where `--reparse` finds no answers.
    """
    status = OutputStatus.of(out, identity)
    if options.reparse:
        return _laid_out(out, identity, options, chunk_rows, _lay_out_answers)
    if options.retry_failed and status.state == "complete" and Layout(out).failed.is_dir():
        status.refuse()
        return _laid_out(out, identity, options, chunk_rows, _lay_out_chunks)
    return OutputClaim.open(out, identity, command=options.command, chunk_rows=chunk_rows, fresh=options.fresh)


def _laid_out(
    out: Path,
    identity: Mapping[str, Any],
    options: Options,
    chunk_rows: int | None,
    lay_out: Callable[[Dataset, OutputClaim], None],
) -> OutputClaim:
    claim = OutputClaim(out, identity)
    finished = Dataset(out)
    try:
        lay_out(finished, claim)
        # The chunks are those of the output.
        claim.begin(options.command, chunk_rows=(finished.run or {}).get("chunk_rows", chunk_rows))
    except BaseException as error:
        claim.__exit__(type(error))
        raise
    return claim


def _lay_out_answers(finished: Dataset, claim: OutputClaim) -> None:
    """Leave the answers as what has been done, and nothing else. Killed in between, it can be done again."""
    layout, kept = claim.layout, claim.layout.kept
    if not layout.record.is_file():
        claim.clear()
    for chunk in kept.answered():
        layout.journals(chunk).folder.mkdir(parents=True, exist_ok=True)
        kept.answers_of(chunk).rename(layout.journals(chunk).answers)
    for chunk in finished.layout.answered():
        target = layout.journals(chunk)
        if not target.answers.exists():
            target.folder.mkdir(parents=True, exist_ok=True)
            # A copy, because more may be appended to it.
            with atomic(target.answers) as temporary:
                shutil.copyfile(finished.layout.answers_of(chunk), temporary)
    published = layout.published_chunks()
    if not published and not any(journals.answers.exists() for journals in layout.all_journals()):
        raise UsageError(
            f"{finished.path} has no answers to parse again: only a run with --keep-answers leaves them there"
        )
    for chunk in published:
        record = layout.published(chunk)
        requests = Published.read(json.loads(record.read_text())).counts.tallies.get("requests")
        if requests and not layout.journals(chunk).answers.exists():
            raise UsageError(
                f"{layout.path} holds finished rows without their answers, because it was begun without "
                "--keep-answers: finish it, or use --fresh to start over"
            )
        record.unlink()
    for journals in layout.all_journals():
        journals.rows.unlink(missing_ok=True)


def _lay_out_chunks(finished: Dataset, claim: OutputClaim) -> None:
    """Every chunk as it was when the output was published; where an earlier try has begun, nothing."""
    if claim.is_begun():
        return
    claim.clear()
    layout, out = claim.layout, finished.layout
    layout.shards.mkdir()
    published = [Published.read(record) for record in json.loads(out.failed_chunks.read_text())["chunks"]]
    for shard, filename in published_names([chunk.data for chunk in published]):
        os.link(out.path / filename, layout.shards / shard.filename)
    # After those of the chunks there may be a shard of bad rows, which the input is read for again.
    names = [shard["filename"] for shard in (finished.run or {})["rejected_shards"]]
    for chunk, filename in zip((chunk for chunk in published if chunk.rejected.rows), names, strict=False):
        os.link(out.rejected.path / filename, layout.shards / chunk.rejected.filename)
    for number, chunk in enumerate(published):
        if chunk.counts.failed:
            shutil.copytree(out.failed_journals(number).folder, layout.journals(number).folder)
            continue
        write_json(layout.published(number), asdict(chunk))
        if out.answers_of(number).is_file():
            layout.kept.answers.path.mkdir(parents=True, exist_ok=True)
            os.link(out.answers_of(number), layout.kept.answers_of(number))
