"""`synth query-of-cc evaluate`: retrieval quality."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from synth.pipelines.runtime.declared import path

__all__ = ["evaluate"]


def evaluate(
    run: Annotated[
        Path,
        typer.Argument(metavar="RUN", help="Output of `query-of-cc retrieve`, or a run in TREC's format.", parser=path),
    ],
    judgements: Annotated[
        Path, typer.Argument(metavar="QRELS", help="Relevance judgements in TREC's format.", parser=path)
    ],
    by_query: Annotated[bool, typer.Option("--by-query", help="Show each query, too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Measure retrieval quality: nDCG@10, recall@100 (R@100), average precision (AP)."""
    from synth.pipelines.query_of_cc.ranking import evaluated

    found = evaluated(run, judgements)
    if found.unanswered:
        print(
            f"{found.unanswered:,} of {len(found.values):,} judged queries found nothing: they count as 0",
            file=sys.stderr,
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
