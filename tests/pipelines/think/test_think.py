"""`synth think` with models that think in every form, and with rows that nothing can be made of."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from synth.pipelines.engines import Answer, Completion, Request
from synth.pipelines.engines.echo import EchoEngine
from synth.pipelines.runtime.options import Options
from synth.pipelines.runtime.prompts import Prompt
from synth.pipelines.runtime.runner import Run, Summary
from synth.pipelines.runtime.text.tokens import ModelTokenizer
from synth.pipelines.think.think import Think, repeated_share
from synth.schemas.errors import EngineFailed, InputError, UsageError
from tests.pipelines.engines.scripted_server import Reply, scripted_server
from tests.rows import Rows, rejected_of, rows_of, write_rows

DOCUMENT = "A heron eats frogs. It waits for them in shallow water."
THOUGHT = "Why would it wait?\nFrogs flee from what moves, so standing still costs it less than running after them."
ANSWER = "To sum up: it is patient."
STAGE = Think(tokenizer="tiny")


class Model(EchoEngine):
    """A model that completes each document, by its id, as it is told; it breaks down after so many answers."""

    def __init__(self, *completions: Completion, most: int = 1000) -> None:
        super().__init__()
        self._completions = completions
        self._most = most
        self.asked: list[str] = []

    async def answer(self, request: Request) -> Answer:
        if len(self.asked) == self._most:
            raise EngineFailed("it broke down")
        self.asked.append(str(request.prompt))
        completion = self._completions[(len(self.asked) - 1) % len(self._completions)]
        return Answer((completion,) * request.n, 7)


def said(text: str, finish_reason: str = "stop", **more: Any) -> Completion:
    return Completion(text, finish_reason, len(text.split()), **more)


def run(folder: Path, engine: EchoEngine, stage: Think = STAGE, rows: Rows | None = None, **options: Any) -> Summary:
    source = write_rows(folder / "in.jsonl", rows or [{"id": "d", "text": DOCUMENT, "url": "https://a.example"}])
    return Run(stage, [str(source)], folder / "out", Options(**options), engine=engine).execute()


def reason(folder: Path, engine: EchoEngine, stage: Think = STAGE, rows: Rows | None = None) -> tuple[str, str]:
    """Why the only row is rejected."""
    run(folder, engine, stage, rows, fresh=True)
    assert rows_of(folder / "out") == []
    (row,) = rejected_of(folder / "out")
    return row["reason"], row["detail"]


FORMS = {
    "of a plain model": said(THOUGHT),
    "ended by the tag as the stop string": said(f"<think>\n{THOUGHT}\n", stop="</think>"),
    "opened by the chat template": said(f"{THOUGHT}\n", stop="</think>"),
    "in a field of its own": said("", reasoning=THOUGHT),
    "in a field of its own, ended by the tag": said("", reasoning=THOUGHT, stop="</think>"),
    "before an answer": said(ANSWER, reasoning=THOUGHT),
    "before an answer that the limit cuts": said(ANSWER, "length", reasoning=THOUGHT),
    "from a server that ignores stop strings": said(f"<think>\n{THOUGHT}</think>\n\n{ANSWER}"),
    "with the markers of another family": said(f"[THINK]{THOUGHT}[/THINK]{ANSWER}"),
    "in channels": said(f"<|channel|>analysis<|message|>{THOUGHT}<|channel|>final<|message|>{ANSWER}"),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_thought_is_found_in_every_form(tmp_path: Path, form: str) -> None:
    summary = run(tmp_path, Model(FORMS[form]))
    (row,) = rows_of(tmp_path / "out")
    assert row == {
        "id": "d/thought",
        "text": f"{DOCUMENT}\n\n<think>\n{THOUGHT}\n</think>",
        "url": "https://a.example",
        "document": DOCUMENT,
        "thought": THOUGHT,
        "document_tokens": row["document_tokens"],
        "cut": False,
        "thought_tokens": row["thought_tokens"],
        "finish_reason": FORMS[form].finish_reason,
        "model": "echo",
    }
    assert summary.record["means"] == {
        "document_tokens": row["document_tokens"],
        "thought_tokens": row["thought_tokens"],
    }
    (remark,) = summary.remarks
    assert remark.startswith(f"{row['document_tokens']} tokens of documents have become ")


@pytest.mark.parametrize("form", FORMS)
def test_only_a_thought_without_any_tag_may_be_unclosed(tmp_path: Path, form: str) -> None:
    run(tmp_path, Model(FORMS[form]), replace(STAGE, unclosed="reject"))
    assert [row["reason"] for row in rejected_of(tmp_path / "out")] == ["unclosed"] * (form == "of a plain model")


def test_a_tag_of_ones_own_ends_a_thought_as_well(tmp_path: Path) -> None:
    stage = replace(STAGE, close="[done]", unclosed="reject")
    for completion in (said(THOUGHT, stop="[done]"), said(f"{THOUGHT}\n[done] {ANSWER}")):
        run(tmp_path, Model(completion), stage, fresh=True)
        assert rows_of(tmp_path / "out")[0]["thought"] == THOUGHT


def test_a_tag_of_ones_own_that_begins_a_thought_is_no_part_of_it(tmp_path: Path) -> None:
    stage = replace(STAGE, open="[muse]", close="[/muse]")
    run(tmp_path, Model(said(f" [muse]\n{THOUGHT}\n", stop="[/muse]")), stage)
    assert rows_of(tmp_path / "out")[0]["thought"] == THOUGHT


def test_a_prompt_of_ones_own_may_open_the_thought(tmp_path: Path) -> None:
    stage = replace(STAGE, prompt=Prompt("# user\n{{ document }}\n# assistant\n<think>\n", "own"), unclosed="reject")
    run(tmp_path, Model(said(THOUGHT, stop="</think>")), stage)
    assert rows_of(tmp_path / "out")[0]["thought"] == THOUGHT


LOOP = "The heron waits and the frog waits and nothing else ever happens in the pond. "


@pytest.mark.parametrize(
    ("completion", "why", "detail"),
    [
        (said("", "refused", refusal="Not about frogs."), "refused", "Not about frogs."),
        (said(THOUGHT, "length"), "cut_off", "cut after 19 tokens; see --max-tokens"),
        (said("", "length", reasoning=THOUGHT), "cut_off", "the reasoning did not end within 0 tokens"),
        (said(f"<think>{THOUGHT}"), "cut_off", "the reasoning did not end within 19 tokens"),
        (said(f"<think>{THOUGHT}", "length"), "cut_off", "the reasoning did not end within 19 tokens"),
        (said(""), "no_thought", "before the first word"),
        (said("", stop="</think>"), "no_thought", "before the first word"),
        (said("Yes, it waits."), "too_short", "tokens, and --min-thought is 16"),
        (said(LOOP * 12), "repetition", "% of its windows of 10 words have occurred before"),
        (said("", reasoning=f"{THOUGHT} <think> {THOUGHT}"), "contains_tag", "the thought has <think> in it"),
    ],
)
def test_a_thought_that_cannot_be_trained_on_is_rejected(
    tmp_path: Path, completion: Completion, why: str, detail: str
) -> None:
    found = reason(tmp_path, Model(completion))
    assert found[0] == why
    assert detail in found[1]


@pytest.mark.parametrize(
    ("document", "why"),
    [(None, "no_text"), ("", "no_text"), (" \n", "no_text"), ("It ends with </THINK>.", "contains_tag")],
)
def test_a_document_that_cannot_be_thought_through_is_not_asked_about(
    tmp_path: Path, document: str | None, why: str
) -> None:
    model = Model(said(THOUGHT))
    run(tmp_path, model, rows=[{"id": "d", "text": document}, {"id": "e", "text": DOCUMENT}])
    assert [(row["id"], row["reason"]) for row in rejected_of(tmp_path / "out")] == [("d", why)]
    assert len(model.asked) == 1


def test_without_tags_in_the_text_only_the_tag_of_the_model_is_none_of_a_document(tmp_path: Path) -> None:
    stage = replace(STAGE, tags="none", close="[done]")
    rows = [{"id": "a", "text": "What <think> opens."}, {"id": "b", "text": "What [done] ends."}]
    run(tmp_path, Model(said(THOUGHT)), stage, rows)
    assert [row["text"] for row in rows_of(tmp_path / "out")] == [f"What <think> opens.\n\n{THOUGHT}"]
    assert [row["id"] for row in rejected_of(tmp_path / "out")] == ["b"]


def test_repetition_is_the_share_of_windows_that_have_occurred_before() -> None:
    words = [f"word{number}" for number in range(40)]
    assert repeated_share("Nine words are fewer than a window of ten.") == 0
    assert repeated_share(" ".join(words)) == 0
    # Of 71 windows, 31 are in the second half.
    assert repeated_share(" ".join(words + words)) == pytest.approx(31 / 71)
    assert repeated_share("Ha! " * 1000) == pytest.approx(990 / 991)
    # A character is a word where there are no blanks between words.
    assert repeated_share("青蛙在水里等着它的到来。" * 30) > 0.9


def test_a_quotation_is_no_repetition(tmp_path: Path) -> None:
    passage = "Frogs flee from what moves, so standing still costs a heron less than running."
    thought = f"{passage} {THOUGHT} So the text says: {passage} That is a question of energy, and of eyes, too."
    run(tmp_path, Model(said(thought)))
    assert rows_of(tmp_path / "out")[0]["thought"] == thought
    assert reason(tmp_path, Model(said(thought)), replace(STAGE, max_repeated=0))[0] == "repetition"


@pytest.fixture(scope="module")
def tokenizer() -> ModelTokenizer:
    return ModelTokenizer("tiny", "--tokenizer")


@given(st.text(alphabet=st.sampled_from([*"ab 7.\n", "é", "水", "😀"]), max_size=60), st.integers(1, 40))
@example("  .", 2)  # The blanks by themselves are a single token.
def test_a_text_is_cut_between_tokens_and_never_within_a_character(
    tokenizer: ModelTokenizer, text: str, most: int
) -> None:
    beginning, tokens = tokenizer.beginning(text, most)
    offsets = tokenizer.backend.encode(text, add_special_tokens=False).offsets
    assert tokens == tokenizer.count(text) == len(offsets)
    assert text.startswith(beginning)
    kept = sum(stop <= len(beginning) for _, stop in offsets)
    assert all(start >= len(beginning) for start, _ in offsets[kept:])
    assert kept <= most
    # What is missing is less than a character, of at most four tokens.
    assert beginning == text or kept > most - 4


def test_the_tokenizer_is_that_of_the_model_unless_another_one_is_named(tmp_path: Path) -> None:
    class Tiny(Model):
        def identity(self) -> dict[str, Any]:
            return {**super().identity(), "model": "tiny"}

    run(tmp_path, Tiny(said(THOUGHT)), Think())
    (row,) = rows_of(tmp_path / "out")
    run(tmp_path, Tiny(said(THOUGHT)), fresh=True)
    assert rows_of(tmp_path / "out") == [row]
    with pytest.raises(UsageError, match=r"name it with --tokenizer \(--model echo: there is no such directory"):
        run(tmp_path, Model(said(THOUGHT)), Think(), fresh=True)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Think(tokenizer="nowhere").identity(), "--tokenizer nowhere: there is no such directory"),
        (lambda: Think(close=" "), "--close is empty"),
        (lambda: Think(document_tokens=3), "--document-tokens 3: must be at least 16"),
        (lambda: Think(max_repeated=1.5), "--max-repeated 1.5: must be between 0 and 1"),
    ],
)
def test_options_that_make_no_sense_are_refused(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make()


def test_the_column_of_the_documents_is_named_where_several_have_text(tmp_path: Path) -> None:
    rows = [{"id": "a", "title": "Herons", "body": DOCUMENT, "parts": ["one"]}]
    with pytest.raises(InputError, match="--text NAME"):
        run(tmp_path, Model(said(THOUGHT)), rows=rows)
    with pytest.raises(InputError, match="a row of parts has several texts"):
        run(tmp_path, Model(said(THOUGHT)), replace(STAGE, text="parts"), rows, fresh=True)
    run(tmp_path, Model(said(THOUGHT)), replace(STAGE, text="body"), rows, fresh=True)
    (row,) = rows_of(tmp_path / "out")
    assert (row["title"], row["body"], row["document"]) == ("Herons", DOCUMENT, DOCUMENT)


def test_a_run_that_broke_down_asks_about_no_document_twice(tmp_path: Path) -> None:
    rows = [{"id": f"d{number}", "text": f"{DOCUMENT} {number}"} for number in range(30)]
    completion = said(f"<think>{THOUGHT}", stop="</think>")
    first, second = Model(completion, most=11), Model(completion)
    with pytest.raises(EngineFailed):
        run(tmp_path, first, rows=rows, in_flight=4)
    run(tmp_path, second, rows=rows, in_flight=4)
    assert len(first.asked) + len(second.asked) == len({*first.asked, *second.asked}) == 30
    assert [row["thought"] for row in rows_of(tmp_path / "out")] == [THOUGHT] * 30


@pytest.mark.parametrize("field", ["reasoning", "reasoning_content"])
def test_a_server_may_return_the_thought_in_a_field_and_say_what_ended_it(tmp_path: Path, field: str) -> None:
    from synth.pipelines.engines.openai import OpenAIEngine, Server

    message = {"content": None, field: THOUGHT}
    with scripted_server() as script:
        script.replies = [
            Reply({"choices": [{"message": message, "finish_reason": "stop", "stop_reason": "</think>"}]})
        ]
        run(tmp_path, OpenAIEngine(Server(script.url, {}), "m"), replace(STAGE, unclosed="reject"))  # type: ignore[arg-type]
    (request,) = script.asked
    assert (request["stop"], request["temperature"], request["top_p"], request["max_tokens"]) == (
        ["</think>"],
        0.6,
        0.9,
        8192,
    )
    assert rows_of(tmp_path / "out")[0]["thought"] == THOUGHT
