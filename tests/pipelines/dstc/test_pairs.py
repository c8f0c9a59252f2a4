"""A scripted model writes programs and tests, the sandbox runs them, and pairs are selected from the results."""

import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from synth.pipelines.dstc.drafts import join_program, read_code, read_test
from synth.pipelines.dstc.pairs import FOLDER, Pairs
from synth.pipelines.engines import Answer, Completion, Request
from synth.pipelines.runtime.options import Options
from synth.pipelines.runtime.prompts import Prompt
from synth.pipelines.runtime.runner import Run, Summary
from synth.sandbox.pool import Sandbox
from synth.schemas.dataset import Dataset
from synth.schemas.errors import EngineFailed, UsageError
from tests.jails import BlockingSandbox, why_not
from tests.rows import rows_of, write_rows

pytestmark = pytest.mark.skipif(bool(why_not("bwrap")), reason=f"no bwrap jail: {why_not('bwrap')}")

HUMANEVAL = Path(__file__).parents[4] / "shared" / "data" / "humaneval.jsonl.gz"
GOOD = "def solution(x):\n    return abs(x)"
SLOPPY = "def solution(x):\n    return x"
WRONG = "def solution(x):\n    return x + 1"
POSITIVE, NEGATIVE, ZERO = "assert solution(3) == 3", "assert solution(-3) == 3", "assert solution(0) == 0"

Script = tuple[Sequence[str], Sequence[str]]


class Author:
    """A model with scripted programs and tests for each instruction."""

    gpus = 0

    def __init__(self, scripts: Mapping[str, Script], *, writes_tests: bool = True) -> None:
        self._scripts = scripts
        self._writes_tests = writes_tests
        self.asked: list[str] = []

    def identity(self) -> dict[str, Any]:
        return {"engine": "author", "model": "author", "revision": None, "args": {}}

    async def start(self) -> None:
        pass

    async def answer(self, request: Request) -> Answer:
        assert not isinstance(request.prompt, str)
        asked = request.prompt[-1]["content"]
        is_test = "Write a test" in asked
        if is_test and not self._writes_tests:
            raise EngineFailed("the author has run out of ink")
        self.asked.append(asked)
        codes, tests = self._scripts[asked.partition("\n")[0]]
        texts = [f"```python\n{text}\n```" for text in (tests if is_test else codes)]
        assert len(texts) == request.n
        return Answer(tuple(Completion(text, "stop", 9) for text in texts), 5)

    async def close(self) -> None:
        pass


def make(folder: Path, scripts: Mapping[str, Script], *, author: Author | None = None, **options: Any) -> Summary:
    """Pairs for the instructions of the scripts, which must have equal numbers of programs and of tests."""
    folder.mkdir(exist_ok=True)
    ((n_code, n_tests),) = {(len(codes), len(tests)) for codes, tests in scripts.values()}
    rows = [{"id": f"row-{index}", "prompt": instruction} for index, instruction in enumerate(scripts)]
    write_rows(folder / "rows.jsonl", rows)
    stage = Pairs(**{"n_code": n_code, "n_tests": n_tests, "min_tests": 1, "seconds": 2.0, **options})
    source = [str(folder / "rows.jsonl")]
    return Run(
        stage, source, folder / "out", Options(), engine=author or Author(scripts), sandbox=Sandbox("bwrap")
    ).execute()


def rows(folder: Path) -> list[dict[str, Any]]:
    return rows_of(folder / "out")


def reasons(folder: Path) -> dict[str, str]:
    rejected = Dataset.open(folder / "out").rejected
    return {} if rejected is None else {row["id"]: row["reason"] for row in rejected.rows()}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[BlockingSandbox]:
    with BlockingSandbox("bwrap") as sandbox:
        yield sandbox


def test_best_and_worst_program_are_paired_with_their_easiest_tests(tmp_path: Path, sandbox: BlockingSandbox) -> None:
    make(tmp_path, {"abs": ([SLOPPY, GOOD, WRONG], [ZERO, NEGATIVE, POSITIVE])})
    (row,) = rows(tmp_path)
    assert row["matrix"] == ["101", "111", "000"]
    assert (row["n_codes"], row["n_tests"], row["gap"]) == (3, 3, 1.0)
    assert (row["codes"], row["tests"]) == ([SLOPPY, GOOD, WRONG], [ZERO, NEGATIVE, POSITIVE])
    assert (row["chosen_code"], row["chosen_test"]) == (GOOD, ZERO)
    assert (row["rejected_code"], row["rejected_test"]) == (WRONG, ZERO)
    assert row["chosen"] == f"```python\n{GOOD}\n\n\n# Test\n{ZERO}\n```"
    assert row["prompt"].startswith("abs\n")
    assert "`solution`" in row["prompt"]
    assert row["chosen_messages"] == [
        {"role": "user", "content": row["prompt"]},
        {"role": "assistant", "content": row["chosen"]},
    ]
    assert (row["id"], row["entry_point"], row["model"]) == ("row-0", "solution", "author")
    for side, status in (("chosen", "ok"), ("rejected", "load_error")):
        program = row[side].removeprefix("```python\n").removesuffix("```")
        assert sandbox.run(f"{program}\ndef f(): pass").status == status


