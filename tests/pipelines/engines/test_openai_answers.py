"""The same answer in the forms of different servers."""

import json
from typing import Any

import pytest

from synth.pipelines.engines import Answer, Completion, EngineBusy, Request
from synth.pipelines.engines.openai.answers import parsed, read_answer
from tests.pipelines.engines.asking import CHAT, NEUTRAL, ask
from tests.pipelines.engines.scripted_server import Reply, Script

USAGE = {"prompt_tokens": 6, "completion_tokens": 8}


def chat(*choices: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"object": "chat.completion", "choices": list(choices), "usage": USAGE, **more}


def said(content: Any, **more: Any) -> dict[str, Any]:
    return {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": content}, **more}


def only(body: Any, n: int = 1) -> Completion:
    (completion,) = read_answer(body, n).completions
    return completion


def test_a_missing_index_defaults_to_list_order() -> None:
    first, second = said("herons"), said("cranes")
    del first["index"], second["index"]
    assert [c.text for c in read_answer(chat(first, second), 2).completions] == ["herons", "cranes"]
    del first["finish_reason"]
    assert read_answer(chat(first | {"index": 1}, second), 2).completions[0].text == "herons"


@pytest.mark.parametrize("index", [0, None, "x", -1, 0.5, True])
def test_duplicate_and_invalid_indices_default_to_list_order(index: Any) -> None:
    body = chat(said("herons", index=index), said("cranes", index=index))
    assert [c.text for c in read_answer(body, 2).completions] == ["herons", "cranes"]


@pytest.mark.parametrize(("first", "second"), [(1, 0), ("1", "0"), (1.0, 0.0)])
def test_an_index_of_any_type_orders_choices(first: Any, second: Any) -> None:
    body = chat(said("second", index=first), said("first", index=second))
    assert [c.text for c in read_answer(body, 2).completions] == ["first", "second"]


@pytest.mark.parametrize(
    ("finish", "meaning"),
    [
        *[(word, "stop") for word in ("stop", "STOP", "eos_token", "EOS", "end_turn", "stop_sequence", "complete")],
        *[(word, "stop") for word in ("COMPLETE", "tool_calls", "FINISH_REASON_STOP")],
        *[(word, "length") for word in ("length", "max_tokens", "MAX_TOKENS", "model_length", "max-output-tokens")],
        *[(word, "refused") for word in ("content_filter", "safety", "SAFETY", "refusal", "PROHIBITED_CONTENT")],
        *[(word, "refused") for word in ("RECITATION", "guardrail_intervened", "content-filter")],
        *[(word, None) for word in (None, "", "OTHER", "unknown", 7, [], {"a": 1})],
        ({"type": "length"}, "length"),
    ],
)
def test_finish_reasons_of_all_apis_are_recognized(finish: Any, meaning: str | None) -> None:
    assert only(chat(said("herons", finish_reason=finish))).finish_reason == meaning


def test_a_missing_finish_reason_is_unknown() -> None:
    choice = said("herons")
    del choice["finish_reason"]
    assert only(chat(choice)).finish_reason is None


@pytest.mark.parametrize("broken", [{"finish_reason": "error"}, {"error": {"message": "backend lost"}}])
def test_an_aborted_choice_is_not_an_answer(broken: dict[str, Any]) -> None:
    with pytest.raises(EngineBusy, match="broke off its answer"):
        only(chat(said("her", **broken)))


@pytest.mark.parametrize(
    ("content", "text", "reasoning"),
    [
        (None, "", None),
        ("", "", None),
        ([], "", None),
        (["two", " herons"], "two herons", None),
        ([{"type": "text", "text": "two"}, {"type": "text", "text": " herons"}], "two herons", None),
        ([{"text": "two"}], "two", None),
        ({"type": "text", "text": "two"}, "two", None),
        ([{"type": "output_text", "text": {"value": "two"}}], "two", None),
        ([{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "two"}], "two", "hm"),
        ([{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, "two"], "two", "hm"),
        ([{"type": "reasoning", "text": "hm"}, {"type": "reasoning", "text": "ah"}], "", "hm\n\nah"),
        ([{"type": "image_url", "image_url": {"url": "x"}}, None, 7], "", None),
        ([{"type": 5, "text": "two"}], "", None),
    ],
)
def test_content_may_be_a_string_or_parts(content: Any, text: str, reasoning: str | None) -> None:
    completion = only(chat(said(content)))
    assert (completion.text, completion.reasoning, completion.finish_reason) == (text, reasoning, "stop")


@pytest.mark.parametrize("name", ["reasoning", "reasoning_content"])
def test_separate_reasoning_of_a_server_stays_separate(name: str) -> None:
    choice = said("two")
    choice["message"][name] = "hm"
    assert (only(chat(choice)).text, only(chat(choice)).reasoning) == ("two", "hm")
    choice["message"]["content"] = None
    assert (only(chat(choice)).text, only(chat(choice)).reasoning) == ("", "hm")
    raw = {"choices": [{"text": "two", name: "hm"}]}
    assert (only(raw).text, only(raw).reasoning) == ("two", "hm")
    choice["message"][name] = ""
    assert only(chat(choice)).reasoning is None


@pytest.mark.parametrize("more", [{"tool_calls": [{"id": "t"}]}, {"audio": {"data": "AAAA"}}, {}])
def test_a_message_without_text_is_an_empty_completion(more: dict[str, Any]) -> None:
    choice = {"index": 0, "finish_reason": "tool_calls", "message": {"role": "assistant", **more}}
    assert (only(chat(choice)).text, only(chat(choice)).finish_reason) == ("", "stop")


def test_a_refusal_keeps_its_text() -> None:
    choice = said(None)
    choice["message"]["refusal"] = "I would rather not."
    assert only(chat(choice)) == Completion("", "refused", 8, refusal="I would rather not.")
    parts = said([{"type": "refusal", "refusal": "No."}])
    assert only(chat(parts)) == Completion("", "refused", 8, refusal="No.")
    choice = said("Gladly.")
    choice["message"]["refusal"] = None
    assert only(chat(choice)) == Completion("Gladly.", "stop", 8)


@pytest.mark.parametrize("name", ["stop_reason", "matched_stop"])
@pytest.mark.parametrize(
    ("value", "stop"), [("</think>", "</think>"), ("END", "END"), ("end_turn", None), (151_643, None), (None, None)]
)
def test_a_server_may_say_which_stop_string_ended_the_text(name: str, value: Any, stop: str | None) -> None:
    (completion,) = read_answer(chat(said("hm", **{name: value})), 1, ("</think>", "END")).completions
    assert (completion.text, completion.stop) == ("hm", stop)


def test_a_filtered_choice_may_lack_a_message() -> None:
    choice = {"index": 0, "finish_reason": "content_filter"}
    assert (only(chat(choice)).text, only(chat(choice)).finish_reason) == ("", "refused")


@pytest.mark.parametrize("body", [chat(), {"choices": []}, chat(choices=None), {"object": "chat.completion"}])
def test_an_answer_without_choices_is_refused_for_each_sample(body: dict[str, Any]) -> None:
    completions = read_answer(body, 3).completions
    assert [(c.text, c.finish_reason) for c in completions] == [("", "refused")] * 3


@pytest.mark.parametrize(
    ("usage", "prompt", "completion"),
    [
        ({"prompt_tokens": 7.0, "completion_tokens": "9"}, 7, 9),
        ({"prompt_tokens": 7}, 7, None),
        ({"completion_tokens": 9}, None, 9),
        ({"prompt_tokens": "many", "completion_tokens": -9}, None, None),
        ({"prompt_tokens": True, "completion_tokens": 9.5}, None, None),
        ({"prompt_tokens": 1 << 70, "completion_tokens": [9]}, None, None),
        ({"prompt_tokens": 0, "completion_tokens": 0}, None, None),
        *[(usage, None, None) for usage in (None, {}, [], "none", 7)],
    ],
)
def test_tokens_that_a_server_does_not_count_are_unknown(
    usage: Any, prompt: int | None, completion: int | None
) -> None:
    answer = read_answer(chat(said("herons"), usage=usage), 1)
    assert (answer.prompt_tokens, answer.completions[0].tokens) == (prompt, completion)
    body = chat(said("herons"))
    del body["usage"]
    assert read_answer(body, 1) == Answer((Completion("herons", "stop", None),), None)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (b'"caf\xc3"', "caf\ufffd"),
        (b'"caf\xc3 au lait \xff"', "caf\ufffd au lait \ufffd"),
        (rb'"half a bird \ud83d"', "half a bird \ufffd"),
        (rb'"\udc26 the other half"', "\ufffd the other half"),
        (rb'"whole \ud83d\udc26"', "whole \N{BIRD}"),
        (b'"a\ttab\nand a line"', "a\ttab\nand a line"),
    ],
)
def test_text_that_cannot_be_encoded_is_replaced(written: bytes, read: str) -> None:
    raw = json.dumps(chat(said("HERE"))).encode().replace(b'"HERE"', written)
    assert only(parsed(raw)).text == read
    assert only(parsed(b"\xef\xbb\xbf" + raw)).text == read


