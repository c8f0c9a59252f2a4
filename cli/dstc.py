"""`synth dstc`: preference pairs from a model's own codes and tests (DSTC, arXiv 2411.13611)."""

from typing import Annotated

import typer

from synth.cli.completion import prompts
from synth.cli.options import EngineOptions, Input, Output, RowOptions, RunOptions, SandboxOptions, shared_options
from synth.cli.running import run_stage

__all__ = ["dstc"]


@shared_options
def dstc(
    source: Input,
    output: Output,
    form: Annotated[str, typer.Option("--format", help="dpo: chosen and rejected; kto: rows with a label.")] = "dpo",
    style: Annotated[str, typer.Option(help="chat adds columns of messages; plain leaves them out.")] = "chat",
    code_prompt: Annotated[
        str, typer.Option(metavar="FILE", help="Prompt file that asks for a code.", autocompletion=prompts)
    ] = "code",
    test_prompt: Annotated[
        str, typer.Option(metavar="FILE", help="Prompt file that asks for a test.", autocompletion=prompts)
    ] = "test",
    task_prompt: Annotated[
        str, typer.Option(metavar="FILE", help="Text file: the prompt of the rows.", autocompletion=prompts)
    ] = "task",
    entry: Annotated[str, typer.Option(metavar="NAME", help="The function's name where a row has none.")] = "solution",
    n_code: Annotated[int, typer.Option(min=2, help="Codes to write for each task.")] = 8,
    n_tests: Annotated[int, typer.Option(min=1, help="Tests to write for each task.")] = 8,
    temperature: Annotated[float, typer.Option(min=0.0, help="Sampling temperature.")] = 0.8,
    top_p: Annotated[float, typer.Option(min=0.0, max=1.0, help="Nucleus of the sampling.")] = 0.95,
    max_tokens: Annotated[int, typer.Option(min=1, help="Longest reply, in tokens.")] = 1024,
    seconds: Annotated[float, typer.Option(min=0.1, help="Time for a code with a test.")] = 5.0,
    memory_mb: Annotated[int, typer.Option(min=64, help="Memory for a code with a test.")] = 512,
    repeat: Annotated[bool, typer.Option(help="Run again under other seeds and drop what then differs.")] = True,
    min_tests: Annotated[int, typer.Option(min=1, help="Tests that must tell the codes apart.")] = 2,
    min_gap: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Share of these by which the chosen code must be ahead.")
    ] = 0.25,
    *,
    run: RunOptions,
    rows: RowOptions,
    engine: EngineOptions,
    sandbox: SandboxOptions,
) -> None:
    """Make preference pairs from the codes and tests that a model writes for each task (DSTC)."""
    from synth.pipelines.dstc.pairs import FOLDER, Pairs
    from synth.pipelines.runtime.prompts import Prompt

    stage = Pairs(
        code_prompt=Prompt.load(code_prompt, FOLDER, "--code-prompt"),
        test_prompt=Prompt.load(test_prompt, FOLDER, "--test-prompt"),
        task_prompt=Prompt.load(task_prompt, FOLDER, "--task-prompt"),
        format=form,  # type: ignore[arg-type]
        style=style,  # type: ignore[arg-type]
        entry=entry,
        n_code=n_code,
        n_tests=n_tests,
        temperature=temperature,
        top_p=top_p,
        max_tokens=max_tokens,
        seconds=seconds,
        memory_mb=memory_mb,
        repeat=repeat,
        min_tests=min_tests,
        min_gap=min_gap,
    )
    run_stage(stage, [source], output, run, rows, engine, sandbox)
