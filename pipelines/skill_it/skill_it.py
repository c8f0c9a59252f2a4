"""Which skills to train on next (Skill-It, arXiv 2307.14430)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from synth.pipelines.runtime.counts import Counts
from synth.pipelines.runtime.declared import ByOption, Option, names
from synth.pipelines.runtime.mixtures import MIXTURE, Mixture
from synth.pipelines.runtime.stage import Output, TableStage
from synth.pipelines.skill_it.graph import Graph, given, learnt
from synth.pipelines.skill_it.history import latest
from synth.pipelines.skill_it.schedules import SCHEDULES, Schedule
from synth.schemas.errors import InputError, UsageError
from synth.schemas.reading.sources import Source
from synth.schemas.record import Record
from synth.schemas.records import PAIR_LOSS, SKILL_GRAPH, SKILL_LOSS, SKILL_WEIGHT

__all__ = ["SkillIt", "proportions"]

# A mixture in which a skill is so many times as likely as another one hardly trains the latter.
LARGEST_RATIO = 100
# With fewer or more of the possible edges, the graph gives no order of the skills.
FEW, MANY = 0.1, 0.9

# Tallies; the last one only where the graph was filled from losses.
EDGES, POSSIBLE, PAIRS = "edges", "possible_edges", "trained_pairs"

Numbers = NDArray[np.float64]


def proportions(graph: Numbers, losses: Numbers, eta: float, prior: Numbers) -> Numbers:
    """p_i in proportion to prior_i exp(eta sum_j A_ij l_j), for a graph A (k x m), m losses and k priors.

    They add up to 1.
    """
    with np.errstate(divide="ignore"):
        exponents = np.log(prior) + eta * (graph @ losses)
    powers = np.exp(exponents - exponents.max())
    shares: Numbers = powers / powers.sum()
    return shares


@dataclass(frozen=True)
class SkillIt(TableStage):
    """Weigh skills for the next mixture: those that help skills with large losses get more (Skill-It).

    The share of skill i is in proportion to exp(eta * sum of A_ij * l_j over the skills j). A_ij is how much training
    on i helps j, the edge of the skills graph. l_j is the loss on j: 1 before the training; with `--losses`, the sum of
    those at the last `--window` evaluations. With `--target` only the losses on these skills count, and their mean
    instead of their sum, as in the authors' runs. Each mixture starts from `--prior` and not from the one before.

    GRAPH has a row for each skill to train on, with the numbers A_ij in columns that are named after the skills j; they
    may be negative. With `--graph losses` it has losses of models that were trained equally long on one skill, or on
    two: A_ij is 0.5 if the one trained on i and j has a lower loss on j than the one trained on j, 1 if i is j, else 0.

    The weights are also in `mixture.json`, which `synth mix --weights` reads; the inputs have the names of the skills.
    """

    name: ClassVar[str] = "mix skill-it"
    input: ClassVar[ByOption[Record]] = ByOption("graph", {"weights": SKILL_GRAPH, "losses": PAIR_LOSS})
    output: ClassVar[Record] = SKILL_WEIGHT
    arguments: ClassVar[tuple[str, str]] = ("GRAPH", "OUTPUT")
    reads: ClassVar[str] = "Weights of the skills graph, or the losses to fill it from: a dataset directory or a file."
    commands: ClassVar[tuple[str, ...]] = (
        "synth mix skill-it graph.csv mixture-1/ --preset lego",
        "synth mix skill-it pairs.jsonl mixture-2/ --graph losses --losses losses.jsonl --eta 0.8 --target spanish-qg",
    )

    graph: Annotated[Literal["weights", "losses"], Option("What GRAPH has.")] = "weights"
    losses: Annotated[
        str | None, Option("Losses in the course of the training, any input.", metavar="INPUT", default="all are 1")
    ] = None
    preset: Annotated[
        str | None,
        Option(
            f"The eta, the window and the schedule of a run of the authors: {', '.join(SCHEDULES)}.",
            choices=tuple(SCHEDULES),
            metavar="RUN",
        ),
    ] = None
    eta: Annotated[
        float | None, Option("How strongly losses change the mixture.", min=0, default="that of the preset")
    ] = None
    window: Annotated[int | None, Option("How many of the last evaluations count.", min=1, default="3")] = None
    target: Annotated[
        tuple[str, ...],
        Option("Count only losses on these skills. Repeatable.", metavar="NAME,...", read=names, default="all"),
    ] = ()
    prior: Annotated[
        Mixture | None,
        Option(
            "The mixture to start from, a file as `mixture.json`.",
            metavar="FILE",
            read=lambda text: Mixture.read(Path(text), "--prior"),
            default="equal weights",
        ),
    ] = None
    lone_apart: Annotated[
        bool, Option("Give each of k skills that have no edge to others the share 1/k, whatever its loss.")
    ] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.eta is None and self.preset is None:
            raise UsageError("--eta is missing: how strongly losses change the mixture, or name a run with --preset")
        if self._schedule and self._schedule.update_every is None and self.losses is not None:
            raise UsageError(f"--preset {self.preset} trains on its first mixture to the end: leave out --losses")

    @property
    def _schedule(self) -> Schedule | None:
        return SCHEDULES[self.preset] if self.preset else None

    @property
    def _eta(self) -> float:
        return self.eta if self.eta is not None else SCHEDULES[self.preset or ""].eta

    @property
    def _window(self) -> int:
        return self.window or (self._schedule.window if self._schedule else 3)

    @cached_property
    def _history(self) -> Source | None:
        if self.losses is None:
            return None
        try:
            return Source(self.losses, SKILL_LOSS, {}, None)
        except InputError as error:
            raise InputError(f"--losses: {error}") from error

    def identity(self) -> dict[str, Any]:
        # The content of the losses, wherever they are.
        return {**super().identity(), "losses": self._history and self._history.fingerprint}

    def process(self, tables: Sequence[pa.Table], output: Output) -> None:
        (table,) = tables
        graph = given(table) if self.graph == "weights" else learnt(table)
        counted = self._counted(graph)
        steps, losses = self._losses(graph, counted, output)
        prior = self.prior.of(graph.skills, "--prior") if self.prior else [1.0] * len(graph.skills)
        columns = [graph.evaluated.index(skill) for skill in counted]
        shares = proportions(graph.weights[:, columns], losses, self._eta, np.array(prior))
        if self.lone_apart:
            shares = _set_apart(shares, graph.lone())
        rows = [
            {"id": skill, "skill": skill, "weight": share, "edges": _edges(graph, row)}
            for row, (skill, share) in enumerate(zip(graph.skills, shares.tolist(), strict=True))
        ]
        output.write(rows, accounts_for=table.num_rows)
        output.tally(EDGES, graph.edges)
        output.tally(POSSIBLE, graph.possible_edges)
        if graph.trained_pairs is not None:
            output.tally(PAIRS, graph.trained_pairs)
        Mixture({row["skill"]: row["weight"] for row in rows}).write(
            output.kept / MIXTURE,
            eta=self._eta,
            window=self._window,
            steps=steps,
            **({"training": self._schedule.training} if self._schedule else {}),
        )

    def _counted(self, graph: Graph) -> Sequence[str]:
        """The skills whose losses count."""
        for skill in self.target:
            if skill not in graph.evaluated:
                raise UsageError(f"--target {skill}: the graph evaluates {', '.join(graph.evaluated)}")
        return list(dict.fromkeys(self.target)) or graph.evaluated

    def _losses(self, graph: Graph, counted: Sequence[str], output: Output) -> tuple[list[int], Numbers]:
        """The steps of the evaluations that count, and the loss on each of the skills `counted`."""
        if self._history is None:
            return [], np.ones(len(counted))
        history = self._history.table(output.work / "losses")
        steps, losses = latest(history, graph.evaluated, counted, self._window)
        return steps, losses.mean(axis=0) if self.target else losses.sum(axis=0)

    def published(self, out: Path, counts: Counts) -> Iterator[str]:
        weights = Mixture.read(out / MIXTURE, "").weights
        width = max(map(len, weights))
        for skill, share in weights.items():
            yield f"{skill:{width}}  {share:7.2%}"
        least, most = min(weights.values()), max(weights.values())
        if not least:
            yield "a skill has no share at all"
        elif most > LARGEST_RATIO * least:
            yield f"the largest share is {most / least:,.0f} times the smallest: a smaller --eta makes them more equal"
        edges, possible = counts.tallies[EDGES], counts.tallies[POSSIBLE]
        if untrained := possible - counts.tallies.get(PAIRS, possible):
            yield f"{untrained:,.0f} of {possible:,.0f} pairs were not trained, and have no edge"
        if not FEW < (density := edges / max(1, possible)) < MANY:
            yield f"the graph has {density:.0%} of all edges, and so gives hardly any order of the skills"
        if self._schedule:
            yield from self._next(self._schedule)

    def _next(self, schedule: Schedule) -> Iterator[str]:
        steps = schedule.update_every or schedule.steps
        yield (
            f"{self.preset}: train {steps:,} of {schedule.steps:,} steps on it, in batches of {schedule.batch_size}; "
            f"evaluate every {schedule.evaluate_every:,} steps"
        )


def _set_apart(shares: Numbers, lone: NDArray[np.bool_]) -> Numbers:
    """Give each lone skill an equal share, and the others the rest in proportion to theirs."""
    apart = np.full(len(shares), 1 / len(shares))
    if rest := shares[~lone].sum():
        apart[~lone] = shares[~lone] / rest * np.mean(~lone)
    return apart


def _edges(graph: Graph, row: int) -> list[dict[str, Any]]:
    weights = graph.weights[row].tolist()
    return [
        {"skill": skill, "weight": weight} for skill, weight in zip(graph.evaluated, weights, strict=True) if weight
    ]
