"""README.md, docs/ and the page of the embedded model say what is true: links lead somewhere, options, targets and
modules exist."""

import re
import runpy
import sys
from argparse import ArgumentParser, Namespace
from functools import cache
from importlib.util import find_spec

import pytest
from typer.testing import CliRunner

from synth.cli.main import app
from tests.cli.test_main import COMMANDS
from tests.pages.page import PAGES, ROOT, Page

# Options of other programs, and those that belong to `synth` itself rather than to a command.
FOREIGN = {
    "docs/engines.md": {"--enforce-eager", "--no-enable-chunked-prefill", "--reasoning-parser"},
    "docs/learning.md": {"--lessons", "--questions", "--samples", "--seeds"},
    "docs/inspecting.md": {"--install-completion", "--show-completion"},
}
EMBEDDED_MODEL = Page("pipelines/engines/tiny/README.md")
OPTION = re.compile(r"(?<!\S)--?[a-z][a-z-]*")


@cache
def options_of(command: str) -> frozenset[str]:
    words = CliRunner().invoke(app, [*command.split(), "--help"], env={"COLUMNS": "300"}).output
    return frozenset(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", words))


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_link_leads_to_a_file_and_to_a_heading(page: Page) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.prose):
        if link.startswith("https://"):
            continue
        file, _, anchor = link.partition("#")
        target = ((ROOT / page.name).parent / file).resolve() if file else ROOT / page.name
        assert target.exists(), f"{page}: {link}"
        if anchor:
            assert anchor in Page(str(target.relative_to(ROOT))).anchors, f"{page}: {link}"


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_option_that_the_text_names_exists_in_some_command(page: Page) -> None:
    known = {"--version", *FOREIGN.get(page.name, ())}.union(*map(options_of, COMMANDS))
    for code in re.findall(r"`([^`]+)`", page.prose):
        if code.startswith(("pip ", "du ", "faketime", "docker ", "kill ", "make ", "python ", "vllm ")):
            continue
        for option in OPTION.findall(code):
            assert option in known, f"{page}: {code}"


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_option_of_a_shown_command_is_an_option_of_that_command(page: Page) -> None:
    """Also where the command is an argument of a program that this machine does not have."""
    for line in page.commands:
        _, found, words = line.partition("synth ")
        # The options of `synth run` are those of the class.
        if not found or words.startswith(("run ", "--")):
            continue
        command = max((command for command in COMMANDS if words.startswith(command)), key=len)
        for option in OPTION.findall(words.removeprefix(command)):
            assert option in options_of(command), f"{page}: {line}"


# The page on contributing names files that its reader adds.
@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "docs/contributing.md"], ids=str)
def test_every_target_script_and_module_exists(page: Page) -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for target in re.findall(r"(?:^|`)make ([a-z][a-z-]*)", page.text, re.MULTILINE):
        assert target in targets
    scripts = re.findall(r"(?:benchmarks|pipelines|sandbox|schemas|cli|examples|tests)/[\w/]+\.(?:py|sh)", page.text)
    for script in scripts:
        assert (ROOT / script).is_file(), script
    for module in re.findall(r"python -m ((?!vllm)[\w.]+)", page.text):
        assert find_spec(module), module


@pytest.mark.parametrize("command", re.findall(r"python -m [^`\n]+", EMBEDDED_MODEL.text))
def test_the_commands_that_make_and_measure_the_embedded_model_take_their_options(
    command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They take hours, so here they end when they have read their options."""
    read = ArgumentParser.parse_args

    def end(parser: ArgumentParser) -> Namespace:
        read(parser)
        raise SystemExit(0)

    words = command.split()[2:]
    spec = find_spec(words[0])
    assert spec is not None
    assert spec.origin is not None
    monkeypatch.setattr(ArgumentParser, "parse_args", end)
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(spec.origin, run_name="__main__")
    assert ended.value.code == 0


def test_the_picture_shows_a_run_that_is_killed_and_asks_for_no_answer_twice() -> None:
    picture = (ROOT / "docs" / "resume.svg").read_text()
    said = re.sub(r"<[^>]+>", "", picture).replace("&#160;", " ")
    assert "Killed" in said
    assert "400 rows from 80 of 80 input rows" in said
    assert "0 answers requested twice" in said