@pytest.mark.parametrize(
    "body",
    [
        {"detail": "the sky fell"},
        {"choices": "the sky fell", "usage": USAGE},
        chat("the sky fell"),  # type: ignore[arg-type]
        chat(said({"a": "the sky fell"})),
        chat({"index": 0, "message": {"content": 7, "note": "the sky fell"}}),
        chat({"index": 0, "said": "the sky fell"}),
        "the sky fell",
    ],
)
def test_the_error_quotes_a_body_that_is_not_a_completion(body: Any) -> None:
    with pytest.raises(EngineBusy, match=r"not a completion: .*the sky fell") as busy:
        read_answer(body, 1)
    assert not busy.value.overloaded


def test_samples_refused_without_a_choice_are_not_requested_again(script: Script) -> None:
    script.replies = [Reply(chat(said("one"))), Reply(chat())]
    (answer,) = ask(script, Request(CHAT, NEUTRAL, n=5))
    assert [(c.text, c.finish_reason) for c in answer.completions] == [("one", "stop"), *[("", "refused")] * 4]
    assert len(script.asked) == 2


def test_surplus_choices_are_dropped(script: Script) -> None:
    script.replies = [Reply(chat(*[said(str(i), index=i) for i in range(5)]))]
    (answer,) = ask(script, Request(CHAT, NEUTRAL, n=2))
    assert [c.text for c in answer.completions] == ["0", "1"]
