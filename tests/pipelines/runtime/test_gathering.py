"""A stage that looks at all rows together still accounts for every one of them."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any, ClassVar

import pytest

from synth.pipelines.engines import Answer, Completion, Request, Sampling
from synth.pipelines.engines.echo import EchoEngine
from synth.pipelines.runtime.counts import Counts
from synth.pipelines.runtime.options import Options
from synth.pipelines.runtime.runner import Run
from synth.pipelines.runtime.stage import Reject, Rejected, Row, RowStage, Tools
from synth.schemas.dataset import Dataset
from synth.schemas.errors import EngineFailed, Partial, SynthError
from synth.schemas.record import Record
from synth.schemas.records import QUERY, RESPONSE, ROW
from tests.pipelines.passing import shards
from tests.rows import rejected_of, rows_of, write_rows

QUERIES = ["one", "two", "three", "four"]


@dataclass(frozen=True)
class Longest(RowStage):
    """The longest queries, one after the other, as the model would have them; rejects those that are not asked."""

    name: ClassVar[str] = "choose longest"
    input: ClassVar[Record] = QUERY
    output: ClassVar[Record] = RESPONSE
    uses_engine: ClassVar[bool] = True
    gathers: ClassVar[bool] = True
    wanted: int = 2
    fault: str = ""

    async def process(self, row: Row, tools: Tools) -> AsyncIterator[Row | Rejected]:
        ordered = sorted(row["rows"], key=lambda one: -len(one["query"]))
        if self.fault == "fails":
            raise ValueError("it is broken")
        for one in ordered[self.wanted :]:
            yield Rejected(one, "too_short", "others are longer")
        if self.fault == "strays":
            yield Rejected({"id": "stray"}, "too_short")
        if self.fault == "tells twice":
            yield Rejected(ordered[-1], "too_short")
        if not self.wanted:
            raise Reject("nothing_kept", "all are too short")
        answers = [await tools.llm.generate(one["query"], Sampling()) for one in ordered[: self.wanted]]
        yield {"id": f"{row['id']}/all", "response": " ".join(answer.completions[0].text for answer in answers)}


class Mortal(EchoEngine):
    """Says what it is asked, and dies after so many answers."""

    def __init__(self, answers: float = inf) -> None:
        super().__init__()
        self._left = answers
        self.asked: list[str] = []

    async def answer(self, request: Request) -> Answer:
        if len(self.asked) >= self._left:
            raise EngineFailed("it is dead")
        self.asked.append(str(request.prompt))
        return Answer((Completion(str(request.prompt).upper(), "stop", 1),), 1)


@pytest.fixture
def source(tmp_path: Path) -> str:
    return str(write_rows(tmp_path / "queries.jsonl", [{"id": query, "query": query} for query in QUERIES]))


def run(stage: Longest, source: str, out: Path, engine: Mortal | None = None, **options: Any) -> Counts:
    return Run(stage, [source], out, Options(**options), engine=engine or Mortal()).execute().counts


def test_rows_that_it_makes_nothing_of_are_rejected_and_the_others_produce_its_output(
    source: str, tmp_path: Path
) -> None:
    counts = run(Longest(), source, tmp_path / "out")
    assert (counts.produced, counts.rejected, counts.failed, counts.outputs) == (2, 2, 0, 1)
    assert (counts.reasons, counts.output_reasons) == ({"too_short": 2}, {})
    assert [(row["id"], row["response"]) for row in rows_of(tmp_path / "out")] == [("longest/all", "THREE FOUR")]
    rejected = rejected_of(tmp_path / "out")
    assert [(row["id"], row["query"], row["reason"]) for row in rejected] == [
        ("one", "one", "too_short"),
        ("two", "two", "too_short"),
    ]
    assert (Dataset.open(tmp_path / "out").run or {})["input_rows"] == len(QUERIES)


def test_rows_are_counted_when_nothing_comes_of_them(source: str, tmp_path: Path) -> None:
    counts = run(Longest(wanted=0), source, tmp_path / "out")
    assert (counts.produced, counts.rejected, counts.failed, counts.outputs) == (0, 4, 0, 0)
    # The gathering itself is no row of the input.
    assert (counts.reasons, counts.output_reasons) == ({"too_short": 4}, {"nothing_kept": 1})


def test_all_rows_fail_with_it(source: str, tmp_path: Path) -> None:
    for allowed in (0, 3):
        with pytest.raises(Partial, match=r"4 of 4 rows failed, the first is longest \(ValueError: it is broken\)"):
            run(Longest(fault="fails"), source, tmp_path / "out", max_failures=allowed)
    counts = run(Longest(fault="fails"), source, tmp_path / "out", max_failures=4)
    assert (counts.produced, counts.rejected, counts.failed) == (0, 0, 4)
    assert (counts.failures, counts.output_reasons) == ({"failed": 4}, {})


@pytest.mark.parametrize("wanted", [0, 2])
def test_a_stage_that_accounts_for_a_row_twice_is_found_out(wanted: int, source: str, tmp_path: Path) -> None:
    with pytest.raises(SynthError, match="of 4 input rows 5 are accounted for"):
        run(Longest(wanted=wanted, fault="tells twice"), source, tmp_path / "out")


def test_after_an_interruption_nothing_is_asked_twice(source: str, tmp_path: Path) -> None:
    run(Longest(wanted=3), source, tmp_path / "whole")
    dying, resuming = Mortal(2), Mortal()
    with pytest.raises(EngineFailed):
        run(Longest(wanted=3), source, tmp_path / "out", dying)
    run(Longest(wanted=3), source, tmp_path / "out", resuming)
    assert [*dying.asked, *resuming.asked] == ["three", "four", "one"]
    assert shards(tmp_path / "out") == shards(tmp_path / "whole")


@dataclass(frozen=True)
class Marked(Longest):
    """The longest rows whole, whatever their columns are."""

    input: ClassVar[Record] = ROW
    output: ClassVar[Record] = ROW
    uses_engine: ClassVar[bool] = False

    async def process(self, row: Row, tools: Tools) -> AsyncIterator[Row | Rejected]:  # noqa: ARG002
        for one in row["rows"]:
            yield {**one, "id": f"{row['id']}/{one['id']}"} if len(one["query"]) > 3 else Rejected(one, "too_short")


def test_rows_of_any_columns_keep_them(source: str, tmp_path: Path) -> None:
    counts = run(Marked(), source, tmp_path / "out")
    assert rows_of(tmp_path / "out") == [{"id": f"longest/{query}", "query": query} for query in ("three", "four")]
    assert [(row["id"], row["query"]) for row in rejected_of(tmp_path / "out")] == [("one", "one"), ("two", "two")]
    assert (counts.produced, counts.rejected) == (2, 2)


def test_an_output_that_belongs_to_no_row_is_an_error_as_elsewhere(source: str, tmp_path: Path) -> None:
    with pytest.raises(Partial, match="the output id 'stray' does not start with the input id 'longest'"):
        run(Longest(fault="strays"), source, tmp_path / "out")
