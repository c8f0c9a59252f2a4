"""`synth case2code`: programs to be guessed from what they give (Case2Code, arXiv 2407.12504)."""

from typing import Annotated

import typer

from synth.cli.options import (
    EngineOptions,
    Input,
    Output,
    PromptName,
    RowOptions,
    RunOptions,
    SandboxOptions,
    shared_options,
)
from synth.cli.running import run_stage

__all__ = ["app"]

app = typer.Typer(help="Make functions, calls and what they give into tasks (Case2Code).", no_args_is_help=True)

Sources = Annotated[
    str,
    typer.Argument(
        metavar="INPUT",
        help="Rows with a column `content`, a folder of .py files, or `packages:` (all that Python has installed).",
    ),
]


@app.command()
@shared_options
def functions(
    source: Sources,
    output: Output,
    max_chars: Annotated[int, typer.Option(min=1, help="Longest program, in characters.")] = 5_120,
    allow_package: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A module outside the standard library that may be imported. Repeatable."),
    ] = None,
    *,
    run: RunOptions,
) -> None:
    """Take the functions that run on their own out of Python source, each program once."""
    from synth.pipelines.case2code.functions import Functions

    run_stage(Functions(max_chars, tuple(sorted(set(allow_package or [])))), [source], output, run)


@app.command()
@shared_options
def inputs(
    source: Input,
    output: Output,
    inputs_from: Annotated[
        str, typer.Option(help="model writes the calls, types draws them from what is expected, or both.")
    ] = "model",
    prompt: PromptName = "inputs",
    n: Annotated[int, typer.Option("-n", min=1, help="Calls for each function.")] = 10,
    min_inputs: Annotated[int, typer.Option(min=1, help="Calls that must be usable.")] = 2,
    temperature: Annotated[float, typer.Option(min=0.0, help="Sampling temperature.")] = 0.2,
    top_p: Annotated[float, typer.Option(min=0.0, max=1.0, help="Nucleus of the sampling.")] = 0.95,
    max_tokens: Annotated[int, typer.Option(min=1, help="Longest reply, in tokens.")] = 2048,
    tries: Annotated[int, typer.Option(min=1, help="Replies to ask for until enough calls are usable.")] = 3,
    *,
    run: RunOptions,
    rows: RowOptions,
    engine: EngineOptions,
) -> None:
    """Find calls to try each function with. `--prompt inputs-plain` suits base models."""
    from synth.pipelines.case2code.inputs import FOLDER, Inputs
    from synth.pipelines.runtime.prompts import Prompt

    stage = Inputs(
        prompt=Prompt.load(prompt, FOLDER),
        inputs_from=inputs_from,  # type: ignore[arg-type]
        n=n,
        min_inputs=min_inputs,
        temperature=temperature,
        top_p=top_p,
        max_tokens=max_tokens,
        tries=tries,
    )
    run_stage(stage, [source], output, run, rows, None if inputs_from == "types" else engine)


@app.command()
@shared_options
def execute(
    source: Input,
    output: Output,
    seconds: Annotated[float, typer.Option(min=0.1, help="Time for all calls of a function.")] = 5.0,
    memory_mb: Annotated[int, typer.Option(min=64, help="Memory for a function.")] = 512,
    repeat: Annotated[bool, typer.Option(help="Run again under other seeds and reject what then differs.")] = True,
    min_distinct_outputs: Annotated[int, typer.Option(min=1, help="Different outputs that a function must give.")] = 2,
    max_error_fraction: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Share of the calls that may raise.")
    ] = 0.5,
    reject_name_errors: Annotated[bool, typer.Option(help="Reject functions that miss a name.")] = True,
    max_output_chars: Annotated[int, typer.Option(min=1, help="Longest output, in characters.")] = 2000,
    *,
    run: RunOptions,
    rows: RowOptions,
    sandbox: SandboxOptions,
) -> None:
    """Run each function with its inputs in the sandbox, and keep what can be learnt from."""
    from synth.pipelines.case2code.execute import Execute

    stage = Execute(
        seconds=seconds,
        memory_mb=memory_mb,
        repeat=repeat,
        min_distinct_outputs=min_distinct_outputs,
        max_error_fraction=max_error_fraction,
        reject_name_errors=reject_name_errors,
        max_output_chars=max_output_chars,
    )
    run_stage(stage, [source], output, run, rows, sandbox=sandbox)


@app.command()
@shared_options
def compose(
    source: Input,
    output: Output,
    style: Annotated[str, typer.Option(help="chat adds the column `messages`; plain leaves it out.")] = "chat",
    errors: Annotated[
        str, typer.Option(help="Calls that raised are shown with their message, by their type, or not at all (omit).")
    ] = "type",
    evaluation: Annotated[bool, typer.Option("--evaluation", help="One wording for all, as for a test set.")] = False,
    visible: Annotated[int, typer.Option(min=1, help="Calls, from the first, that may be shown.")] = 10,
    *,
    run: RunOptions,
) -> None:
    """Make a task of each executed function: some of its cases in varied words, and the function as the answer."""
    from synth.pipelines.case2code.compose import Compose

    stage = Compose(style=style, errors=errors, evaluation=evaluation, visible=visible)  # type: ignore[arg-type]
    run_stage(stage, [source], output, run)


@app.command()
@shared_options
def evaluate(
    source: Input,
    output: Output,
    prompt: PromptName = "evaluate",
    n: Annotated[int, typer.Option("-n", min=1, help="Samples for each task.")] = 1,
    k: Annotated[
        list[int] | None, typer.Option("--k", min=1, help="Estimate pass@K. Repeatable; 1 if not given.")
    ] = None,
    temperature: Annotated[float, typer.Option(min=0.0, help="Sampling temperature.")] = 0.0,
    top_p: Annotated[float, typer.Option(min=0.0, max=1.0, help="Nucleus of the sampling.")] = 0.95,
    max_tokens: Annotated[int, typer.Option(min=1, help="Longest reply, in tokens.")] = 2048,
    seconds: Annotated[float, typer.Option(min=0.1, help="Time for all calls of a sample.")] = 5.0,
    memory_mb: Annotated[int, typer.Option(min=64, help="Memory for a sample.")] = 512,
    gold: Annotated[bool, typer.Option("--gold", help="Judge the recorded answers; no model is asked.")] = False,
    *,
    run: RunOptions,
    rows: RowOptions,
    engine: EngineOptions,
    sandbox: SandboxOptions,
) -> None:
    """Have a model write the function of each task, and judge it on the cases shown and on the hidden ones."""
    from synth.pipelines.case2code.evaluate import FOLDER, EvaluateFunctions
    from synth.pipelines.runtime.prompts import Prompt

    stage = EvaluateFunctions(
        prompt=Prompt.load(prompt, FOLDER),
        n=n,
        k=tuple(sorted(set(k or [1]))),
        temperature=temperature,
        top_p=top_p,
        max_tokens=max_tokens,
        seconds=seconds,
        memory_mb=memory_mb,
        gold=gold,
    )
    run_stage(stage, [source], output, run, rows, None if gold else engine, sandbox)
