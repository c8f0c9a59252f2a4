"""Each response is drawn again until it is fit to be trained on; what is not is filtered by name."""

from pathlib import Path
from typing import Any

import pytest

from synth.pipelines.engines import Completion, Message
from synth.pipelines.runtime.options import Options
from synth.pipelines.runtime.runner import Run
from synth.pipelines.runtime.stage import Row
from synth.pipelines.self_lengthen.draft import DraftResponses
from synth.schemas.dataset import Dataset
from synth.schemas.errors import UsageError
from tests.pipelines.scripted import process
from tests.pipelines.self_lengthen.writing import Writer, WritingEngine, chinese, cut_off, prose
from tests.rows import write_rows


def instruction(text: str = "Write about the sea.") -> dict[str, Any]:
    return {"id": "i", "instruction": text}


def test_the_instruction_is_all_that_the_model_is_asked() -> None:
    tools = Writer(lambda *_: f"\n{prose(2)}\n")
    (row,), refused, _ = process(DraftResponses(n=1), instruction(), tools)
    assert refused == []
    assert tools.chats == [[("user", "Write about the sea.")]]
    assert [sampling for _, sampling, _ in tools.requests] == [DraftResponses().sampling]
    assert row == {
        "id": "i/r0",
        "instruction": "Write about the sea.",
        "instruction_id": "i",
        "response": prose(2),
        "words": 40,
        "language": "en",
        "tries": 1,
        "reasoning": None,
        "model": "scripted",
        "finish_reason": "stop",
        "prompt_tokens": 11,
        "completion_tokens": 40,
    }
    assert tools.tallies == {"responses": 1, "words": 40}


def test_the_paper_s_sampling_without_the_stops_that_cut_tables_and_programs() -> None:
    stage = DraftResponses()
    assert (stage.top_p, stage.temperature, stage.top_k) == (0.8, 0.7, 20)
    assert (stage.repetition_penalty, stage.max_tokens, stage.stop) == (1.1, 16_384, ())


def test_responses_are_tried_again_independently_with_a_sample_of_its_own_each() -> None:
    def model(_: tuple[Message, ...], sample: int) -> str:
        return prose(1, about=sample) if sample in (2, 5, 6) else "It ends in the middle"

    tools = Writer(model)
    rows, refused, _ = process(DraftResponses(n=3, tries=5), instruction(), tools)
    assert [(row["id"], row["tries"], row["response"]) for row in rows] == [
        ("i/r0", 3, prose(1, about=2)),
        ("i/r1", 1, prose(1, about=5)),
    ]
    # The third response has the samples 10 to 14, and none of them will do.
    assert [(one.row["id"], one.reason) for one in refused] == [
        (f"i/{place}", "unfinished") for place in ("r0/t0", "r0/t1", "r2/t0", "r2/t1", "r2/t2", "r2/t3", "r2/t4")
    ]
    assert sorted(samples.start for _, _, samples in tools.requests) == [0, 1, 2, 5, 10, 11, 12, 13, 14]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty_answer"),
        ("It ends in the middle,", "unfinished"),
        (f"A revised text.\n\n{prose(9)}", "about_itself"),
        (f"{prose(2)}\n\n{prose(2)}", "repetition"),
        (cut_off(prose(3)), "cut"),
        (cut_off("It ends in the middle"), "cut"),
    ],
)
def test_what_a_response_is_refused_for(text: str | Completion, reason: str) -> None:
    rows, refused, reject = process(DraftResponses(n=2, tries=3), instruction(), Writer(lambda *_: text))
    assert rows == []
    assert reject is not None
    assert [one.reason for one in refused] == [reason] * 6 == [reject.reason] * 6
    unchecked, refused, reject = process(
        DraftResponses(n=2, tries=3, check=False), instruction(), Writer(lambda *_: text)
    )
    assert (len(unchecked), refused, reject) == (2, [], None)
    assert {row["finish_reason"] for row in unchecked} == {"length" if reason == "cut" else "stop"}


def test_several_reasons_make_nothing_kept() -> None:
    texts = iter(["", "It ends in the middle", ""])
    _, _, reject = process(DraftResponses(n=1, tries=3), instruction(), Writer(lambda *_: next(texts)))
    assert reject is not None
    assert (reject.reason, reject.detail) == ("nothing_kept", "2 empty_answer, 1 unfinished")


@pytest.mark.parametrize("text", ["", " \n", "\u3000"])
def test_an_empty_instruction_asks_nothing(text: str) -> None:
    tools = Writer(lambda *_: prose(1))
    rows, refused, reject = process(DraftResponses(), instruction(text), tools)
    assert (rows, refused, tools.requests) == ([], [], [])
    assert reject is not None
    assert reject.reason == "no_instruction"


def test_an_instruction_that_does_not_fit_the_model_is_rejected_as_that() -> None:
    _, _, reject = process(DraftResponses(), instruction(), Writer(lambda *_: None))
    assert reject is not None
    assert reject.reason == "prompt_too_long"


@pytest.mark.parametrize(
    ("text", "language", "words"),
    [(chinese(3), "zh", 33), ("Дом стоит на берегу реки.", "other", 5), (prose(1), "en", 20)],
)
def test_a_response_may_be_in_any_language(text: str, language: str, words: int) -> None:
    (row,), _, _ = process(DraftResponses(n=1), instruction(), Writer(lambda *_: text))
    assert (row["language"], row["words"]) == (language, words)


def test_options_that_ask_for_nothing() -> None:
    for options in ({"n": 0}, {"tries": 0}):
        with pytest.raises(UsageError, match=next(iter(options))):
            DraftResponses(**options)  # type: ignore[arg-type]


def test_the_columns_of_an_instruction_go_through(tmp_path: Path) -> None:
    """As those of LonGen, whose instructions are called `query` and have a language of their own."""
    rows: list[Row] = [{"query": "写一篇文章。", "language": "zh", "constraint": "2000字左右", "type": "about"}]
    path = write_rows(tmp_path / "longen.jsonl", rows)
    engine = WritingEngine(lambda *_: cut_off(prose(2)))
    Run(DraftResponses(n=1, check=False), [str(path)], tmp_path / "out", Options(), engine=engine).execute()
    (row,) = Dataset.open(tmp_path / "out").table.to_pylist()
    assert (row["id"], row["instruction_id"], row["instruction"]) == ("longen-0/r0", "longen-0", "写一篇文章。")
    assert (row["constraint"], row["type"], row["language"]) == ("2000字左右", "about", "en")
