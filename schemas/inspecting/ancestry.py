"""The ancestry of a row through a chain of datasets, with the engine's prompts and completions if they were kept.

Ids are paths, so an id names its ancestors. They are searched for in the given datasets and in the inputs of these.
"""

import json
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from synth.schemas.answers import TRIES_APART, key_of, request_hash
from synth.schemas.dataset import Dataset
from synth.schemas.errors import InputError
from synth.schemas.layout import Layout
from synth.schemas.reading.inputs import Input, locate
from synth.schemas.specs import HUB, STANDARD_INPUT, STORES

__all__ = ["Ancestor", "Place", "RecordedExchange", "ancestry", "chain"]

Row = dict[str, Any]
BATCH_ROWS = 1 << 16
NEAR_IDS = 5


@dataclass(frozen=True)
class Place:
    """Where rows are searched for: an input, the run that made it, and the column with its ids."""

    source: Input
    run: Mapping[str, Any]
    id_column: str = "id"
    is_rejected: bool = False

    @property
    def identity(self) -> Mapping[str, Any]:
        return self.run.get("identity") or {}

    @property
    def options(self) -> Row:
        """The options of the stage that are set; a prompt by its name."""
        named = {
            name: value["prompt"] if isinstance(value, dict) and "prompt" in value else value
            for name, value in (self.identity.get("options") or {}).items()
        }
        return {name: value for name, value in named.items() if value is not None and value is not False}


@dataclass(frozen=True)
class RecordedSample:
    """One completion of the engine; `sample` counts from 0 over all requests of its row."""

    sample: int
    text: str
    tokens: int | None
    finish_reason: str | None
    reasoning: str | None
    stop: str | None = None


@dataclass(frozen=True)
class RecordedExchange:
    """One request to the engine and its completions."""

    row: str
    prompt: str | list[dict[str, str]]
    prompt_tokens: int | None
    sampling: Row
    samples: list[RecordedSample]


@dataclass(frozen=True)
class Ancestor:
    """A row found at a place, with the engine requests that it was made from."""

    id: str
    place: Place
    row: Row
    exchanges: list[RecordedExchange] = field(default_factory=list)

    def as_json(self) -> Row:
        engine = self.place.identity.get("engine") or {}
        return {
            "id": self.id,
            "directory": self.place.source.spec,
            "rejected": self.place.is_rejected,
            "stage": self.place.identity.get("stage"),
            "model": engine.get("model"),
            "options": self.place.options,
            "finished": self.place.run.get("finished"),
            "row": self.row,
            "answers": [asdict(exchange) for exchange in self.exchanges],
        }


def ancestry(identifier: str, specs: Sequence[str]) -> list[Ancestor]:
    """The row `identifier` and its ancestors in the inputs `specs` and in the inputs of these, oldest first.

    Raises `InputError` with similar ids if no row has this one.
    """
    steps = identifier.split("/")
    lineage = ["/".join(steps[: depth + 1]) for depth in range(len(steps))]
    places = list(chain(specs))
    found = [ancestor for place in places for ancestor in _ancestors(place, lineage)]
    if identifier not in (ancestor.id for ancestor in found):
        near = _near(identifier, places)
        hint = f"; similar ids: {', '.join(near)}" if near else ""
        raise InputError(f"no row {identifier} in {', '.join(specs)} or their inputs{hint}")
    # The places are in the order of the chain, and a stable sort keeps it among rows with the same id.
    return sorted(found, key=lambda ancestor: len(ancestor.id))


def chain(specs: Sequence[str]) -> Iterator[Place]:
    """The given places and those of their inputs, each after its own inputs and only once."""
    seen: set[str] = set()

    def follow(spec: str, id_column: str, *, named: bool) -> Iterator[Place]:
        key = os.path.realpath(spec)
        # The Hub, object stores and standard input are read only if they are given.
        if key in seen or (not named and (spec.startswith((HUB, *STORES)) or spec == STANDARD_INPUT)):
            return
        seen.add(key)
        try:
            source = locate(spec)
        except InputError as error:
            if named:
                raise
            logging.getLogger("synth").warning("an input of the run is skipped: %s", error)
            return
        run = (source.dataset.run if source.dataset else None) or {}
        renamed = (run.get("identity") or {}).get("columns") or {}
        for made_of in run.get("inputs") or []:
            yield from follow(made_of, renamed.get("id", "id"), named=False)
        yield Place(source, run, id_column)
        if source.dataset and (rejected := source.dataset.rejected):
            yield Place(locate(str(rejected.path)), run, is_rejected=True)

    for spec in specs:
        yield from follow(spec, "id", named=True)


