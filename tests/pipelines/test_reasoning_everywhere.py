"""Every stage that asks a model reads its answers alone: what it thought before them decides nothing."""

import inspect
import json
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import synth.pipelines
from synth.pipelines.augment.evolve import EVOLUTIONS
from synth.pipelines.engines import Answer, Completion, Message, Request, RequestFailed
from synth.pipelines.engines.echo import EchoEngine
from synth.pipelines.runtime.options import Options
from synth.pipelines.runtime.runner import Run, Summary
from synth.pipelines.runtime.stage import RowStage
from synth.pipelines.self_lengthen.evaluate import CRITERIA
from synth.sandbox.pool import Sandbox
from synth.schemas.dataset import Dataset
from tests.pipelines.asking import CASES, Case, Says, each_stage
from tests.rows import write_rows

# What every recipe looks for in a reply stands in the thought, too, with other content.
DECOYS = f"""The user wants a revised version. Shall I say yes?
Yes
{chr(10).join(f"{number}. **{name}**: What is 9+{number}?" for number, name in enumerate(EVOLUTIONS, 1))}
1. How is a decoy made in the end?
2. Why would anybody think of it, in more than 9000 words?

```python
examples = [dict(word='decoy'), dict(word='lure')]
def solution(x):
    return "decoy"
def shout(word):
    return "decoy"
assert solution(3) == "decoy"
```
[{{"tag": "decoy", "explanation": "A lure."}}]

Scene 1: Debate
Location: A marsh
Background: A decoy swims.

Decoy (speaking)
Quack.

{json.dumps({"analysis": "A decoy.", **dict.fromkeys(CRITERIA, 1)})}
2+4=<<2+4=7>>7
#### 6
The answer is 6.
Verdict: correct
So that is settled."""

Form = Callable[[str], Completion]

FORMS: Mapping[str, Callable[[str], str]] = {
    "between markers": lambda answer: f"<think>\n{DECOYS}\n</think>\n\n{answer}",
    "opened by the chat template": lambda answer: f"{DECOYS}\n</think>\n\n{answer}",
    "closed within a line": lambda answer: f"<think>{DECOYS}</think>{answer}",
    "twice": lambda answer: f"<think>{DECOYS}</think>\n<think>Again: {DECOYS}</think>\n{answer}",
    "around an envelope": lambda answer: f"[THINK]{DECOYS}[/THINK]<answer>\n{answer}\n</answer>",
    "in channels": lambda answer: (
        f"<|channel|>analysis<|message|>{DECOYS}<|end|><|start|>assistant<|channel|>final<|message|>{answer}<|return|>"
    ),
}


class Model(EchoEngine):
    """A model whose answers depend on the prompt and the seed, each in the form that is given."""

    def __init__(self, says: Says, form: Form) -> None:
        super().__init__()
        self._says = says
        self._form = form

    async def answer(self, request: Request) -> Answer:
        prompt = request.prompt if isinstance(request.prompt, str) else said(request.prompt)["user"]
        if "the sky is blue" in prompt:
            # Whether schemas are obeyed is not what is asked here.
            return await super().answer(request)
        seeds = range(request.seed, request.seed + request.n)
        return Answer(tuple(self._form(self._says(prompt, seed)) for seed in seeds), 7)


def said(prompt: tuple[Message, ...]) -> dict[str, str]:
    """What each role said last."""
    return {message["role"]: message["content"] for message in prompt}


def plain(text: str) -> Completion:
    return Completion(text, "stop", len(text.split()))


def go(case: Case, folder: Path, form: Form, **options: Any) -> Summary:
    write_rows(folder / "in.jsonl", case.rows)
    how = Options(fresh=True, **options)
    engine = Model(case.says, form)
    sandbox = Sandbox("bwrap") if case.runs_programs else None
    return Run(case.stage, [str(folder / "in.jsonl")], folder / "out", how, engine=engine, sandbox=sandbox).execute()


def rows(folder: Path) -> list[dict[str, Any]]:
    """What was published, accepted or not, without reasoning and the counts of its tokens."""
    dataset = Dataset.open(folder / "out")
    tables = [dataset.table, *([dataset.rejected.table] if dataset.rejected else [])]
    return [
        {name: value for name, value in row.items() if "reasoning" not in name and not name.endswith("_tokens")}
        for table in tables
        for row in table.to_pylist()
    ]


def details(folder: Path) -> str:
    rejected = Dataset.open(folder / "out").rejected
    return "\n".join(rejected.table["detail"].to_pylist()) if rejected else ""


