"""`synth query-of-cc`: a corpus of a domain, found by queries that grow from a few words (arXiv 2401.14624)."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import typer

from synth.cli.completion import prompts
from synth.cli.dedup import decontaminate, dedup
from synth.cli.options import EngineOptions, Input, Output, RowOptions, RunOptions, path, shared_options
from synth.cli.running import run_stage

__all__ = ["app"]

app = typer.Typer(help="Find the documents of a domain in a corpus (Query of CC).", no_args_is_help=True)

Corpora = Annotated[
    list[str],
    typer.Argument(
        metavar="CORPUS...",
        help="Rows with a column `text`, WET archives (*.warc.wet.gz), or folders of .txt files.",
    ),
]
IndexOutput = Annotated[Path, typer.Argument(metavar="INDEX", help="Index directory to make.", parser=path)]
IndexInput = Annotated[
    Path,
    typer.Argument(metavar="INDEX", help="Index directory, as `query-of-cc index` makes it.", parser=path),
]


@app.command()
@shared_options
def bootstrap(
    source: Input,
    output: Output,
    questions_prompt: Annotated[
        str, typer.Option(metavar="FILE", help="Prompt file that asks for questions.", autocompletion=prompts)
    ] = "questions",
    thought_prompt: Annotated[
        str, typer.Option(metavar="FILE", help="Prompt file that asks for a thought.", autocompletion=prompts)
    ] = "thought",
    rounds: Annotated[int, typer.Option(min=1, help="Rounds; each extends what the last one wrote.")] = 2,
    questions_per_seed: Annotated[int, typer.Option(min=1, help="Questions to ask for in a reply.")] = 10,
    samples: Annotated[int, typer.Option(min=1, help="Replies with questions about each seed or query.")] = 1,
    thoughts_per_question: Annotated[int, typer.Option(min=0, help="Thoughts about each new question.")] = 1,
    parents: Annotated[int, typer.Option(min=1, help="Queries of a seed that a later round extends.")] = 20,
    temperature: Annotated[float, typer.Option(min=0.0, help="Sampling temperature of questions.")] = 1.0,
    thought_temperature: Annotated[float, typer.Option(min=0.0, help="Sampling temperature of thoughts.")] = 0.7,
    max_tokens: Annotated[int, typer.Option(min=1, help="Longest reply, in tokens.")] = 1024,
    max_query_chars: Annotated[int, typer.Option(min=1, help="Longest query; longer thoughts are cut.")] = 1000,
    min_query_words: Annotated[int, typer.Option(min=0, help="Shortest query.")] = 4,
    threshold: Annotated[
        float, typer.Option(min=0.1, max=1.0, help="Jaccard similarity from which queries are near duplicates.")
    ] = 0.8,
    shingle: Annotated[int, typer.Option(min=1, help="Words in a row that are compared for it.")] = 5,
    *,
    run: RunOptions,
    rows: RowOptions,
    engine: EngineOptions,
) -> None:
    """Write queries from seeds: questions about each, thoughts about these, and then questions about both."""
    from synth.pipelines.query_of_cc.bootstrap import FOLDER, Bootstrap
    from synth.pipelines.runtime.prompts import Prompt

    stage = Bootstrap(
        questions_prompt=Prompt.load(questions_prompt, FOLDER, "--questions-prompt"),
        thought_prompt=Prompt.load(thought_prompt, FOLDER, "--thought-prompt"),
        rounds=rounds,
        questions_per_seed=questions_per_seed,
        samples=samples,
        thoughts_per_question=thoughts_per_question,
        parents=parents,
        temperature=temperature,
        thought_temperature=thought_temperature,
        max_tokens=max_tokens,
        max_query_chars=max_query_chars,
        min_query_words=min_query_words,
        threshold=threshold,
        shingle=shingle,
    )
    run_stage(stage, [source], output, run, rows, engine)


@app.command()
@shared_options
def index(
    corpora: Corpora,
    output: IndexOutput,
    passage_words: Annotated[
        int | None, typer.Option(min=1, help="Words in a passage, by which a document is found.  [default: 200]")
    ] = None,
    stem: Annotated[
        bool | None, typer.Option("--stem/--no-stem", help="Index words without English endings.  [default: no-stem]")
    ] = None,
    bm25: Annotated[bool | None, typer.Option("--bm25/--no-bm25", help="Index words.  [default: bm25]")] = None,
    dense: Annotated[
        str | None,
        typer.Option(metavar="MODEL", help="Index vectors of the passages, too, by this sentence-transformers model."),
    ] = None,
    faiss: Annotated[
        Literal["flat", "ivf", "ivfpq"] | None,
        typer.Option(help="How vectors are searched.  [default: by their number]"),
    ] = None,
    query_prompt: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="What the model wants before a query.  [default: the model's own]"),
    ] = None,
    passage_prompt: Annotated[
        str | None, typer.Option(metavar="TEXT", help="What it wants before a passage.  [default: the model's own]")
    ] = None,
    extend: Annotated[
        Path | None,
        typer.Option(metavar="INDEX", help="Take the documents of this index, too, and its settings.", parser=path),
    ] = None,
    *,
    run: RunOptions,
) -> None:
    """Index the documents of corpora: their words for BM25, their meaning as vectors."""
    from synth.pipelines.query_of_cc.index import Index
    from synth.pipelines.query_of_cc.index_reader import OpenedIndex
    from synth.pipelines.retrieval.embedding import Embedder
    from synth.schemas.errors import UsageError

    opened = OpenedIndex(extend) if extend else None
    defaults = {"passage_words": 200, "stem": False, "bm25": True, "dense": None, "faiss": None}
    settings = defaults | (opened.settings if opened else {})
    if settings["dense"]:
        embedder = Embedder.recorded(settings["dense"], dense).prompted(query_prompt, passage_prompt)
    elif dense:
        embedder = Embedder.named(dense, query_prompt, passage_prompt)
    elif faiss or query_prompt is not None or passage_prompt is not None:
        raise UsageError(
            "--faiss, --query-prompt and --passage-prompt are for vectors: name a model with --dense MODEL"
        )
    else:
        embedder = None
    stage = Index(
        passage_words=settings["passage_words"] if passage_words is None else passage_words,
        stem=settings["stem"] if stem is None else stem,
        bm25=settings["bm25"] if bm25 is None else bm25,
        dense=embedder,
        faiss=faiss or settings["faiss"],
        extend=opened,
    )
    run_stage(stage, corpora, output, run)


@app.command()
@shared_options
def retrieve(
    queries: Input,
    index: IndexInput,
    output: Output,
    top_k: Annotated[int, typer.Option(min=1, max=1000, help="Documents for each query.")] = 100,
    max_terms: Annotated[int, typer.Option(min=1, help="Of longer queries only the rarest terms count.")] = 64,
    by: Annotated[
        Literal["bm25", "dense", "hybrid"] | None,
        typer.Option(help="Words, meaning, or both.  [default: bm25 if the index has it]"),
    ] = None,
    nprobe: Annotated[int, typer.Option(min=1, help="Clusters of vectors to look into for a query.")] = 32,
    dense: Annotated[
        str | None, typer.Option(metavar="MODEL", help="Where the model of the index's vectors is, if it has moved.")
    ] = None,
    run_file: Annotated[
        Path | None,
        typer.Option("--run", metavar="FILE", help="Write the hits as a run in TREC's format, too.", parser=path),
    ] = None,
    *,
    run: RunOptions,
) -> None:
    """Take from an index the documents that queries find, each once."""
    from synth.pipelines.query_of_cc.index_reader import OpenedIndex
    from synth.pipelines.query_of_cc.ranking import hits_by_query
    from synth.pipelines.query_of_cc.retrieve import Retrieve
    from synth.pipelines.retrieval.trec import refuse_unwritable, write_run

    if run_file:
        refuse_unwritable(run_file)
    opened = OpenedIndex(index)
    stage = Retrieve(
        index=opened,
        top_k=top_k,
        max_terms=max_terms,
        by=by or ("bm25" if opened.settings["bm25"] else "dense"),
        nprobe=nprobe,
        model=dense,
    )
    if run_stage(stage, [queries], output, run) and run_file:
        write_run(run_file, hits_by_query(output))


@app.command()
def evaluate(
    run: Annotated[
        Path,
        typer.Argument(metavar="RUN", help="Output of `query-of-cc retrieve`, or a run in TREC's format.", parser=path),
    ],
    judgements: Annotated[
        Path, typer.Argument(metavar="QRELS", help="Relevance judgements in TREC's format.", parser=path)
    ],
    by_query: Annotated[bool, typer.Option("--by-query", help="Each query, too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON object.")] = False,
) -> None:
    """Measure how well a run finds what is relevant: nDCG@10, recall@100 (R@100), average precision (AP)."""
    from synth.pipelines.query_of_cc.ranking import evaluated

    found = evaluated(run, judgements)
    if found.unanswered:
        print(
            f"{found.unanswered:,} of {len(found.values):,} judged queries found nothing: they count 0", file=sys.stderr
        )
    if as_json:
        document = {"queries": len(found.values), **found.means}
        print(json.dumps(document | ({"by_query": found.values} if by_query else {}), ensure_ascii=False, indent=1))
    else:
        _print_measures(found.values if by_query else {}, found.means)


def _print_measures(by_query: Mapping[str, Mapping[str, float]], means: Mapping[str, float]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from synth.cli.rendering import DataConsole, literal

    table = Table("query", box=SIMPLE_HEAD, show_footer=bool(by_query))
    table.columns[0].footer = "mean"
    for name, mean in means.items():
        table.add_column(name, justify="right", footer=f"{mean:.4f}")
    for query, values in by_query.items():
        table.add_row(literal(query), *(f"{value:.4f}" for value in values.values()))
    if not by_query:
        table.add_row("mean", *(f"{mean:.4f}" for mean in means.values()))
    DataConsole().print(table)


# The same as the commands of these names, which are for any dataset.
app.command()(dedup)
app.command()(decontaminate)
