"""What a worker elsewhere needs to know of a run pickles: its stage, its prompts, its engine and its sandbox."""

import inspect
import pickle
import pkgutil
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

import pytest

import synth.pipelines
from synth.pipelines.challenge.given import GivenRows
from synth.pipelines.instag.normalize.embedding import Characters
from synth.pipelines.prompted.fields import Fields
from synth.pipelines.query_of_cc.index_reader import OpenedIndex
from synth.pipelines.retrieval.document_vectors import GivenVectors
from synth.pipelines.retrieval.embedding import Embedder
from synth.pipelines.runtime.backends import EngineSpec, SandboxSpec
from synth.pipelines.runtime.prompts import Prompt
from synth.pipelines.runtime.stage import RowStage, Stage, TableStage
from synth.sandbox.pool import Sandbox
from tests.pipelines.query_of_cc.searching import index

T = TypeVar("T")


def copied(thing: T) -> T:
    return pickle.loads(pickle.dumps(thing))  # type: ignore[no-any-return]


def stages() -> dict[str, type[Stage]]:
    """The stages of all recipes, by module and name."""
    found: dict[str, type[Stage]] = {}
    for info in pkgutil.walk_packages(synth.pipelines.__path__, "synth.pipelines."):
        if info.name.startswith("synth.pipelines.runtime"):
            continue
        for name, member in vars(import_module(info.name)).items():
            if inspect.isclass(member) and issubclass(member, RowStage | TableStage) and member.__module__ == info.name:
                found[f"{info.name.removeprefix('synth.pipelines.')}.{name}"] = member
    return {name: stage for name, stage in found.items() if not inspect.isabstract(stage)}


@pytest.fixture
def required(tmp_path: Path) -> dict[str, dict[str, Any]]:
    """The options without defaults, by the class's name."""
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "evaluation.jsonl").write_text('{"text": "one"}\n')
    return {
        "Balance": {"criterion": "time"},
        "Buckets": {"tokenizer": "tiny"},
        "ChallengeQuestions": {"failures": GivenRows(({"id": "f"},), "a digest"), "domains": ("tea",)},
        "ClusterClip": {"vectors": GivenVectors("v"), "max_repeats": 2, "n": 3},
        "Columns": {"drop": ("text",)},
        "Curate": {"role": "generator"},
        "Decontaminate": {"against": (str(tmp_path / "evaluation.jsonl"),)},
        "Difference": {"reference": str(tmp_path / "evaluation.jsonl")},
        "Embed": {"embedder": Embedder.named(str(tmp_path))},
        "Filter": {"where": "true"},
        "Judge": {"rubric": Prompt("{{ text }}", "rubric.md")},
        "Join": {"other": str(tmp_path / "evaluation.jsonl")},
        "Map": {"prompt": Prompt("{{ text }}", "mine.md"), "schema": Fields({"properties": {"a": {}}})},
        "Normalize": {"embedder": Characters()},
        "PackNeighbors": {"vectors": GivenVectors("v")},
        "RefinePatterns": {"questions": GivenRows(({"pattern": "counting"},), "a digest")},
        "PackSequences": {"tokenizer": "tiny"},
        "Retrieve": {"index": OpenedIndex(index(tmp_path))},
        "Sample": {"n": 3},
        "SelectRows": {"n": 3},
        "SkillIt": {"eta": 0.5},
        "Split": {"end": 0.5},
        "Train": {"base": str(tmp_path)},
    }


@pytest.mark.parametrize("name", stages())
def test_a_stage_is_the_same_after_a_journey(name: str, required: dict[str, dict[str, Any]]) -> None:
    stage = stages()[name](**required.get(name.rpartition(".")[2], {}))
    assert copied(stage) == stage
    # What it has worked out meanwhile does not hinder it.
    assert copied(stage).identity() == stage.identity() == copied(stage).identity()


def test_a_prompt_is_the_same_after_a_journey_even_when_it_has_been_rendered() -> None:
    prompt = Prompt("# user\nWhat is {{ what }}?", "mine.md")
    messages = prompt.render(what="love")
    copy = copied(prompt)
    assert (copy, copy.digest, copy.render(what="love")) == (prompt, prompt.digest, messages)


def test_an_engine_is_opened_from_its_description_anywhere() -> None:
    spec = EngineSpec(engine="echo", engine_arg={"reply": "{i}"})
    assert copied(spec) == spec
    assert copied(spec).open().identity() == spec.open().identity()
    served = EngineSpec("m", "openai", ("http://127.0.0.1:9/v1", "http://127.0.0.1:10/v1"), {"reasoning_effort": "low"})
    assert copied(served).open().identity() == served.open().identity()
    assert served.open().identity()["args"] == {"reasoning_effort": "low"}


def test_a_sandbox_is_opened_from_its_description_anywhere() -> None:
    spec = SandboxSpec("bwrap", 2, ("numpy",))
    assert copied(spec) == spec
    assert copied(spec).open().identity() == spec.open().identity()


@pytest.mark.parametrize(
    "spec",
    [
        EngineSpec("tiny"),
        EngineSpec("tiny", seeds=False),
        EngineSpec("m", "openai", ("http://127.0.0.1:9/v1", "http://127.0.0.1:8/v1"), seeds=False),
    ],
    ids=["vllm", "vllm without seeds", "servers"],
)
def test_an_engine_that_has_not_started_travels_as_its_description(spec: EngineSpec) -> None:
    engine = spec.open()
    assert copied(engine).identity() == engine.identity()
    assert copied(engine).gpus_wanted == engine.gpus_wanted


def test_a_sandbox_uses_as_many_jails_as_it_was_told_or_as_its_share_of_the_processors() -> None:
    asked, free = Sandbox("bwrap", 2), Sandbox("bwrap")
    for sandbox in (asked, free):
        sandbox.share(5)
    assert copied(asked).starting == asked.starting == "starting 2 jails"
    assert free.starting == "starting 5 jails"
