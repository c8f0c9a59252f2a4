"""Measures how the model does at Case2Code, with the recipe's own commands on held-out functions.

How many of the calls that it is asked for can be used, for how many functions they make a complete sample, whose
results tell something, and how many functions it finds from the results of other calls.
"""

from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from synth.pipelines.case2code.inputs import Inputs
from tiny_model.commands import run, written
from tiny_model.functions import KINDS, SmallFunction, held_out_functions

__all__ = ["held_out", "measure_functions"]

PER_KIND = 10


def measure_functions(engine: Sequence[str], per_kind: int = PER_KIND) -> dict[str, float]:
    """Shares of `per_kind` functions of each kind. `engine` are the options that name a model.

    Raises `subprocess.CalledProcessError`, for instance if there is no jail.
    """
    drawn = dict(held_out(per_kind))
    random = Random("evaluate")
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        executed = [{**function.executed(random), "id": name} for name, function in drawn.items()]
        sources = [{name: row[name] for name in ("id", "code", "func_name")} for row in executed]
        calls = run("case2code inputs", written(folder / "functions.jsonl", sources), folder / "calls", options=engine)
        complete = (
            run("case2code execute", folder / "calls", folder / "executed") if calls["produced"] else {"produced": 0}
        )
        run(
            "case2code compose",
            written(folder / "executed.jsonl", executed),
            folder / "tasks",
            options=["--evaluation"],
        )
        found = run("case2code evaluate", folder / "tasks", folder / "scores", options=engine)
    return {
        f"calls that can be used, of {Inputs().n}": calls["tallies"].get("inputs_from_model", 0) / len(drawn),
        "functions with a complete sample": complete["produced"] / len(drawn),
        "functions found from their results, greedily": found["tallies"].get("correct", 0) / len(drawn),
    }


def held_out(per_kind: int) -> Iterable[tuple[str, SmallFunction]]:
    """The first functions of each kind that are not trained on, with an id."""
    for kind in KINDS:
        of_kind = islice(held_out_functions(f"evaluate/{kind.kind}", [kind]), per_kind)
        yield from ((f"{kind.kind}-{number}", function) for number, function in enumerate(of_kind))
