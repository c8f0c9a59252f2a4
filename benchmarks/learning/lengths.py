"""Do texts grow longer with each round of Self-Lengthen (arXiv 2410.23933, section 4), and do they stay fit?

    python -m benchmarks.learning.lengths --out DIR

Hypothesis: drafts and extended texts of a round are longer than those of the round before, and as many of them are fit.

Each seed has instructions of its own, which the embedded model writes. A round is that of `examples/self-lengthen.mk`:
drafts, extended texts, and the training of both roles on them, which the last of the three rounds does without.

Two measures tell whether texts are fit: the share of tries that pass the recipe's rules (finished, without repetitions,
longer than before), and the share of accepted texts that name no season but the one that the instruction names, as all
texts do that the model was trained on.

Held equal: number of instructions, tries, and the training of a round.
"""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.contest import ROOT, SYNTH, say
from benchmarks.learning.results import SHARES, WORDS, Finding, Result, of_sets, tell
from benchmarks.learning.steps import experiment, record
from tiny_model.places import SEASONS

__all__ = ["ROUNDS", "keeps_season", "main", "round_command"]

ROUNDS = (1, 2, 3)
STEPS = ("drafts", "extended")


def main() -> None:
    arguments = experiment(__doc__, "lengths")
    arguments.add_argument("--model", default="tiny", help="both roles before the first round")
    arguments.add_argument("--instructions", type=int, default=16, help="that the model writes for each round")
    given = arguments.parse_args()
    for seed in range(given.seeds):
        for number in ROUNDS:
            command = round_command(number, seed, given.out / f"seed-{seed}", given.model, given.instructions)
            say(" ".join(command))
            subprocess.run(command, check=True)
    texts = {
        (f"{step} of round {number}", seed): given.out / f"seed-{seed}" / f"lengthen-{number}" / step
        for number in ROUNDS
        for step in STEPS
        for seed in range(given.seeds)
    }
    findings = [
        Finding(
            name, unit, [Result(arm, seed, _texts(folder), measure(folder)) for (arm, seed), folder in texts.items()]
        )
        for name, unit, measure in (
            ("mean words of accepted texts", WORDS, _mean_words),
            ("tries that pass the rules", SHARES, _accepted),
            ("accepted texts that keep to their season", SHARES, _keeping_season),
        )
    ]
    tell("Self-Lengthen", findings, of_sets, given.out, given.chart)


def round_command(number: int, seed: int, out: Path, model: str, instructions: int) -> list[str]:
    """One round of the Makefile, by the models that the round before has trained."""
    before = out.absolute() / f"lengthen-{number - 1}"
    roles = (model, model) if number == ROUNDS[0] else (before / "generator", before / "extender")
    variables = {
        "SYNTH": SYNTH,
        "PYTHON": sys.executable,
        "OUT": out.absolute(),
        "N": number,
        "SEED": seed,
        "MODEL": model,
        "GENERATOR": roles[0],
        "EXTENDER": roles[1],
        "INSTRUCTIONS": instructions,
    }
    goal = "extended" if number == ROUNDS[-1] else "iteration"
    make = ["make", "--silent", "--directory", str(ROOT / "examples"), "--file", "self-lengthen.mk", goal]
    return [*make, *(f"{name}={value}" for name, value in variables.items())]


def keeps_season(instruction: str, text: str) -> bool:
    """Whether a text names no season that its instruction does not name."""
    asked, named = ({season for season in SEASONS if re.search(rf"\b{season}\b", one)} for one in (instruction, text))
    return named <= asked


def _texts(folder: Path) -> int:
    return int(_counts(folder)["outputs"])


def _mean_words(folder: Path) -> float:
    return float(record(folder)["means"].get("words", 0.0))


def _accepted(folder: Path) -> float:
    """Of an extended text, each round of extension is a try."""
    counts = _counts(folder)
    tries = counts["outputs"] + sum(counts["output_reasons"].values())
    return float(counts["outputs"] / max(1, tries))


def _keeping_season(folder: Path) -> float:
    from datasets import load_from_disk

    rows = load_from_disk(str(folder))
    return sum(keeps_season(row["instruction"], row["response"]) for row in rows) / max(1, len(rows))


def _counts(folder: Path) -> dict[str, Any]:
    counts: dict[str, Any] = record(folder)["counts"]
    return counts


if __name__ == "__main__":
    main()
