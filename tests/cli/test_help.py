"""Commands are made from stages: what help says of them, and that the page of them all is current."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from synth.cli import reference
from synth.cli.main import OTHERS, PANELS, RUN, app
from synth.pipelines.recipes import DATA, RECIPES, STAGES, stage_named
from synth.pipelines.runtime.declared import declared
from synth.pipelines.runtime.facts import summary

DOCS = Path(__file__).parents[2] / "docs"
EVERY_HELP = """
import json, sys
from typer.testing import CliRunner
from synth.cli import standins
from synth.cli.main import app
standins.stand_in()
print(json.dumps({name: CliRunner().invoke(app, [*name.split(), "--help"]).output for name in sys.argv[1:]}))
"""


def help_of(name: str) -> str:
    done = CliRunner().invoke(app, [*name.split(), "--help"])
    assert done.exit_code == 0, done.output
    return done.output


def in_one_line(text: str) -> str:
    return " ".join(text.split())


def test_the_list_of_commands_is_grouped_and_cuts_no_sentence_off() -> None:
    listed = "".join(help_of("").split())
    for panel, names in PANELS.items():
        assert f"{panel}:{next(iter(names))}" in listed
        for name in names:
            purpose = {**RECIPES, **DATA, "run": RUN}.get(name) or OTHERS[name][1]
            assert purpose.endswith(".")
            assert "".join(f"{name} {purpose}".split()) in listed


@pytest.mark.parametrize("recipe", [name for name in RECIPES if name not in STAGES])
def test_the_list_of_a_recipe_has_the_summaries_of_its_stages(recipe: str) -> None:
    listed = in_one_line(help_of(recipe))
    for name in STAGES:
        if name.startswith(f"{recipe} "):
            assert f"{name.removeprefix(recipe).strip()} {summary(stage_named(name))}" in listed


def test_a_stage_that_is_a_command_of_its_own_has_one_summary() -> None:
    for name in set(STAGES) & {*RECIPES, *DATA}:
        assert {**RECIPES, **DATA}[name] == summary(stage_named(name))


@pytest.mark.parametrize("name", STAGES)
def test_help_says_what_is_read_and_written_and_gives_two_examples(name: str) -> None:
    told, stage = help_of(name), stage_named(name)
    assert summary(stage).endswith(".")
    assert summary(stage) in in_one_line(told)
    assert "Reads" in told
    assert "Writes" in told
    usage = told.splitlines()[0]
    assert "{" not in usage
    # As in what Python shows of an object; the tags of a model are defaults.
    assert not re.search(r"<\w+[^\w>]", told)
    assert len(stage.commands) == 2
    for command in stage.commands:
        assert command in told


@pytest.mark.parametrize("name", STAGES)
def test_the_examples_are_command_lines(name: str) -> None:
    command: Any = typer.main.get_command(app)
    for example in stage_named(name).commands:
        program, *words = shlex.split(example)
        assert program == "synth"
        with command.make_context("synth", list(words)) as context:
            place: Any = command
            while hasattr(place, "get_command"):
                _, place, words = place.resolve_command(context, words)
            place.make_context("synth", words, parent=context).close()


@pytest.mark.parametrize("name", STAGES)
def test_short_options_have_a_long_form_and_help_is_a_sentence(name: str) -> None:
    for option in declared(stage_named(name)):
        assert option.flags[-1].startswith("--")
        assert option.option.help.endswith(".")


def test_help_needs_none_of_the_modules_that_compute() -> None:
    names = [*STAGES, *OTHERS]
    done = subprocess.run([sys.executable, "-c", EVERY_HELP, *names], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == {name: help_of(name) for name in names}


def test_a_value_that_looks_like_a_call_for_help_is_a_value(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"id": "a", "--help": "some text"}\n')
    synth = [sys.executable, "-c", "from synth.cli.main import main; main()"]
    words = ["dedup", "a.jsonl", "out", "--text", "--help"]
    subprocess.run([*synth, *words], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert (tmp_path / "out" / "state.json").is_file()


def test_the_page_of_all_commands_is_current() -> None:
    current = (DOCS / "commands.md").read_text() == reference.page()
    assert current, "run `python -m synth.cli.reference > docs/commands.md`"
