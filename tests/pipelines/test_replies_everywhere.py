"""Whatever is rejected for what a model said comes with all that it said, whole."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path
from typing import Any, ClassVar

import pytest

from synth.pipelines.augment.respond import Respond
from synth.pipelines.engines import Answer, Completion, Request, Sampling
from synth.pipelines.engines.echo import EchoEngine
from synth.pipelines.prompted.fields import Fields
from synth.pipelines.prompted.judge import Judge
from synth.pipelines.prompted.map import Map
from synth.pipelines.runtime.asking import gather_all
from synth.pipelines.runtime.options import Options
from synth.pipelines.runtime.prompts import Prompt
from synth.pipelines.runtime.runner import Run
from synth.pipelines.runtime.stage import Reject, Rejected, Row, RowStage, Tools
from synth.sandbox.pool import Sandbox
from synth.schemas.answers import TRIES_APART
from synth.schemas.dataset import Dataset
from synth.schemas.errors import EngineFailed
from synth.schemas.record import Record
from synth.schemas.records import QUERY
from tests.pipelines.asking import CASES, each_stage, solutions
from tests.rows import write_rows

LONG = "Well, I had rather talk of the sea: it is as wide as it is deep. "


class Talker(EchoEngine):
    """A model that says 20,000 characters, others for each prompt and sample, and ends them as it is told to."""

    def __init__(self, finish_reason: str) -> None:
        super().__init__()
        self._finish_reason = finish_reason
        self.said: set[str] = set()

    async def answer(self, request: Request) -> Answer:
        if "the sky is blue" in str(request.prompt):
            return await super().answer(request)
        replies = [self._say(request.prompt, request.seed + sample) for sample in range(request.n)]
        return Answer(tuple(Completion(reply, self._finish_reason, 9) for reply in replies), 7)

    def _say(self, prompt: Any, seed: int) -> str:
        reply = (f"{seed} of {hash(str(prompt))}: " + LONG * 400)[:20_000]
        self.said.add(reply)
        return reply


def run(stage: RowStage, rows: Any, folder: Path, engine: EchoEngine, **options: Any) -> list[dict[str, Any]]:
    """The rejected rows."""
    write_rows(folder / "in.jsonl", rows)
    Run(stage, [str(folder / "in.jsonl")], folder / "out", Options(**options), engine=engine).execute()
    rejected = Dataset.open(folder / "out").rejected
    return list(rejected.rows()) if rejected else []


@pytest.mark.parametrize("finish_reason", ["length", "refused"])
@each_stage
def test_a_rejected_row_has_the_whole_reply(name: str, finish_reason: str, tmp_path: Path) -> None:
    case, model = CASES[name], Talker(finish_reason)
    write_rows(tmp_path / "in.jsonl", case.rows)
    sandbox = Sandbox("bwrap") if case.runs_programs else None
    run = Run(case.stage, [str(tmp_path / "in.jsonl")], tmp_path / "out", Options(), engine=model, sandbox=sandbox)
    counts = run.execute().counts
    rejected = Dataset.open(tmp_path / "out").rejected
    if case.without_answer or (name in ("reject sample", "rank sample", "probe self") and finish_reason == "length"):
        # These keep what they cannot use, with a label, and filter nothing.
        assert (counts.produced, rejected) == (len(case.rows), None)
        return
    assert rejected is not None
    assert counts.rejected == len(case.rows)
    for row in rejected.rows():
        assert row["model_replies"]
        assert model.said.issuperset(row["model_replies"])
        assert len(row["detail"]) < 200


class Scripted(EchoEngine):
    """Says the lines of a script, the first ones last: a sample waits the longer the smaller its number is."""

    def __init__(self, *script: str, retries: Sequence[str] = ()) -> None:
        super().__init__()
        self._script = script
        self._retries = retries
        self._first: int | None = None

    async def answer(self, request: Request) -> Answer:
        if "the sky is blue" in str(request.prompt):
            return await super().answer(request)
        self._first = request.seed if self._first is None else self._first
        sample = request.seed - self._first
        await asyncio.sleep(max(0.0, 0.02 * (len(self._script) - sample)))
        is_retry, first = divmod(sample, TRIES_APART)
        texts = (self._retries if is_retry else self._script)[first : first + request.n]
        return Answer(tuple(Completion(text, "stop", len(text.split())) for text in texts), 7)


def test_of_several_samples_each_filtered_one_has_its_own(tmp_path: Path) -> None:
    stage = Respond(n=4, temperatures=(0.7,), keep="agreement")
    said = [solutions("", seed) for seed in range(4)]
    rejected = run(stage, [{"query": "What is 2+3?"}], tmp_path, Scripted(*said))
    assert {row["id"][-6:]: (row["reason"], row["model_replies"]) for row in rejected} == {
        "path-2": ("low_agreement", [said[2]]),
        "path-3": ("no_answer", [said[3]]),
    }


def test_a_retry_that_fails_too_is_the_reply(tmp_path: Path) -> None:
    fields = Fields({"type": "object", "properties": {"title": {"type": "string"}}})
    stage = Map(Prompt("# user\n{{ topic }}", "own"), schema=fields, n=2, tries=2)
    model = Scripted("I think", "well", retries=('{"title": "ok"}', '{"title": 3}'))
    rejected = run(stage, [{"topic": "bees"}], tmp_path, model)
    assert [(row["id"], row["model_replies"]) for row in rejected] == [("in-0/map-2", ['{"title": 3}'])]


def test_votes_that_decide_together_are_all_shown_in_their_order(tmp_path: Path) -> None:
    stage = Judge(Prompt("Is it wide? {{ topic }}", "rubric"), votes=3, tries=1, keep="score > 4", schema=False)
    votes = [f'{{"reason": "Reason {number}.", "score": {number}}}' for number in (1, 2, 3)]
    (row,) = run(stage, [{"topic": "the sea"}], tmp_path, Scripted(*votes))
    assert (row["reason"], row["model_replies"]) == ("not_kept", votes)


class Breaking(EchoEngine):
    """Gives so many answers, and then breaks down."""

    def __init__(self, answers: float) -> None:
        super().__init__()
        self._answers = answers
        self.asked: list[int] = []

    async def answer(self, request: Request) -> Answer:
        if "the sky is blue" in str(request.prompt):
            return await super().answer(request)
        self.asked.append(request.seed)
        if len(self.asked) > self._answers:
            await asyncio.sleep(0.1)
            raise EngineFailed("it has gone")
        return Answer((Completion(f'{{"reason": "Sample {request.seed}.", "score": 1}}', "stop", 5),), 7)


def test_replies_are_the_same_after_a_run_that_broke_off(tmp_path: Path) -> None:
    stage = Judge(Prompt("Is it wide? {{ topic }}", "rubric"), votes=3, tries=1, keep="score > 4", schema=False)
    rows = [{"topic": "the sea"}]
    whole = run(stage, rows, tmp_path, Breaking(inf))
    with pytest.raises(EngineFailed):
        run(stage, rows, tmp_path, Breaking(2), fresh=True)
    resuming = Breaking(inf)
    assert run(stage, rows, tmp_path, resuming) == whole
    assert len(resuming.asked) == 1
    assert len(set(whole[0]["model_replies"])) == 3


@dataclass(frozen=True)
class Picky(RowStage):
    """A stage that someone writes on their own, and that knows nothing of replies."""

    name: ClassVar[str] = "picky"
    input: ClassVar[Record] = QUERY
    output: ClassVar[Record] = QUERY
    uses_engine: ClassVar[bool] = True
    together: bool = False

    async def process(self, row: Row, tools: Tools) -> AsyncIterator[Row]:
        if row["query"].isupper():
            raise Reject("loud", "it has capitals only")
        if self.together:
            answers = await gather_all(
                tools.llm.generate(row["query"], Sampling(), first_sample=number) for number in range(2)
            )
        else:
            answers = [await tools.llm.generate(row["query"], Sampling(), first_sample=number) for number in range(2)]
        raise Reject("dull", f"{len(answers)} answers are dull")
        yield row


def test_a_stage_of_ones_own_rejects_with_the_last_answer_or_those_of_the_last_gathering(tmp_path: Path) -> None:
    rows = [{"query": "What is it?"}, {"query": "AND THIS?"}]
    rejected = run(Picky(), rows, tmp_path, Scripted("one", "two"), in_flight=1)
    assert [(row["reason"], row["model_replies"]) for row in rejected] == [("dull", ["two"]), ("loud", None)]
    rejected = run(replace(Picky(), together=True), rows[:1], tmp_path, Scripted("one", "two"), fresh=True)
    assert [row["model_replies"] for row in rejected] == [["one", "two"]]


def test_a_rejection_without_a_reason_is_an_error_of_the_stage() -> None:
    with pytest.raises(ValueError, match="a rejection needs a reason"):
        Reject("", "it is dull")
    with pytest.raises(ValueError, match="a filtered output needs a reason"):
        Rejected({"id": "a"}, "")


def test_thoughts_are_the_reply_of_a_model_that_never_answered(tmp_path: Path) -> None:
    thought = "So it could be " * 2000
    (row,) = run(CASES["augment evolve"].stage, [{"query": "?"}], tmp_path, Scripted(f"<think>{thought}"))
    assert (row["reason"], row["model_replies"]) == ("truncated", [thought.strip()])


def test_a_step_without_a_model_has_no_column_of_replies(tmp_path: Path) -> None:
    write_rows(tmp_path / "in.jsonl", [{"source_id": "s", "code": "def f(", "func_name": "f"}])
    stage = replace(CASES["case2code inputs"].stage, inputs_from="types")  # type: ignore[call-arg]
    Run(stage, [str(tmp_path / "in.jsonl")], tmp_path / "out", Options()).execute()
    rejected = Dataset.open(tmp_path / "out").rejected
    assert rejected is not None
    assert "model_replies" not in rejected.table.column_names
