"""The contract of all engines."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from synth.pipelines.engines import Answer, Engine, Message, PromptTooLong, Request, Sampling, Scores, Windows
from synth.pipelines.engines.echo import EchoEngine
from synth.pipelines.engines.probe import check_schemas_enforced, check_texts_scored
from synth.pipelines.engines.scoring import SPECIMEN, fingerprint
from tests.conftest import CONTEXT


@pytest.fixture(scope="session", params=["echo", "openai", "vllm"])
def engine(request: pytest.FixtureRequest) -> Engine:
    if request.param == "echo":
        return EchoEngine(context=CONTEXT)
    engine: Engine = request.getfixturevalue(f"{request.param}_engine")
    return engine


@pytest.fixture
def model(engine: Engine) -> Engine:
    """The engines with a model."""
    if isinstance(engine, EchoEngine):
        pytest.skip("echo has no model: no chat template, no context beyond its prompt, no tokens but words")
    return engine


def user(content: str) -> tuple[Message, ...]:
    return (Message(role="user", content=content),)


def ask(engine: Engine, *requests: Request) -> list[Answer]:
    async def all_at_once() -> list[Answer]:
        return await asyncio.gather(*map(engine.answer, requests))

    return asyncio.run(all_at_once())


def texts(answer: Answer) -> list[str]:
    return [completion.text for completion in answer.completions]


QUESTION = user("How many legs do two herons and a cow have between them?")
SHORT = Sampling(max_tokens=24)


def test_n_samples_differ(engine: Engine) -> None:
    (answer,) = ask(engine, Request(QUESTION, SHORT, n=5, seed=1))
    assert len(set(texts(answer))) == 5


def test_equal_requests_get_equal_answers(engine: Engine) -> None:
    request = Request(QUESTION, SHORT, n=3, seed=7)
    first, again = ask(engine, request)[0], ask(engine, request)[0]
    assert first == again


def test_samples_do_not_depend_on_batching(engine: Engine) -> None:
    together, first, then, last = ask(
        engine,
        Request(QUESTION, SHORT, n=8, seed=40),
        Request(QUESTION, SHORT, n=4, seed=40),
        Request(QUESTION, SHORT, n=4, seed=44),
        Request(QUESTION, SHORT, n=1, seed=47),
    )
    assert together.completions == first.completions + then.completions
    assert together.completions[-1:] == last.completions


@pytest.mark.parametrize("prompt", [QUESTION, "How many legs"])
def test_a_stop_string_ends_the_text_and_is_cut_off(engine: Engine, prompt: Any) -> None:
    (free,) = ask(engine, Request(prompt, SHORT, seed=3))
    stop = free.text[4:7]
    (stopped,) = ask(engine, Request(prompt, Sampling(max_tokens=24, stop=("never said", stop)), seed=3))
    assert stopped.text == free.text[: free.text.index(stop)]
    assert (stopped.completions[0].finish_reason, stopped.completions[0].stop) == ("stop", stop)
    assert free.completions[0].stop is None


def test_the_token_limit_is_enforced_and_reported(engine: Engine) -> None:
    (answer,) = ask(engine, Request(QUESTION, Sampling(max_tokens=3), n=4, seed=2))
    assert {(c.tokens, c.finish_reason) for c in answer.completions} == {(3, "length")}


def test_tokens_are_counted_for_each_completion_and_the_prompt(model: Engine) -> None:
    (answer,) = ask(model, Request("one two", SHORT, n=6, seed=5))
    assert answer.prompt_tokens == len("one two")
    for completion in answer.completions:
        # A token of this model is a character, or a special token that is not in the text.
        assert len(completion.text) <= completion.tokens <= SHORT.max_tokens
        assert (completion.finish_reason == "length") == (completion.tokens == SHORT.max_tokens)


def test_a_chat_goes_through_the_template_and_raw_text_does_not(model: Engine) -> None:
    chat, rendered, raw = ask(
        model,
        Request(user("Why?"), SHORT, seed=1),
        Request("<|im_start|>user\nWhy?<|im_end|>\n<|im_start|>assistant\n", SHORT, seed=1),
        Request("Why?", SHORT, seed=1),
    )
    assert chat == rendered
    assert raw.prompt_tokens == len("Why?")
    assert raw.text != chat.text


@pytest.mark.parametrize("begun", ["Because", "Because.\n\n"])
def test_an_assistant_message_at_the_end_is_continued(model: Engine, begun: str) -> None:
    continued, rendered = ask(
        model,
        Request((*user("Why?"), Message(role="assistant", content=begun)), SHORT, seed=1),
        Request(f"<|im_start|>user\nWhy?<|im_end|>\n<|im_start|>assistant\n{begun}", SHORT, seed=1),
    )
    assert continued == rendered


def test_concurrent_equal_prompts_with_different_schemas(engine: Engine) -> None:
    def number(least: int) -> dict[str, Any]:
        only = {"type": "integer", "enum": [least, least + 1]}
        return {"type": "object", "properties": {"legs": only}, "required": ["legs"], "additionalProperties": False}

    leasts = [10, 20, 30, 40] * 4
    answers = ask(engine, *(Request(QUESTION, Sampling(max_tokens=40), schema=number(least)) for least in leasts))
    for least, answer in zip(leasts, answers, strict=True):
        assert json.loads(answer.text)["legs"] in (least, least + 1)
        assert answer.completions[0].finish_reason == "stop"


def test_constrained_decoding_passes_the_check(engine: Engine) -> None:
    asyncio.run(check_schemas_enforced(engine.answer))


@pytest.mark.parametrize("prompt", [user("a " * CONTEXT), "a " * CONTEXT])
def test_only_the_prompt_that_is_too_long_is_refused(engine: Engine, prompt: Any) -> None:
    with pytest.raises(PromptTooLong, match=str(CONTEXT)):
        ask(engine, Request(prompt, SHORT))
    assert ask(engine, Request(QUESTION, SHORT))


@pytest.mark.parametrize("limit", [100, 10 * CONTEXT])
def test_the_answer_is_cut_at_the_end_of_the_context(model: Engine, limit: int) -> None:
    (answer,) = ask(model, Request("a" * (CONTEXT - 8), Sampling(max_tokens=limit), n=3, seed=4))
    assert [completion.tokens for completion in answer.completions] == [8, 8, 8]
    assert {completion.finish_reason for completion in answer.completions} == {"length"}


def test_thousands_of_concurrent_requests_get_their_own_answers(engine: Engine) -> None:
    few = [Request(f"{i} " * (i + 1), Sampling(max_tokens=6), seed=11) for i in range(20)]
    alone = [ask(engine, request)[0] for request in few]
    assert len({(answer.text, answer.prompt_tokens) for answer in alone}) == len(few)
    assert ask(engine, *few * 100) == alone * 100


WHOLE = Windows(CONTEXT - 1)
TEXT = "two herons and a cow have eight legs between them"


def scores(engine: Engine, windows: Windows, *asked: str) -> list[Scores]:
    answers = ask(engine, *(Request.to_score(text, windows) for text in asked))
    assert all(answer.completions == () for answer in answers)
    return [answer.scores for answer in answers if answer.scores]


def test_scores_are_those_of_transformers(model: Engine, random_model: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(random_model)
    network = AutoModelForCausalLM.from_pretrained(random_model, dtype=torch.float32).eval()
    ids = torch.tensor(tokenizer.encode(TEXT))
    with torch.inference_mode():
        logprobs = torch.log_softmax(network(ids[None]).logits[0, :-1], -1)
    each = [-one for one in logprobs.gather(1, ids[1:, None])[:, 0].tolist()]
    (found,) = scores(model, Windows(CONTEXT - 1, keep=True), TEXT)
    assert found.each is not None
    assert found.each[0] is None
    assert found.each[1:] == pytest.approx(each, abs=2e-4)
    assert (found.tokens, found.nll) == (len(TEXT) - 1, pytest.approx(sum(each), abs=2e-3))
    # Whichever engine makes the tokens, they are the same.
    assert found.tokenizer == fingerprint(tokenizer.encode(SPECIMEN))


def test_windows_are_scored_by_themselves_and_add_up(engine: Engine) -> None:
    size = 4 if isinstance(engine, EchoEngine) else 20
    tokens = TEXT.split() if isinstance(engine, EchoEngine) else list(TEXT)
    joint = " " if isinstance(engine, EchoEngine) else ""
    pieces = [joint.join(tokens[start : start + size]) for start in range(0, len(tokens), size)]
    assert len(pieces) == 3
    (whole,) = scores(engine, Windows(size), TEXT)
    apart = scores(engine, WHOLE, *pieces)
    assert whole.nll == pytest.approx(sum(one.nll for one in apart), rel=1e-5)
    assert whole.tokens == sum(one.tokens for one in apart) == len(tokens) - len(pieces)


def test_a_text_of_a_single_token_has_no_score(engine: Engine) -> None:
    assert [(one.nll, one.tokens) for one in scores(engine, WHOLE, "a", "")] == [(0, 0)] * 2


def test_the_token_after_a_marked_one_has_no_score_and_the_others_have_the_same(engine: Engine) -> None:
    mark = "cow" if isinstance(engine, EchoEngine) else "w"
    (every,) = scores(engine, Windows(CONTEXT - 1, keep=True), TEXT)
    (some,) = scores(engine, Windows(CONTEXT - 1, keep=True, skip_after=mark), TEXT)
    assert every.each is not None
    assert some.each is not None
    tokens = TEXT.split() if isinstance(engine, EchoEngine) else list(TEXT)
    left_out = {at + 1 for at, token in enumerate(tokens) if token == mark}
    assert [at for at, score in enumerate(some.each) if score is None] == sorted({0} | left_out)
    kept = [score for at, score in enumerate(every.each) if score is not None and at not in left_out]
    assert (some.tokens, some.nll) == (len(kept), pytest.approx(sum(kept), rel=1e-5))


def test_scores_do_not_depend_on_batching(engine: Engine) -> None:
    texts = [TEXT[: 7 * number] for number in range(2, 8)]
    alone = [scores(engine, WHOLE, text)[0].nll for text in texts]
    together = [one.nll for one in scores(engine, WHOLE, *texts * 20)]
    assert together == pytest.approx(alone * 20, rel=1e-5)


def test_only_the_text_whose_window_is_too_long_is_refused(engine: Engine) -> None:
    long = "a " * CONTEXT
    with pytest.raises(PromptTooLong, match=rf"{CONTEXT}.*; lower --max-tokens"):
        scores(engine, Windows(CONTEXT), long)
    (found,) = scores(engine, WHOLE, long)
    assert found.tokens > 0


def test_scoring_passes_the_check(engine: Engine) -> None:
    asyncio.run(check_texts_scored(engine.answer))
