"""`synth run-code`: what a person sees of a program in the sandbox, and that nothing is left of it."""

import json
import os
import re
import shlex
import signal
import subprocess
import time
from pathlib import Path

import pytest

from synth.schemas.errors import UsageError
from tests.command import SYNTH, invoke, run_synth
from tests.jails import JAILS, living_descendants, why_not

pytestmark = pytest.mark.skipif(bool(why_not("bwrap")), reason=f"no bwrap jail: {why_not('bwrap')}")

PROGRAM = """
import datetime

def nothing():
    return {"none": None}

def clamp(n, words=("x",)):
    if n == 1: raise ValueError("one")
    if n == 2: return (word for word in words)
    if n == 3: return "\\x1b[2J" * 3
    if n == 4: return "y" * 2000
    if n == 5: return datetime.date.today()
    while n == 6: pass
    return [n, *words]
"""


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("program.py").write_text(PROGRAM)
    return Path("program.py")


def run_code(*arguments: object, jail: str = "bwrap", given: str | None = None) -> subprocess.CompletedProcess[str]:
    return run_synth("run-code", *arguments, "--jail", jail, given=given)


def lines(done: subprocess.CompletedProcess[str], code: int = 0) -> list[str]:
    assert (done.returncode, done.stderr) == (code, "")
    assert all(len(line) <= 80 for line in done.stdout.splitlines())
    return done.stdout.splitlines()


def test_each_call_is_shown_with_what_it_gave(program: Path) -> None:
    inputs = ("--input", "0, ['a', {1: 2.5}]", "--input", "n=1", "--input", "2", "--input", "3", "--input", "")
    said = lines(run_code(program, *inputs))
    assert said[:2] == ["clamp of program.py, in a bwrap jail", "ok: it answered every call"]
    assert said[4:] == [
        "clamp(0, ['a', {1: 2.5}]) → [0, 'a', {1: 2.5}]",
        "clamp(n=1) → raises ValueError",
        "clamp(2) → unencodable: generator",
        r"clamp(3) → '\x1b[2J\x1b[2J\x1b[2J'",
        "clamp() → raises TypeError",
    ]


@pytest.mark.parametrize("jail", JAILS)
def test_the_jail_and_what_was_used_are_named(program: Path, jail: str) -> None:
    if reason := why_not(jail):
        pytest.skip(reason)
    said = lines(run_code(program, "--entry", "nothing", jail=jail))
    assert said[0] == f"nothing of program.py, in a {jail} jail"
    assert re.fullmatch(r"\d\.\d{3} s, \d\.\d{3} s of CPU time, \d+\.\d MB", said[2])
    assert said[4:] == ["nothing() → {'none': None}"]


def test_a_program_on_standard_input_that_does_not_end_is_stopped_and_the_rest_not_reached() -> None:
    said = lines(run_code("-", "--input", 1, "--input", 6, "--input", 2, "--seconds", 0.5, given=PROGRAM), 1)
    assert said[0] == "clamp of standard input, in a bwrap jail"
    assert said[1] == "timeout: it ran out of time and was stopped (0.5 s had passed in call 2 of 3)"
    assert said[-2:] == ["clamp(6) → not reached", "clamp(2) → not reached"]


def test_run_again_it_shows_which_calls_gave_something_else(program: Path) -> None:
    assert prose(run_code(program, "--input", 0, "--repeat")).endswith(": same results")
    sets = "def f(n): return list({'a', 'b', 'c', 'd', 'e', 'f'})[:n]"
    said = prose(run_code("-", "--input", 0, "--input", 6, "--repeat", given=sets), 1)
    assert re.search(r"f\(0\) → \[\] f\(6\) → \[.*\], in the second run \[.*\] second run", said)
    assert said.endswith("1 of 2 calls differ")


def test_a_long_value_is_cut_and_json_has_it_whole(program: Path) -> None:
    assert "… 2,002 characters" in lines(run_code(program, "--input", 4))[-1]
    document = json.loads(run_code(program, "--input", 4, "--input", 1, "--json", "--repeat").stdout)
    assert (document["entry"], document["status"], document["sandbox"]["jail"]) == ("clamp", "ok", "bwrap")
    assert document["calls"] == [
        {"call": "clamp(4)", "value": repr("y" * 2000)},
        {"call": "clamp(1)", "exception": "ValueError"},
    ]
    assert document["again"]["calls"] == document["calls"]