def _ancestors(place: Place, lineage: Sequence[str]) -> Iterator[Ancestor]:
    exchanges = _exchanges(place, lineage)
    for identifier, row in _rows(place, lineage):
        # A row was made from the requests of its nearest ancestor that has any, or of itself if it is a rejected input.
        asked = next((one for one in reversed(lineage) if one in exchanges and len(one) <= len(identifier)), None)
        yield Ancestor(identifier, place, row, exchanges.get(asked, []) if asked else [])


def _rows(place: Place, wanted: Sequence[str]) -> Iterator[tuple[str, Row]]:
    """The rows with one of these ids. In columnar formats, only the id column is scanned."""
    generated = dict(_generated_ids(place.source.name, wanted))
    first = 0
    for batch in place.source.batches():
        if not isinstance(batch.rows, list) and batch.has(place.id_column):
            for index in _positions(pa.chunked_array([batch.rows.column(place.id_column)]), wanted):
                row = batch.row(index)
                yield str(row[place.id_column]), row
        elif isinstance(batch.rows, list):
            for index, row in enumerate(batch.rows, first):
                own = str(row[place.id_column]) if place.id_column in row else generated.get(index)
                if own is not None and own in wanted:
                    yield own, row
        else:
            for index in sorted(generated):
                if first <= index < first + len(batch):
                    yield generated[index], batch.row(index - first)
        first += len(batch)


def _positions(column: pa.ChunkedArray, wanted: Sequence[str]) -> Iterator[int]:
    """Indices of the rows whose value is wanted."""
    values = pa.array(wanted, pa.string())
    for start, texts in _texts(column):
        for index in pc.indices_nonzero(pc.is_in(texts, value_set=values)).to_pylist():
            yield start + index


def _texts(column: pa.ChunkedArray) -> Iterator[tuple[int, pa.ChunkedArray]]:
    """A column of ids as text, in pieces of bounded memory. Lists and bytes cannot be ids."""
    if pa.types.is_nested(column.type) or pa.types.is_binary(column.type):
        return
    for start in range(0, len(column), BATCH_ROWS):
        yield start, column.slice(start, BATCH_ROWS).cast(pa.string())


def _generated_ids(name: str, wanted: Sequence[str]) -> Iterator[tuple[int, str]]:
    """The index of the row for which a run over an input without ids generates each of these ids."""
    for identifier in wanted:
        number = identifier.removeprefix(f"{name}-")
        if number != identifier and number.isascii() and number.isdigit():
            yield int(number), identifier


def _exchanges(place: Place, lineage: Sequence[str]) -> dict[str, list[RecordedExchange]]:
    """The requests to the run's engine by the id of their input row, if the run kept its answers.

    Answers that an earlier run got from another engine may be stored as well.
    """
    folder = place.source.dataset.path if place.source.dataset else None
    if place.is_rejected and folder:
        folder = folder.parent
    if folder is None or not (answers := Layout(folder).answers).state.is_file():
        return {}
    table = Dataset.open(answers.path).table
    by = key_of(place.identity.get("engine") or {})
    recorded: dict[str, list[tuple[Row, Row]]] = {}
    for index in _positions(table["row"], lineage):
        (kept,) = table.slice(index, 1).to_pylist()
        # Other rows are verdicts of the sandbox. A text that was scored was not completed.
        request = json.loads(kept["request"])
        if kept["request_hash"] == request_hash(kept["request"].encode(), by) and "windows" not in request:
            recorded.setdefault(kept["row"], []).append((request, json.loads(kept["answer"])))
    return {row: _numbered(row, pairs) for row, pairs in recorded.items()}


def _numbered(row: str, recorded: Sequence[tuple[Row, Row]]) -> list[RecordedExchange]:
    """Requests in the order of their samples, which have consecutive seeds; those far apart continue the count."""
    first = min(request["seed"] for request, _ in recorded)
    following = 0
    exchanges = []
    for request, answer in sorted(recorded, key=lambda pair: pair[0]["seed"]):
        place = request["seed"] - first
        samples = [
            RecordedSample(
                number, one["text"], one["tokens"], one["finish_reason"], one.get("reasoning"), one.get("stop")
            )
            for number, one in enumerate(answer["completions"], place if place < TRIES_APART else following)
        ]
        following = samples[-1].sample + 1 if samples else following
        exchanges.append(
            RecordedExchange(row, request["prompt"], answer["prompt_tokens"], request["sampling"], samples)
        )
    return exchanges


def _near(identifier: str, places: Sequence[Place]) -> list[str]:
    """The most similar ids with the same first segment."""
    segment = identifier.partition("/")[0]
    near: set[str] = set()
    for place in places:
        if place.source.dataset and place.id_column in place.source.dataset.table.column_names:
            for _, texts in _texts(place.source.dataset.table[place.id_column]):
                near.update(texts.filter(pc.starts_with(texts, segment)).to_pylist())
    same = [one for one in near if one.partition("/")[0] == segment]
    return sorted(same, key=lambda one: (-len(os.path.commonpath([one, identifier])), len(one), one))[:NEAR_IDS]
