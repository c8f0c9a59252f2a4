"""The tokens that the runs of an output asked an engine for.

Answers that were recorded before cost nothing, and answers to rows that failed do cost something, so this is not the
sum over the rows. Tokens are counted as answers arrive, in a journal that is written before the answers themselves: an
answer that a crash loses is counted, and counted again when it is asked for again, as a server bills it.
"""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import pyarrow as pa

from synth.pipelines.engines import Answer
from synth.schemas.atomic import atomic
from synth.schemas.journal import Journal, copied_journal

__all__ = ["Ledger", "Spending"]


@dataclass
class Spending:
    """Tokens that were asked for, and requests that rows sent; `uncounted` answers came without their tokens."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    uncounted: int = 0
    requests: int = 0

    @classmethod
    def recorded(cls, ledgers: Iterable[Path]) -> "Spending":
        """The sum of the ledgers at these paths, to which other processes may be writing."""
        tables = [copied_journal(path, _SCHEMA) for path in ledgers]
        return cls(*(sum(sum(table[name].to_pylist()) for table in tables) for name in _SCHEMA.names))

    @property
    def tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens

    def add(self, answer: Answer) -> None:
        tokens, are_known = answer.counted
        self.prompt_tokens += answer.prompt_tokens or 0
        self.completion_tokens += tokens
        self.uncounted += not are_known


_SCHEMA = pa.schema([(one.name, pa.int64()) for one in fields(Spending)])


class Ledger:
    """The spending on one output by one process and its predecessors, in the journal at `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(exist_ok=True)
        self._path = path
        self._journal = Journal(path, _SCHEMA)
        columns = [column.to_pylist() for column in self._journal.recovered.columns]
        self._written = [sum(column) for column in columns]
        self.total = Spending(*self._written)

    def flush(self) -> None:
        """Write what was spent since the last flush."""
        total = list(astuple(self.total))
        if total != self._written:
            self._journal.write([[now - before for now, before in zip(total, self._written, strict=True)]])
            self._written = total

    def close(self) -> None:
        """Leave one line: others read the ledgers of all processes, and hours are tens of thousands of lines."""
        self._journal.close()
        # On a full disk the lines stay as they are.
        with suppress(OSError), atomic(self._path) as temporary:
            joined = Journal(temporary, _SCHEMA)
            joined.write([astuple(self.total)])
            joined.close()
