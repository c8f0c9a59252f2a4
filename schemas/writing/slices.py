"""Building one output by several processes that each do a slice of its chunks."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from synth.schemas.atomic import create_json
from synth.schemas.errors import SynthError
from synth.schemas.locks import lock, running_slices, turn
from synth.schemas.slices import Slice
from synth.schemas.writing.publication import OutputClaim, OutputStatus, remove_remains

__all__ = ["SliceClaim"]

REMEDY = "a slice only goes on with the settings of the others: remove it to start over"


class SliceClaim(OutputClaim):
    """Ownership of one slice of the chunks, beside the claims of other slices. It never publishes the directory.

    The locks keep two processes from the same chunks, and the command without `--slice` from those of a slice. On a
    network file system they may not reach other machines. Nothing is lost then, because the record of the run, and the
    records of chunks, are created exclusively.
    """

    is_shared = True

    @classmethod
    def join(
        cls, final: Path, identity: Mapping[str, Any], one: Slice, *, command: Sequence[str]
    ) -> "SliceClaim | None":
        """Begin the run if no other slice has, and claim a slice; None if `final` is complete with this identity.

        Raises `Stale` if the output, or other slices, have another identity; `SynthError` while another process does
        this slice, other slices of another number, or all of it.
        """
        status = OutputStatus.of(final, identity)
        if status.state == "complete":
            status.refuse(REMEDY)
            remove_remains(final, identity)
            return None
        claim = cls(final, identity)
        try:
            with turn(claim.layout.turn):
                claim._join(one, command)
        except BaseException:
            claim.close()
            raise
        return claim

    def in_chunks(self, rows: int) -> int:
        """Of the slices, the first one decides; `rows` depends only on the input, so they would not differ."""
        with turn(self.layout.turn):
            begun = self.shelf.begun()
            if "chunk_rows" not in begun:
                begun["chunk_rows"] = rows
                self.shelf.begin(begun)
        self.chunk_rows = begun["chunk_rows"]
        return self.chunk_rows

    def _owner(self) -> str:
        return f"{self.final} is being written by a synth process without --slice, which does all of it"

    def _join(self, one: Slice, command: Sequence[str]) -> None:
        layout, running = self.layout, running_slices(self.layout)
        if other := next((each for each in running if each.of != one.of), None):
            raise SynthError(
                f"slice {other} of {self.final} is still being written, whose chunks are not those of {one}: use "
                f"--slice I/{other.of}, or repeat the command when it has ended"
            )
        if OutputStatus.of(self.final, self._identity).state == "complete":
            raise SynthError(f"{self.final} was just written by another synth process: repeat the command")
        # Looked at before the record, because work follows it.
        work = self.shelf.has_work()
        is_others = layout.record.is_file() and (work or running)
        if not (is_others or self.is_begun()):
            if work or layout.record.is_file():
                self.clear()
            self._make_folders()
            create_json(layout.record, self._record_of(command))
        OutputStatus(layout.path, "begun", self.changed()).refuse(REMEDY)
        layout.slice(one).lock.parent.mkdir(parents=True, exist_ok=True)
        owned = lock(layout.slice(one).lock)
        if owned is None:
            raise SynthError(f"slice {one} of {self.final} is being written by another synth process")
        self._locks.append(owned)
