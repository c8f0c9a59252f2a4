"""`synth self-lengthen`: train a model to write longer, on texts that it lengthened itself (arXiv 2410.23933)."""

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from synth.cli.options import (
    EngineOptions,
    Input,
    Inputs,
    Output,
    PromptName,
    RowOptions,
    RunOptions,
    refuse_given,
    shared_options,
)
from synth.cli.running import run_stage

if TYPE_CHECKING:
    from synth.pipelines.engines import Sampling
    from synth.pipelines.self_lengthen.instruct import Seed

__all__ = ["app"]

app = typer.Typer(help="Teach a model to write long texts, by its own (Self-Lengthen).", no_args_is_help=True)


@dataclass(frozen=True)
class SamplingOptions:
    """How the texts of this recipe are drawn; the paper's values."""

    temperature: Annotated[float, typer.Option(min=0.0, help="Sampling temperature.")] = 0.7
    top_p: Annotated[float, typer.Option(min=0.0, max=1.0, help="Nucleus of the sampling.")] = 0.8
    top_k: Annotated[int, typer.Option(min=0, help="Tokens to draw from; 0 for all.")] = 20
    repetition_penalty: Annotated[
        float, typer.Option(min=0.01, help="Above 1, tokens that have occurred are less likely.")
    ] = 1.1
    stop: Annotated[
        list[str] | None,
        typer.Option(metavar="TEXT", help="End a text before this; \\n is a line break. Repeatable."),
    ] = None

    def sampling(self, max_tokens: int, stop: tuple[str, ...] = ()) -> "Sampling":
        from synth.pipelines.engines import Sampling

        given = tuple(text.replace("\\n", "\n") for text in self.stop or [])
        return Sampling(**{**asdict(self), "max_tokens": max_tokens, "stop": given or stop})


@app.command()
@shared_options
def instruct(
    source: Input,
    output: Output,
    n: Annotated[int, typer.Option("-n", min=1, help="Instructions to write; as many for each seed.")] = 5000,
    examples: Annotated[
        str, typer.Option(help="Two of the pool (seeds and what was accepted), or two of the seeds.")
    ] = "pool",
    tries: Annotated[int, typer.Option(min=1, help="Tries at each instruction.")] = 10,
    min_words: Annotated[int, typer.Option(min=0, help="An instruction has more words than these.")] = 3,
    max_words: Annotated[int, typer.Option(min=2, help="An instruction has fewer words than these.")] = 500,
    max_tokens: Annotated[int, typer.Option(min=1, help="Longest reply, in tokens.")] = 1024,
    prompt: PromptName = "instruct",
    judge_prompt: PromptName = "suited",
    *,
    sampling: SamplingOptions,
    run: RunOptions,
    rows: RowOptions,
    engine: EngineOptions,
) -> None:
    """Write new instructions after seeds, and keep those that the model finds fit for a long text."""
    from synth.pipelines.runtime.prompts import Prompt
    from synth.pipelines.self_lengthen.instruct import END_OF_ITEM, FOLDER, Instruct

    stage = Instruct(
        _seeds(source, run),
        prompt=Prompt.load(prompt, FOLDER),
        judge_prompt=Prompt.load(judge_prompt, FOLDER, "--judge-prompt"),
        n=n,
        tries=tries,
        examples=examples,  # type: ignore[arg-type]
        min_words=min_words,
        max_words=max_words,
        sampling=sampling.sampling(max_tokens, END_OF_ITEM),
    )
    run_stage(stage, [source], output, run, rows, engine)


@app.command()
@shared_options
def draft(
    source: Input,
    output: Output,
    n: Annotated[int, typer.Option("-n", min=1, help="Responses to each instruction.")] = 2,
    tries: Annotated[int, typer.Option(min=1, help="Tries at each response.")] = 20,
    check: Annotated[bool, typer.Option(help="Refuse what is unfit for training; not for evaluation.")] = True,
    max_tokens: Annotated[int, typer.Option(min=1, help="Longest response, in tokens.")] = 16_384,
    prompt: PromptName = "draft",
    *,
    sampling: SamplingOptions,
    run: RunOptions,
    rows: RowOptions,
    engine: EngineOptions,
) -> None:
    """Write first responses to instructions, each tried again until it is fit to be trained on."""
    from synth.pipelines.runtime.prompts import Prompt
    from synth.pipelines.self_lengthen.draft import FOLDER, DraftResponses

    drawn = sampling.sampling(max_tokens)
    run_stage(DraftResponses(Prompt.load(prompt, FOLDER), n, tries, check, drawn), [source], output, run, rows, engine)


