"""Where a run starts: from scratch, from where an earlier run stopped, or from the journals in a complete output.

An output has the journals of answers in `answers/`. An update sets them aside and runs every row again: each chunk
takes over the answers for its rows, so only requests without an answer are sent. `failed/` has all journals of the
chunks with failed rows, and the records of all chunks: `--retry-failed` reopens the former, and restores the latter
from the files in which they were joined.
"""

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from synth.pipelines.runtime.counts import Published
from synth.pipelines.runtime.options import Options
from synth.pipelines.runtime.spending import Ledger
from synth.schemas.answers import answers_of_chunks, write_answers
from synth.schemas.dataset import Dataset
from synth.schemas.errors import UsageError
from synth.schemas.layout import Layout
from synth.schemas.shards import Shard, ShardWriter
from synth.schemas.stores.places import origin
from synth.schemas.writing.data_files import portions
from synth.schemas.writing.publication import OutputClaim, OutputStatus
from synth.schemas.writing.slices import SliceClaim
from synth.schemas.writing.store_shelf import shelf_of

__all__ = ["claim_output"]

# The lease under which failed rows are tried again.
RESTORED = "restored"


def claim_output(out: Path, identity: Mapping[str, Any], options: Options) -> OutputClaim | None:
    """The claim on `out` for this run; None if it is complete and nothing has to be done.

    Raises what `OutputClaim.open` and `SliceClaim.join` raise, and `UsageError` if there are no answers for an update.
    """
    if options.slice is not None:
        return SliceClaim.join(out, identity, options.slice, command=options.command)
    status = OutputStatus.of(out, identity, options.stale, options.remake)
    shelf = shelf_of(out)
    if options.retry_failed and status.state == "complete" and Layout(out).failed.is_dir():
        status.refuse()
        shelf.fetch_output()
        return _reopened(out, identity, options)
    if status.would == "update":
        shelf.fetch_answers()
        _require_answers(out)
    return OutputClaim.open(
        out,
        identity,
        command=options.command,
        stale=options.stale,
        remake=options.remake,
    )


def _require_answers(out: Path) -> None:
    """Raises `UsageError` if the output, or a chunk of a run that has begun, did not keep the answers that it used."""
    layout, partial = Layout(out), Layout(out).partial
    # A chunk that still has journals was published just before a kill.
    chunks = sorted({*partial.published_chunks()} - {*partial.begun_chunks()})
    tallies = _unrecorded({chunk: json.loads(partial.published(chunk).read_text()) for chunk in chunks}, partial.kept)
    if layout.failed_chunks.is_file():
        tallies += _unrecorded(dict(enumerate(json.loads(layout.failed_chunks.read_text())["chunks"])), layout)
    elif layout.record.is_file() and not (layout.kept_answers() or partial.prior_answers()):
        tallies.append((Dataset(out).run or {}).get("counts", {}).get("tallies", {}))
    if any(used.get(name) for used in tallies for name in ("requests", "programs", "scored_tokens")):
        raise UsageError(
            f"{origin(out)} has no recorded answers (it was made with --no-keep-answers): "
            "--fresh asks for all of them again"
        )


def _unrecorded(chunks: Mapping[int, Any], layout: Layout) -> list[Mapping[str, float]]:
    """What the published chunks used, of those whose answers are not there."""
    failed = layout.failed_answers()
    published = {number: Published.read(chunk) for number, chunk in chunks.items() if number not in failed}
    return [chunk.counts.tallies for chunk in published.values() if not chunk.answers]


def _reopened(out: Path, identity: Mapping[str, Any], options: Options) -> OutputClaim:
    claim = OutputClaim(out, identity)
    finished = Dataset(out)
    try:
        _restore_chunks(finished, claim)
        # Chunks keep their size.
        claim.begin(options.command, chunk_rows=(finished.run or {}).get("chunk_rows"))
    except BaseException as error:
        claim.__exit__(type(error))
        raise
    return claim


def _restore_chunks(finished: Dataset, claim: OutputClaim) -> None:
    """Restore every chunk to its state before publication; does nothing if an earlier retry has started."""
    if claim.is_begun():
        return
    claim.clear()
    _carry_over_spending(finished, claim)
    layout, out = claim.layout, finished.layout
    layout.shards.mkdir()
    published = [Published.read(record) for record in json.loads(out.failed_chunks.read_text())["chunks"]]
    data = _portions(finished, out, "shards", [chunk.data.rows for chunk in published])
    # The shards of chunks may be followed by one of bad rows, which are read from the input again.
    rejected = _portions(finished, out.rejected, "rejected_shards", [chunk.rejected.rows for chunk in published])
    answers = answers_of_chunks(out.kept_answers(), [chunk.answers for chunk in published])
    restored = zip(published, data, rejected, answers, strict=True)
    for number, (chunk, rows, rejected_rows, kept) in enumerate(restored):
        if chunk.counts.failed:
            shutil.copytree(out.failed_journals(number).folder, layout.journals(number, RESTORED).folder)
            continue
        chunk = replace(chunk, data=_written(layout.shards / chunk.data.filename, rows))
        if chunk.rejected.rows:
            chunk = replace(chunk, rejected=_written(layout.shards / chunk.rejected.filename, rejected_rows))
        to_keep = layout.answers(number, chunk.lease)
        write_answers(kept, to_keep)
        files = [to_keep, *(layout.shards / shard.filename for shard in chunk.shards)]
        claim.shelf.create(layout.published(number), asdict(chunk), files)


def _portions(finished: Dataset, folder: Layout, kind: str, rows: Sequence[int]) -> Iterator[pa.Table]:
    return portions(folder.path, [Shard(**file) for file in (finished.run or {})[kind]], rows)


def _written(path: Path, rows: pa.Table) -> Shard:
    with ShardWriter(path, rows.schema) as writer:
        writer.write(rows)
        return writer.close()


def _carry_over_spending(finished: Dataset, claim: OutputClaim) -> None:
    """What the output has cost so far is part of what it costs with the rows that are tried again."""
    cost = (finished.run or {}).get("cost", {})
    prompt, completion = (cost.get(name) for name in ("prompt_tokens", "completion_tokens"))
    ledger = Ledger(claim.layout.spending(RESTORED))
    ledger.total.prompt_tokens = prompt or 0
    ledger.total.completion_tokens = completion or 0
    ledger.total.uncounted = int(None in (prompt, completion))
    asked = (finished.run or {}).get("counts", {}).get("tallies", {}).get("requests", 0)
    ledger.total.requests = int(asked) + (cost.get("unused_requests") or 0)
    ledger.flush()
    ledger.close()
