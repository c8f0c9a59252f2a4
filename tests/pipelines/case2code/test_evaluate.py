"""Functions that a model wrote are judged on shown and hidden examples."""

import json
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from synth.cli.summaries import breakdown
from synth.pipelines.case2code.evaluate import EvaluateFunctions, pass_at
from synth.pipelines.case2code.replies import function_in
from synth.pipelines.engines import Answer, Completion, Request
from synth.pipelines.engines.echo import EchoEngine
from synth.pipelines.runtime.options import Options
from synth.pipelines.runtime.runner import Run, Summary
from synth.pipelines.runtime.stage import Reject
from synth.sandbox.pool import Sandbox
from synth.schemas.dataset import Dataset
from synth.schemas.errors import UsageError
from tests.command import invoke
from tests.jails import why_not
from tests.rows import rows_of

jailed = pytest.mark.skipif(bool(why_not("bwrap")), reason=f"no bwrap jail: {why_not('bwrap')}")

CODE = "def share(n, by):\n    return {'each': n // by, 'left': n % by, 'set': {n, -n}}\n"
TASK: dict[str, Any] = {
    "id": "s/share",
    "prompt": "Which function is it?",
    "output": "",
    "code": CODE,
    "func_name": "share",
    "example_inputs": ["dict(n=7, by=2)", "dict(n=1, by=0)", "dict(n=-7, by=2)", "dict(n=4, by=4)"],
    "example_outputs": [
        {"return": "{'each': 3, 'left': 1, 'set': {-7, 7}}", "error": None},
        {"return": None, "error": "ZeroDivisionError"},
        {"return": "{'each': -4, 'left': 1, 'set': {-7, 7}}", "error": None},
        {"return": "{'each': 1, 'left': 0, 'set': {-4, 4}}", "error": None},
    ],
    "shown": [3, 0, 1],
}


class Author(EchoEngine):
    """A model that returns these samples for every task."""

    def __init__(self, *replies: str) -> None:
        super().__init__()
        self._replies = replies
        self.asked: list[Request] = []

    async def answer(self, request: Request) -> Answer:
        self.asked.append(request)
        assert request.n == len(self._replies)
        return Answer(tuple(Completion(reply, "stop", len(reply.split())) for reply in self._replies), 9)


def fenced(code: str) -> str:
    return f"This should do:\n```python\n{code}\n```\nIt divides."


def evaluate(
    folder: Path,
    replies: Sequence[str],
    tasks: Sequence[dict[str, Any]] = (TASK,),
    author: Author | None = None,
    **how: Any,
) -> Summary:
    (folder / "tasks.jsonl").write_text("".join(json.dumps(task) + "\n" for task in tasks))
    stage = EvaluateFunctions(n=len(replies), temperature=0.8, seconds=1.0, **how)
    engine = author or Author(*replies)
    return Run(
        stage, [str(folder / "tasks.jsonl")], folder / "out", Options(), engine=engine, sandbox=Sandbox("bwrap")
    ).execute()


JUDGED = {
    fenced(CODE): "correct",
    CODE: "correct",
    # The keys in another order, and an error with another message.
    fenced(
        "def share(n, by):\n    if not by: raise ZeroDivisionError('no!')\n"
        "    return {'set': {-n, n}, 'left': n % by, 'each': n // by}"
    ): "correct",
    fenced(CODE.replace("share", "divide")): "correct",
    fenced(f"def helper(n):\n    return n\n\n{CODE.replace('share', 'divide')}"): "correct",
    fenced(f"{CODE}\ndef helper(n):\n    return n"): "correct",
    fenced(
        "def both(n): return {n, -n}\nshare = lambda n, by: dict(each=n // by, left=n % by, set=both(n))"
    ): "correct",
    fenced(CODE.replace("n //", "abs(n) //")): "wrong_on_hidden",
    fenced(CODE.replace("n //", "n /")): "wrong_output",
    fenced(CODE.replace("by", "d")): "wrong_output",
    fenced(CODE.replace("    return", "    if by < 1: raise ValueError(by)\n    return")): "wrong_output",
    fenced(CODE.replace("    return", "    while n < 0: pass\n    return")): "timeout",
    fenced(CODE.replace("    return", "    import os\n    os.abort()\n    return")): "crashed",
    fenced("def share(n, by:\n    return n"): "load_error",
    fenced(f"import numpy_of_my_own\n{CODE}"): "load_error",
    "I do not know.": "no_code",
    "```python\n```": "no_code",
    "": "empty_answer",
}  # fmt: skip