@app.command()
@shared_options
def extend(
    source: Input,
    output: Output,
    n: Annotated[int, typer.Option("-n", min=1, help="Longer texts from each response.")] = 2,
    tries: Annotated[int, typer.Option(min=1, help="Tries at each of them.")] = 20,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds of a try.")] = 3,
    growth: Annotated[float, typer.Option(min=1.0, help="A try must give more than this times the words.")] = 1.2,
    max_tokens: Annotated[int, typer.Option(min=1, help="Longest answer of one pass, in tokens.")] = 16_384,
    prompt: PromptName = "extend",
    *,
    sampling: SamplingOptions,
    run: RunOptions,
    rows: RowOptions,
    engine: EngineOptions,
) -> None:
    """Make responses longer: first their first half, then the whole from there on, in three rounds."""
    from synth.pipelines.runtime.prompts import Prompt
    from synth.pipelines.self_lengthen.extend import FOLDER, Extend

    drawn = sampling.sampling(max_tokens)
    stage = Extend(Prompt.load(prompt, FOLDER), n, tries, rounds, growth, drawn)
    run_stage(stage, [source], output, run, rows, engine)


@app.command()
@shared_options
def drop_short(
    sources: Inputs,
    output: Output,
    text: Annotated[
        str, typer.Option(metavar="NAME", help="Column of the texts that are compared by their length.")
    ] = "response",
    *,
    run: RunOptions,
) -> None:
    """Drop the rows with the shortest texts, and more at random the shorter they are: about 59 % stay."""
    from synth.pipelines.self_lengthen.drop_short import DropShort

    run_stage(DropShort(text=text, seed=run.seed), sources, output, run)


@app.command()
@shared_options
def curate(
    context: typer.Context,
    sources: Inputs,
    output: Output,
    role: Annotated[Literal["generator", "extender"], typer.Option(help="Who is to be trained.", show_default=False)],
    drop: Annotated[
        float, typer.Option(min=0.0, max=0.99, help="Share of the outline's lines that the Extender is not shown.")
    ] = 0.2,
    prompt: PromptName = "extend",
    *,
    run: RunOptions,
) -> None:
    """Make extended texts into chats to train on. `--prompt` is the one that `extend` asks with."""
    from synth.pipelines.runtime.prompts import Prompt
    from synth.pipelines.self_lengthen.curate import FOLDER, CurateExtender, CurateGenerator

    if role == "generator":
        refuse_given(context, ("drop", "prompt"), "in --role generator")
    extender = CurateExtender(Prompt.load(prompt, FOLDER), drop)
    run_stage(extender if role == "extender" else CurateGenerator(), sources, output, run)


@app.command()
@shared_options
def constrain(
    sources: Inputs,
    output: Output,
    prompt: PromptName = "constrain",
    min_words: Annotated[int, typer.Option(min=1, help="Shorter responses are rejected.")] = 2000,
    max_words: Annotated[int, typer.Option(min=2, help="Responses of so many words and more are rejected.")] = 8000,
    base: Annotated[int, typer.Option(min=1, help="Lengths are multiples of it, a fifth of twice it.")] = 1000,
    tries: Annotated[int, typer.Option(min=1, help="Tries at each instruction.")] = 10,
    temperature: Annotated[float, typer.Option(min=0.0, help="Sampling temperature.")] = 0.7,
    top_p: Annotated[float, typer.Option(min=0.0, max=1.0, help="Nucleus of the sampling.")] = 0.8,
    max_tokens: Annotated[int, typer.Option(min=1, help="Longest instruction, in tokens.")] = 2048,
    *,
    run: RunOptions,
    rows: RowOptions,
    engine: EngineOptions,
) -> None:
    """Let instructions say how long the text is to be: about as long as the response that is there."""
    from synth.pipelines.runtime.prompts import Prompt
    from synth.pipelines.self_lengthen.constrain import FOLDER, Constrain

    stage = Constrain(
        prompt=Prompt.load(prompt, FOLDER),
        min_words=min_words,
        max_words=max_words,
        base=base,
        tries=tries,
        temperature=temperature,
        top_p=top_p,
        max_tokens=max_tokens,
    )
    run_stage(stage, sources, output, run, rows, engine)


