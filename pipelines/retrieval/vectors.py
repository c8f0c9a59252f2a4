"""Vectors of passages on disk: a file of vectors, one of their documents, and a record once both are complete."""

import json
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from synth.schemas.atomic import atomic, write_json
from synth.schemas.errors import InputError, SynthError

__all__ = ["VectorWriter", "Vectors", "copy_vectors", "finish"]

# Half the size, and scores of unit vectors change by at most a thousandth.
VECTORS, NUMBER = "vectors.float16", np.dtype("<f2")
# The position of the document of each vector.
DOCUMENTS, POSITION = "documents.uint32", np.dtype("<u4")
RECORD = "dense.json"


@dataclass(frozen=True)
class Vectors:
    """The vectors in `folder`, memory-mapped, in the order of their documents; `faiss` is the type of their index."""

    folder: Path
    dimensions: int
    passages: int
    documents: int
    faiss: str

    @classmethod
    def open(cls, folder: Path) -> "Vectors":
        """Raises `InputError` if they are missing or incomplete."""
        try:
            vectors = cls(folder, **json.loads((folder / RECORD).read_bytes()))
            sizes = [(folder / name).stat().st_size for name in (VECTORS, DOCUMENTS)]
        except (OSError, ValueError, TypeError) as error:
            raise InputError(f"{folder} has no readable vectors: {error}") from error
        if sizes != [vectors.passages * vectors.dimensions * NUMBER.itemsize, vectors.passages * POSITION.itemsize]:
            raise InputError(f"{folder} is damaged: the sizes of its files differ from {RECORD}")
        return vectors

    @property
    def array(self) -> NDArray[np.float16]:
        """Shape (passages, dimensions)."""
        return np.memmap(self.folder / VECTORS, NUMBER, "r", shape=(self.passages, self.dimensions))

    @property
    def document_of(self) -> NDArray[np.uint32]:
        """The position of each vector's document, ascending."""
        return np.memmap(self.folder / DOCUMENTS, POSITION, "r", shape=(self.passages,))


class VectorWriter:
    """Appends vectors to those in `folder`, which is created if needed; `saved` is their number.

    After the first `base`, they come in batches of `batch`. A batch that a crash left incomplete is dropped.
    """

    def __init__(self, folder: Path, dimensions: int, batch: int, base: int = 0) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self.dimensions = dimensions
        self.closed = (folder / RECORD).exists()
        row = dimensions * NUMBER.itemsize
        saved = min(_size(folder / VECTORS) // row, _size(folder / DOCUMENTS) // POSITION.itemsize)
        self.saved = saved if self.closed else base + (saved - base) // batch * batch
        for name, size in ((VECTORS, row), (DOCUMENTS, POSITION.itemsize)):
            with (folder / name).open("ab") as file:
                file.truncate(self.saved * size)

    @property
    def document_of(self) -> NDArray[np.uint32]:
        """The position of the document of each saved vector."""
        return np.fromfile(self._folder / DOCUMENTS, POSITION)

    def append(self, vectors: NDArray[np.float32], document_of: NDArray[np.uint32]) -> None:
        """Durably append `vectors`, one per row, and the positions of their documents."""
        try:
            # After a crash between the two, the surplus is truncated.
            for name, array in ((VECTORS, vectors.astype(NUMBER)), (DOCUMENTS, document_of.astype(POSITION))):
                with (self._folder / name).open("ab") as file:
                    file.write(array.tobytes())
                    file.flush()
                    os.fsync(file.fileno())
        except OSError as error:
            raise SynthError(
                f"{self._folder} cannot be written ({error.strerror}): saved vectors are kept; repeat the command to "
                "continue"
            ) from error
        self.saved += len(vectors)

    def unfinished(self, documents: int, faiss: str) -> Vectors:
        """The saved vectors, of `documents` documents, for an index of type `faiss`; `finish` completes them."""
        return Vectors(self._folder, self.dimensions, self.saved, documents, faiss)


def finish(vectors: Vectors) -> None:
    record = asdict(vectors)
    write_json(record.pop("folder") / RECORD, record, durable=False)


def copy_vectors(source: Path, target: Path) -> None:
    """Atomically copy the vectors in `source`, without their record, so that they can be extended."""
    with atomic(target) as scratch:
        scratch.mkdir()
        for name in (VECTORS, DOCUMENTS):
            shutil.copyfile(source / name, scratch / name)


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0
