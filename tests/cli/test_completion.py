"""What Tab offers, asked as bash asks it."""

import shlex
import subprocess
from pathlib import Path

import pytest

from tests.command import SYNTH


def offered(line: str, folder: Path) -> list[str]:
    """The words that bash is given for the last word of `line`."""
    words = [SYNTH, *shlex.split(line)[1:], *([""] if line.endswith(" ") else [])]
    script = (
        f"source <({SYNTH} --show-completion bash)\n"
        f"COMP_WORDS=({shlex.join(words)}); COMP_CWORD={len(words) - 1}\n"
        f'_synth_completion {SYNTH}; printf "%s\\n" "${{COMPREPLY[@]}}"\n'
    )
    done = subprocess.run(["bash", "--norc", "-c", script], cwd=folder, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.stdout.split()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("samples", "samples/rejected", "selected"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "state.json").write_text("{}")
    for name in ("src", "second.partial", "samples/none"):
        (tmp_path / name).mkdir()
    (tmp_path / "seeds.jsonl").write_text("{}\n")
    return tmp_path


def test_the_script_for_bash_is_shown(tmp_path: Path) -> None:
    # The `true` keeps bash there as the parent, which is how the shell is known.
    command = f"{SYNTH} --show-completion bash; true"
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "complete -o default -F _synth_completion synth" in done.stdout
    assert done.stderr == ""


def test_commands_and_options_are_offered(tmp_path: Path) -> None:
    assert offered("synth wat", tmp_path) == ["watch"]
    assert {"sample", "select", "curve"} <= set(offered("synth reject ", tmp_path))
    assert "--temperature" in offered("synth reject sample --te", tmp_path)


def test_dataset_directories_are_offered_and_walked_into(folder: Path) -> None:
    assert offered("synth trace id s", folder) == ["samples", "selected"]
    assert offered("synth trace id samples/", folder) == ["samples/rejected"]
    assert offered(f"synth trace id {folder}/sel", folder) == [f"{folder}/selected"]
    assert offered("synth trace id nowhere/x", folder) == []


def test_watch_also_offers_what_is_being_made(folder: Path) -> None:
    assert offered("synth watch se", folder) == ["second", "selected"]


def test_engines_and_the_prompts_of_the_recipe_are_offered(tmp_path: Path) -> None:
    assert offered("synth reject sample questions.jsonl out --engine ", tmp_path) == ["vllm", "openai", "echo"]
    assert offered("synth reject sample questions.jsonl out --prompt ", tmp_path) == ["alpaca", "chat"]
    assert offered("synth augment evolve questions.jsonl out --prompt ev", tmp_path) == ["evolve"]
