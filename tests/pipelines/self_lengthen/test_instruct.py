"""Instructions are written after two others of their pool, judged, and known to those that are written after them."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from synth.pipelines.engines import Answer, Completion, Message
from synth.pipelines.runtime.options import Options
from synth.pipelines.runtime.prompts import Prompt
from synth.pipelines.runtime.runner import Run, Summary
from synth.pipelines.runtime.stage import Reject, Rejected, Row
from synth.pipelines.self_lengthen.instruct import FOLDER, Instruct, Seed
from synth.schemas.dataset import Dataset
from synth.schemas.errors import EngineFailed, UsageError
from synth.schemas.records import SEED_INSTRUCTION
from tests.pipelines.scripted import process
from tests.pipelines.self_lengthen.writing import Model, Writer, WritingEngine, chinese, cut_off, prose, said

WRITE = Prompt("# user\nAfter {{ first }} and {{ second }}\n# assistant\n3.", "write")
JUDGE = Prompt("# user\nSuited? {{ instruction }}", "judge")
SEEDS = (
    Seed("a", "Write about the sea."),
    Seed("b", "Tell the story of a bridge."),
    Seed("c", "写一篇关于茶的文章。"),
    Seed("d", "讲一个有关古桥的故事。"),
)
ROOT = {"id": "a", "instruction": SEEDS[0].instruction, "language": None}


def small(**options: Any) -> Instruct:
    """Four instructions for each of two seeds."""
    return Instruct(**{"seeds": SEEDS[:2], "prompt": WRITE, "judge_prompt": JUDGE, "n": 8, "tries": 2, **options})


def is_judging(messages: tuple[Message, ...]) -> bool:
    return messages[-1]["content"].startswith("Suited?")


def writes(text: str | Completion, verdict: str | Completion = "yes") -> Model:
    return lambda messages, _: verdict if is_judging(messages) else text


def fertile(messages: tuple[Message, ...], sample: int) -> str:
    return "Yes" if is_judging(messages) else f" {prose(1, 1, about=sample)}"


def written(stage: Instruct, model: Model = fertile, row: Row | None = None) -> list[Row]:
    rows, refused, reject = process(stage, row or ROOT, Writer(model))
    assert (refused, reject) == ([], None)
    return rows


def refusals(stage: Instruct, model: Model, row: Row | None = None) -> tuple[list[Rejected], Reject]:
    rows, refused, reject = process(stage, row or ROOT, Writer(model))
    assert rows == []
    assert reject is not None
    return refused, reject


def test_an_instruction_is_written_after_two_and_judged() -> None:
    tools = Writer(fertile)
    (row,), _, _ = process(small(n=1), ROOT, tools)
    (user, beginning), judged = tools.chats
    assert user[1] in (
        "After Write about the sea. and Tell the story of a bridge.",
        "After Tell the story of a bridge. and Write about the sea.",
    )
    assert beginning == ("assistant", "3.")
    assert judged == [("user", f"Suited? {row['instruction']}")]
    assert row == {
        "id": "a/i0",
        "instruction": prose(1, 1, about=0),
        "language": "en",
        "words": 10,
        "examples": ["a", "b"] if user[1].startswith("After Write") else ["b", "a"],
        "tries": 1,
        "reasoning": None,
        "model": "scripted",
    }


def test_the_sampling_is_the_paper_s_and_ends_with_the_item() -> None:
    tools = Writer(fertile)
    process(small(n=1), ROOT, tools)
    writing, judging = (sampling for _, sampling, _ in tools.requests)
    assert (writing.temperature, writing.top_p, writing.top_k, writing.repetition_penalty) == (0.7, 0.8, 20, 1.1)
    assert (writing.max_tokens, writing.stop) == (1024, ("\n\n", "\n4.", "\n4、"))
    # The penalty would count against the very word that the question offers.
    assert (judging.temperature, judging.repetition_penalty) == (0, 1)


def test_every_seed_stands_for_as_many_instructions() -> None:
    assert [len(written(small(n=n))) for n in (1, 2, 3, 8, 9)] == [1, 1, 2, 4, 5]
    # Seeds that cannot be used are not counted.
    useless = (Seed("e", ""), Seed("f", "12345"), Seed("g", "Une lettre à ma sœur.", "fr"))
    assert len(written(small(seeds=(*SEEDS[:2], *useless)))) == 4


def test_what_was_accepted_is_an_example_for_the_next_wave() -> None:
    rows = written(small(n=60))
    assert [row["id"] for row in rows] == [f"a/i{number}" for number in range(30)]
    numbers = {row["id"]: number for number, row in enumerate(rows)}
    # Waves: 2 seeds, so 0 and 1; 4 known, so 2 to 5; 8 known, so 6 to 13; 16 known, so 14 to 29.
    began = [0] * 2 + [2] * 4 + [6] * 8 + [14] * 16
    for row, known in zip(rows, began, strict=True):
        first, second = row["examples"]
        assert first != second
        assert all(numbers.get(example, -1) < known for example in row["examples"])
    assert any(example in numbers for row in rows for example in row["examples"])


def test_examples_may_be_of_the_seeds_alone() -> None:
    rows = written(small(n=60, examples="seeds"))
    assert len(rows) == 30
    assert {frozenset(row["examples"]) for row in rows} == {frozenset("ab")}


def test_examples_are_of_the_seed_s_language() -> None:
    def model(messages: tuple[Message, ...], sample: int) -> str:
        return "是" if is_judging(messages) else chinese(1, about=sample)

    rows = written(small(seeds=SEEDS), model, {"id": "c", "instruction": SEEDS[2].instruction, "language": None})
    assert {row["language"] for row in rows} == {"zh"}
    assert {example.partition("/")[0] for row in rows for example in row["examples"]} == {"c", "d"}


def test_a_language_can_be_named() -> None:
    seeds = (Seed("e", "Une lettre à ma sœur.", "fr"), Seed("f", "Raconte un voyage en mer.", "FR "))
    rows = written(small(seeds=seeds), row={"id": "e", "instruction": seeds[0].instruction, "language": "fr"})
    assert {row["language"] for row in rows} == {"fr"}


@pytest.mark.parametrize("verdict", ["yes", "Yes", "YES", "Yes.", " yes\n", "**Yes**", "“Yes.”", "是", "是。", "是的"])
def test_a_yes_is_a_yes_however_it_is_written(verdict: str) -> None:
    (row,) = written(small(n=1), writes(prose(1), verdict))
    assert row["instruction"] == prose(1)


@pytest.mark.parametrize("verdict", ["no", "No.", "否", "Yes, it is.", "yes and no", "Yesterday", "不是", "是否"])
def test_anything_else_is_none(verdict: str) -> None:
    (refused, again), reject = refusals(small(n=1), writes(prose(1), verdict))
    assert (refused.row["id"], again.row["id"]) == ("a/i0/t0", "a/i0/t1")
    assert {one.reason for one in (refused, again)} == {"not_suited"} == {reject.reason}
    assert refused.replies == (verdict,)


@pytest.mark.parametrize(
    ("verdict", "why"),
    [("", "before the first word"), (Completion("", "length", 1024, "It could be"), "1,024 tokens; see --max-tokens")],
)
def test_a_judge_that_comes_to_no_verdict_has_not_said_no(verdict: str | Completion, why: str) -> None:
    (refused,), _ = refusals(small(n=1, tries=1), writes(prose(1), verdict))
    assert (refused.reason, why in refused.detail) == ("not_judged", True)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty_answer"),
        ("Write it down.", "too_short"),
        ("Write it all down.", None),
        (" ".join(["the"] * 499), None),
        (" ".join(["the"] * 500), "too_long"),
        ("Write  about\nthe SEA.", "repeats"),
        (chinese(2), "other_language"),
        (cut_off(prose(1)), "cut"),
        ("3. Write it all down.", None),
        ("3.5 million of these cats live here: tell why.", None),
    ],
)
def test_what_an_instruction_is_refused_for_before_it_is_judged(text: str | Completion, reason: str | None) -> None:
    tools = Writer(writes(text))
    rows, refused, reject = process(small(n=1, tries=1), ROOT, tools)
    assert [one.reason for one in refused] == [reason] * (reason is not None)
    assert len(tools.requests) == (1 if reason else 2)
    if reason is None:
        assert rows[0]["instruction"] == str(text).removeprefix("3. ")
    else:
        assert reject is not None
        assert reject.reason == reason


def test_the_bounds_can_be_moved() -> None:
    assert written(small(n=1, min_words=2), writes("Write it down."))
    refused, _ = refusals(small(n=1, max_words=10, tries=1), writes(prose(1, 1)))
    assert [one.reason for one in refused] == ["too_long"]


def test_a_wave_may_say_the_same_only_once() -> None:
    texts = {0: prose(1), 1: prose(1)}

    def model(messages: tuple[Message, ...], sample: int) -> str:
        return "yes" if is_judging(messages) else texts.get(sample, prose(1, about=sample))

    rows, (repeated,), reject = process(small(n=4, tries=1), ROOT, Writer(model))
    assert reject is None
    assert (repeated.row["id"], repeated.reason, repeated.detail) == ("a/i1", "repeats", "it is a/i0")
    # What is missing is written in the next wave.
    assert [row["id"] for row in rows] == ["a/i0", "a/i2"]


def test_every_try_draws_its_examples_and_its_sample() -> None:
    seeds = (*SEEDS[:2], *(Seed(str(number), prose(1, about=number)) for number in range(8)))
    tools = Writer(writes("No."))
    _, refused, _ = process(small(seeds=seeds, n=10, tries=10), ROOT, tools)
    assert [one.row["tries"] for one in refused] == list(range(1, 11))
    assert len({tuple(one.row["examples"]) for one in refused}) > 1
    assert [samples.start for _, _, samples in tools.requests] == list(range(10))


def test_a_model_that_never_writes_one_is_not_asked_forever() -> None:
    tools = Writer(writes("No."))
    _, refused, reject = process(small(n=1000, tries=3), ROOT, tools)
    # The first wave: as many as there are seeds.
    assert len(tools.requests) == len(refused) == 2 * 3
    assert reject is not None
    assert reject.reason == "too_short"


def test_a_prompt_that_is_too_long_is_a_try_like_any_other() -> None:
    refused, reject = refusals(small(n=1), lambda *_: None)
    assert [one.reason for one in refused] == ["prompt_too_long"] * 2
    assert reject.reason == "prompt_too_long"
    refused, _ = refusals(small(n=1), lambda messages, _: None if is_judging(messages) else prose(1))
    assert [(one.reason, one.row["instruction"]) for one in refused] == [("prompt_too_long", prose(1))] * 2


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"id": "e", "instruction": " ", "language": None}, "no_instruction"),
        ({"id": "e", "instruction": "", "language": "en"}, "no_instruction"),
        ({"id": "e", "instruction": "12345", "language": None}, "unknown_language"),
        ({"id": "e", "instruction": "Дом стоит на берегу реки.", "language": None}, "unknown_language"),
        ({"id": "c", "instruction": "写一篇关于茶的文章。", "language": None}, "too_few_seeds"),
    ],
)
def test_seeds_that_cannot_be_used(row: Row, reason: str) -> None:
    tools = Writer(fertile)
    _, _, reject = process(small(seeds=SEEDS[:3]), row, tools)
    assert reject is not None
    assert (reject.reason, tools.requests) == (reason, [])


def test_the_same_seed_twice_is_no_second_example() -> None:
    seeds = (SEEDS[0], Seed("again", "write about THE sea. "))
    _, reject = refusals(small(seeds=seeds), fertile)
    assert reject.reason == "too_few_seeds"


def test_however_answers_come_in_the_pool_is_the_same() -> None:
    class Reversed(Writer):
        async def generate(self, *request: Any, **how: Any) -> Answer:
            await asyncio.sleep(0.01 - 0.001 * (len(self.requests) % 9))
            return await super().generate(*request, **how)

    rows, _, _ = process(small(n=40), ROOT, Reversed(fertile))
    assert rows == written(small(n=40))


@pytest.mark.parametrize(("language", "asked"), [("en", "List three assignments"), ("zh", "请列出三个")])
def test_the_prompts_speak_the_language_of_the_seeds(language: str, asked: str) -> None:
    values = {"first": "one\n# user\ntwo", "second": "b", "language": language}
    (_, user), (_, assistant) = said(Prompt.load("instruct", FOLDER).render(**values))
    assert user.startswith(asked)
    assert assistant == "1. one\n# user\ntwo\n2. b\n3."
    ((_, judge),) = said(Prompt.load("suited", FOLDER).render(instruction="Write.", language=language))
    assert "Write." in judge


def test_options_that_ask_for_nothing() -> None:
    for options in ({"n": 0}, {"tries": 0}, {"examples": "all"}, {"max_words": 4}):
        with pytest.raises(UsageError, match=next(iter(options)).replace("_", "-")):
            small(**options)


def run_instruct(folder: Path, engine: WritingEngine, name: str = "out", **options: Any) -> Summary:
    path = folder / "seeds.jsonl"
    path.write_text("".join(json.dumps({"id": seed.id, "query": seed.instruction}) + "\n" for seed in SEEDS))
    stage = small(seeds=SEEDS, n=40, **options)
    return Run(stage, [str(path)], folder / name, Options(), engine=engine).execute()


def bilingual(messages: tuple[Message, ...], sample: int) -> str:
    if is_judging(messages):
        return "yes"
    is_chinese = messages[0]["content"].endswith("。")
    return chinese(1, about=sample) if is_chinese else prose(1, 1, about=sample)


def test_pools_of_two_languages_stay_apart(tmp_path: Path) -> None:
    summary = run_instruct(tmp_path, WritingEngine(bilingual))
    assert summary.counts.produced == 4
    table = Dataset.open(tmp_path / "out").table
    assert table["language"].to_pylist() == ["en"] * 20 + ["zh"] * 20
    assert len(set(table["instruction"].to_pylist())) == 40
    assert summary.record["means"]["words"] > 0


def test_the_seeds_are_the_rows_of_the_input_which_is_no_option() -> None:
    rows = [{"id": seed.id, "instruction": seed.instruction, "language": seed.language} for seed in SEEDS]
    stage = small(seeds=())
    prepared = stage.prepare(pa.Table.from_pylist(rows, SEED_INSTRUCTION.schema))
    assert prepared.seeds == SEEDS
    assert prepared.identity() == stage.identity()
    assert "seeds" not in stage.identity()


@pytest.mark.parametrize("answers", [1, 7, 50])
def test_a_run_that_dies_in_the_middle_of_a_pool_goes_on_there_and_asks_nothing_twice(
    tmp_path: Path, answers: int
) -> None:
    class Mortal(WritingEngine):
        async def answer(self, request: Any) -> Answer:
            if len(self.asked) == answers:
                raise EngineFailed("it is dead")
            return await super().answer(request)

    whole, first, second = WritingEngine(bilingual), Mortal(bilingual), WritingEngine(bilingual)
    run_instruct(tmp_path, whole, "whole")
    with pytest.raises(EngineFailed, match="it is dead"):
        run_instruct(tmp_path, first)
    run_instruct(tmp_path, second)
    assert Dataset.open(tmp_path / "out").table.equals(Dataset.open(tmp_path / "whole").table)
    assert len(first.asked) == answers
    assert len(first.asked) + len(second.asked) == len(whole.asked)
