"""Reasoning is separated from the answer, however a model marks it."""

import asyncio
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth.pipelines.engines import Answer, Completion, Message, Request
from synth.pipelines.engines.probe import check_schemas_enforced
from synth.pipelines.engines.reasoning import ENVELOPES, MARKERS, opening_marker, separate_reasoning
from synth.schemas.errors import EngineFailed

MARK = re.compile("|".join(re.escape(mark) for pair in MARKERS for mark in pair), re.IGNORECASE | re.ASCII)
CLOSES = {opening.lower(): closing.lower() for opening, closing in MARKERS}


def said(text: str, **more: Any) -> Completion:
    return Completion(text, more.pop("finish_reason", "stop"), 9, **more)


def split(text: str, **more: Any) -> tuple[str | None, str, str | None]:
    apart = separate_reasoning(said(text, **more))
    return apart.reasoning, apart.text, apart.finish_reason


@pytest.mark.parametrize(("opening", "closing"), MARKERS)
def test_markers_of_all_model_families_are_recognized(opening: str, closing: str) -> None:
    thought = "Is it 8?\n#### 8"
    for before in (opening, f"\n {opening}", ""):
        assert split(f"{before}{thought}{closing}\n\nIt is 9.") == (thought, "It is 9.", "stop")
    assert split(f"{opening.upper()}\n{thought}\n{closing.upper()}It is 9.") == (thought, "It is 9.", "stop")
    assert split(f"{opening}{thought}") == (thought, "", "length")


@pytest.mark.parametrize(
    ("text", "reasoning", "answer"),
    [
        ("<think>A bus, or a tram?</think> A tram.", "A bus, or a tram?", "A tram."),
        ("A bus, or a tram? </think>A tram.", "A bus, or a tram?", "A tram."),
        ("<think>\n\n</think>\n\nA tram.", None, "A tram."),
        ("</think>\nA tram.", None, "A tram."),
        ("<think>A bus?</think>\n<think>A tram?</think>\nA tram.", "A bus?\n\nA tram?", "A tram."),
        ("<think>A bus?</think>By tram,\n<think>or on foot?</think>\nnot by bus.",
         "A bus?\n\nor on foot?", "By tram,\nnot by bus."),
        ("By tram.<think>Or not?</think>Surely.", "Or not?", "By tram. Surely."),
        ("<think>They ask what <think> means.</think>It opens.", "They ask what <think> means.", "It opens."),
        ("<think>Is </think> the end? No.</think>It closes.", "Is\n\nthe end? No.", "It closes."),
        ("<think>Not [THINK], nor </thinking>.</think>So be it.", "Not [THINK], nor </thinking>.", "So be it."),
        ("<THINK>Hm.</Think>Yes.", "Hm.", "Yes."),
        ("  \n<think>Hm.</think>  \n Yes.\n", "Hm.", "Yes.\n"),
    ],
)  # fmt: skip
def test_reasoning_ends_at_its_closing_marker(text: str, reasoning: str | None, answer: str) -> None:
    assert split(text) == (reasoning, answer, "stop")


@pytest.mark.parametrize(
    ("text", "reasoning", "answer"),
    [
        ("<think>A bus? #### 4", "A bus? #### 4", ""),
        ("<think>A bus?</think>By tram. <think>Or on", "A bus?\n\nOr on", "By tram. "),
        ("By tram. <think>", None, "By tram. "),
        ("<think>A bus?</thought>", "A bus?</thought>", ""),
    ],
)
@pytest.mark.parametrize("finish_reason", ["stop", "length", None])
def test_reasoning_that_is_never_closed_is_a_cut_reply(
    text: str, reasoning: str | None, answer: str, finish_reason: str | None
) -> None:
    assert split(text, finish_reason=finish_reason) == (reasoning, answer, "length")


@pytest.mark.parametrize(("opening", "closing"), MARKERS)
def test_a_closing_marker_that_is_the_stop_string_closes_the_reasoning(opening: str, closing: str) -> None:
    for text in (f"{opening}\nA bus?", "A bus? "):
        assert split(text, stop=closing) == ("A bus?", "", "stop")
    assert split("", reasoning="A bus?", stop=closing) == ("A bus?", "", "stop")
    assert split("A bus?", stop="\n\n") == (None, "A bus?", "stop")


def test_another_stop_string_leaves_the_reasoning_open() -> None:
    assert split("<think>A bus?", stop="\n\n") == ("A bus?", "", "length")
    assert split("<think>A bus?", stop="[/THINK]") == ("A bus?[/THINK]", "", "length")


def test_a_refusal_during_reasoning_stays_a_refusal() -> None:
    assert split("<think>How is one picked", finish_reason="refused")[1:] == ("", "refused")


@pytest.mark.parametrize(("opening", "closing"), ENVELOPES)
def test_envelopes_around_the_whole_answer_are_removed(opening: str, closing: str) -> None:
    assert split(f"<think>Hm.</think>\n{opening}\nA tram.\n{closing}\n") == ("Hm.", "A tram.", "stop")
    assert split(f"<think>Hm.</think>{opening}A tram")[1] == "A tram"
    for inside in (f"A tram: {opening}7{closing}", f"{opening}7{closing} is the tram."):
        assert split(f"<think>Hm.</think>{inside}")[1] == inside
    alone = said(f"{opening}A tram.{closing}")
    assert separate_reasoning(alone) is alone


def test_channels_of_a_reply_are_separated() -> None:
    thought = "<|channel|>analysis<|message|>A tram?"
    final = "<|start|>assistant<|channel|>final<|message|>A tram."
    assert split(f"{thought}<|end|>{final}<|return|>") == ("A tram?", "A tram.", "stop")
    assert split(f"{thought}<|end|>") == ("A tram?", "", "length")
    assert split("<|channel|>final<|message|>A tram.") == (None, "A tram.", "stop")


