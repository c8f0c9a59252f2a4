"""`synth rank sample` puts what a model says beside the responses that are there."""

from pathlib import Path
from typing import Any

import pytest

from synth.pipelines.engines import Answer, Completion, Request
from synth.pipelines.engines.echo import EchoEngine
from synth.pipelines.rank.sample import SampleResponses
from synth.pipelines.rank.score import ScoreResponses
from synth.schemas.errors import InputError, UsageError
from tests.command import synth
from tests.pipelines.rank.judges import ran
from tests.rows import Rows, rejected_of, rows_of, write_rows

ROWS: Rows = [{"id": "a", "prompt": "Name a bird.", "chosen": "A wren.", "rejected": "Bird", "topic": "birds"}]


class Named(EchoEngine):
    """A model with a name, whose samples are numbered from the first one of a row; those in `blank` are not there."""

    def __init__(self, name: str, blank: tuple[int, ...] = ()) -> None:
        super().__init__()
        self._name = name
        self._blank = blank
        self._first: int | None = None
        self.asked: list[Request] = []

    def identity(self) -> dict[str, Any]:
        return {**super().identity(), "model": self._name}

    async def answer(self, request: Request) -> Answer:
        self.asked.append(request)
        self._first = self._first or request.seed
        texts = [number + request.seed - self._first for number in range(request.n)]
        said = [" " if number in self._blank else f"{self._name} {number}" for number in texts]
        return Answer(tuple(Completion(text, "stop", 2, "Hm.") for text in said), 5)


def test_samples_stand_behind_the_preferred_and_the_other_response(tmp_path: Path) -> None:
    ran(tmp_path, SampleResponses(n=2), ROWS, model := Named("small"))
    (row,) = rows_of(tmp_path / "out")
    assert row == {
        "id": "a",
        "query": "Name a bird.",
        "responses": ["A wren.", "Bird", "small 0", "small 1"],
        "sources": ["chosen", "rejected", "small", "small"],
        "reasonings": [None, None, "Hm.", "Hm."],
        "chosen": "A wren.",
        "rejected": "Bird",
        "topic": "birds",
    }
    (request,) = model.asked
    assert (request.prompt, request.n) == (({"role": "user", "content": "Name a bird."},), 2)
    assert (request.sampling.temperature, request.sampling.max_tokens) == (0.8, 128)


def test_several_models_answer_one_after_the_other_and_each_goes_on_where_it_was(tmp_path: Path) -> None:
    row = {"id": "a", "query": "Name a bird."}
    first, second, third = tmp_path / "1", tmp_path / "2", tmp_path / "3"
    small = Named("small")
    ran(first, SampleResponses(n=2), [row], small)
    ran(second, SampleResponses(n=1), rows_of(first / "out"), Named("large"))
    ran(third, SampleResponses(n=2), rows_of(second / "out"), small)
    (found,) = rows_of(third / "out")
    assert found["responses"] == ["small 0", "small 1", "large 0", "small 2", "small 3"]
    assert found["sources"] == ["small", "small", "large", "small", "small"]
    ran(tmp_path / "at once", SampleResponses(n=4), [row], Named("small"))
    assert rows_of(tmp_path / "at once" / "out")[0]["responses"] == [f"small {number}" for number in range(4)]


def test_columns_with_responses_are_named_one_text_or_several(tmp_path: Path) -> None:
    row = {**ROWS[0], "llama": "A lark.", "others": ["A crow.", None], "none": None}
    ran(tmp_path, SampleResponses(response=("llama", "others", "none"), n=1), [row], Named("small"))
    (found,) = rows_of(tmp_path / "out")
    assert found["responses"] == ["A lark.", "A crow.", "small 0"]
    assert found["sources"] == ["llama", "others", "small"]


def test_the_input_and_the_system_prompt_of_a_query_are_part_of_the_prompt(tmp_path: Path) -> None:
    row = {"id": "a", "instruction": "Put into Welsh.", "input": "Good night", "system": "Be brief."}
    ran(tmp_path, SampleResponses(), [row], model := Named("small"))
    assert model.asked[0].prompt == (
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Put into Welsh.\n\nGood night"},
    )


def test_a_base_model_is_given_the_dialogue_as_it_is(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "in.jsonl", [{"prompt": "Human: Hello?\n\nAssistant:"}])
    synth("rank", "sample", source, tmp_path / "out", "--prompt", "plain", "--engine", "echo", "-n", 1)
    assert rows_of(tmp_path / "out")[0]["responses"][0].startswith("Human: Hello?\n\nAssistant: [")


def test_a_blank_sample_is_filtered_and_the_row_stays_if_anything_else_is_there(tmp_path: Path) -> None:
    rows = [{"id": "a", "query": "Name a bird."}]
    summary = ran(tmp_path, SampleResponses(n=3), rows, Named("small", blank=(1,)))
    assert rows_of(tmp_path / "out")[0]["responses"] == ["small 0", "small 2"]
    assert [(row["id"], row["reason"]) for row in rejected_of(tmp_path / "out")] == [("a/sample-1", "empty_answer")]
    summary = ran(tmp_path, SampleResponses(n=2), rows, Named("small", blank=(0, 1)))
    assert summary.counts.reasons == {"empty_answer": 1}


def test_rows_that_cannot_be_asked_are_rejected_by_reason(tmp_path: Path) -> None:
    rows = [
        {"id": "a", "query": " \n", "responses": ["x"], "sources": ["s"]},
        {"id": "b", "query": "Name a bird.", "responses": ["x", "y"], "sources": ["s"]},
    ]
    summary = ran(tmp_path, SampleResponses(), rows, Named("small"))
    assert summary.counts.reasons == {"no_query": 1, "unequal_lengths": 1}
    details = {row["id"]: row["detail"] for row in rejected_of(tmp_path / "out")}
    assert details["b"] == "there are 2 responses and 1 sources"


@pytest.mark.parametrize("stage", [SampleResponses, ScoreResponses])
def test_columns_that_are_no_responses_are_named_before_anything_is_asked(tmp_path: Path, stage: Any) -> None:
    said = "--response lama: the input has no such column, only id, query, chosen, rejected, topic$"
    with pytest.raises(InputError, match=said):
        ran(tmp_path, stage(response=("lama",)), ROWS, Named("small"))
    chats = {"chosen": [{"role": "user", "content": "Hello?"}], "rejected": [{"role": "user", "content": "Hello?"}]}
    said = r"chosen is list<.*struct<role.* in the input, where text or a list of texts is needed: .* with --response"
    with pytest.raises(InputError, match=said):
        ran(tmp_path, stage(), [{**ROWS[0], **chats}], Named("small"))
    # What is not read may be anything.
    texts = {"one": "A wren.", "two": "Bird"}
    source = write_rows(tmp_path / "more.jsonl", [{**ROWS[0], **chats, **texts}])
    synth("rank", "score", source, tmp_path / "out", "--response", "one,two", "--by", "likelihood", "--engine", "echo")
    assert rows_of(tmp_path / "out")[0]["sources"] == ["one", "two"]


def test_a_query_that_is_missing_is_named_with_the_flag(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "in.jsonl", [{"ask": "Name a bird."}])
    with pytest.raises(InputError, match=r"no column query or prompt or .*--column query=NAME"):
        synth("rank", "sample", source, tmp_path / "out", "--engine", "echo")
    with pytest.raises(UsageError, match="-n 0: must be at least 1"):
        SampleResponses(n=0)
