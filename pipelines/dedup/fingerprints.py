"""Fingerprints of all rows, on disk: they determine which rows are compared.

A row takes 8 bytes per key and 256 for its signature; rows without a common key are not duplicates. All cores compute
fingerprints; they are appended in row order, so a killed run can resume.
"""

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xxhash

from synth.pipelines.runtime.portions import pack, portions, unpack
from synth.pipelines.runtime.processes import in_processes
from synth.pipelines.runtime.text.columns import texts_of
from synth.pipelines.runtime.text.exact import same_text, same_url
from synth.pipelines.runtime.text.near import SLOTS, band_keys, signatures
from synth.pipelines.runtime.text.words import Hashes, windows, word_hashes
from synth.schemas.atomic import write_json

__all__ = ["EXACT", "SHINGLE", "URL", "Compared", "Fingerprints"]

SHINGLE = 5
# Indices of a row's keys; those of its bands follow.
EXACT, URL, BANDS = 0, 1, 2
# A Unicode noncharacter; unlike NUL it is not removed as invisible.
BETWEEN_TEXTS = "\uffff"
# Only the low half of each signature slot is stored: unequal slots share it once in 65,536 times.
Halves = npt.NDArray[np.uint16]

SECONDS_PER_SYNC = 2.0


@dataclass(frozen=True)
class Compared:
    """How rows are compared: by these text columns, the column `url` if any, and this many bands, 0 for none."""

    columns: tuple[str, ...]
    url: str | None
    bands: int

    @property
    def keys(self) -> int:
        return BANDS + self.bands

    @property
    def names(self) -> list[str]:
        return list(dict.fromkeys([*self.columns, *([self.url] if self.url else [])]))

    def text(self, texts: list[str]) -> str:
        """The texts of a row joined unambiguously; empty if all are blank."""
        return BETWEEN_TEXTS.join(texts) if any(text and not text.isspace() for text in texts) else ""


class Fingerprints:
    """Keys (rows x keys; 0 for none) and signatures (rows x 128) of the rows of `table`, stored in `folder`."""

    def __init__(self, table: pa.Table, compared: Compared, folder: Path, seen: Callable[[int], None]) -> None:
        """Calls `seen` with the number of rows fingerprinted so far."""
        folder.mkdir(exist_ok=True)
        self._keys, self._signatures, self._record = (folder / name for name in ("keys", "signatures", "made.json"))
        self._widths = 8 * compared.keys, 2 * SLOTS * bool(compared.bands)
        self._make(table, compared, seen)
        self.keys: Hashes = np.memmap(self._keys, np.uint64, "r", shape=(table.num_rows, compared.keys))
        if compared.bands:
            mapped = np.memmap(self._signatures, np.uint16, "r", shape=(table.num_rows, SLOTS))
            # Indexing a plain array is faster than indexing a memmap.
            self.signatures: Halves = np.asarray(mapped)

    def _make(self, table: pa.Table, compared: Compared, seen: Callable[[int], None]) -> None:
        made: int = json.loads(self._record.read_text())["rows"] if self._record.exists() else 0
        with self._keys.open("ab") as keys, self._signatures.open("ab") as signatures:
            files = keys, signatures
            for file, width in zip(files, self._widths, strict=True):
                file.truncate(made * width)
            synced = time.monotonic()
            rest = table.slice(made).select(compared.names)
            for _, found in in_processes(partial(_of_packed, compared=compared), map(pack, portions(rest))):
                made += len(found[0])
                seen(made)
                keys.write(found[0].tobytes())
                signatures.write(found[1].tobytes())
                if made == table.num_rows or time.monotonic() - synced > SECONDS_PER_SYNC:
                    for file in files:
                        file.flush()
                        os.fsync(file.fileno())
                    write_json(self._record, {"rows": made})
                    synced = time.monotonic()


def _of_packed(packed: bytes, *, compared: Compared) -> tuple[Hashes, Halves]:
    table = unpack(packed)
    texts = [compared.text(texts) for texts in texts_of(table, compared.columns)]
    keys = np.zeros((len(texts), compared.keys), np.uint64)
    keys[:, EXACT] = [_key(same_text(text)) for text in texts]
    if compared.url:
        keys[:, URL] = [_key(same_url(url or "")) for url in table[compared.url].to_pylist()]
    if not compared.bands:
        return keys, np.empty((0, 0), np.uint16)
    hashes, starts = word_hashes(texts, signed=True)
    found = signatures(*windows(hashes, starts, SHINGLE))
    keys[:, BANDS:] = np.where(np.diff(starts)[:, None] >= SHINGLE, band_keys(found, compared.bands), 0)
    return keys, found.astype(np.uint16)


def _key(same: str) -> int:
    """A nonzero hash, or 0 for the empty string."""
    return max(1, xxhash.xxh3_64_intdigest(same.encode("utf-8", "surrogatepass"))) if same else 0
