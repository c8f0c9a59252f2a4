"""README.md and docs/ say what is true: links lead somewhere, options exist, and the commands of the README run."""

import re
import shlex
import shutil
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest
from typer.testing import CliRunner

from docs.resume import REPLY
from synth.cli.main import app
from tests.cli.test_main import COMMANDS
from tests.counting_server import counting_server

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
# Options of other programs, and those that belong to `synth` itself rather than to a command.
FOREIGN = {
    "docs/engines.md": {"--enforce-eager", "--no-enable-chunked-prefill", "--reasoning-parser"},
    "docs/learning.md": {"--lessons", "--questions", "--samples", "--seeds"},
    "docs/inspecting.md": {"--install-completion", "--show-completion"},
}


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def without_blocks(text: str) -> str:
    return re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", without_blocks(page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def commands_of(page: Path) -> list[str]:
    """The `synth` commands of a page's blocks, each on one line."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [line for line in lines if line.startswith("synth ")]


@cache
def options_of(command: str) -> frozenset[str]:
    words = CliRunner().invoke(app, [*command.split(), "--help"], env={"COLUMNS": "300"}).output
    return frozenset(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", words))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_leads_to_a_file_and_to_a_heading(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", without_blocks(page.read_text())):
        if link.startswith("https://"):
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        assert target.exists(), f"{name(page)}: {link}"
        if anchor:
            assert anchor in anchors(target), f"{name(page)}: {link}"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_option_that_the_text_names_exists_in_some_command(page: Path) -> None:
    known = {"--version", *FOREIGN.get(name(page), ())}.union(*map(options_of, COMMANDS))
    for code in re.findall(r"`([^`]+)`", without_blocks(page.read_text())):
        if code.startswith(("pip ", "du ", "faketime", "docker ", "kill ", "make ", "python ", "vllm ")):
            continue
        for option in re.findall(r"(?<!\S)--?[a-z][a-z-]*", code):
            assert option in known, f"{name(page)}: {code}"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_option_of_a_shown_command_is_an_option_of_that_command(page: Path) -> None:
    # The options of `synth run` are those of the class.
    for line in [line for line in commands_of(page) if not line.startswith("synth run ")]:
        command = next(command for command in COMMANDS if line.startswith(f"synth {command}"))
        for word in shlex.split(line.removeprefix(f"synth {command}")):
            if re.fullmatch(r"--?[a-z][a-z-]*", word):
                assert word in options_of(command), f"{name(page)}: {line}"


# The page on contributing names files that its reader adds.
@pytest.mark.parametrize("page", [page for page in PAGES if page.stem != "contributing"], ids=name)
def test_every_target_script_and_module_exists(page: Path) -> None:
    text = page.read_text()
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for target in re.findall(r"(?:^|`)make ([a-z][a-z-]*)", text, re.MULTILINE):
        assert target in targets
    for script in re.findall(r"(?:benchmarks|pipelines|sandbox|schemas|cli|examples|tests)/[\w/]+\.(?:py|sh)", text):
        assert (ROOT / script).is_file(), script
    for module in re.findall(r"python -m ((?!vllm)[\w.]+)", text):
        assert find_spec(module), module


def reply(seed: int) -> str:
    """Both a list of evolved questions and a solution."""
    return f"{REPLY}#### {seed % 3}"


@pytest.mark.parametrize("page", [ROOT / "README.md", ROOT / "docs" / "math.md"], ids=name)
def test_the_commands_of_a_page_run_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "examples", "examples", ignore=shutil.ignore_patterns("out"))
    shutil.copy("examples/questions.jsonl", tmp_path)
    with counting_server(says=reply) as server:
        for line in commands_of(page):
            if line.startswith("synth diff"):
                shutil.copytree("accepted", "accepted-1")
                shutil.copytree("accepted", "accepted-2")
            model = f"--base-url {server.url}"
            words = re.sub(r"--model \S+|--base-url \S+", model, line)
            result = CliRunner().invoke(app, shlex.split(words)[1:])
            assert result.exit_code == 0, f"{line}\n{result.output}"
            if model in words:
                assert server.asked, line
                server.asked.clear()
    assert (tmp_path / "curve" / "synth.json").is_file()


def test_the_picture_shows_a_run_that_is_killed_and_asks_for_no_answer_twice() -> None:
    picture = (ROOT / "docs" / "resume.svg").read_text()
    said = re.sub(r"<[^>]+>", "", picture).replace("&#160;", " ")
    assert "Killed" in said
    assert "400 rows from 80 of 80 input rows" in said
    assert "0 answers requested twice" in said
