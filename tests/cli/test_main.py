"""The command line as a whole: errors are one sentence with the right exit code, help is quick and documented."""

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest

from synth.cli.main import OTHERS
from synth.pipelines.recipes import STAGES
from tests.command import invoke
from tests.command import run_synth as synth
from tests.rows import write_rows

ROOT = Path(__file__).parents[2]
COMMANDS = [*STAGES, *OTHERS]


def refusal(done: subprocess.CompletedProcess[str], code: int) -> str:
    """What a refused command says: one sentence, on stderr alone."""
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("synth: ")
    return line


def questions(folder: Path, *rows: object) -> Path:
    return write_rows(folder / "questions.jsonl", rows)


GOOD = {"id": "a", "question": "What is 3+4?", "answer": "#### 7"}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"question": "a", "answer": "1"}\n{"question": "b" "answer"}\n', ["questions.jsonl:2", "not JSON"]),
        (b'{"text": "a", "answer": "1"}\n', ["no column question", "text, answer", "--column question="]),
        (b'{"question": ["a"], "answer": "1"}\n', ["question is a list", "questions.jsonl:1", "text is needed"]),
        (b'{"id": "x", "question": "a", "answer": "1"}\n' * 2, ["'x'", "questions.jsonl:1", "questions.jsonl:2"]),
        (b"", ["no rows"]),
        (b'{"question": "\xff", "answer": "1"}\n', ["questions.jsonl:1", "UTF-8"]),
        (b'{"question": "a", "answer": NaN}\n', ["questions.jsonl:1", "not JSON"]),
    ],
    ids=["broken line", "missing column", "wrong type", "duplicate ids", "empty file", "invalid UTF-8", "NaN literal"],
)
def test_an_input_that_cannot_be_used_is_refused_by_file_and_line(
    tmp_path: Path, content: bytes, words: list[str]
) -> None:
    (tmp_path / "questions.jsonl").write_bytes(content)
    said = refusal(synth("reject", "sample", "questions.jsonl", "out", "--engine", "echo", folder=tmp_path), 2)
    for word in words:
        assert word in said
    mended = questions(tmp_path, GOOD)
    assert synth("reject", "sample", mended, "out", "--engine", "echo", folder=tmp_path).returncode == 0


def test_a_nan_answer_rejects_its_question_with_a_reason(tmp_path: Path) -> None:
    table = pa.table({"question": ["a", "b"], "answer": [float("nan"), 2.0]})
    pyarrow.parquet.write_table(table, tmp_path / "questions.parquet")
    done = synth("reject", "sample", "questions.parquet", "out", "--engine", "echo", "-n", 1, folder=tmp_path)
    assert done.returncode == 0
    assert "no_gold 1" in done.stderr


def test_a_question_longer_than_the_context_fails_by_name(tmp_path: Path) -> None:
    questions(tmp_path, {"question": "word " * 20_000, "answer": "1"}, GOOD)
    echo = ("--engine", "echo", "--engine-arg", "context=1000", "-n", 1)
    command = ("reject", "sample", "questions.jsonl", "out", *echo)
    said = refusal(synth(*command, folder=tmp_path), 3)
    assert "1 of 2 rows failed (prompt_too_long 1)" in said
    assert "--max-failures" in said
    assert "failed: 1 (prompt_too_long 1)" in synth(*command, "--max-failures", 1, folder=tmp_path).stderr
    rejected = synth("show", "out", "--rejected", "--columns", "reason,detail", folder=tmp_path).stdout
    assert "the context holds 1000" in rejected