@pytest.mark.skipif(not HUMANEVAL.exists(), reason="the data shared between projects is not here")
def test_humaneval_solutions_pass_their_tests(sandbox: BlockingSandbox) -> None:
    for problem in map(json.loads, gzip.decompress(HUMANEVAL.read_bytes()).splitlines()):
        code = read_code(problem["prompt"] + problem["canonical_solution"], problem["entry_point"]).text
        test = read_test(problem["test"], problem["entry_point"]).text
        assert sandbox.run(f"{join_program(code, test)}\ndef f(): pass").status == "ok", problem["task_id"]


def test_uninformative_drafts_are_filtered_with_a_reason(tmp_path: Path) -> None:
    codes = [GOOD, WRONG, f"{GOOD}  # again", "no code", "import sys\nsys.exit(0)\n" + GOOD, "def other(): ..."]
    tests = [NEGATIVE, "assert solution", "assert solution(1) == 7", "solution(1)", "assert 1", f"{NEGATIVE} "]
    make(tmp_path, {"abs": (codes, tests)})
    assert rows(tmp_path)[0]["matrix"] == ["1", "0"]
    assert reasons(tmp_path) == {
        "row-0/code-2": "code_duplicate",
        "row-0/code-3": "code_not_python",
        "row-0/code-4": "code_does_not_run",
        "row-0/code-5": "code_without_entry",
        "row-0/test-1": "test_passed_by_all",
        "row-0/test-2": "test_failed_by_all",
        "row-0/test-3": "test_without_assert",
        "row-0/test-4": "test_without_call",
        "row-0/test-5": "test_duplicate",
    }


@pytest.mark.parametrize(
    "escape",
    [
        "import sys\ndef solution(x):\n    sys.exit(0)",
        "import os\ndef solution(x):\n    os._exit(0)",
        "def solution(x):\n    raise SystemExit",
        "def solution(x):\n    while True: pass",
        "import os\ndef solution(x):\n    os.kill(os.getpid(), 9)",
        "def _all_of_it_has_run(): return True\ndef solution(x):\n    raise SystemExit",
    ],
    ids=["sys.exit", "os._exit", "SystemExit", "endless", "kill", "by the name of our last line"],
)
def test_a_program_that_exits_early_passes_no_test(tmp_path: Path, escape: str) -> None:
    make(tmp_path, {"abs": ([escape, GOOD], [POSITIVE, NEGATIVE])}, seconds=1.0)
    (row,) = rows(tmp_path)
    assert row["matrix"] == ["00", "11"]
    assert row["rejected_code"] == escape


def test_rows_without_a_pair_are_rejected_with_a_reason(tmp_path: Path) -> None:
    wrong_too = "def solution(x):\n    return 2 * x + 1"
    scripts = {
        # Copies count once.
        "one code": ([GOOD, GOOD, "?"], [POSITIVE, NEGATIVE, ZERO]),
        "no test": ([GOOD, SLOPPY, WRONG], ["?", "solution(2)", "assert True"]),
        "all alike": ([GOOD, "def solution(x):\n    return max(x, -x)", "solution = abs"], [POSITIVE, NEGATIVE, ZERO]),
        "all wrong": ([WRONG, wrong_too, "def solution(x):\n    pass"], [POSITIVE, "assert solution(5) == 5", ZERO]),
        "both": (
            [GOOD, "solution = abs", "def solution(x):\n    return max(x, -x)"],
            [POSITIVE, ZERO, "assert solution(1) == 2"],
        ),
        "a draw": ([WRONG, SLOPPY, "?"], ["assert solution(1) == 1", "assert solution(1) == 2", "?"]),
    }
    make(tmp_path, scripts)
    whole = {row_id: reason for row_id, reason in reasons(tmp_path).items() if "/" not in row_id}
    assert [whole.get(f"row-{index}") for index in range(len(scripts))] == [
        "too_few_codes",
        "too_few_tests",
        "all_pass",
        "none_pass",
        "too_few_tests",
        "gap_too_small",
    ]


def test_no_tests_are_requested_for_too_few_programs(tmp_path: Path) -> None:
    author = Author({"abs": (["?", "?"], [POSITIVE])})
    make(tmp_path, {"abs": (["?", "?"], [POSITIVE])}, author=author)
    assert len(author.asked) == 1


@pytest.mark.parametrize(("min_gap", "made"), [(0.5, 1), (0.51, 0), (0.0, 1)])
def test_the_gap_is_a_share_of_the_informative_tests(tmp_path: Path, min_gap: float, made: int) -> None:
    tests = [NEGATIVE, "assert solution(-4) == 4", "assert solution(-5) == 5", "assert solution(-1) == -1", ZERO]
    make(tmp_path, {"abs": ([GOOD, SLOPPY], tests)}, min_gap=min_gap)
    assert [row["gap"] for row in rows(tmp_path)] == [0.5] * made
    assert reasons(tmp_path).get("row-0") == (None if made else "gap_too_small")


