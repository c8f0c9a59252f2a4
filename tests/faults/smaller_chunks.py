"""The command in smaller chunks, so that a run of seconds publishes many: `python smaller_chunks.py ROWS COMMAND...`.

A process that begins here loads nothing but the command.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from unittest.mock import patch

from synth.cli.main import main
from synth.pipelines.runtime.observation import Observer
from synth.pipelines.runtime.runner import Run, Summary


@contextmanager
def chunks_of(rows: int) -> Iterator[None]:
    execute = Run.execute

    def in_chunks(run: Run, observe: Observer) -> Summary:
        return execute(replace(run, options=replace(run.options, chunk_rows=rows)), observe)

    with patch.object(Run, "execute", in_chunks):
        yield


if __name__ == "__main__":
    with chunks_of(int(sys.argv.pop(1))):
        main()