def test_separate_reasoning_precedes_reasoning_in_the_text() -> None:
    assert split("A tram.", reasoning="A bus?") == ("A bus?", "A tram.", "stop")
    assert split("<think>Or not?</think>A tram.", reasoning="A bus?") == ("A bus?\n\nOr not?", "A tram.", "stop")


def user(content: str) -> Message:
    return Message(role="user", content=content)


def begun(content: str) -> Message:
    return Message(role="assistant", content=content)


@pytest.mark.parametrize(
    ("prompt", "opening"),
    [
        ("How far is it?\n<think>\n", "<think>"),
        ("How far is it? Think within <think> and </think>.", ""),
        ((user("How far?"), begun("[THINK]")), "[THINK]"),
        ((user("How far?"), begun("It is ")), ""),
        ((user("What does this open? <think>"),), ""),
    ],
)
def test_a_prompt_may_open_the_reasoning(prompt: str | tuple[Message, ...], opening: str) -> None:
    assert opening_marker(prompt) == opening


def test_text_after_reasoning_opened_by_the_prompt_is_reasoning() -> None:
    cut = separate_reasoning(said("About 7 miles.\n#### 7", finish_reason="length"), "<think>")
    assert (cut.reasoning, cut.text, cut.finish_reason) == ("About 7 miles.\n#### 7", "", "length")
    closed = separate_reasoning(said("About 7?</think>It is 8."), "<think>")
    assert (closed.reasoning, closed.text, closed.finish_reason) == ("About 7?", "It is 8.", "stop")
    by_the_server = said("It is 8.", reasoning="About 7?")
    assert separate_reasoning(by_the_server, "<think>") is by_the_server


# Texts with markers, and pieces of them, anywhere. Letters are drawn so that every piece can be identified.
_MARKS = st.sampled_from([mark for pair in MARKERS for mark in pair]).flatmap(
    lambda mark: st.sampled_from([mark, mark.upper(), mark.title()])
)
_PIECES = st.one_of(
    _MARKS,
    st.sampled_from(
        ["<think", "nk>", "</", "<thi", "[", ">", "◁", "#### 6", "\n\n", " ", "```", "<|end|>", "<answer>"]
    ),
    st.text(max_size=8),
)
TEXTS = st.lists(_PIECES, max_size=12).map("".join)


def black(text: str) -> str:
    """A text without markers, white space, and tokens at the ends of channels and answers."""
    kept = MARK.sub("", text)
    for mark in ("<|return|>", "<|start|>assistant", "<|end|>", *(mark for pair in ENVELOPES for mark in pair)):
        kept = re.sub(re.escape(mark), "", kept, flags=re.IGNORECASE)
    return "".join(kept.split())


@given(TEXTS)
def test_an_answer_contains_no_marker(text: str) -> None:
    apart = separate_reasoning(said(text))
    assert not MARK.search(apart.text)
    assert separate_reasoning(apart) is apart


@given(TEXTS)
def test_a_text_without_markers_is_the_same_object(text: str) -> None:
    completion = said(text)
    assert (separate_reasoning(completion) is completion) == (MARK.search(text) is None)


@given(st.lists(st.one_of(_MARKS, st.integers(0, 9)), max_size=12), st.booleans())
def test_no_text_is_lost_and_no_reasoning_gets_into_the_answer(drawn: list[str | int], spaced: bool) -> None:
    """Numbered words between markers: each ends up where a word-by-word reader puts it."""
    gap = " " if spaced else ""
    pieces = [f"w{place}x{piece}." if isinstance(piece, int) else piece for place, piece in enumerate(drawn)]
    thoughts: list[str] = []
    answers: list[str] = []
    inside: str | None = None
    for piece in pieces:
        marker = piece.lower()
        if MARK.fullmatch(piece) and inside is None:
            if marker in CLOSES:
                inside = CLOSES[marker]
            else:
                thoughts, answers = thoughts + answers, []
        elif MARK.fullmatch(piece) and marker == inside:
            inside = None
        else:
            (answers if inside is None else thoughts).append(piece)
    apart = separate_reasoning(said(gap.join(pieces)))
    assert re.findall(r"w\d+x\d\.", apart.text) == [word for word in answers if word.startswith("w")]
    words = [word for word in thoughts if word.startswith("w")]
    assert sorted(re.findall(r"w\d+x\d\.", apart.reasoning or "")) == sorted(words)
    assert (apart.finish_reason == "length") == (inside is not None)


@given(TEXTS)
def test_only_markers_and_white_space_are_lost(text: str) -> None:
    apart = separate_reasoning(said(text))
    kept = sorted(black((apart.reasoning or "") + "\n" + apart.text))
    assert kept == sorted(black(text))


@pytest.mark.parametrize("obeys", [True, False])
def test_the_schema_check_leaves_room_for_reasoning(obeys: bool) -> None:
    limits: list[int] = []

    async def reasoner(request: Request) -> Answer:
        limits.append(request.sampling.max_tokens)
        if request.sampling.max_tokens < 1000:
            return Answer((said("<think>The sky scatters", finish_reason="length"),), 9)
        assert request.schema is not None
        word = request.schema["properties"]["word"]["enum"][0] if obeys else "blue"
        return Answer((said(f'<think>The sky scatters light.</think>{{"word": "{word}"}}'),), 9)

    if obeys:
        asyncio.run(check_schemas_enforced(reasoner))
    else:
        with pytest.raises(EngineFailed, match="does not enforce JSON schemas"):
            asyncio.run(check_schemas_enforced(reasoner))
    assert set(limits) == {64, 4096}
