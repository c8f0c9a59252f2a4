"""Train a role of Self-Lengthen on its own output, which closes the loop (arXiv 2410.23933, section 3)."""

import json
import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar

import pyarrow as pa

from synth.pipelines.engines.models import MODEL_FOLDER, locate, revision_of
from synth.pipelines.runtime.declared import Only, Option
from synth.pipelines.runtime.fine_tuning import Chat, FineTuneConfig, Reader, fine_tune, is_small
from synth.pipelines.runtime.stage import Output, Reject, Row, TableStage
from synth.schemas.errors import InputError, SynthError, UsageError
from synth.schemas.record import Record
from synth.schemas.records import LEARNT_CHAT, TRAINING_STEP

__all__ = ["Train"]

ROWS_AT_A_TIME = 256
_PLACEHOLDERS = ("data", "base", "out")
# Options of the built-in trainer.
BUILT_IN = Only("command", None)


@dataclass(frozen=True)
class Train(TableStage):
    """Train a model on the assistant's turns of chats. OUTPUT can be given to `--model`.

    Trains the model `base` and writes it to `model/` of the output, with a row for each step. If a chat has `segments`,
    nothing is learnt from the parts of its last turn with `loss` 0, nor from a token that lies across their border.

    In the paper, iteration i trains the adapter of iteration i - 1 further. Here adapters are merged: the model of
    iteration i - 1 is the `base` of iteration i and gets a new adapter. `command` runs another trainer: `{data}` is a
    JSON Lines file of `{"messages": [...]}`, with `segments` where a chat has them, `{base}` a model directory or a hub
    name, and `{out}` the model directory to write.

    A chat is rejected as `no_assistant_turn`; as `template`, if the model's chat template does not accept it; as
    `rewritten`, if the template changes an answer, or changes it once another turn follows it; as `bad_segments`, if
    these are not the parts of the last answer; as `nothing_learnt`; or as `cut`, if nothing to learn begins within
    `cutoff` tokens.
    """

    name: ClassVar[str] = "self-lengthen train"
    input: ClassVar[Record] = LEARNT_CHAT
    output: ClassVar[Record] = TRAINING_STEP
    arguments: ClassVar[tuple[str, str]] = ("INPUT...", "OUTPUT")

    commands: ClassVar[tuple[str, ...]] = (
        "synth self-lengthen train generator-chats/ generator/ --model Qwen/Qwen2.5-7B-Instruct",
        "synth self-lengthen train chats/ out/ --model tiny --train-command './train.sh {data} {base} {out}'",
    )

    base: Annotated[
        str, Option("Base model: a directory, hub name, or `tiny`.", long="--model", metavar="MODEL", env="SYNTH_MODEL")
    ]
    full: Annotated[
        bool | None,
        Option("Train all weights, or adapters.", long="--full/--lora", default="by the size of the model"),
        BUILT_IN,
    ] = None
    rank: Annotated[int | None, Option("Rank of the adapters.", min=1, default="8"), BUILT_IN] = None
    epochs: Annotated[int, Option("Passes over the chats.", min=1), BUILT_IN] = FineTuneConfig.epochs
    steps: Annotated[int | None, Option("Steps, instead of --epochs.", min=1), BUILT_IN] = FineTuneConfig.steps
    learning_rate: Annotated[float, Option("Peak learning rate."), BUILT_IN] = FineTuneConfig.learning_rate
    warmup: Annotated[float, Option("Share of the steps with a rising rate.", min=0, max=0.9), BUILT_IN] = (
        FineTuneConfig.warmup
    )
    batch: Annotated[int, Option("Chats per step.", min=1), BUILT_IN] = FineTuneConfig.batch
    micro_batch: Annotated[
        int, Option("Chats that go through the model at once; it divides --batch.", min=1), BUILT_IN
    ] = FineTuneConfig.micro_batch
    cutoff: Annotated[int, Option("Maximum tokens of a chat.", min=2), BUILT_IN] = FineTuneConfig.cutoff
    command: Annotated[
        str | None,
        Option("Custom trainer: `train.sh {data} {base} {out}`.", long="--train-command", metavar="COMMAND"),
    ] = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.command is not None:
            self._words(dict.fromkeys(_PLACEHOLDERS, ""))
        elif self.rank is not None and self.recipe.full:
            raise UsageError("--rank applies only to adapters, but all weights are trained; add --lora")
        if self.batch % self.micro_batch:
            raise UsageError(f"--micro-batch {self.micro_batch} does not divide --batch {self.batch}")

    @cached_property
    def recipe(self) -> FineTuneConfig:
        return FineTuneConfig(
            full=is_small(self._location) if self.full is None else self.full,
            rank=self.rank or FineTuneConfig.rank,
            epochs=self.epochs,
            steps=self.steps,
            learning_rate=self.learning_rate,
            warmup=self.warmup,
            batch=self.batch,
            micro_batch=self.micro_batch,
            cutoff=self.cutoff,
        )

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
            output.seed,
            output.work / "checkpoints",
            out,
            lambda share: output.progress(int(share * rows)),
        )
        reader.save(out)
        output.tally("tokens_learnt", sum(sum(chat.mask) for chat in chats))
        if cut := sum(chat.cut for chat in chats):
            output.tally("chats_cut", cut)
        output.write(
            [{name: log[name] for name in TRAINING_STEP.names} for log in logs],
            accounts_for=len(chats),
        )

    def _read(self, reader: Reader, tables: Sequence[pa.Table], output: Output) -> list[Chat]:
        chats, fault = [], None
        for row in _rows(tables):
            try:
                chats.append(reader.read(row["messages"] or [], row["segments"]))
            except Reject as reject:
                fault = fault or reject
                output.reject(row, reject.reason, reject.detail)
        if not chats:
            why = f"the first is rejected as {fault}" if fault else "there are none"
            raise InputError(f"--model {self.base} cannot be trained on any row: {why}")
        return chats

    def _run_command(self, tables: Sequence[pa.Table], output: Output, out: Path) -> None:
        data = output.work / "chats.jsonl"
        with data.open("w", encoding="utf-8") as file:
            for row in _rows(tables):
                parts = {"segments": row["segments"]} if row["segments"] else {}
                chat = {"messages": row["messages"], **parts}
                file.write(json.dumps(chat, ensure_ascii=False) + "\n")
        words = self._words({"data": str(data), "base": self._location, "out": str(out)})
        try:
            # What it prints is for the user to read, so it goes to stderr.
            done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=2, check=False)
        except OSError as error:
            raise UsageError(f"--train-command cannot be run: {words[0]}: {os.strerror(error.errno or 0)}") from error
        if done.returncode:
            raise SynthError(f"--train-command ended with exit code {done.returncode}; repeat the command to try again")
        if not (out / "config.json").is_file():
            raise SynthError(f"--train-command wrote no model: there is no {out / 'config.json'}")
        output.write([], accounts_for=sum(table.num_rows for table in tables))

    def _words(self, values: dict[str, str]) -> list[str]:
        """The command as arguments, with placeholders filled in after splitting, so that values may contain blanks."""
        command = self.command or ""
        try:
            words = shlex.split(command)
            filled = [word.format_map(values) for word in words]
        except (ValueError, KeyError, IndexError) as error:
            names = ", ".join(f"{{{name}}}" for name in _PLACEHOLDERS)
            raise UsageError(
                f"--train-command {command!r} cannot be parsed ({error}); its placeholders are {names}"
            ) from error
        if not words or "{out}" not in command:
            raise UsageError(f"--train-command {command!r} needs the placeholder {{out}} for the model to write")
        return filled


def _rows(tables: Sequence[pa.Table]) -> Iterator[Row]:
    for table in tables:
        for batch in table.to_batches(max_chunksize=ROWS_AT_A_TIME):
            yield from batch.to_pylist()