@app.command()
@shared_options
def evaluate(
    context: typer.Context,
    sources: Inputs,
    output: Output,
    judge: Annotated[bool, typer.Option("--judge", help="Have the model --model mark the responses, too.")] = False,
    prompt: PromptName = "judge",
    schema: Annotated[
        bool, typer.Option("--schema/--no-schema", help="Hold the judge to JSON, where the engine can.")
    ] = True,
    temperature: Annotated[float, typer.Option(min=0.0, help="Of the judge; at 0, a further try is drawn at 1.")] = 0.0,
    max_tokens: Annotated[int, typer.Option(min=1, help="Longest judgement, in tokens.")] = 1024,
    tries: Annotated[int, typer.Option(min=1, help="Samples to try until a judgement has all marks.")] = 3,
    *,
    run: RunOptions,
    rows: RowOptions,
    engine: EngineOptions,
) -> None:
    """Measure whether responses are as long as was asked for (LonGen), and with `--judge`, how good they are.

    Beside the score stands what texts of 4,000 words would score throughout.
    """
    from synth.pipelines.runtime.prompts import Prompt
    from synth.pipelines.self_lengthen.evaluate import FOLDER, EvaluateLengths, Judge

    if not judge:
        of_the_judge = ("prompt", "schema", "temperature", "max_tokens", "tries")
        refuse_given(context, (*of_the_judge, *(field.name for field in fields(EngineOptions))), "without --judge")
        run_stage(EvaluateLengths(), sources, output, run, rows)
        return
    stage = Judge(
        prompt=Prompt.load(prompt, FOLDER),
        schema=schema,
        temperature=temperature,
        max_tokens=max_tokens,
        tries=tries,
    )
    run_stage(stage, sources, output, run, rows, engine)


@app.command()
@shared_options
def train(
    context: typer.Context,
    sources: Inputs,
    output: Output,
    model: Annotated[
        str,
        typer.Option(envvar="SYNTH_MODEL", help="Where to begin: a model directory, a hub name, or `tiny`."),
    ],
    full: Annotated[
        bool | None,
        typer.Option("--full/--lora", help="All weights, or adapters; if not given, by the size of the model."),
    ] = None,
    rank: Annotated[int, typer.Option(min=1, help="Rank of the adapters.")] = 8,
    epochs: Annotated[int, typer.Option(min=1, help="How often each chat is learnt from.")] = 4,
    learning_rate: Annotated[float, typer.Option(help="The highest rate.")] = 1e-4,
    warmup: Annotated[float, typer.Option(min=0.0, max=0.9, help="Share of the steps in which the rate rises.")] = 0.1,
    batch: Annotated[int, typer.Option(min=1, help="Chats that a step learns from.")] = 8,
    cutoff: Annotated[int, typer.Option(min=2, help="Tokens of a chat that are read.")] = 16_384,
    train_command: Annotated[
        str | None,
        typer.Option(metavar="COMMAND", help="A trainer of your own: `train.sh {data} {base} {out}`."),
    ] = None,
    *,
    run: RunOptions,
) -> None:
    """Train a model on chats, of which it learns what the assistant says. OUTPUT can be given to `--model`."""
    from synth.pipelines.engines.models import locate
    from synth.pipelines.runtime.fine_tuning import FineTuneConfig, is_small
    from synth.pipelines.self_lengthen.train import Train

    if train_command is not None:
        of_the_recipe = ("full", "rank", "epochs", "learning_rate", "warmup", "batch", "cutoff")
        refuse_given(context, of_the_recipe, "beside --train-command")
    whole = is_small(locate(model)) if full is None else full
    if whole:
        refuse_given(context, ("rank",), "where all weights are trained")
    recipe = FineTuneConfig(whole, rank, epochs, learning_rate, warmup, batch, cutoff)
    run_stage(Train(model, recipe, train_command, run.seed), sources, output, run)


def _seeds(spec: str, run: RunOptions) -> "tuple[Seed, ...]":
    from pathlib import Path
    from tempfile import TemporaryDirectory

    from synth.pipelines.self_lengthen.instruct import Seed
    from synth.schemas.reading.sources import Source
    from synth.schemas.records import SEED_INSTRUCTION

    with TemporaryDirectory() as scratch:
        columns = run.options(None).columns
        table = Source(spec, SEED_INSTRUCTION, columns, run.limit).table(Path(scratch) / "seeds")
        return tuple(Seed(**row) for row in table.to_pylist())
