"""What students get wrong: how they lay a solution out, which numbers they take, or how they calculate.

    python -m benchmarks.learning.mistakes build/learning/rft/solved/*

For the answers of each student to the held-out questions: the share with the operators of the reference solution in its
order, the share whose first equation takes its operands from the question, and the share of right equations.
"""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.contest import print_table
from synth.pipelines.runtime.answers.equations import equation_fault, find_equations

__all__ = ["shares"]

COLUMNS = ["student", "answers", "operators", "first operands", "equations right"]


def shares(rows: Sequence[dict[str, Any]]) -> tuple[float, float, float]:
    """In the order of the text above; `rows` have a `query`, the `response` to it, and the reference `answer`."""
    laid_out = sum(_operators(row["response"]) == _operators(row["answer"]) for row in rows)
    read = sum(_reads_operands(row["query"], row["response"]) for row in rows)
    equations = [equation for row in rows for equation in find_equations(row["response"])]
    right = sum(equation_fault(equation) is None for equation in equations)
    return laid_out / len(rows), read / len(rows), right / max(1, len(equations))


def _operators(solution: str) -> list[str]:
    return [re.sub(r"[\d.]+", "", equation.partition("=")[0]) for equation in find_equations(solution)]


def _reads_operands(question: str, response: str) -> bool:
    first = next(iter(find_equations(response)), "").partition("=")[0]
    return bool(first) and set(re.findall(r"\d+", first)) <= set(re.findall(r"\d+", question))


def main() -> None:
    from datasets import load_from_disk

    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("solved", type=Path, nargs="+", help="outputs of `reject sample`")
    table = []
    for folder in arguments.parse_args().solved:
        rows = load_from_disk(str(folder)).to_list()
        table.append([folder.name, f"{len(rows):,}", *(f"{share:.1%}" for share in shares(rows))])
    print_table("What students get wrong", COLUMNS, table)


if __name__ == "__main__":
    main()
