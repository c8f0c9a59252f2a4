"""`synth instag`: tag instructions, and choose those of many and various tags (InsTag, arXiv 2308.07074)."""

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from synth.cli.options import EngineOptions, Inputs, Output, PromptName, RowOptions, RunOptions, path, shared_options
from synth.cli.running import run_stage

__all__ = ["app"]

app = typer.Typer(help="Tag instructions, and select by tags (InsTag).", no_args_is_help=True)


TagColumn = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="Column of the tags: a list of texts, or of objects with `tag`. By default, tags."
    ),
]


@app.command()
@shared_options
def tag(
    sources: Inputs,
    output: Output,
    text: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Column of the instructions or chats. Repeatable: the first that has something in a row.",
        ),
    ] = None,
    prompt: PromptName = "tag",
    schema: Annotated[
        bool, typer.Option("--schema/--no-schema", help="Hold the model to JSON, where the engine can.")
    ] = True,
    temperature: Annotated[
        float, typer.Option(min=0.0, help="Sampling temperature; at 0, a further try is drawn at 1.")
    ] = 0.0,
    max_tokens: Annotated[int, typer.Option(min=1, help="Longest reply, in tokens.")] = 512,
    max_tag_chars: Annotated[
        int, typer.Option(min=1, help="Longest tag, in characters; longer ones are left out.")
    ] = 80,
    tries: Annotated[int, typer.Option(min=1, help="Samples to try until a reply has tags.")] = 3,
    *,
    run: RunOptions,
    rows: RowOptions,
    engine: EngineOptions,
) -> None:
    """Tag what each instruction, or each user turn of a chat, asks for. `--prompt tagger` is for a tuned tagger."""
    from synth.pipelines.instag.tag import FOLDER, Tag
    from synth.pipelines.runtime.prompts import Prompt

    stage = Tag(
        prompt=Prompt.load(prompt, FOLDER),
        text=tuple(text or ()),
        schema=schema,
        temperature=temperature,
        max_tokens=max_tokens,
        max_tag_chars=max_tag_chars,
        tries=tries,
    )
    run_stage(stage, sources, output, run, rows, engine)


@app.command()
@shared_options
def normalize(
    sources: Inputs,
    output: Output,
    tags: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Column with the tags as they were given.  [default: raw_tags, or else tags]"
        ),
    ] = None,
    alpha: Annotated[int, typer.Option(min=1, help="Drop tags that fewer queries have.")] = 20,
    embedder: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="sentence-transformers model, or `characters` (no model: compares spelling).  [default: PhraseBERT, "
            "if it is on this machine]",
        ),
    ] = None,
    eps: Annotated[
        float | None,
        typer.Option(
            min=0.0, max=0.99, help="Cosine distance up to which tags mean the same.  [default: 0.05; characters: 0.11]"
        ),
    ] = None,
    min_support: Annotated[
        int, typer.Option(min=1, help="Queries that have both tags, for a rule from one to the other.")
    ] = 40,
    min_confidence: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Share of the first tag's queries that these are.")
    ] = 0.99,
    overrides: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="JSON lines: forms with their tag, forms to keep apart.", parser=path),
    ] = None,
    *,
    run: RunOptions,
) -> None:
    """Give tags that mean the same one name: by frequency, rules, meaning and association, as in the paper.

    OUTPUT/vocabulary is the tag table: what became of each form, by which step. `--overrides` takes lines such as
    {"form": "AI", "tag": "artificial intelligence"}, {"form": "N/A", "tag": null} and {"apart": ["C", "C++"]}.
    """
    from synth.pipelines.instag.normalize.embedding import embedder_named
    from synth.pipelines.instag.normalize.normalize import Normalize
    from synth.pipelines.instag.normalize.overrides import NONE, Overrides

    stage = Normalize(
        embedder=embedder_named(embedder),
        tags=tags,
        alpha=alpha,
        eps=eps,
        min_support=min_support,
        min_confidence=min_confidence,
        overrides=Overrides.read(overrides) if overrides else NONE,
    )
    run_stage(stage, sources, output, run)


@app.command()
@shared_options
def select(
    sources: Inputs,
    output: Output,
    n: Annotated[int, typer.Option("-n", min=1, help="How many rows to select.", show_default=False)],
    by: Annotated[
        Literal["complexity-first-diverse", "random", "complexity", "diversity"],
        typer.Option(help="Algorithm 1 of the paper, or what it is compared with."),
    ] = "complexity-first-diverse",
    tags: TagColumn = None,
    *,
    run: RunOptions,
) -> None:
    """Select rows of many tags that differ: complexity-first diverse sampling.

    By `complexity` are the rows with the most tags; by `diversity`, rows in random order that each add a tag; by
    `random`, any. The summary tells the mean number of tags and the share of all tags, of these rows and of the pool.
    """
    from synth.pipelines.instag.select import SelectRows

    summary = run_stage(SelectRows(n=n, by=by, tags=tags, seed=run.seed), sources, output, run)
    shortfall = summary.counts.tallies.get("shortfall") if summary else None
    if shortfall:
        print(f"  {shortfall:,.0f} fewer than -n {n:,} asks for: all rows that have tags are in it", file=sys.stderr)


@app.command()
def measure(
    first: Annotated[str, typer.Argument(metavar="A", help="A tagged dataset: directory, file, glob, or hf:NAME.")],
    second: Annotated[
        str | None, typer.Argument(metavar="[B]", help="Another one, to stand beside it.", show_default=False)
    ] = None,
    tags: TagColumn = None,
    vocabulary: Annotated[
        str | None,
        typer.Option(
            metavar="DIR",
            help="The tags to cover: OUTPUT/vocabulary of `instag normalize`. By default, all that A and B have.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON list with one object for each dataset.")] = False,
) -> None:
    """Show how many tags queries have, how many there are, which are common, and which go together."""
    from synth.pipelines.instag.measure import measure as measured
    from synth.schemas.reading.inputs import locate

    specs = [first, *([second] if second else [])]
    measures = measured([locate(spec) for spec in specs], tags, locate(vocabulary) if vocabulary else None)
    if as_json:
        import json
        from dataclasses import asdict

        documents = [{"input": spec, **asdict(each)} for spec, each in zip(specs, measures, strict=True)]
        print(json.dumps(documents, ensure_ascii=False, indent=1))
        return
    from synth.cli.measures import page
    from synth.cli.rendering import DataConsole

    console = DataConsole()
    for part in page(specs, measures, vocabulary):
        console.print(part)