def test_nondeterministic_programs_and_tests_are_dropped(tmp_path: Path) -> None:
    moody = "import random\ndef solution(x):\n    return abs(x) if random.random() < 0.5 else 7"
    lucky = "import random\nassert solution(3) == 3 or random.random() < 0.5"
    scripts = {
        "a moody code": ([GOOD, moody, WRONG], [POSITIVE, NEGATIVE, "assert solution(4) == 4"]),
        "a lucky test": ([GOOD, "solution = str", WRONG], [POSITIVE, lucky, NEGATIVE]),
    }
    make(tmp_path, scripts)
    assert [row["matrix"] for row in rows(tmp_path)] == [["111", "000"], ["11", "00", "00"]]
    assert reasons(tmp_path) == {"row-0/code-1": "code_nondeterministic", "row-1/test-1": "test_nondeterministic"}
    make(tmp_path / "once", scripts, repeat=False)
    assert reasons(tmp_path / "once") == {}


def test_labelled_rows_have_the_same_two_programs(tmp_path: Path) -> None:
    make(tmp_path, {"abs": ([GOOD, WRONG], [POSITIVE, NEGATIVE])}, format="kto", style="plain")
    good, bad = rows(tmp_path)
    assert (good["id"], good["label"], good["code"], good["test"]) == ("row-0/chosen", True, GOOD, POSITIVE)
    assert (bad["id"], bad["label"], bad["code"], bad["test"]) == ("row-0/rejected", False, WRONG, POSITIVE)
    assert good["completion"] == f"```python\n{GOOD}\n\n\n# Test\n{POSITIVE}\n```"
    assert good["messages"] is None
    assert good["prompt"] == bad["prompt"]


def test_a_row_may_have_a_function_name_and_starter_code(tmp_path: Path) -> None:
    source = tmp_path / "rows.jsonl"
    named = {"id": "a", "instruction": "abs", "entry_point": "absolute", "signature": "def absolute(x: int) -> int:"}
    source.write_text(f"{json.dumps(named)}\n" + json.dumps({**named, "id": "b", "entry_point": "x y"}))
    texts = [[text.replace("solution", "absolute") for text in kind] for kind in ([GOOD, WRONG], [POSITIVE, NEGATIVE])]
    author = Author({"abs": (texts[0], texts[1])})
    Run(
        Pairs(n_code=2, n_tests=2), [str(source)], tmp_path / "out", Options(), engine=author, sandbox=Sandbox("bwrap")
    ).execute()
    (row,) = rows(tmp_path)
    assert row["entry_point"] == "absolute"
    assert reasons(tmp_path) == {"b": "bad_entry_point"}
    for asked in (*author.asked, row["prompt"]):
        assert "```python\ndef absolute(x: int) -> int:\n```" in asked
        assert "`absolute`" in asked


def test_a_resumed_run_reuses_verdicts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []
    running = Sandbox.answer

    async def counted(self: Sandbox, program: str, *rest: Any, **how: Any) -> Any:
        ran.append(program)
        return await running(self, program, *rest, **how)

    monkeypatch.setattr(Sandbox, "answer", counted)
    script = {"abs": ([GOOD, SLOPPY, WRONG], [POSITIVE, NEGATIVE])}
    with pytest.raises(EngineFailed):
        make(tmp_path, script, author=Author(script, writes_tests=False))
    assert len(ran) == 3
    author = Author(script)
    make(tmp_path, script, author=author)
    assert len(author.asked) == 1
    assert len(ran) == 3 + 2 * 3 * 2
    first = Dataset.open(tmp_path / "out").table

    async def broken(*_: object) -> None:
        raise AssertionError("a jail was started")

    stage, source = Pairs(n_code=3, n_tests=2, min_tests=1, seconds=2.0), [str(tmp_path / "rows.jsonl")]
    kept = Options(keep_answers=True, fresh=True)
    Run(stage, source, tmp_path / "out", kept, engine=Author(script), sandbox=Sandbox("bwrap")).execute()
    monkeypatch.setattr(Sandbox, "start", broken)
    again = Options(update=True)
    Run(stage, source, tmp_path / "out", again, engine=Author(script), sandbox=Sandbox("bwrap")).execute()
    assert Dataset.open(tmp_path / "out").table.equals(first)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"format": "ppo"}, "--format ppo: must be one of dpo, kto"),
        ({"style": "song"}, "--style song"),
        ({"entry": "class"}, "--entry class"),
        ({"entry": "a-b"}, "--entry a-b"),
        ({"n_code": 1}, "--n-code 1"),
        ({"min_tests": 9}, "--min-tests 9"),
        ({"min_tests": 0}, "--min-tests 0"),
        ({"task_prompt": Prompt.load("code", FOLDER)}, "--task-prompt code"),
    ],
)
def test_invalid_options(options: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Pairs(**options)
