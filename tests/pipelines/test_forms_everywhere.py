"""Every stage that parses replies can hold them to a schema and have them repaired."""

import json
from collections.abc import Mapping
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from synth.pipelines.engines import Answer, Completion, Request
from synth.pipelines.engines.echo import EchoEngine
from synth.pipelines.prompted.fields import Fields
from synth.pipelines.runtime.options import Options
from synth.pipelines.runtime.prompts import Prompt
from synth.pipelines.runtime.runner import Run
from synth.pipelines.runtime.stage import RowStage
from tests.pipelines.asking import CASES
from tests.rows import write_rows

FAULT = "This cannot be used: "
WITH_SCHEMA = [name for name, case in CASES.items() if isinstance(getattr(case.stage, "schema", None), bool)]
WITH_REPAIRS = [name for name, case in CASES.items() if hasattr(case.stage, "repairs")]


def test_replies_that_are_parsed_have_both() -> None:
    assert WITH_SCHEMA == [
        "augment evolve",
        "refine skills",
        "refine self",
        "refine correct",
        "query-of-cc bootstrap",
        "instag tag",
        "case2code inputs",
        "character scenes",
        "character perform",
        "character protect",
        "rank score",
        "challenge patterns",
        "challenge questions",
        "challenge refine",
        "judge",
        "probe label",
        "self-lengthen instruct",
        "self-lengthen constrain",
        "self-lengthen evaluate",
    ]
    # An instruction that is not found suitable is no reply that cannot be read; `map` takes a schema of the user's own.
    assert {*WITH_REPAIRS} == {*WITH_SCHEMA, "map"} - {"self-lengthen instruct"}


class Obedient(EchoEngine):
    """Says the shortest JSON that a schema allows, with other texts and numbers each time; else what a case says."""

    def __init__(self, says: Any) -> None:
        super().__init__()
        self._says = says
        self._numbers = count(1)
        self.held = 0

    async def answer(self, request: Request) -> Answer:
        if "the sky is blue" in str(request.prompt):
            return await super().answer(request)
        asked = request.prompt[-1]["content"]  # type: ignore[index]
        texts = []
        for seed in range(request.seed, request.seed + request.n):
            self.held += request.schema is not None
            texts.append(json.dumps(self._value(request.schema, asked)) if request.schema else self._says(asked, seed))
        return Answer(tuple(Completion(text, "stop", 9) for text in texts), 7)

    def _value(self, schema: Mapping[str, Any], asked: str) -> Any:
        match schema:
            case {"enum": [first, *_]}:
                return first
            case {"anyOf": [first, *_]}:
                return self._value(first, asked)
            case {"type": "string"}:
                # What is asked is in it, where the stage wants to find it again.
                return f"{asked[:200]} What is {next(self._numbers)} of it?"
            case {"type": "integer"}:
                return min(next(self._numbers), schema.get("maximum", 9))
            case {"type": "array", "items": items}:
                return [self._value(items, asked) for _ in range(schema.get("minItems", 1))]
            case {"type": "object", "properties": properties, "required": required}:
                # An answer that has the words of a review would give it away.
                return {name: self._value(properties[name], "" if name == "review" else asked) for name in required}
        raise AssertionError(f"no value of {schema}")


def run(stage: RowStage, name: str, folder: Path, engine: EchoEngine) -> Any:
    write_rows(folder / "in.jsonl", CASES[name].rows)
    return Run(stage, [str(folder / "in.jsonl")], folder / "out", Options(), engine=engine).execute().counts


@pytest.mark.parametrize("name", WITH_SCHEMA)
def test_a_reply_that_obeys_the_schema_can_be_read(name: str, tmp_path: Path) -> None:
    engine = Obedient(CASES[name].says)
    counts = run(replace(CASES[name].stage, schema=True), name, tmp_path, engine)  # type: ignore[call-arg]
    assert (counts.produced, counts.failed) == (len(CASES[name].rows), 0)
    assert engine.held
    assert not any(tally.startswith("not_judged") for tally in counts.tallies)


class Corrected(EchoEngine):
    """Babbles until it is shown that, and then says what it is asked for."""

    def __init__(self, says: Any) -> None:
        super().__init__()
        self._says = says

    async def answer(self, request: Request) -> Answer:
        if "the sky is blue" in str(request.prompt):
            return await super().answer(request)
        turns = [message["content"] for message in request.prompt if message["role"] == "user"]  # type: ignore[index]
        asked = next(turn for turn in reversed(turns) if not turn.startswith(FAULT))
        is_shown = turns[-1].startswith(FAULT) or asked.startswith("think: ")
        seeds = range(request.seed, request.seed + request.n)
        texts = [self._says(asked, seed) if is_shown else "Well, well." for seed in seeds]
        return Answer(tuple(Completion(text, "stop", 9) for text in texts), 7)


@pytest.mark.parametrize("name", WITH_REPAIRS)
def test_a_model_that_is_shown_its_fault_can_still_answer(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    changes: dict[str, Any] = {"repairs": 1, "tries": 1} if hasattr(case.stage, "tries") else {"repairs": 1}
    if name in WITH_SCHEMA:
        changes["schema"] = False
    if name == "self-lengthen constrain":
        # Its model says what it is asked with odd seeds only.
        case = replace(case, says=lambda asked, _: asked)
    if name == "refine correct":
        changes["prompt"] = Prompt("# user\nthink: {{ question }}", "bare")
    if name == "map":
        changes |= {
            "schema": Fields({"properties": {"title": {"type": "string"}}, "required": ["title"]}),
            "prompt": Prompt("# user\n{{ topic }}", "bare"),
        }
        case = replace(case, says=lambda *_: '{"title": "The sea"}')
    counts = run(replace(case.stage, **changes), name, tmp_path, Corrected(case.says))
    assert (counts.produced, counts.failed) == (len(case.rows), 0)
    assert counts.tallies["repairs"] >= 1
    assert not any(tally.startswith("not_judged") for tally in counts.tallies)