def test_an_input_that_is_still_being_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "samples.partial").mkdir()
    assert "not finished" in refusal(synth("reject", "select", "samples", "out", folder=tmp_path), 2)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ([], 2, ["no model is named", "--model", "tiny", "--base-url", "--engine echo"]),
        (["--model", "/no/such/model"], 2, ["/no/such/model", "no such directory"]),
        (["--base-url", "http://127.0.0.1:9/v1", "--model", "m"], 1, ["127.0.0.1:9", "--base-url"]),
        (["--engine", "echo", "--prompt", "nowhere.md"], 2, ["nowhere.md", "alpaca", "chat"]),
        (["--engine", "echo", "--column", "question"], 2, ["--column question", "TO=FROM"]),
    ],
    ids=["no model", "a model path that does not exist", "a server that is not there", "no such prompt", "bad column"],
)
def test_what_cannot_run_is_refused_naming_what_would(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int, words: list[str]
) -> None:
    monkeypatch.delenv("SYNTH_MODEL", raising=False)
    questions(tmp_path, GOOD)
    said = refusal(synth("reject", "sample", "questions.jsonl", "out", *arguments, folder=tmp_path), code)
    for word in words:
        assert word in said


def test_other_options_than_those_that_made_the_output_are_refused_with_exit_code_4(tmp_path: Path) -> None:
    questions(tmp_path, GOOD)
    command = ("reject", "sample", "questions.jsonl", "out", "--engine", "echo")
    assert synth(*command, "-n", 2, folder=tmp_path).returncode == 0
    assert "out is stale: n was 2 and is now 3;" in refusal(synth(*command, "-n", 3, folder=tmp_path), 4)
    assert synth(*command, "-n", 3, "--fresh", folder=tmp_path).returncode == 0


def test_a_run_without_output_rows_says_why_and_how_to_see_them(tmp_path: Path) -> None:
    source = questions(tmp_path, GOOD)
    done = synth("filter", source, "none", "--where", "question = 'other'", folder=tmp_path)
    assert "warning: no row came out, most often because of not_met\n" in done.stderr
    done = synth(
        "reject", "sample", source, "none", "--engine", "echo", "--engine-arg", "reply= ", "--fresh", folder=tmp_path
    )
    assert "`synth show none --rejected` shows the rejected rows" in done.stderr


def test_a_finished_run_repeated_has_nothing_to_do_and_pleases_make(tmp_path: Path) -> None:
    source = questions(tmp_path, GOOD)
    command = ("reject", "sample", "questions.jsonl", "out", "--engine", "echo", "-n", 2)
    synth(*command, folder=tmp_path)
    source.touch()
    assert "nothing to do" in synth(*command, folder=tmp_path).stderr
    assert (tmp_path / "out" / "synth.json").stat().st_mtime >= source.stat().st_mtime


def loaded(names: str, *arguments: object, folder: Path) -> set[str]:
    """Those of the modules that a command has imported when it ends."""
    program = (
        "import sys, synth.cli.main\n"
        f"sys.argv = {['synth', *map(str, arguments)]!r}\n"
        "try: synth.cli.main.main()\n"
        f"finally: print('loaded', *(set({names.split()!r}) & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=False)
    return set(done.stdout.splitlines()[-1].split()[1:])


def test_help_loads_nothing_that_takes_long_to_load(tmp_path: Path) -> None:
    assert (
        loaded("pyarrow numpy torch vllm pandas aiohttp jinja2 pydantic rich asyncio", "--help", folder=tmp_path)
        == set()
    )


def test_a_run_without_a_model_loads_no_model_library_and_without_a_terminal_no_rich(tmp_path: Path) -> None:
    (tmp_path / "questions.jsonl").write_text('{"id": "q", "question": "1 + 1?", "answer": "#### 2"}\n')
    sample = ("reject", "sample", "questions.jsonl", "samples", "--engine", "echo", "-n", 1)
    for _ in range(2):
        slow = "torch vllm datasets pandas aiohttp pydantic rich rapidfuzz numpy.ma pydoc"
        assert loaded(slow, *sample, folder=tmp_path) == set()
    assert (tmp_path / "samples").is_dir()


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_and_stands_in_the_documentation(command: str) -> None:
    result = invoke(*command.split(), "--help")
    assert result.exit_code == 0
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    assert any(f"synth {command}" in page.read_text() for page in pages)
