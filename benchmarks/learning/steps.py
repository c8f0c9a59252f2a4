"""Trains and measures students with the commands of `synth`, all in one process, which imports torch and vLLM once.

Every output stays in the work directory. Repeated commands find their outputs up to date, so an interrupted experiment
resumes. Outputs of other settings are refused as stale, or replaced with SYNTH_STALE=fresh.
"""

import argparse
import json
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.contest import parser, say
from benchmarks.learning import world
from benchmarks.learning.fresh import make
from benchmarks.learning.results import SHARES, Finding, Result

__all__ = [
    "Sets",
    "Students",
    "add_mathematics",
    "add_training",
    "beginners",
    "chats",
    "compare",
    "experiment",
    "loss",
    "record",
    "rows",
    "scored",
    "synth",
    "trained",
]

# A thread that spins while it waits slows its fellow down several times over as soon as anything else runs.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
CALCULATIONS = 16_000
# The question alone, as a chat: students know no instructions.
PROMPT = Path(__file__).with_name("question.md")

Sets = Mapping[str, Sequence[Path]]  # by name: one for each seed, or one for all
Students = dict[tuple[str, int], Path]  # by the name of the set that they learnt from, and seed


def experiment(doc: str | None, name: str) -> argparse.ArgumentParser:
    """The options that all experiments have."""
    arguments = parser(doc)
    arguments.add_argument("--out", type=Path, default=Path("build/learning") / name, help="work directory")
    arguments.add_argument("--chart", type=Path, help="an SVG file to write")
    arguments.add_argument("--seeds", type=int, default=3, help="repetitions")
    return arguments


def add_training(arguments: argparse.ArgumentParser, *, lessons: int, steps: int, learning_rate: float = 3e-3) -> None:
    """The options of experiments with students, with the defaults of one."""
    arguments.add_argument("--lessons", type=int, default=lessons, help="steps before any set is given; 0 for none")
    arguments.add_argument("--steps", type=int, default=steps, help="of each training")
    arguments.add_argument("--batch", type=int, default=16, help="rows of a step")
    arguments.add_argument("--learning-rate", type=float, default=learning_rate)


def add_mathematics(arguments: argparse.ArgumentParser) -> None:
    """The options of the experiments on mathematics."""
    add_training(arguments, lessons=3000, steps=800)
    arguments.add_argument("--teacher", default="tiny", help="the model that makes the data")
    arguments.add_argument("--questions", type=int, default=128, help="of the seed data")
    arguments.add_argument("--held-out", type=int, default=200, help="questions to measure with")


def synth(*words: object) -> None:
    """Run a command as it is typed."""
    from synth.cli.main import app

    line = [str(word) for word in words]
    say("synth " + " ".join(line))
    began = time.monotonic()
    app(line, standalone_mode=False)
    say(f"{time.monotonic() - began:.0f} s")


def rows(dataset: Path) -> int:
    return int(record(dataset)["counts"]["outputs"])


def record(dataset: Path) -> dict[str, Any]:
    """What a command wrote about its run."""
    written: dict[str, Any] = json.loads((dataset / "synth.json").read_text())
    return written


def compare(sets: Mapping[str, Path], held_out: Path, texts: Iterable[str], given: argparse.Namespace) -> Finding:
    """Students of each set and each seed, and the share of held-out questions that they solve.

    They learn to calculate before they are given any set, as the models of the papers have in their pretraining. So
    that they do not forget it, half of the rows of each further training are such lessons.
    """
    calculations = given.out / "calculations"
    synth("import", world.write(given.out / "calculations.jsonl", world.calculations(CALCULATIONS)), calculations)
    taught = beginners(texts, chats(calculations), given)
    each = given.steps * given.batch
    halves = {arm: [chats(_half_lessons(data, calculations, each))] for arm, data in sets.items()}
    students = trained(halves, taught, given)
    one_each = {arm: [data] for arm, data in sets.items()}

    def accuracy(model: Path) -> float:
        """The share of the questions whose greedy solution has the right answer and only correct equations."""
        out = given.out / "solved" / model.name
        greedy = ("--prompt", PROMPT, "-n", 1, "--temperature", 0, "--max-tokens", 160)
        synth("reject", "sample", held_out, out, "--model", model, *greedy)
        counts = record(out)["counts"]
        return float(counts["tallies"]["correct_paths"] / counts["produced"])

    return Finding("held-out questions solved", SHARES, scored(students, one_each, accuracy))


def _half_lessons(data: Path, lessons: Path, taken: int) -> Path:
    """A set with as many lessons, both repeated as often as it takes to have so many rows."""
    out = data.with_name(f"{data.name}-half-lessons")
    repeats = -(-taken // (2 * min(rows(data), rows(lessons))))
    synth(
        "mix",
        data,
        lessons,
        out,
        "--weights",
        "1,1",
        "--take",
        taken,
        "--max-repeats",
        repeats,
        "--source-column",
        "half",
    )
    return out


def chats(dataset: Path) -> Path:
    """The questions and responses as a trainer reads them."""
    file = dataset.with_name(f"{dataset.name}.messages.jsonl")
    synth("export", dataset, file, "--as", "messages", "--force")
    return file


def beginners(texts: Iterable[str], lessons: Path, given: argparse.Namespace) -> dict[int, Path]:
    """A student for each seed, with random weights, after lessons. Texts have all words that it is to know."""
    vocabulary, students = list(texts), {}
    for seed in range(given.seeds):
        student = given.out / "students" / f"base-{seed}"
        if not (student / "model.safetensors").is_file():
            make(vocabulary, student, seed)
        if given.lessons:
            student = _train(lessons, student, student.with_name(f"taught-{seed}"), seed, given.lessons, given)
        students[seed] = student
    return students


def trained(sets: Sets, beginners: Mapping[int, Path], given: argparse.Namespace) -> Students:
    """Students after training on each of the sets, which are chats."""
    students = {}
    for seed, base in beginners.items():
        for arm, of_seeds in sets.items():
            data = of_seeds[seed % len(of_seeds)]
            out = given.out / "students" / f"{data.name.partition('.')[0]}-{seed}"
            students[arm, seed] = _train(data, base, out, seed, given.steps, given)
    return students


def scored(students: Students, sets: Sets, score: Callable[[Path], float]) -> list[Result]:
    """What each student scores.

    All are trained before any is measured, because vLLM binds its process to a part of the machine.
    """
    sizes = {arm: rows(data[0]) for arm, data in sets.items()}
    return [Result(arm, seed, sizes.get(arm, 0), score(model)) for (arm, seed), model in students.items()]


def loss(model: Path, held_out: Path, out: Path) -> float:
    """Nats for each token that the assistant says in the chats of a dataset.

    A step of training reports the loss before it. One over all chats at a rate of zero changes nothing, and measures.
    """
    whole = ("--steps", 1, "--batch", rows(held_out), "--micro-batch", rows(held_out), "--learning-rate", 0)
    synth("self-lengthen", "train", held_out, out, "--model", model, "--full", *whole)
    from datasets import load_from_disk

    (step,) = load_from_disk(str(out))
    return float(step["loss"])


def _train(data: Path, base: Path, out: Path, seed: int, steps: int, given: argparse.Namespace) -> Path:
    """The student `base` after training on chats."""
    length = ("--steps", steps, "--batch", given.batch, "--micro-batch", given.batch)
    rate = ("--learning-rate", given.learning_rate)
    synth("self-lengthen", "train", data, out, "--model", base, "--full", "--seed", seed, *length, *rate)
    return out
