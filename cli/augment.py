"""`synth augment`: new questions from old ones, and answers to them (MuggleMath, arXiv 2310.05506)."""

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

app = typer.Typer(help="Evolve questions and answer the new ones (MuggleMath).", no_args_is_help=True)


@app.command()
@shared_options
def evolve(
    source: Input,
    output: Output,
    prompt: PromptName = "evolve",
    temperature: Annotated[float, typer.Option(min=0.0, help="Sampling temperature.")] = 1.0,
    max_tokens: Annotated[int, typer.Option(min=1, help="Longest reply, in tokens.")] = 1024,
    tries: Annotated[int, typer.Option(min=1, help="Samples to try until a reply can be read.")] = 1,
    *,
    run: RunOptions,
    rows: RowOptions,
    engine: EngineOptions,
) -> None:
    """Write five evolved questions for each question: numbers, fractions, concepts, conditions, complexity."""
    from synth.pipelines.augment.evolve import FOLDER, Evolve
    from synth.pipelines.runtime.prompts import Prompt

    stage = Evolve(prompt=Prompt.load(prompt, FOLDER), temperature=temperature, max_tokens=max_tokens, tries=tries)
    run_stage(stage, [source], output, run, rows, engine)


@app.command()
@shared_options
def respond(
    source: Input,
    output: Output,
    prompt: PromptName = "respond",
    n: Annotated[int, typer.Option("-n", min=1, help="Samples for each question at each temperature.")] = 4,
    temperature: Annotated[
        list[float] | None, typer.Option(help="Sampling temperature. Repeatable. [default: 0.7 and 1.0]")
    ] = None,
    max_tokens: Annotated[int, typer.Option(min=1, help="Longest response, in tokens.")] = 512,
    shots: Annotated[
        str | None, typer.Option(metavar="INPUT", help="Worked examples (question, answer) to draw from.")
    ] = None,
    num_shots: Annotated[int, typer.Option(min=0, help="Worked examples in each prompt.")] = 0,
    keep: Annotated[
        str, typer.Option(help="What must speak for a response: agreement, equations, either or both.")
    ] = "either",
    threshold: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Share of the samples that the answer kept must have.")
    ] = 0.5,
    answer_mark: AnswerMarks = None,
    plain_equations: Annotated[
        bool, typer.Option("--plain-equations", help="Read equations from the prose where nothing is annotated.")
    ] = False,
    *,
    run: RunOptions,
    rows: RowOptions,
    engine: EngineOptions,
) -> None:
    """Answer each question several times; keep responses that agree, or whose equations all check."""
    from synth.pipelines.augment.respond import FOLDER, Respond
    from synth.pipelines.runtime.answers.golds import worked_examples
    from synth.pipelines.runtime.prompts import Prompt

    stage = Respond(
        prompt=Prompt.load(prompt, FOLDER),
        n=n,
        temperatures=tuple(temperature or (0.7, 1.0)),
        max_tokens=max_tokens,
        shots=tuple(worked_examples(shots)) if shots else (),
        num_shots=num_shots,
        keep=keep,  # type: ignore[arg-type]
        threshold=threshold,
        answer_marks=parse_answer_marks(answer_mark),
        plain_equations=plain_equations,
    )
    run_stage(stage, [source], output, run, rows, engine)
