"""One vector for each row of a table: what `synth embed` wrote, or a column of the table.

Vectors of `synth embed` belong to rows by id, so rows may have been filtered, sorted or repeated since. Either kind is
laid out in the order of the rows, as unit vectors in the format of the dense index.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash
from numpy.typing import NDArray

from synth.pipelines.retrieval.nearest import FLAT
from synth.pipelines.retrieval.vectors import Vectors, VectorWriter, finish
from synth.pipelines.runtime.declared import Option
from synth.pipelines.runtime.gather import gathered
from synth.pipelines.runtime.repeats import unrepeated
from synth.schemas.dataset import Dataset
from synth.schemas.errors import InputError, UsageError
from synth.schemas.phrases import plural
from synth.schemas.storable import is_list

__all__ = ["EMBED_STAGE", "VECTORS", "VECTORS_OPTION", "Faults", "GivenVectors", "LaidOut"]

EMBED_STAGE = "embed"
# The subfolder of an output of `synth embed`.
VECTORS = "vectors"
ROWS_AT_A_TIME = 1 << 15

NO_VECTOR, BAD_VECTOR = "no_vector", "bad_vector"
# By row: the reason why it has no usable vector, and the detail.
Faults = Mapping[int, tuple[str, str]]
# Vectors of some rows, with 0 for those at fault, by their place among these.
Portion = tuple[NDArray[np.float32], Faults]


@dataclass(frozen=True)
class LaidOut:
    """The vectors of the rows at `rows` of a table, in that order, and the rows at fault, which have none."""

    vectors: Vectors
    rows: NDArray[np.int64]
    faults: Faults


@dataclass(frozen=True)
class GivenVectors:
    """An output of `synth embed`, or else a column with lists of numbers, by the name that the user gave."""

    name: str

    @cached_property
    def _embedded(self) -> Dataset | None:
        """Raises `InputError` for a directory that is no complete output of `synth embed`."""
        path = Path(self.name)
        if not path.is_dir():
            return None
        dataset = Dataset.open(path)
        stage = (dataset.run or {}).get("identity", {}).get("stage")
        if stage != EMBED_STAGE:
            made = f"it was made by {stage}" if stage else "it was not made by synth"
            raise InputError(f"--vectors {path} holds no vectors, {made}: make them with synth {EMBED_STAGE}")
        return dataset

    def identity(self) -> dict[str, str]:
        """The column, or a hash of what the vectors were made of: texts, model and settings."""
        if self._embedded is None:
            return {"column": self.name}
        run = self._embedded.run or {}
        made_of = [run["identity"]["options"], [shard["xxh3"] for shard in run["shards"]]]
        return {"embedded": xxhash.xxh3_128(json.dumps(made_of, sort_keys=True).encode()).hexdigest()}

    def laid_out(self, table: pa.Table, folder: Path, rows: NDArray[np.int64]) -> LaidOut:
        """Write the vectors of the rows at `rows` of `table`, which ascend, to `folder`, unless they are there.

        A row is at fault as `no_vector` if the column is null or the directory lacks its id (and the id of the row that
        it repeats), as `bad_vector` if the numbers are all 0, not finite, or fewer or more than those of other rows.
        Raises `InputError` if no row has a vector.
        """
        source = self._of_embedded(table, self._embedded, rows) if self._embedded else self._of_column(table, rows)
        writer: VectorWriter | None = None
        faults: dict[int, tuple[str, str]] = {}
        is_usable = np.ones(len(rows), bool)
        start = done = 0
        for vectors, at_fault in source:
            places = start + np.array([*at_fault], np.int64)
            is_usable[places] = False
            faults |= zip(rows[places].tolist(), at_fault.values(), strict=True)
            usable = vectors[is_usable[start : start + len(vectors)]]
            start += len(vectors)
            writer = writer or VectorWriter(folder, vectors.shape[1], 1)
            if (new := usable[max(0, writer.saved - done) :]).size and not writer.closed:
                writer.append(new, np.arange(writer.saved, writer.saved + len(new), dtype=np.uint32))
            done += len(usable)
        if writer is None or not done:
            first = next(iter(faults.values()))
            raise InputError(f"--vectors {self.name}: no row has a usable vector ({first[0]}: {first[1]})")
        made = writer.unfinished(done, FLAT)
        finish(made)
        return LaidOut(made, rows[is_usable], faults)

    def _of_embedded(self, table: pa.Table, embedded: Dataset, rows: NDArray[np.int64]) -> Iterator[Portion]:
        array = Vectors.open(embedded.path / VECTORS).array
        places = _places(table["id"], embedded.table["id"])[rows]
        for start in range(0, len(places), ROWS_AT_A_TIME):
            part = places[start : start + ROWS_AT_A_TIME]
            fault = (NO_VECTOR, f"{self.name} has no vector of this id")
            yield array[np.maximum(part, 0)].astype(np.float32), dict.fromkeys(np.flatnonzero(part < 0).tolist(), fault)

    def _of_column(self, table: pa.Table, rows: NDArray[np.int64]) -> Iterator[Portion]:
        if self.name not in table.column_names:
            raise UsageError(
                f"--vectors {self.name}: neither an output of synth {EMBED_STAGE} nor a column of the input, which has "
                f"only {', '.join(table.column_names)}"
            )
        kind = table[self.name].type
        if not is_list(kind) or not (pa.types.is_floating(kind.value_type) or pa.types.is_integer(kind.value_type)):
            raise InputError(f"--vectors {self.name}: the column is {kind}, where lists of numbers are needed")
        size = next((len(value) for value in table[self.name] if value.is_valid and len(value)), 1)
        for portion in gathered(table.select([self.name]), rows):
            yield _unit_vectors(portion[self.name].combine_chunks(), size, f"the column {self.name}")


def _places(ids: pa.ChunkedArray, known: pa.ChunkedArray) -> NDArray[np.int64]:
    """Where each id, or else the id of the row that it repeats, is among the known ones; -1 if it is not."""
    known = known.cast(pa.large_string()).combine_chunks()
    places = pc.index_in(ids.cast(pa.large_string()), value_set=known)
    if places.null_count:
        # Only for those that are not there themselves: any id may end like that of a repeated row.
        places = pc.coalesce(places, pc.index_in(unrepeated(ids).cast(pa.large_string()), value_set=known))
    return np.asarray(places.fill_null(-1), np.int64)


def _unit_vectors(lists: pa.Array, size: int, column: str) -> Portion:
    """Lists of `size` numbers as vectors of length 1; 0 for those at fault."""
    lengths = pc.list_value_length(lists).fill_null(-1).to_numpy()
    fits = lists.filter(pa.array(lengths == size))
    vectors = np.zeros((len(lists), size))
    vectors[lengths == size] = fits.flatten().cast(pa.float64()).to_numpy(zero_copy_only=False).reshape(-1, size)
    with np.errstate(over="ignore"):
        norms = np.linalg.norm(vectors, axis=1)
    is_good = np.isfinite(norms) & (norms > 0)
    faults: dict[int, tuple[str, str]] = {}
    for row in np.flatnonzero(~is_good).tolist():
        if lengths[row] < 0:
            faults[row] = (NO_VECTOR, f"{column} is null")
        elif lengths[row] != size:
            faults[row] = (BAD_VECTOR, f"{column} has {plural(int(lengths[row]), 'number')}, where others have {size}")
        else:
            faults[row] = (BAD_VECTOR, f"{column} is {'all zeros' if norms[row] == 0 else 'not finite'}")
    vectors[~is_good] = 0
    norms[~is_good] = 1
    return (vectors / norms[:, None]).astype(np.float32), faults


VECTORS_OPTION = Option(
    "Vectors of the rows: an output of `synth embed`, matched by id, or a column with lists of numbers.",
    metavar="EMBEDDED|COLUMN",
    read=GivenVectors,
)
