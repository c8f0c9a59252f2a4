"""Vectors of passages on disk: one file that grows, one that says whose they are, and a record when they are whole."""

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

# Halves of their size, and of a vector of length 1 no score moves by more than a thousandth.
VECTORS, NUMBER = "vectors.float16", np.dtype("<f2")
# Of each vector the position of its document.
DOCUMENTS, POSITION = "documents.uint32", np.dtype("<u4")
RECORD = "dense.json"


@dataclass(frozen=True)
class Vectors:
    """The vectors in `folder`, memory-mapped, in the order of their documents; `faiss` is how they are searched."""

    folder: Path
    dimensions: int
    passages: int
    documents: int
    faiss: str

    @classmethod
    def open(cls, folder: Path) -> "Vectors":
        """Raises `InputError` where they are not there, or not all of them."""
        try:
            vectors = cls(folder, **json.loads((folder / RECORD).read_bytes()))
            sizes = [(folder / name).stat().st_size for name in (VECTORS, DOCUMENTS)]
        except (OSError, ValueError, TypeError) as error:
            raise InputError(f"{folder} holds no vectors that can be read: {error}") from error
        if sizes != [vectors.passages * vectors.dimensions * NUMBER.itemsize, vectors.passages * POSITION.itemsize]:
            raise InputError(f"{folder} is damaged: its files are not of the size that {RECORD} says")
        return vectors

    @property
    def array(self) -> NDArray[np.float16]:
        """Shape (passages, dimensions)."""
        return np.memmap(self.folder / VECTORS, NUMBER, "r", shape=(self.passages, self.dimensions))

    @property
    def of(self) -> NDArray[np.uint32]:
        """The position of each vector's document, ascending."""
        return np.memmap(self.folder / DOCUMENTS, POSITION, "r", shape=(self.passages,))


class VectorWriter:
    """Appends vectors to those in `folder`, which is made if it is not there; `laid_by` is how many there are already.

    They come `batch` at a time after the first `base`. What a crash left of a batch is dropped.
    """

    def __init__(self, folder: Path, dimensions: int, batch: int, base: int = 0) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self.dimensions = dimensions
        self.closed = (folder / RECORD).exists()
        row = dimensions * NUMBER.itemsize
        laid_by = min(_size(folder / VECTORS) // row, _size(folder / DOCUMENTS) // POSITION.itemsize)
        self.laid_by = laid_by if self.closed else base + (laid_by - base) // batch * batch
        for name, size in ((VECTORS, row), (DOCUMENTS, POSITION.itemsize)):
            with (folder / name).open("ab") as file:
                file.truncate(self.laid_by * size)

    @property
    def of(self) -> NDArray[np.uint32]:
        """The position of the document of each vector that has been laid by."""
        return np.fromfile(self._folder / DOCUMENTS, POSITION)

    def append(self, vectors: NDArray[np.float32], of: NDArray[np.uint32]) -> None:
        """Make these durable: `vectors` in rows, and the positions of their documents."""
        try:
            # A vector without a document is dropped, a document without a vector would not be noticed.
            for name, array in ((VECTORS, vectors.astype(NUMBER)), (DOCUMENTS, of.astype(POSITION))):
                with (self._folder / name).open("ab") as file:
                    file.write(array.tobytes())
                    file.flush()
                    os.fsync(file.fileno())
        except OSError as error:
            raise SynthError(
                f"{self._folder} cannot be written ({error.strerror}): what was embedded is kept; repeat the command "
                "to continue"
            ) from error
        self.laid_by += len(vectors)

    def unfinished(self, documents: int, faiss: str) -> Vectors:
        """What is there now, of so many documents, to be searched by `faiss`; `finish` makes it what can be opened."""
        return Vectors(self._folder, self.dimensions, self.laid_by, documents, faiss)


def finish(vectors: Vectors) -> None:
    record = {name: value for name, value in asdict(vectors).items() if name != "folder"}
    write_json(vectors.folder / RECORD, record, durable=False)


def copy_vectors(source: Path, target: Path) -> None:
    """The vectors in `source`, to be added to in `target`; whole or not there."""
    with atomic(target) as scratch:
        scratch.mkdir()
        for name in (VECTORS, DOCUMENTS):
            shutil.copyfile(source / name, scratch / name)


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0
