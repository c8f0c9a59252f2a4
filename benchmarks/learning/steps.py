"""Trains and measures students with the commands of `synth`, all in one process, which imports torch and vLLM once.

Every output stays in the work directory. Repeated commands find their outputs up to date, so an interrupted experiment
goes on where it was. One with other settings is refused, or made afresh with SYNTH_STALE=fresh.
"""

import argparse
import json
import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.contest import parser, say
from benchmarks.learning import world
from benchmarks.learning.fresh import make
from benchmarks.learning.results import Result

__all__ = ["compare", "experiment", "rows", "synth"]

# A thread that spins while it waits slows its fellow down several times over as soon as anything else runs.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
CALCULATIONS = 4000
# The question alone, as a chat: students know no instructions.
PROMPT = Path(__file__).with_name("question.md")


def experiment(doc: str | None, name: str) -> argparse.ArgumentParser:
    """The options that all experiments have."""
    arguments = parser(doc)
    arguments.add_argument("--out", type=Path, default=Path("build/learning") / name, help="work directory")
    arguments.add_argument("--chart", type=Path, help="an SVG file to write")
    arguments.add_argument("--teacher", default="tiny", help="the model that makes the data")
    arguments.add_argument("--questions", type=int, default=128, help="of the seed data")
    arguments.add_argument("--held-out", type=int, default=200, help="questions to measure with")
    arguments.add_argument("--lessons", type=int, default=800, help="steps of calculations before; 0 for none")
    arguments.add_argument("--steps", type=int, default=240, help="of each training")
    arguments.add_argument("--batch", type=int, default=16, help="rows of a step")
    arguments.add_argument("--learning-rate", type=float, default=3e-3)
    arguments.add_argument("--seeds", type=int, default=3, help="students for each set")
    return arguments


def synth(*words: object) -> None:
    """Run a command as it is typed."""
    from synth.cli.main import app

    line = [str(word) for word in words]
    say("synth " + " ".join(line))
    began = time.monotonic()
    app(line, standalone_mode=False)
    say(f"{time.monotonic() - began:.0f} s")


def rows(dataset: Path) -> int:
    return int(_record(dataset)["counts"]["outputs"])


def compare(sets: Mapping[str, Path], held_out: Path, texts: Iterable[str], given: argparse.Namespace) -> list[Result]:
    """Students of each set and each seed, and the share of held-out questions that they solve.

    Students of one seed begin with the same random weights, and learn to calculate before they are given any set, as
    the models of the papers have learnt to in their pretraining. All are trained before any is measured, because vLLM
    binds its process to a part of the machine.
    """
    students, vocabulary, trained = given.out / "students", list(texts), {}
    calculations = given.out / "calculations"
    synth("import", world.write(given.out / "calculations.jsonl", world.calculations(CALCULATIONS)), calculations)
    lessons = _chats(calculations)
    chats = {arm: _chats(data) for arm, data in sets.items()}
    for seed in range(given.seeds):
        base = _student(vocabulary, students / f"base-{seed}", seed)
        if given.lessons:
            base = _train(lessons, base, students / f"taught-{seed}", seed, given.lessons, given)
        for arm, data in sets.items():
            trained[arm, seed] = _train(chats[arm], base, students / f"{data.name}-{seed}", seed, given.steps, given)
    scores = {key: _accuracy(model, held_out, given.out / "solved" / model.name) for key, model in trained.items()}
    return [Result(arm, seed, rows(sets[arm]), score) for (arm, seed), score in scores.items()]


def _student(texts: Iterable[str], out: Path, seed: int) -> Path:
    """A model with random weights, unless it is there already."""
    if not (out / "model.safetensors").is_file():
        make(texts, out, seed)
    return out


def _chats(dataset: Path) -> Path:
    """The questions and responses as a trainer reads them."""
    chats = dataset.with_name(f"{dataset.name}.messages.jsonl")
    synth("export", dataset, chats, "--as", "messages", "--force")
    return chats


def _train(chats: Path, base: Path, out: Path, seed: int, steps: int, given: argparse.Namespace) -> Path:
    """The student `base` after training on the chats."""
    length = ("--steps", steps, "--batch", given.batch, "--micro-batch", given.batch)
    rate = ("--learning-rate", given.learning_rate)
    synth("self-lengthen", "train", chats, out, "--model", base, "--full", "--seed", seed, *length, *rate)
    return out


def _accuracy(model: Path, questions: Path, out: Path) -> float:
    """The share of the questions whose greedy solution has the right answer and only correct equations."""
    greedy = ("--prompt", PROMPT, "-n", 1, "--temperature", 0, "--max-tokens", 160)
    synth("reject", "sample", questions, out, "--model", model, *greedy)
    counts = _record(out)["counts"]
    return float(counts["tallies"]["correct_paths"] / counts["produced"])


def _record(dataset: Path) -> dict[str, Any]:
    """What a command wrote about its run."""
    record: dict[str, Any] = json.loads((dataset / "synth.json").read_text())
    return record
