"""Training a role of Self-Lengthen on what it wrote (arXiv 2410.23933, section 3): the step that closes the loop."""

import json
import os
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa

from synth.pipelines.engines.models import MODEL_FOLDER, locate, revision_of
from synth.pipelines.runtime.fine_tuning import Chat, FineTuneConfig, Reader, fine_tune
from synth.pipelines.runtime.stage import Output, Reject, TableStage
from synth.schemas.errors import InputError, SynthError, UsageError
from synth.schemas.record import Record
from synth.schemas.records import CHAT, TRAINING_STEP

__all__ = ["Train"]

ROWS_AT_A_TIME = 256
_PLACES = ("data", "base", "out")


@dataclass(frozen=True)
class Train(TableStage):
    """The model `base` trained on chats; it stands in `model/` of the output, beside a row for each step.

    In the paper iteration i trains the adapter of iteration i - 1 further. Here adapters are merged, so the model of
    iteration i - 1 is the `base` of iteration i and gets a new one. `command` is another trainer: `{data}` stands for a
    JSON Lines file of `{"messages": [...]}`, `{base}` for a model directory or a hub name, and `{out}` for the model
    directory that it is to write.

    A chat is rejected as `no_assistant_turn`; as `template`, if the model's chat template refuses it; as `rewritten`,
    if that shows an answer otherwise as soon as something follows it; or as `cut`, if no token of an answer is read.
    """

    name: ClassVar[str] = "self-lengthen train"
    input: ClassVar[Record] = CHAT
    output: ClassVar[Record] = TRAINING_STEP

    base: str
    recipe: FineTuneConfig
    command: str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.command is not None:
            self._words(dict.fromkeys(_PLACES, ""))

    def identity(self) -> dict[str, Any]:
        recipe = {"command": self.command} if self.command is not None else asdict(self.recipe)
        return {"base": self.base, "revision": revision_of(self._location), **recipe}

    @cached_property
    def _location(self) -> str:
        return locate(self.base)

    def process(self, tables: Sequence[pa.Table], output: Output) -> None:
        written, model = output.work / MODEL_FOLDER, output.kept / MODEL_FOLDER
        shutil.rmtree(model, ignore_errors=True)
        if self.command is not None:
            self._run_command(tables, output, written)
        else:
            self._train(tables, output, written)
        written.rename(model)

    def _train(self, tables: Sequence[pa.Table], output: Output, out: Path) -> None:
        rows = sum(table.num_rows for table in tables)
        reader = Reader(self._location, self.recipe.cutoff)
        chats = self._read(reader, tables, output)
        shutil.rmtree(out, ignore_errors=True)
        logs = fine_tune(
            self._location,
            chats,
            self.recipe,
            self.seed,
            output.work / "checkpoints",
            out,
            lambda share: output.progress(int(share * rows)),
        )
        reader.save(out)
        output.tally("tokens_learnt", sum(sum(chat.learnt) for chat in chats))
        if cut := sum(chat.cut for chat in chats):
            output.tally("chats_cut", cut)
        output.write(
            [{name: log[name] for name in TRAINING_STEP.names} for log in logs],
            accounts_for=len(chats),
        )

    def _read(self, reader: Reader, tables: Sequence[pa.Table], output: Output) -> list[Chat]:
        chats, fault = [], None
        for table in tables:
            for batch in table.to_batches(max_chunksize=ROWS_AT_A_TIME):
                for row in batch.to_pylist():
                    try:
                        chats.append(reader.read(row["messages"] or []))
                    except Reject as reject:
                        fault = fault or reject
                        output.reject(row, reject.reason, reject.detail)
        if not chats:
            why = f"the first is rejected as {fault}" if fault else "there is none"
            raise InputError(f"--model {self.base} can be trained on no row: {why}")
        return chats

    def _run_command(self, tables: Sequence[pa.Table], output: Output, out: Path) -> None:
        data = output.work / "chats.jsonl"
        with data.open("w", encoding="utf-8") as file:
            for table in tables:
                for batch in table.to_batches(max_chunksize=ROWS_AT_A_TIME):
                    for row in batch.to_pylist():
                        file.write(json.dumps({"messages": row["messages"]}, ensure_ascii=False) + "\n")
        words = self._words({"data": str(data), "base": self._location, "out": str(out)})
        try:
            # What it prints is talk, and has no place on stdout.
            done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=2, check=False)
        except OSError as error:
            raise UsageError(f"--train-command cannot be run: {words[0]}: {os.strerror(error.errno or 0)}") from error
        if done.returncode:
            raise SynthError(f"--train-command ended with exit code {done.returncode}; repeat the command to try again")
        if not (out / "config.json").is_file():
            raise SynthError(f"--train-command wrote no model: there is no {out / 'config.json'}")
        output.write([], accounts_for=sum(table.num_rows for table in tables))

    def _words(self, places: dict[str, str]) -> list[str]:
        """The command in words, with the places filled in after it was split, so that they may hold blanks."""
        command = self.command or ""
        try:
            words = shlex.split(command)
            filled = [word.format_map(places) for word in words]
        except (ValueError, KeyError, IndexError) as error:
            names = ", ".join(f"{{{place}}}" for place in _PLACES)
            raise UsageError(f"--train-command {command!r} cannot be read ({error}); it may name {names}") from error
        if not words or "{out}" not in command:
            raise UsageError(f"--train-command {command!r} does not say where {{out}}, the model to write, belongs")
        return filled
