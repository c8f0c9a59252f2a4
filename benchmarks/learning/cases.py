"""Do tasks to find a function from its results teach to write functions (Case2Code, arXiv 2407.12504, section 4)?

    python -m benchmarks.learning.cases --out DIR

Hypothesis: students that learn from such tasks besides functions with descriptions find more held-out functions from
their results, and write more held-out functions from a description, than students of the descriptions alone.

The functions are those of the embedded model's generator: twenty kinds with their names, parameters and constants, of
which every eighth choice is held out. They are called as the generator calls them, run in a jail, and made into tasks
by the recipe's own commands. Functions with descriptions are few, as they are in practice; code to run is not.

Held equal: functions with descriptions, the students' random weights (by seed), batch, learning rate and its schedule,
and steps, so that students of both see each description less often.
"""

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.learning import world
from benchmarks.learning.results import SHARES, Finding, gap, of_sets, tell
from benchmarks.learning.steps import add_training, beginners, chats, experiment, record, scored, synth, trained
from synth.pipelines.case2code.literals import write_call
from tiny_model.functions import SmallFunction, held_out_functions, training_functions

__all__ = ["datasets", "described", "main", "measured"]

# The task alone, as a chat: students know no instructions.
PROMPT = Path(__file__).with_name("task.md")
# Short prompts: three calls are shown, and what else is tried is for judging.
VISIBLE = ("--visible", 3)


def main() -> None:
    arguments = experiment(__doc__, "cases")
    add_training(arguments, lessons=0, steps=500)
    arguments.add_argument("--descriptions", type=int, default=100, help="functions with a description")
    arguments.add_argument("--tasks", type=int, default=400, help="functions to make tasks of")
    arguments.add_argument("--held-out", type=int, default=120, help="functions to measure with")
    given = arguments.parse_args()
    sets = datasets(given.descriptions, given.tasks, given.out)
    tests = measured(given.held_out, given.out)
    both = sets["descriptions and tasks"]
    students = trained({arm: [chats(data)] for arm, data in sets.items()}, beginners(_texts(both), both, given), given)
    findings = []
    for name, tasks in tests.items():

        def score(model: Path, tasks: Path = tasks) -> float:
            out = given.out / "solved" / f"{tasks.name}-{model.name}"
            greedy = ("--prompt", PROMPT, "--temperature", 0, "--max-tokens", 160)
            synth("case2code", "evaluate", tasks, out, "--model", model, *greedy)
            counts = record(out)["counts"]
            return float(counts["tallies"].get("correct", 0) / counts["produced"])

        one_each = {arm: [data] for arm, data in sets.items()}
        findings.append(Finding(f"held-out functions written from {name}", SHARES, scored(students, one_each, score)))
    told = [gap(finding, "descriptions and tasks", "descriptions") for finding in findings]
    tell("Case2Code", findings, of_sets, given.out, given.chart, told)


def datasets(descriptions: int, tasks: int, out: Path) -> dict[str, Path]:
    """The sets that students learn from."""
    drawn = _distinct(training_functions("learning"))
    with_text, with_calls = list(islice(drawn, descriptions)), list(islice(drawn, tasks))
    described_alone, executed, composed, pairs, both = (
        out / name for name in ("descriptions", "executed", "tasks", "pairs", "both")
    )
    rows = (
        {"id": name, "query": described(function), "response": f"```python\n{function.answer}\n```"}
        for name, function in _named("described", with_text)
    )
    synth("import", world.write(out / "descriptions.jsonl", rows), described_alone)
    synth("case2code", "execute", world.write(out / "calls.jsonl", _calls("called", with_calls)), executed)
    synth("case2code", "compose", executed, composed, *VISIBLE)
    names = ("--rename", "query=prompt", "--rename", "response=output")
    synth("columns", composed, pairs, "--keep", "prompt,output", *names)
    synth("mix", described_alone, pairs, both)
    return {"descriptions": described_alone, "descriptions and tasks": both}


def measured(number: int, out: Path) -> dict[str, Path]:
    """The tasks of held-out functions, by what is known of them; all are judged by the results of the same calls."""
    functions = list(islice(_distinct(held_out_functions("measure")), number))
    executed, tasks, with_text = out / "held-out-executed", out / "held-out-tasks", out / "held-out-descriptions"
    synth("case2code", "execute", world.write(out / "held-out-calls.jsonl", _calls("held-out", functions)), executed)
    synth("case2code", "compose", executed, tasks, "--evaluation", *VISIBLE)
    prompts = ({"id": name, "prompt": described(function)} for name, function in _named("held-out", functions))
    texts = world.write(out / "held-out-descriptions.jsonl", prompts)
    synth("join", executed, texts, with_text, "--on", "id", "--take", "prompt")
    return {"a description": with_text, "results": tasks}


def described(function: SmallFunction) -> str:
    """What to write, in words."""
    return f"Write {function.name}({', '.join(function.parameters)}). {function.description}"


def _calls(name: str, functions: Iterable[SmallFunction]) -> Iterator[dict[str, Any]]:
    """Rows as `case2code inputs` writes them."""
    random = Random(name)
    for row, function in _named(name, functions):
        calls = [write_call(arguments) for arguments in function.calls(random)]
        yield {"id": row, "code": function.answer, "func_name": function.name, "example_inputs": calls}


def _named(name: str, functions: Iterable[SmallFunction]) -> Iterator[tuple[str, SmallFunction]]:
    return ((f"{name}-{place}", function) for place, function in enumerate(functions))


def _distinct(functions: Iterator[SmallFunction]) -> Iterator[SmallFunction]:
    seen: set[str] = set()
    for function in functions:
        if function.answer not in seen:
            seen.add(function.answer)
            yield function


def _texts(pairs: Path) -> Iterator[str]:
    from datasets import load_from_disk

    for row in load_from_disk(str(pairs)):
        yield from (row["query"], row["response"])


if __name__ == "__main__":
    main()
