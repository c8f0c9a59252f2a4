"""`synth doctor`: what this machine has, what is missing, and how to get it."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from synth.cli.rendering import DataConsole, literal

if TYPE_CHECKING:
    from synth.cli.doctor_checks import Finding

__all__ = ["doctor"]


def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False) -> None:
    """Check what this machine has, and show how to get what is missing.

    The exit code is 1 if synth cannot work.
    """
    from concurrent.futures import ThreadPoolExecutor

    from synth.cli.doctor_checks import CHECKS

    with ThreadPoolExecutor(len(CHECKS)) as pool:
        findings = list(pool.map(lambda check: check(), CHECKS))
    works = all(finding.state == "ok" for finding in findings if finding.name == "arrow")
    if as_json:
        print(json.dumps({"works": works, "findings": [asdict(finding) for finding in findings]}, ensure_ascii=False))
    else:
        DataConsole().print(_table(findings))
    if not works:
        raise typer.Exit(1)


def _table(findings: "Sequence[Finding]") -> Table:
    colours = {"ok": "green", "missing": "yellow", "broken": "red"}
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="cyan", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for finding in findings:
        text = Text(literal(finding.fact))
        if finding.state != "ok":
            text.append(f"\n{literal(finding.cost)}", "dim")
            text.append(f"\n→ {literal(finding.cure)}")
        table.add_row(finding.name, Text(finding.state, colours[finding.state]), text)
    return table
