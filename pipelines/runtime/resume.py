"""Where a run begins: anew, where it stopped, or with a part of what a finished run left.

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
from synth.schemas.dataset import Dataset
from synth.schemas.errors import UsageError
from synth.schemas.writing.publication import OutputStatus, PartialOutput, published_names, write_json

__all__ = ["open_building"]


def open_building(out: Path, identity: Mapping[str, Any], options: Options) -> PartialOutput | None:
    """The directory in which the run goes on; None where `out` is complete and nothing of it is to be done again.

    Raises what `PartialOutput.open` raises, and `UsageError` where `--reparse` finds no answers.
    """
    status = OutputStatus.of(out, identity)
    if options.reparse:
        return _laid_out(out, identity, options, _lay_out_answers)
    if options.retry_failed and status.state == "complete" and (out / "failed").is_dir():
        status.refuse()
        return _laid_out(out, identity, options, _lay_out_chunks)
    return PartialOutput.open(out, identity, command=options.command, fresh=options.fresh)


def _laid_out(
    out: Path, identity: Mapping[str, Any], options: Options, lay_out: Callable[[Path, PartialOutput], None]
) -> PartialOutput:
    building = PartialOutput(out, identity)
    try:
        lay_out(out, building)
        building.begin(options.command)
    except BaseException:
        building.close()
        raise
    return building


def _lay_out_answers(out: Path, building: PartialOutput) -> None:
    """Leave the answers as what has been done, and nothing else. Killed in between, it can be done again."""
    if not (building.path / "synth.json").is_file():
        building.clear()
    for kept in (building.kept / "answers").glob("*.arrow"):
        _answers_of(kept.stem, building).parent.mkdir(parents=True, exist_ok=True)
        kept.rename(_answers_of(kept.stem, building))
    for journal in (out / "answers").glob("*.arrow"):
        if not _answers_of(journal.stem, building).exists():
            _copy(journal, _answers_of(journal.stem, building))
    records = list(building.shards.glob("*.json"))
    if not records and not any(building.work.glob("*/answers.arrow")):
        raise UsageError(f"{out} has no answers to parse again: only a run with --keep-answers leaves them there")
    for record in records:
        requests = Published.read(json.loads(record.read_text())).counts.tallies.get("requests")
        if requests and not _answers_of(record.stem, building).exists():
            raise UsageError(
                f"{building.path} holds finished rows without their answers, because it was begun without "
                "--keep-answers: finish it, or use --fresh to start over"
            )
        record.unlink()
    for rows in building.work.glob("*/rows.arrow"):
        rows.unlink()


def _answers_of(chunk: str, building: PartialOutput) -> Path:
    return building.work / chunk / "answers.arrow"


def _lay_out_chunks(out: Path, building: PartialOutput) -> None:
    """Every chunk as it was when `out` was published; where an earlier try has begun, nothing."""
    if building.is_begun():
        return
    building.clear()
    building.shards.mkdir()
    published = [
        Published.read(record) for record in json.loads((out / "failed" / "chunks.json").read_text())["chunks"]
    ]
    for shard, filename in published_names([chunk.data for chunk in published]):
        os.link(out / filename, building.shards / shard.filename)
    # After those of the chunks there may be a shard of bad rows, which the input is read for again.
    names = [shard["filename"] for shard in (Dataset(out).run or {})["rejected_shards"]]
    for chunk, filename in zip((chunk for chunk in published if chunk.rejected.rows), names, strict=False):
        os.link(out / "rejected" / filename, building.shards / chunk.rejected.filename)
    for chunk in published:
        name = Path(chunk.data.filename).stem
        if chunk.counts.failed:
            shutil.copytree(out / "failed" / name, building.work / name)
            continue
        write_json(building.shards / f"{name}.json", asdict(chunk))
        kept = out / "answers" / f"{name}.arrow"
        if kept.is_file():
            (building.kept / "answers").mkdir(parents=True, exist_ok=True)
            os.link(kept, building.kept / "answers" / kept.name)


def _copy(source: Path, target: Path) -> None:
    """A copy, because more may be appended to it; whole or not there."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f"{target.name}.tmp")
    shutil.copyfile(source, temporary)
    temporary.rename(target)
