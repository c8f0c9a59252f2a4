"""`synth trace`: a row's ancestry through a chain of dataset directories, with its prompts and answers where kept."""

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from synth.cli.completion import datasets
from synth.cli.readable import json_text
from synth.schemas.phrases import plural

if TYPE_CHECKING:
    from synth.cli.rendering import DataConsole
    from synth.schemas.inspecting.ancestry import Ancestor, RecordedExchange, RecordedSample

__all__ = ["trace"]

Row = dict[str, Any]
# Of the samples that another row was made of, as many are shown.
SHOWN_SAMPLES = 4


def trace(
    identifier: Annotated[str, typer.Argument(metavar="ID", help="Id of a row, such as gsm8k-17/evolve-2/path-5.")],
    directories: Annotated[
        list[str],
        typer.Argument(
            metavar="DIR", help="Dataset directories; those that they were made of follow.", autocompletion=datasets
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="As one JSON document.")] = False,
) -> None:
    """Show a row's ancestors and what the model was asked.

    The oldest comes first: the row, how it was made, and where answers were kept, prompts, reasoning and answers.
    """
    from synth.cli.rendering import DataConsole
    from synth.schemas.inspecting.ancestry import ancestry

    found = [
        replace(ancestor, exchanges=[_separated(exchange) for exchange in ancestor.exchanges])
        for ancestor in ancestry(identifier, directories)
    ]
    if as_json:
        document = {"id": identifier, "rows": [ancestor.as_json() for ancestor in found]}
        print(json_text(document))
    else:
        console = DataConsole()
        for ancestor in found:
            _print(console, ancestor)


def _print(console: "DataConsole", ancestor: "Ancestor") -> None:
    from rich.text import Text

    from synth.cli.rendering import literal, row_panel

    place = ancestor.place
    engine = place.identity.get("engine") or {}
    options = " ".join(f"{name}={_brief(value)}" for name, value in place.options.items())
    facts = [place.identity.get("stage"), engine.get("model"), options, place.run.get("finished")]
    console.print(
        Text.assemble(
            (literal(place.source.spec), "bold"), *((f"  {literal(str(fact))}", "dim") for fact in facts if fact)
        )
    )
    row = {name: value for name, value in ancestor.row.items() if name != place.id_column}
    first: Row = {name: row[name] for name in ("reason", "detail") if place.is_rejected and name in row}
    console.print(row_panel(ancestor.id, {**first, **row}))
    held = ancestor.row.get("sample")
    holds = any(sample.sample == held for exchange in ancestor.exchanges for sample in exchange.samples)
    for exchange in ancestor.exchanges:
        title = f"asked for {exchange.row}: {_count(exchange.prompt_tokens)}"
        console.print(row_panel(title, {**_turns(exchange.prompt), **_samples(exchange, held if holds else None)}))
    console.print()


def _separated(exchange: "RecordedExchange") -> "RecordedExchange":
    """An exchange as the recipe saw it: reasoning apart from the answer."""
    from synth.pipelines.engines import Completion
    from synth.pipelines.engines.reasoning import opening_of, separated

    prompt = exchange.prompt
    opened = opening_of(prompt if isinstance(prompt, str) else tuple(prompt))  # type: ignore[arg-type]

    def seen(sample: "RecordedSample") -> "RecordedSample":
        said = separated(Completion(sample.text, sample.finish_reason, sample.tokens, sample.reasoning), opened)
        return replace(sample, text=said.text, finish_reason=said.finish_reason, reasoning=said.reasoning)

    return replace(exchange, samples=[seen(sample) for sample in exchange.samples])


def _count(tokens: int | None) -> str:
    return "tokens unknown" if tokens is None else plural(tokens, "token")


def _turns(prompt: str | list[dict[str, str]]) -> dict[str, str]:
    """The text of a prompt by who speaks; a role that speaks again gets the number of its turn."""
    if isinstance(prompt, str):
        return {"prompt": prompt}
    turns: dict[str, str] = {}
    for number, message in enumerate(prompt, 1):
        role = message["role"]
        turns[f"{role} (turn {number})" if role in turns else role] = message["content"]
    return turns


def _samples(exchange: "RecordedExchange", held: int | None) -> dict[str, str]:
    """The sample that the row holds; the first few where it is not known to hold one."""
    shown = [sample for sample in exchange.samples if held is None or sample.sample == held][:SHOWN_SAMPLES]
    texts: dict[str, str] = {}
    for one in shown:
        if one.reasoning:
            texts[f"sample {one.sample}: reasoning"] = one.reasoning
        ended = one.finish_reason or "finish reason unknown"
        texts[f"sample {one.sample}: {_count(one.tokens)}, {ended}"] = one.text
    if len(shown) < len(exchange.samples):
        texts["more"] = f"{len(exchange.samples) - len(shown):,} other samples: --json has them"
    return texts


def _brief(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else f"{text[:39]}…"
