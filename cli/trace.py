"""`synth trace`: a row's ancestors through a chain of dataset directories, with prompts and answers if kept."""

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from synth.cli.completion import datasets
from synth.cli.readable import json_text, text_of
from synth.cli.rendering import DataConsole, literal
from synth.cli.row_view import row_panel, with_reason_first
from synth.schemas.phrases import plural

if TYPE_CHECKING:
    from synth.schemas.inspecting.ancestry import Ancestor, RecordedExchange, RecordedSample

__all__ = ["trace"]

# Samples shown of a request if the row does not name its own.
SHOWN_SAMPLES = 4


def trace(
    identifier: Annotated[str, typer.Argument(metavar="ID", help="Id of a row, such as gsm8k-17/evolve-2/path-5.")],
    directories: Annotated[
        list[str],
        typer.Argument(
            metavar="DIR...",
            help="Dataset directories; their recorded inputs are searched, too.",
            autocompletion=datasets,
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Show a row's ancestors, with prompts and answers.

    The oldest comes first: each row with the run that wrote it and, if answers were kept, its prompts, reasoning and
    answers.
    """
    from synth.schemas.inspecting.ancestry import ancestry

    found = [
        replace(ancestor, exchanges=[_separated(exchange) for exchange in ancestor.exchanges])
        for ancestor in ancestry(identifier, directories)
    ]
    if as_json:
        print(json_text({"id": identifier, "rows": [ancestor.as_json() for ancestor in found]}))
    else:
        console = DataConsole()
        for ancestor in found:
            _print(console, ancestor)


def _print(console: DataConsole, ancestor: "Ancestor") -> None:
    place = ancestor.place
    engine = place.identity.get("engine") or {}
    options = " ".join(f"{name}={_brief(value)}" for name, value in place.options.items())
    facts = [place.identity.get("stage"), engine.get("model"), options, place.run.get("finished")]
    known = "".join(f"  {literal(str(fact))}" for fact in facts if fact)
    console.print(Text.assemble((literal(place.source.spec), "bold"), (known, "dim")))
    row = {name: value for name, value in ancestor.row.items() if name != place.id_column}
    console.print(row_panel(ancestor.id, with_reason_first(row) if place.is_rejected else row))
    numbers = {sample.sample for exchange in ancestor.exchanges for sample in exchange.samples}
    own = ancestor.row.get("sample") if ancestor.row.get("sample") in numbers else None
    for exchange in ancestor.exchanges:
        title = f"request for {exchange.row}: {_count(exchange.prompt_tokens)}"
        console.print(row_panel(title, {**_turns(exchange.prompt), **_samples(exchange, own)}))
    console.print()


def _separated(exchange: "RecordedExchange") -> "RecordedExchange":
    """An exchange with the reasoning split from the answer, as the recipe received it."""
    from synth.pipelines.engines import Completion
    from synth.pipelines.engines.reasoning import opening_marker, separate_reasoning

    prompt = exchange.prompt
    opened = opening_marker(prompt if isinstance(prompt, str) else tuple(prompt))  # type: ignore[arg-type]

    def split(sample: "RecordedSample") -> "RecordedSample":
        completion = separate_reasoning(
            Completion(sample.text, sample.finish_reason, sample.tokens, sample.reasoning, stop=sample.stop), opened
        )
        return replace(
            sample, text=completion.text, finish_reason=completion.finish_reason, reasoning=completion.reasoning
        )

    return replace(exchange, samples=[split(sample) for sample in exchange.samples])


def _count(tokens: int | None) -> str:
    return "tokens unknown" if tokens is None else plural(tokens, "token")


def _turns(prompt: str | list[dict[str, str]]) -> dict[str, str]:
    """The text of a prompt by role; a repeated role gets the number of its turn."""
    if isinstance(prompt, str):
        return {"prompt": prompt}
    turns: dict[str, str] = {}
    for number, message in enumerate(prompt, 1):
        role = message["role"]
        turns[f"{role} (turn {number})" if role in turns else role] = message["content"]
    return turns


def _samples(exchange: "RecordedExchange", own: int | None) -> dict[str, str]:
    """The row's own sample, or the first few if it is unknown."""
    shown = [sample for sample in exchange.samples if own is None or sample.sample == own][:SHOWN_SAMPLES]
    texts: dict[str, str] = {}
    for one in shown:
        if one.reasoning:
            texts[f"sample {one.sample}: reasoning"] = one.reasoning
        ended = one.finish_reason or "finish reason unknown"
        texts[f"sample {one.sample}: {_count(one.tokens)}, {ended}"] = one.text
    if len(shown) < len(exchange.samples):
        texts["more"] = f"{plural(len(exchange.samples) - len(shown), 'other sample')}: see --json"
    return texts


def _brief(value: Any) -> str:
    text = text_of(value)
    return text if len(text) <= 40 else f"{text[:39]}…"
