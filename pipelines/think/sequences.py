"""Join texts and cut them into sequences of one length, to pre-train on (as arXiv 2509.20186 and most others do)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from synth.pipelines.runtime.declared import Option
from synth.pipelines.runtime.packing import PackedDocuments
from synth.pipelines.runtime.portions import reject_rows
from synth.pipelines.runtime.stage import Output
from synth.pipelines.runtime.text.tokenizing import Documents
from synth.schemas.record import Record
from synth.schemas.records import SEQUENCE

__all__ = ["PackSequences"]


class _JoinedTexts(NamedTuple):
    """Tokens of joined texts: text `ids[i]` begins at `starts[i]`, which is below 0 where it is the rest of a text."""

    tokens: NDArray[np.int32]
    ids: list[str]
    starts: NDArray[np.int64]

    def followed_by(self, documents: Documents) -> "_JoinedTexts":
        """Together with the texts of `documents`."""
        has_text = np.diff(documents.starts) > 0
        ids = documents.rows["id"].filter(pa.array(has_text)).to_pylist()
        starts = documents.starts[:-1][has_text] + len(self.tokens)
        tokens = np.concatenate([self.tokens, documents.tokens])
        return _JoinedTexts(tokens, [*self.ids, *ids], np.concatenate([self.starts, starts]))

    def split(self, position: int) -> tuple["_JoinedTexts", "_JoinedTexts"]:
        """What comes before a position, and the rest."""
        if position == len(self.tokens):
            return self, NOTHING
        begun = int(np.searchsorted(self.starts, position, "left"))
        going_on = int(np.searchsorted(self.starts, position, "right")) - 1
        before = _JoinedTexts(self.tokens[:position], self.ids[:begun], self.starts[:begun])
        return before, _JoinedTexts(self.tokens[position:], self.ids[going_on:], self.starts[going_on:] - position)

    def sequences(self, size: int, number: int) -> pa.Table:
        """All of it in sequences of `size` tokens, of which the last may be shorter, counted from `number` on."""
        begins = np.arange(0, len(self.tokens), size)
        first = np.searchsorted(self.starts, begins, "right") - 1
        last = np.searchsorted(self.starts, begins + size, "left")
        spans = list(zip(begins.tolist(), first.tolist(), last.tolist(), strict=True))
        borders = pa.array([*begins.tolist(), len(self.tokens)], pa.int32())
        columns = {
            "id": [f"sequence-{number + place}" for place in range(len(spans))],
            "tokens": pa.ListArray.from_arrays(borders, pa.array(self.tokens)),
            "documents": [self.ids[start:stop] for _, start, stop in spans],
            "starts": [np.maximum(self.starts[start:stop] - begin, 0) for begin, start, stop in spans],
        }
        return pa.table(columns, schema=SEQUENCE.schema)


NOTHING = _JoinedTexts(np.empty(0, np.int32), [], np.empty(0, np.int64))


@dataclass(frozen=True)
class PackSequences(PackedDocuments):
    """Join texts and cut them into sequences of one length.

    Each text is tokenized and gets an end token. They are joined in the order of the input and cut into sequences of
    `context_tokens` tokens, so that a text may go on in the next sequence; nothing is padded, and nothing is lost: the
    last sequence may be shorter. `documents` and `starts` say which texts a sequence has, and where in it they begin,
    0 for one that goes on from the sequence before.

    Texts are not shuffled: `synth mix` does that. Those that are empty are rejected as `no_text`.

    Memory: 200 MB for each core. Disk, meanwhile: 4 bytes for each token besides those of the output.
    """

    name: ClassVar[str] = "pack sequences"
    output: ClassVar[Record] = SEQUENCE
    commands: ClassVar[tuple[str, ...]] = (
        "synth pack sequences corpus/ packed/ --tokenizer Qwen/Qwen2.5-7B",
        "synth pack sequences corpus/ packed/ --tokenizer tiny --context-tokens 1024",
    )

    context_tokens: Annotated[int, Option("Tokens of a sequence.", min=2)] = 8192

    def process(self, tables: Sequence[pa.Table], output: Output) -> None:
        (table,) = tables
        rest, number = NOTHING, 0
        for documents in self.documents(table, output):
            without = np.flatnonzero(np.diff(documents.starts) == 0).tolist()
            reject_rows(documents.rows, dict.fromkeys(without, ("no_text", "")), output)
            joined = rest.followed_by(documents)
            whole, rest = joined.split(len(joined.tokens) // self.context_tokens * self.context_tokens)
            number += self._write(whole, number, output)
        self._write(rest, number, output)

    def _write(self, joined: _JoinedTexts, number: int, output: Output) -> int:
        """Write sequences, counted from `number` on, and return how many these are."""
        if not joined.ids:
            return 0
        sequences = joined.sequences(self.context_tokens, number)
        output.tally("tokens", len(joined.tokens))
        # The sequence with the first token of a text stands for it.
        output.write_table(sequences, accounts_for=int(np.count_nonzero(joined.starts >= 0)))
        return int(sequences.num_rows)
