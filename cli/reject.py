"""`synth reject`: rejection sampling of reasoning paths (RFT, arXiv 2308.01825)."""

from pathlib import Path
from typing import Annotated

import typer

from synth.cli.options import (
    AnswerMarks,
    EngineOptions,
    Input,
    Output,
    PromptName,
    RowOptions,
    RunOptions,
    parse_answer_marks,
    shared_options,
)
from synth.cli.running import run_stage

__all__ = ["app"]

app = typer.Typer(help="Sample reasoning paths, select the correct ones (RFT).", no_args_is_help=True)

Boxed = Annotated[bool, typer.Option("--boxed", help=r"Read MATH-style \boxed{} answers, compared by math-verify.")]
PlainEquations = Annotated[
    bool, typer.Option("--plain-equations", help="Read equations from the prose where nothing is annotated.")
]
Merge = Annotated[
    list[str] | None,
    typer.Option(metavar="INPUT", help="Samples of a further model, taken after those before. Repeatable."),
]

Questions = Annotated[
    str | None,
    typer.Option(
        metavar="INPUT",
        help="Questions with gold answers, for samples that have none; found by the text of the question.",
    ),
]


@app.command()
@shared_options
def sample(
    source: Input,
    output: Output,
    prompt: PromptName = "alpaca",
    n: Annotated[int, typer.Option("-n", min=1, help="Paths for each question.")] = 100,
    temperature: Annotated[float, typer.Option(min=0.0, help="Sampling temperature.")] = 0.7,
    max_tokens: Annotated[int, typer.Option(min=1, help="Longest path, in tokens.")] = 256,
    until_distinct: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Draw -n paths at a time until N are correct and distinct..."),
    ] = None,
    max_samples: Annotated[int, typer.Option(min=1, metavar="K", help="... or K are drawn.")] = 100,
    boxed: Boxed = False,
    answer_mark: AnswerMarks = None,
    plain_equations: PlainEquations = False,
    *,
    run: RunOptions,
    rows: RowOptions,
    engine: EngineOptions,
) -> None:
    """Sample solutions of questions whose answers are known. `--prompt chat` suits chat models."""
    from synth.pipelines.reject.sample import FOLDER, SamplePaths
    from synth.pipelines.runtime.prompts import Prompt

    stage = SamplePaths(
        prompt=Prompt.load(prompt, FOLDER),
        n=n,
        temperature=temperature,
        max_tokens=max_tokens,
        until_distinct=until_distinct,
        max_samples=max_samples,
        boxed=boxed,
        answer_marks=parse_answer_marks(answer_mark),
        plain_equations=plain_equations,
    )
    run_stage(stage, [source], output, run, rows, engine)


@app.command()
@shared_options
def select(
    source: Input,
    output: Output,
    merge: Merge = None,
    questions: Questions = None,
    gold: Annotated[bool, typer.Option(help="Put each question's gold solution before its paths.")] = True,
    boxed: Boxed = False,
    answer_mark: AnswerMarks = None,
    plain_equations: PlainEquations = False,
    *,
    run: RunOptions,
) -> None:
    """Keep the paths with the right answer, right equations, and a calculation that no other kept path has."""
    from synth.pipelines.reject.select import SelectPaths
    from synth.pipelines.runtime.answers.golds import NO_GOLDS, Golds

    golds = Golds.read(questions) if questions else NO_GOLDS
    stage = SelectPaths(
        gold=gold,
        boxed=boxed,
        answer_marks=parse_answer_marks(answer_mark),
        plain_equations=plain_equations,
        golds=golds,
    )
    run_stage(stage, [source, *(merge or [])], output, run)


@app.command()
@shared_options
def curve(
    source: Input,
    output: Output,
    merge: Merge = None,
    questions: Questions = None,
    boxed: Boxed = False,
    answer_mark: AnswerMarks = None,
    plain_equations: PlainEquations = False,
    *,
    run: RunOptions,
) -> None:
    """Count correct and distinct paths per question by the number of samples, as the paper's table does."""
    from synth.pipelines.reject.curve import Curve
    from synth.pipelines.runtime.answers.golds import NO_GOLDS, Golds

    golds = Golds.read(questions) if questions else NO_GOLDS
    stage = Curve(
        boxed=boxed, answer_marks=parse_answer_marks(answer_mark), plain_equations=plain_equations, golds=golds
    )
    if run_stage(stage, [source, *(merge or [])], output, run):
        _print_curve(output)


def _print_curve(folder: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    from synth.schemas.dataset import Dataset

    table = Table("k", "questions", "correct paths", "distinct paths", title="per question, among the first k samples")
    for column in table.columns:
        column.justify = "right"
    for row in Dataset.open(folder).rows():
        table.add_row(
            f"{row['k']}", f"{row['questions']:,}", f"{row['correct_paths']:.2f}", f"{row['distinct_paths']:.2f}"
        )
    Console().print(table)