def prose(done: subprocess.CompletedProcess[str], code: int = 0) -> str:
    """All that is said, without regard to where lines are broken."""
    return " ".join(" ".join(lines(done, code)).split())


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("def f(:", "SyntaxError: invalid syntax"),
        ("import nothing\ndef f(): 1", "ModuleNotFoundError: No module named 'nothing'"),
        ("#" * 70_000, "the program is longer than 65536 bytes"),
        ("def g(): return 1", "it has no function f"),
        ("def f(): import ctypes; ctypes.string_at(0)", "(SIGSEGV)"),
    ],
)
def test_what_comes_to_no_answer_says_why(source: str, told: str) -> None:
    said = prose(run_code("-", "--entry", "f", given=source), 1)
    assert told in said
    assert said.endswith("f() → not reached")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("1)+(2", "not the arguments of a call"),
        ("1, 2 for", "not the arguments of a call"),
        ("a=1, a=2", "not the arguments of a call"),
        ("(" * 9_000, "not the arguments of a call"),
        ("*[1, 2]", "* and ** cannot be used"),
        ("**{}", "* and ** cannot be used"),
        ("open('x')", "open('x') is no literal"),
        ("[x for x in ()]", "is no literal"),
        ("'a' * 100_000", "more than 4,096 items"),
    ],
)
def test_an_input_that_is_no_literal_is_refused(program: Path, given: str, told: str) -> None:
    error = invoke("run-code", program, "--input", given).exception
    assert isinstance(error, UsageError)
    assert told in str(error)
    assert len(str(error)) < 250
    assert "\n" not in str(error)


@pytest.mark.parametrize("parameters", ["n, words=()", "name: str, /, *, count"])
def test_a_function_that_needs_arguments_is_answered_with_an_example_that_works(parameters: str) -> None:
    source = f"def f({parameters}): return 1"
    done = run_code("-", given=source)
    assert (done.returncode, done.stdout) == (2, "")
    example = shlex.split(done.stderr.partition("try ")[2])
    assert lines(run_code("-", *example, given=source))[-1].endswith(" → 1")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "program.py: No such file"),
        (b"def f(): return '\xff'", "not text in UTF-8"),
        (b"x = 1", "defines no function"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(tmp_path: Path, content: bytes | None, told: str) -> None:
    if content is not None:
        (tmp_path / "program.py").write_bytes(content)
    error = invoke("run-code", tmp_path / "program.py").exception
    assert isinstance(error, UsageError)
    assert told in str(error)


def test_a_declared_encoding_is_read(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_bytes("# coding: latin-1\ndef f(): return 'ä'".encode("latin-1"))
    assert lines(run_code(tmp_path / "program.py"))[-1] == "f() → 'ä'"


def test_it_goes_well_with_head(program: Path) -> None:
    inputs = " ".join(f"--input {number}" for number in range(10, 2000))
    pipe = f"{SYNTH} run-code {program} --jail bwrap {inputs} | head -n 1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", pipe], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout.splitlines()[-1] == str(128 + signal.SIGPIPE)


@pytest.mark.parametrize("jail", JAILS)
def test_ctrl_c_leaves_nothing(program: Path, jail: str) -> None:
    if reason := why_not(jail):
        pytest.skip(reason)
    before = living_descendants()
    command = [SYNTH, "run-code", str(program), "--input", "6", "--seconds", "60", "--jail", jail]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        until = time.monotonic() + 30
        while not any(map(is_busy, started(before, process.pid))) and time.monotonic() < until:
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)
        said = process.communicate(timeout=30)[1]
    assert process.returncode == 130
    assert "Traceback" not in said
    assert set(living_descendants()) <= set(before)


def started(before: list[str], synth: int) -> list[int]:
    return [number for line in living_descendants() if line not in before and (number := int(line.split()[0])) != synth]


def is_busy(number: int) -> bool:
    """Whether a process has worked for half a second."""
    try:
        ticks = int(Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[11])
    except OSError:
        return False
    return ticks > os.sysconf("SC_CLK_TCK") / 2
