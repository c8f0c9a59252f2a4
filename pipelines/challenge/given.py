"""The rows of an input that an option names."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from synth.pipelines.runtime.stage import Row
from synth.schemas.errors import InputError
from synth.schemas.reading.sources import Source
from synth.schemas.record import Record

__all__ = ["GivenRows", "rows_given_by"]


@dataclass(frozen=True)
class GivenRows:
    """All rows of an input, in memory, and the fingerprint of its content, which identifies them."""

    rows: tuple[Row, ...]
    fingerprint: str


def rows_given_by(flag: str, record: Record) -> Callable[[str], GivenRows]:
    """The reader of an option that names an input of this record. It raises `InputError`, naming the `flag`."""

    def read(spec: str) -> GivenRows:
        try:
            source = Source(spec, record, {}, None)
            with TemporaryDirectory() as scratch:
                return GivenRows(tuple(source.table(Path(scratch) / "rows").to_pylist()), source.fingerprint)
        except InputError as error:
            raise InputError(f"{flag}: {error}") from error

    return read
