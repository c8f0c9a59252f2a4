"""Where a run starts: from scratch, from where an earlier run stopped, or from the journals in a complete output.

With `--keep-answers` an output has the journals of answers in `answers/`, one per chunk; `--reparse` restores them and
runs every row again. `failed/` has all journals of the chunks with failed rows, and the records of all chunks:
`--retry-failed` reopens the former and restores the latter as published.
"""

import json
import os
import shutil
from collections.abc import Mapping
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
    """The claim on `out` for this run; None if it is complete and nothing has to be done.

    Raises what `OutputClaim.open` raises, and `UsageError` if `--reparse` finds no answers.
    """
    status = OutputStatus.of(out, identity)
    if options.reparse:
        restore = _restore_answers
    elif options.retry_failed and status.state == "complete" and Layout(out).failed.is_dir():
        status.refuse()
        restore = _restore_chunks
    else:
        return OutputClaim.open(out, identity, command=options.command, chunk_rows=chunk_rows, fresh=options.fresh)
    claim = OutputClaim(out, identity)
    finished = Dataset(out)
    try:
        restore(finished, claim)
        # Chunks keep their size.
        claim.begin(options.command, chunk_rows=(finished.run or {}).get("chunk_rows", chunk_rows))
    except BaseException as error:
        claim.__exit__(type(error))
        raise
    return claim


def _restore_answers(finished: Dataset, claim: OutputClaim) -> None:
    """Restore only the answers. Safe to repeat after a kill."""
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
        raise UsageError(f"{finished.path} has no answers to parse again: only runs with --keep-answers store them")
    for chunk in published:
        record = layout.published(chunk)
        requests = Published.read(json.loads(record.read_text())).counts.tallies.get("requests")
        if requests and not layout.journals(chunk).answers.exists():
            raise UsageError(
                f"{layout.path} has finished rows without their answers, because it was started without "
                "--keep-answers: finish it, or use --fresh to start over"
            )
        record.unlink()
    for journals in layout.all_journals():
        journals.rows.unlink(missing_ok=True)


def _restore_chunks(finished: Dataset, claim: OutputClaim) -> None:
    """Restore every chunk to its state before publication; does nothing if an earlier retry has started."""
    if claim.is_begun():
        return
    claim.clear()
    layout, out = claim.layout, finished.layout
    layout.shards.mkdir()
    published = [Published.read(record) for record in json.loads(out.failed_chunks.read_text())["chunks"]]
    for shard, filename in published_names([chunk.data for chunk in published]):
        os.link(out.path / filename, layout.shards / shard.filename)
    # The shards of chunks may be followed by one of bad rows, which are read from the input again.
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