@jailed
def test_each_kind_of_sample_has_its_label(tmp_path: Path) -> None:
    summary = evaluate(tmp_path, list(JUDGED))
    (row,) = rows_of(tmp_path / "out")
    assert dict(zip(row["responses"], row["labels"], strict=True)) == JUDGED
    details = dict(zip(row["responses"], row["details"], strict=True))
    assert details[fenced(CODE)] == ""
    assert details[fenced(CODE.replace("by", "d"))] == (
        "dict(n=7, by=2) gave TypeError, not {'each': 3, 'left': 1, 'set': {-7, 7}}"
    )
    assert details[fenced(CODE.replace("n //", "abs(n) //"))].startswith("dict(n=-7, by=2) gave {'each': 3, ")
    assert (row["n"], row["correct"], row["model"]) == (18, 7, "echo")
    assert sum(row["right_on_shown"]) == 8, "those that are correct, and the one that is wrong on hidden calls"
    assert row["right_on_hidden"][list(JUDGED.values()).index("wrong_on_hidden")] is False
    labels = set(JUDGED.values())
    assert {name: n for name, n in summary.counts.tallies.items() if name in labels} == {
        label: list(JUDGED.values()).count(label) for label in labels
    }


@jailed
def test_expected_outputs_never_enter_the_jail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entered: list[str] = []
    run_in_jail = Sandbox.answer

    async def watched(self: Sandbox, *arguments: Any, **how: Any) -> Any:
        entered.append(repr((arguments, how)))
        return await run_in_jail(self, *arguments, **how)

    monkeypatch.setattr(Sandbox, "answer", watched)
    code = "def share(n):\n    return f'{n:o}-octal'"
    calls = {f"dict(n={n})": {"return": f"'{n:o}-octal'", "error": None} for n in (1234, 4321)}
    task = {**TASK, "code": code, "example_inputs": list(calls), "example_outputs": list(calls.values()), "shown": [0]}
    evaluate(tmp_path, [fenced("def share(n):\n    return n")], [task])
    assert len(entered) == 2
    assert all("1234" in text and "2322-octal" not in text and "10341-octal" not in text for text in entered)


@jailed
def test_a_task_whose_gold_function_fails_is_rejected_without_a_request(tmp_path: Path) -> None:
    rest = TASK["example_outputs"][1:]
    tasks = [
        {**TASK, "id": "value", "example_outputs": [{"return": "3", "error": None}, *rest]},
        {**TASK, "id": "error", "example_outputs": [{"return": None, "error": "ZeroDivisionError"}, *rest]},
        {**TASK, "id": "nothing", "example_outputs": [{"return": None, "error": None}, *rest]},
        {**TASK, "id": "broken", "code": f"missing\n{CODE}"},
        {**TASK, "id": "short", "example_outputs": rest},
        {**TASK, "id": "empty", "example_inputs": [], "example_outputs": [], "shown": []},
        {**TASK, "id": "strange", "example_inputs": ["share(7, 2)", *TASK["example_inputs"][1:]]},
        {**TASK, "id": "absent", "func_name": "divide"},
    ]
    author = Author("")
    evaluate(tmp_path, [""], tasks, author)
    rejected = Dataset.open(tmp_path / "out").rejected
    assert rejected is not None
    rows = {row["id"]: row for row in rejected.rows()}
    assert {row_id: row["reason"] for row_id, row in rows.items()} == {
        **dict.fromkeys(("value", "error", "nothing", "broken"), "gold_differs"),
        **dict.fromkeys(("short", "empty"), "count_mismatch"),
        "strange": "unreadable_input",
        "absent": "no_function",
    }
    assert rows["value"]["detail"].endswith("dict(n=7, by=2) gave {'each': 3, 'left': 1, 'set': {-7, 7}}, not 3")
    assert rows["broken"]["detail"].startswith("load_error: ")
    assert author.asked == []


@jailed
def test_order_of_sets_and_error_messages_are_ignored(tmp_path: Path) -> None:
    outputs = [
        {"return": "{'set': {7, -7}, 'left': 1, 'each': 3}", "error": None},
        {"return": None, "error": "ZeroDivisionError: in the words of some Python"},
        *TASK["example_outputs"][2:],
    ]
    assert evaluate(tmp_path, [fenced(CODE)], [{**TASK, "example_outputs": outputs}]).counts.tallies["correct"] == 1


