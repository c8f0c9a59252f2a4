"""Responses grow in rounds of two passes; what a round makes of one is taken or refused by name."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from synth.pipelines.engines import Completion, Message
from synth.pipelines.runtime.options import Options
from synth.pipelines.runtime.prompts import Prompt
from synth.pipelines.runtime.runner import Run
from synth.pipelines.runtime.stage import Reject, Rejected, Row
from synth.pipelines.self_lengthen import words
from synth.pipelines.self_lengthen.extend import FOLDER, Extend
from synth.schemas.dataset import Dataset
from synth.schemas.errors import UsageError
from tests.pipelines.scripted import process
from tests.pipelines.self_lengthen.writing import Model, Writer, WritingEngine, chinese, cut_off, prose
from tests.rows import write_rows

SIMPLE = Prompt("# user\n{{ instruction }}: {{ outline }}", "simple")
DRAFT = prose(4, about="draft")


def small(**options: Any) -> Extend:
    return Extend(**{"prompt": SIMPLE, "n": 1, "tries": 1, "rounds": 1, **options})


def draft(response: str = DRAFT, instruction: str = "Write") -> dict[str, Any]:
    return {"id": "d", "instruction": instruction, "response": response}


def longer(messages: tuple[Message, ...], sample: int) -> str:
    """To an outline twice as many paragraphs; after its beginning, as many as the outline has."""
    outline = next(message["content"] for message in messages if message["role"] == "user")
    return prose((1 if len(messages) > 1 else 2) * (outline.count("\n\n") + 1), about=sample)


def then(*texts: str | Completion | None) -> Model:
    """One answer after the other."""
    left = iter(texts)
    return lambda *_: next(left)


def extended(stage: Extend, model: Model, row: Row | None = None) -> Row:
    (only,), _, reject = process(stage, row or draft(), Writer(model))
    assert reject is None
    return only


def refusals(stage: Extend, model: Model, row: Row | None = None) -> tuple[list[Rejected], Reject]:
    rows, refused, reject = process(stage, row or draft(), Writer(model))
    assert rows == []
    assert reject is not None
    return refused, reject


def test_the_first_half_is_extended_alone_and_the_whole_from_two_thirds_of_that_on() -> None:
    first, rest = prose(6, about="first"), prose(3, about="rest")
    tools = Writer(then(first, rest))
    (row,), _, _ = process(small(), draft(), tools)
    half = "\n\n".join(DRAFT.split("\n\n")[:2])
    trusted = "\n\n".join(first.split("\n\n")[:4])
    assert tools.chats == [
        [("user", f"Write: {half}")],
        [("user", f"Write: {DRAFT}"), ("assistant", f"{trusted}\n\n")],
    ]
    assert row == {
        "id": "d/x0",
        "instruction": "Write",
        "response": f"{trusted}\n\n{rest}",
        "draft_id": "d",
        "initial": DRAFT,
        "initial_words": words.count(DRAFT),
        "words": words.count(trusted) + words.count(rest),
        "language": "en",
        "rounds": 1,
        "tries": 1,
        "reasoning": None,
        "model": "scripted",
        "finish_reason": "stop",
        "prompt_tokens": 22,
        "completion_tokens": len(first.split()) + len(rest.split()),
    }


@pytest.mark.parametrize("gap", ["", " ", "\n\n", "\n\n\n"])
def test_what_is_written_after_the_trusted_paragraphs_is_a_paragraph_of_its_own(gap: str) -> None:
    first, rest = prose(3, about="first"), prose(3, about="rest")
    text = extended(small(), then(first, gap + rest))["response"]
    assert text.split("\n\n") == [*first.split("\n\n")[:2], *rest.split("\n\n")]


def test_each_round_starts_from_what_the_last_one_gave() -> None:
    tools = Writer(longer)
    (row,), refused, _ = process(small(rounds=3), draft(), tools)
    assert (row["rounds"], row["tries"], refused) == (3, 1, [])
    outlines = [chat[0][1].removeprefix("Write: ") for chat in tools.chats]
    assert outlines[1] == DRAFT
    lengths = [words.count(outline) for outline in outlines[1::2]]
    assert lengths == sorted(set(lengths))
    assert row["words"] > lengths[-1]
    assert tools.tallies["words"] == row["words"]
    assert tools.tallies["words_before"] == words.count(DRAFT)


def test_every_call_asks_for_another_sample() -> None:
    tools = Writer(lambda *_: "no")
    process(small(n=2, tries=3, rounds=2), draft(), tools)
    samples = [samples.start for _, _, samples in tools.requests]
    assert len(set(samples)) == len(samples) == 2 * 3 * 2 * 2
    assert {sampling for _, sampling, _ in tools.requests} == {Extend().sampling}


def test_a_first_pass_of_one_paragraph_is_not_trusted_at_all() -> None:
    tools = Writer(then(prose(1, 30, about="first"), prose(6, about="whole")))
    (row,), _, _ = process(small(), draft(), tools)
    assert tools.chats[1] == [("user", f"Write: {DRAFT}")]
    assert row["response"] == prose(6, about="whole")


def test_a_response_of_one_line_is_extended_as_a_whole_at_once() -> None:
    tools = Writer(then(prose(3, about="whole")))
    (row,), _, _ = process(small(), draft(prose(1)), tools)
    assert tools.chats == [[("user", f"Write: {prose(1)}")]]
    assert row["response"] == prose(3, about="whole")


def test_a_response_of_one_paragraph_is_halved_by_its_lines() -> None:
    lines = prose(4).replace("\n\n", "\n")
    tools = Writer(then(prose(3, about="first"), prose(6, about="rest")))
    (row,), _, _ = process(small(), draft(lines), tools)
    assert tools.chats[0] == [("user", "Write: " + "\n\n".join(lines.split("\n")[:2]))]
    assert row["initial"] == lines


def test_a_round_that_is_refused_is_tried_again_from_the_same_text() -> None:
    first, good, better = prose(3, about="first"), prose(4, about="good"), prose(9, about="better")
    tools = Writer(then(first, good, first, "It ends in the middle", first, better))
    (row,), (refused,), _ = process(small(rounds=3), draft(), tools)
    outlines = [chat[0][1].removeprefix("Write: ") for chat in tools.chats[1::2]]
    after_one_round = "\n\n".join([*first.split("\n\n")[:2], good])
    assert outlines == [DRAFT, after_one_round, after_one_round]
    assert (row["rounds"], row["words"]) == (2, words.count(first) * 2 // 3 + words.count(better))
    assert (refused.row["id"], refused.reason) == ("d/x0/t0/k1", "unfinished")


@pytest.mark.parametrize(
    ("rest", "reason"),
    [
        ("It ends in the middle", "unfinished"),
        (f"Here is the revised text, as you asked.\n\n{DRAFT}", "about_itself"),
        (f"{prose(6)}\n\n{prose(6)}", "repetition"),
        (cut_off(prose(9)), "cut"),
        (cut_off("It ends in the middle"), "cut"),
        ("", "empty_answer"),
        (" \n\n", "empty_answer"),
        (prose(1), "not_longer"),
        (chinese(40), "other_language"),
    ],
)
def test_what_a_round_is_refused_for(rest: str | Completion, reason: str) -> None:
    (refused,), reject = refusals(small(), then("No more.", rest))
    assert (refused.row["id"], refused.reason) == ("d/x0/t0/k0", reason)
    assert reject.reason == reason
    text = rest.text if isinstance(rest, Completion) else rest
    assert refused.row["response"] == text.strip()
    assert refused.row["initial"] == DRAFT


def test_the_rules_are_for_the_whole_text_not_for_its_end() -> None:
    first = f"This is the revised text.\n\n{prose(2)}"
    (refused,), _ = refusals(small(), then(first, prose(6, about="rest")))
    assert (refused.reason, refused.row["response"].startswith("This is the revised")) == ("about_itself", True)


def test_a_first_pass_that_was_cut_loses_only_what_is_not_trusted() -> None:
    first = cut_off(f"{prose(2, about='first')}\n\nThe token limit came in the")
    row = extended(small(), then(first, prose(6, about="rest")))
    assert row["response"] == "\n\n".join([prose(2, about="first"), prose(6, about="rest")])


def test_an_engine_that_cuts_everything_ends_as_that() -> None:
    refused, reject = refusals(small(tries=2, rounds=3), lambda *_: cut_off(prose(8)))
    assert [one.reason for one in refused] == ["cut"] * 6
    assert reject.reason == "cut"
    assert "--max-tokens" in reject.detail
    assert {one.row["finish_reason"] for one in refused} == {"length"}


@pytest.mark.parametrize(("count", "success"), [(12, False), (13, True)])
def test_a_try_succeeds_above_a_fifth_more_words(count: int, success: bool) -> None:
    """Exactly 1.2 times is too little."""
    ten = "Ten words are in this line, and that is all."
    text = " ".join(["The", *(f"word{number}" for number in range(count - 3)), "and", "end."])
    assert (words.count(ten), words.count(text)) == (10, count)
    rows, refused, _ = process(small(), draft(ten), Writer(then(text)))
    assert bool(rows) == success
    assert [one.reason for one in refused] == ([] if success else ["too_little"])


def test_a_try_that_falls_short_begins_anew_with_the_response() -> None:
    line = prose(1, 10)
    slightly = prose(1, 11, about="slightly")
    tools = Writer(then(slightly, slightly, prose(1, 20, about="much"), prose(1, 21, about="more")))
    (row,), refused, _ = process(small(tries=3, rounds=2), draft(line), tools)
    outlines = [chat[0][1].removeprefix("Write: ") for chat in tools.chats]
    assert outlines == [line, slightly, line, prose(1, 20, about="much")]
    assert [(one.row["id"], one.reason, one.row["tries"]) for one in refused] == [
        ("d/x0/t0/k1", "not_longer", 1),
        ("d/x0/t0", "too_little", 1),
    ]
    assert (row["tries"], row["rounds"], row["words"]) == (2, 2, 210)


def test_the_extensions_of_a_response_are_tried_independently() -> None:
    good = {0: 3, 1: 0}

    def model(_: tuple[Message, ...], sample: int) -> str:
        extension, attempt = divmod(sample, 5 * 2)
        return prose(3, about=sample) if attempt >= good[extension] else "It ends in the middle"

    rows, refused, reject = process(small(n=2, tries=5), draft(prose(1)), Writer(model))
    assert reject is None
    assert [(row["id"], row["tries"]) for row in rows] == [("d/x0", 4), ("d/x1", 1)]
    assert [one.row["id"] for one in refused] == ["d/x0/t0/k0", "d/x0/t1/k0", "d/x0/t2/k0"]


def test_a_response_whose_extensions_fail_for_several_reasons() -> None:
    refused, reject = refusals(small(tries=2), then("No more.", prose(1), "No more.", "It ends in the"))
    assert [one.reason for one in refused] == ["not_longer", "unfinished"]
    assert (reject.reason, reject.detail) == ("nothing_kept", "1 not_longer, 1 unfinished")


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (draft(instruction=" \n"), "no_instruction"),
        (draft(response=""), "no_response"),
        (draft(response="\u3000"), "no_response"),
    ],
)
def test_a_row_without_an_instruction_or_a_response_asks_nothing(row: Row, reason: str) -> None:
    refused, reject = refusals(small(), then(), row)
    assert (refused, reject.reason) == ([], reason)


def test_a_text_that_has_grown_too_long_for_the_model_is_what_it_is() -> None:
    tools = Writer(then(prose(6, about="first"), prose(6, about="rest"), None))
    (row,), (refused,), _ = process(small(tries=5, rounds=3), draft(), tools)
    assert (row["rounds"], row["tries"]) == (1, 1)
    assert (refused.row["id"], refused.reason) == ("d/x0/t0/k1", "prompt_too_long")


def test_a_response_that_is_too_long_from_the_start_is_not_tried_again() -> None:
    (refused,), reject = refusals(small(tries=20, rounds=3), then(None))
    assert (refused.reason, reject.reason) == ("prompt_too_long", "prompt_too_long")


def test_a_text_in_neither_language_is_extended_by_the_rules_for_all_others() -> None:
    text = "Дом стоит на берегу реки уже сто лет."
    more = f"{text} Вокруг него растут старые липы, под которыми летом всегда прохладно."
    tools = Writer(then(more))
    (row,), _, _ = process(small(prompt=Prompt.load("extend", FOLDER)), draft(text), tools)
    assert (row["response"], row["language"]) == (more, "other")
    assert "Write in the language of the outline" in tools.chats[0][0][1]


def test_chinese_is_asked_for_in_chinese_and_counted_by_the_character() -> None:
    tools = Writer(then(chinese(10, about="more")))
    row = draft(chinese(5), "写一篇文章。")
    (extension,), _, _ = process(small(prompt=Prompt.load("extend", FOLDER)), row, tools)
    ((role, asked),) = tools.chats[0]
    assert (role, asked[:2]) == ("user", "你要")
    assert "写一篇文章。" in asked
    assert row["response"] in asked
    assert (extension["initial_words"], extension["words"], extension["language"]) == (55, 110, "zh")


def test_a_prompt_of_plain_text_is_continued_as_text() -> None:
    stage = small(prompt=Prompt("{{ outline }}\n\nIn full:", "plain"))
    tools = Writer(then(prose(3, about="first"), prose(6, about="rest")))
    process(stage, draft(), tools)
    trusted = "\n\n".join(prose(3, about="first").split("\n\n")[:2])
    assert tools.requests[1][0] == f"{DRAFT}\n\nIn full:{trusted}\n\n"


def test_a_prompt_that_begins_the_answer_has_the_beginning_once() -> None:
    stage = small(prompt=Prompt("# user\n{{ outline }}\n# assistant\nHere:", "begun"))
    tools = Writer(then(prose(3, about="first"), prose(6, about="rest")))
    process(stage, draft(), tools)
    trusted = "\n\n".join(prose(3, about="first").split("\n\n")[:2])
    assert tools.chats[1] == [("user", DRAFT), ("assistant", f"Here:{trusted}\n\n")]


def test_a_table_and_a_program_come_through() -> None:
    text = prose(6) + "\n\n---\n\n| a | b |\n| --- | --- |\n| 1 | 2 |\n\n```python\nx = 1\n\n\ny = 2\n```"
    assert extended(small(), then("No more.", text))["response"] == text
    assert Extend().stop == ()


def test_options_that_ask_for_nothing() -> None:
    for options in ({"n": 0}, {"tries": 0}, {"rounds": 0}, {"growth": 0.9}):
        with pytest.raises(UsageError, match=next(iter(options))):
            Extend(**options)


def run_extend(folder: Path, engine: Any, rows: list[dict[str, Any]], **options: Any) -> Dataset:
    path = write_rows(folder / "drafts.jsonl", rows)
    Run(small(**options), [str(path)], folder / "out", Options(), engine=engine).execute()
    return Dataset.open(folder / "out")


def test_the_columns_of_a_draft_go_through(tmp_path: Path) -> None:
    rows = [{**draft(), "instruction_id": "i", "model": "first", "type": "about", "notes": ["a"]}]
    dataset = run_extend(tmp_path, WritingEngine(longer), rows, n=2, rounds=3)
    first, second = dataset.table.to_pylist()
    assert (first["id"], second["id"]) == ("d/x0", "d/x1")
    assert first["response"] != second["response"]
    for row in (first, second):
        assert (row["instruction_id"], row["type"], row["notes"]) == ("i", "about", ["a"])
        assert (row["model"], row["draft_id"], row["initial"]) == ("echo", "d", DRAFT)


def test_rows_are_conserved_whatever_is_wrong_with_them(tmp_path: Path) -> None:
    bad: list[Callable[[str], dict[str, Any]]] = [
        lambda name: {"id": name, "instruction": "", "response": DRAFT},
        lambda name: {"id": name, "instruction": "Write", "response": " "},
        lambda name: {"id": name, "instruction": "Write", "response": prose(1)},
        lambda name: {"id": name, "instruction": "Write", "response": "Дом стоит на берегу реки."},
        lambda name: {"id": name, "instruction": "Write", "response": "1" * 5000},
    ]
    rows = [make(f"row-{number}") for number, make in enumerate(bad)]
    dataset = run_extend(tmp_path, WritingEngine(longer), rows, n=2, tries=2)
    assert dataset.run
    counts = dataset.run["counts"]
    assert counts["produced"] + counts["rejected"] == len(rows)
    assert counts["reasons"].keys() >= {"no_instruction", "no_response"}
    assert dataset.table["draft_id"].to_pylist() == ["row-2", "row-2"]
