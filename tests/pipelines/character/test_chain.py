"""From a profile to training rows: through the runner, on the command line, and after a model has died."""

import json
from pathlib import Path
from typing import Any

import pytest

from synth.pipelines.character.convert import Convert
from synth.pipelines.character.perform import Perform
from synth.pipelines.character.protect import Protect
from synth.pipelines.character.scenes import Scenes
from synth.pipelines.runtime.options import Options
from synth.pipelines.runtime.runner import Run
from synth.pipelines.runtime.stage import RowStage
from synth.schemas.errors import EngineFailed, InputError, UsageError
from tests.command import invoke, synth
from tests.pages.page import ROOT
from tests.pipelines.character.acting import SCENES, SCRIPT, ids, scenes, script
from tests.pipelines.passing import shards
from tests.pipelines.query_of_cc.talking import TalkingEngine
from tests.rows import rejected_of, rows_of, write_rows

ELIN = ROOT / "examples" / "elin-marsh.txt"


def model(asked: str, sample: int) -> str:
    if asked.startswith("scenes: "):
        return scenes(2, f"Place {sample}")
    name = asked.removeprefix("script: ").partition(".")[0]
    return script(*(f"{role} (speaking)\nIndeed." for role in (name, "Bob", name)))


def go(stage: RowStage, inputs: list[Path], out: Path, engine: TalkingEngine | None = None) -> Path:
    Run(stage, [*map(str, inputs)], out, Options(), engine=engine or TalkingEngine(model=model)).execute()
    return out


def test_from_a_text_file_to_training_rows(tmp_path: Path) -> None:
    imagined = go(Scenes(prompt=SCENES, requests=9), [ELIN], tmp_path / "scenes")
    assert len(rows_of(imagined)) == 18
    performed = go(Perform(prompt=SCRIPT), [imagined], tmp_path / "performances")
    protected = go(Protect(prompt=SCRIPT), [ELIN], tmp_path / "protections")
    made = go(Convert(), [performed, protected], tmp_path / "experiences")
    rows = rows_of(made)
    assert len(rows) == 18 + 4
    assert all(row["output"].endswith("<|eot|>") and row["turns"] >= 3 for row in rows)
    assert ids(rows)[:1] + ids(rows)[-1:] == ["elin-marsh.txt/p0/r0/s0/script", "elin-marsh.txt/p3/protect"]
    assert json.loads((made / "synth.json").read_text())["means"] == {"turns": 3, "protective": pytest.approx(4 / 22)}
    synth("export", made, tmp_path / "chats.jsonl", "--as", "messages")
    turns = [json.loads(line)["messages"] for line in (tmp_path / "chats.jsonl").read_text().splitlines()]
    assert [turn["role"] for turn in turns[0]] == ["user", "assistant", "user", "assistant"]
    named = ("--prompt-column", "prompt", "--response-column", "output")
    synth("export", made, tmp_path / "rows.jsonl", "--as", "alpaca", *named)
    first = json.loads((tmp_path / "rows.jsonl").read_text().splitlines()[0])
    assert (first["instruction"], first["output"]) == (rows[0]["prompt"], rows[0]["output"])


@pytest.mark.parametrize("stage", [Scenes(prompt=SCENES, requests=9), Protect(prompt=SCRIPT)], ids=lambda one: one.name)
def test_a_model_that_died_amid_a_profile_is_asked_for_the_rest(stage: RowStage, tmp_path: Path) -> None:
    whole = TalkingEngine(model=model)
    go(stage, [ELIN], tmp_path / "whole", whole)
    dying, resumed = TalkingEngine(3, model=model), TalkingEngine(model=model)
    with pytest.raises(EngineFailed):
        go(stage, [ELIN], tmp_path / "out", dying)
    go(stage, [ELIN], tmp_path / "out", resumed)
    assert shards(tmp_path / "out") == shards(tmp_path / "whole")
    once = sorted((str(request.prompt), request.seed) for request in whole.asked)
    assert sorted((str(one.prompt), one.seed) for one in (*dying.asked, *resumed.asked)) == once


def test_scenes_of_anybody_can_be_performed(tmp_path: Path) -> None:
    scene = {"character": "Ada", "name": "Ada", "profile": "Bees.", "type": "chat", "location": "x", "background": "y"}
    source = write_rows(tmp_path / "scenes.jsonl", [scene, {**scene, "location": " "}])
    out = go(Perform(prompt=SCRIPT), [source], tmp_path / "out")
    assert ids(rows_of(out)) == ["scenes-0/script"]
    assert [row["reason"] for row in rejected_of(out)] == ["no_location"]


def test_scripts_of_anybody_can_be_converted(tmp_path: Path) -> None:
    turns = [{"role": "Ada", "content": "Hi."}] * 3
    row = {"name": "Ada", "location": "x", "setting": "y", "dialogue": turns}
    source = write_rows(tmp_path / "scripts.jsonl", [row, {**row, "dialogue": [{"who": "Ada"}]}])
    out = go(Convert(), [source], tmp_path / "out")
    assert [row["output"] for row in rows_of(out)] == ["Ada (speaking): Hi.\nHi.\nHi.<|eot|>"]
    assert [row["reason"] for row in rejected_of(out)] == ["empty"]


@pytest.mark.parametrize(
    ("command", "row", "words"),
    [
        ("scenes", {"story": "x"}, "no column profile or content or text, only story: .* --column profile=NAME"),
        ("scenes", {"profile": ["x"]}, "profile is a list"),
        ("protect", {"profile": None}, "profile is null"),
        ("perform", {"name": "Ada", "profile": "x"}, "no column type, and no column location, and no column back"),
        ("convert", {"name": "Ada", "dialogue": "Hi."}, "dialogue is .*, where .* is needed"),
    ],
)
def test_rows_that_do_not_fit_are_named(tmp_path: Path, command: str, row: dict[str, Any], words: str) -> None:
    source = write_rows(tmp_path / "in.jsonl", [row])
    engine = () if command == "convert" else ("--engine", "echo")
    with pytest.raises(InputError, match=words):
        raise invoke("character", command, source, tmp_path / "out", *engine).exception or AssertionError


def test_errors_name_the_flag(tmp_path: Path) -> None:
    for flags, words in {
        ("scenes", "--requests", "0"): "--requests 0",
        ("scenes", "--prompt", "nowhere.md"): "--prompt nowhere.md: no such file, .* act, perform, protect, scenes",
        ("protect", "--words", "0"): "--words 0",
    }.items():
        command, *options = flags
        with pytest.raises(UsageError, match=words):
            raise invoke("character", command, ELIN, tmp_path / "out", "--engine", "echo", *options).exception or (
                AssertionError
            )