@jailed
def test_rates_are_means_over_the_tasks_and_over_those_with_hidden_calls(tmp_path: Path) -> None:
    replies = [fenced(CODE), fenced(CODE.replace("n //", "abs(n) //")), "no", "no"]
    tasks = [TASK, {**TASK, "id": "all-shown", "shown": [0, 1, 2, 3]}]
    summary = evaluate(tmp_path, replies, tasks, k=(1, 4))
    hidden, shown = rows_of(tmp_path / "out")
    assert hidden["pass_at"] == [
        {"k": 1, "all": 0.25, "shown": 0.5, "hidden": 0.25},
        {"k": 4, "all": 1.0, "shown": 1.0, "hidden": 1.0},
    ]
    assert shown["labels"] == ["correct", "wrong_output", "no_code", "no_code"]
    assert shown["right_on_hidden"] is None
    assert shown["pass_at"][0] == {"k": 1, "all": 0.25, "shown": 0.25, "hidden": None}
    means = summary.record["means"]
    assert means == {
        "pass@1": 0.25,
        "pass@1_shown": 0.375,
        "pass@1_hidden": 0.25,
        "pass@4": 1.0,
        "pass@4_shown": 1.0,
        "pass@4_hidden": 1.0,
    }
    sums, _, told = " ".join(map(str.strip, breakdown(summary.record["counts"], means))).partition("mean ")
    assert "tasks 2, tasks with hidden 1" in sums
    assert "pass" not in sums
    assert told.startswith("pass@1 0.2500, pass@1 shown 0.3750, pass@1 hidden 0.2500, pass@4 1.0000")
    (document,) = json.loads(invoke("stats", tmp_path / "out", "--json").stdout)
    assert document["means"] == means
    assert "pass@1_shown 0.3750" in invoke("stats", tmp_path / "out").stdout


@jailed
def test_answers_and_verdicts_are_replayed_without_a_model_or_a_jail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> None:
        raise AssertionError("a jail was started")

    (tmp_path / "tasks.jsonl").write_text(json.dumps(TASK) + "\n")
    tasks, out = [str(tmp_path / "tasks.jsonl")], tmp_path / "out"
    author = Author(fenced(CODE))
    Run(EvaluateFunctions(), tasks, out, Options(keep_answers=True), engine=author, sandbox=Sandbox("bwrap")).execute()
    first = Dataset.open(out).table
    (request,) = author.asked
    assert (request.sampling.temperature, request.sampling.top_p, request.sampling.max_tokens) == (0.0, 0.95, 2048)
    (message,) = request.prompt
    assert message["role"] == "user"  # type: ignore[index]
    assert message["content"].startswith(
        "Which function is it?\n\nThe function will be called with all its arguments by"
    )  # type: ignore[index]
    monkeypatch.setattr(Sandbox, "start", broken)
    silent = Author(fenced(CODE))
    Run(EvaluateFunctions(), tasks, out, Options(update=True), engine=silent, sandbox=Sandbox("bwrap")).execute()
    assert silent.asked == []
    assert Dataset.open(out).table.equals(first)


@pytest.mark.parametrize("n", [1, 2, 5])
def test_pass_at_is_the_share_of_draws_with_a_correct_sample(n: int) -> None:
    for correct in range(n + 1):
        for k in range(1, n + 1):
            draws = [min(draw) < correct for draw in combinations(range(n), k)]
            assert pass_at(k, n, correct) == pytest.approx(sum(draws) / len(draws))


def test_pass_at_is_exact_for_many_samples() -> None:
    assert pass_at(100, 1000, 0) == 0.0
    assert pass_at(1, 1000, 1) == pytest.approx(0.001)
    assert pass_at(500, 1000, 501) == 1.0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n": 2}, "-n 2 samples at --temperature 0 are all the same"),
        ({"k": (1, 3), "n": 2, "temperature": 0.5}, "--k 3 needs at least 3 samples, but -n is 2"),
        ({"k": (0,)}, "--k 0"),
    ],
)
def test_invalid_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        EvaluateFunctions(**options)


def test_an_unfenced_reply_is_code_if_it_parses() -> None:
    assert function_in("def g(x): return x", "f") == ("def g(x): return x", "g")
    with pytest.raises(Reject, match="no_code: the reply cannot be parsed"):
        function_in("f is the identity", "f")


def test_methods_and_nested_functions_are_not_called() -> None:
    code = "def f(x): return x\nclass A:\n    def g(self): pass\nif True:\n    def h(x): pass\n"
    assert function_in(code, "k")[1] == "f"
    assert function_in(fenced("k = 1\nclass A: pass"), "f")[1] == "f"
    with pytest.raises(Reject, match="no_code: the reply defines no function"):
        function_in("k = 1\nclass A: pass", "f")