def stages_that_ask() -> set[str]:
    """The row stages in whose module a model is asked."""
    found: set[str] = set()
    for module_info in pkgutil.walk_packages(synth.pipelines.__path__, "synth.pipelines."):
        source = inspect.getsource(import_module(module_info.name))
        if "llm.generate(" not in source and "Ask(" not in source:
            continue
        for member in vars(import_module(module_info.name)).values():
            if inspect.isclass(member) and issubclass(member, RowStage) and member.__module__ == module_info.name:
                found.add(member.name)
    return found


def test_no_stage_that_asks_a_model_is_missing_here() -> None:
    # Of `think` the thought is the answer: see tests/pipelines/think.
    assert stages_that_ask() - {"think"} == set(CASES) == {case.stage.name for case in CASES.values()}


@each_stage
def test_a_thought_full_of_decoys_changes_no_row(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    expected = go(case, tmp_path, plain).counts
    without = rows(tmp_path)
    assert expected.outputs > 0
    marked = [lambda answer, write=write: plain(write(answer)) for write in FORMS.values()]
    # A jail takes seconds to start: with one, the first form stands for the others.
    for form in (*marked[: 1 if case.runs_programs else None], lambda answer: Completion(answer, "stop", 9, DECOYS)):
        counts = go(case, tmp_path, form).counts
        assert rows(tmp_path) == without
        assert (counts.outputs, counts.reasons) == (expected.outputs, expected.reasons)
        published = Dataset.open(tmp_path / "out").table.to_pylist()
        for column in case.reasoning:
            held = [row[column] for row in published if row.get("kind") != "seed"]
            thoughts = [thought for one in held for thought in (one if isinstance(one, list) else [one])]
            assert all(thought.startswith(DECOYS) for thought in thoughts)
            assert thoughts


@each_stage
def test_reasoning_that_is_never_closed_is_a_cut_reply(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    counts = go(case, tmp_path, lambda _: plain(f"<think>{DECOYS}")).counts
    if case.without_answer:
        said_in_the_row(case, "truncated", tmp_path, counts.tallies)
    else:
        assert (counts.outputs, counts.rejected) == (0, len(case.rows))
        assert f"the reasoning did not end within {len(DECOYS.split())} tokens; see --max-tokens" in details(tmp_path)


@pytest.mark.parametrize(
    ("reply", "reason"),
    [(Completion("#### 5", "refused", 2), "refused"), (Completion(" \n", "stop", 1), "empty_answer")],
)
@each_stage
def test_a_model_that_says_nothing_is_named_as_that(name: str, tmp_path: Path, reply: Completion, reason: str) -> None:
    case = CASES[name]
    counts = go(case, tmp_path, lambda _: reply).counts
    if case.without_answer:
        said_in_the_row(case, reason, tmp_path, counts.tallies)
    else:
        assert (counts.outputs, counts.reasons) == (0, {reason: len(case.rows)})


class Hesitant(Model):
    """The same model, which says nothing at first."""

    def __init__(self, says: Says) -> None:
        super().__init__(says, self._hesitate)
        self.said: list[str] = []

    def _hesitate(self, text: str) -> Completion:
        self.said.append(text if self.said else "")
        return plain(self.said[-1])


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if hasattr(case.stage, "tries")])
def test_a_stage_that_has_tries_asks_again_where_nothing_was_said(name: str, tmp_path: Path) -> None:
    case = replace(CASES[name], stage=replace(CASES[name].stage, tries=6))
    write_rows(tmp_path / "in.jsonl", case.rows)
    hesitant = Hesitant(case.says)
    counts = (
        Run(case.stage, [str(tmp_path / "in.jsonl")], tmp_path / "out", Options(), engine=hesitant).execute().counts
    )
    assert (counts.produced, counts.failed) == (len(case.rows), 0)
    assert (hesitant.said[0], len(hesitant.said) > 1) == ("", True)
    assert all(row.get("analysis", "") is not None for row in Dataset.open(tmp_path / "out").table.to_pylist())


def chokes(_: str) -> Completion:
    raise RequestFailed("500: it choked on this prompt")


@each_stage
def test_a_row_that_no_engine_answers_has_failed_by_that_name(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    counts = go(case, tmp_path, chokes, max_failures=len(case.rows)).counts
    if case.without_answer == "tallies":
        said_in_the_row(case, "engine_error", tmp_path, counts.tallies)
    else:
        assert (counts.outputs, counts.failures) == (0, {"engine_error": len(case.rows)})
        assert "it choked on this prompt" in details(tmp_path)


def said_in_the_row(case: Case, reason: str, folder: Path, tallies: Mapping[str, float]) -> None:
    """Evaluations give a row all the same: no sample of it is right, or it has no marks."""
    (row,) = Dataset.open(folder / "out").table.to_pylist()
    if case.without_answer == "labels":
        assert set(row["labels"]) == {reason}
        assert row["correct"] == 0
    else:
        assert tallies[f"not_judged_{reason}"] == 1
        assert row["analysis"] is None
