"""How texts are cut into windows, and which of their tokens have scores, whatever the engine."""

import asyncio
from collections.abc import Sequence
from math import inf, nan

import pytest

from synth.pipelines.engines import Answer, PromptTooLong, Request, RequestFailed, Scores, Windows
from synth.pipelines.engines.scoring import SPECIMEN, TextScorer, fingerprint
from synth.schemas.errors import UsageError


class Letters:
    """A model whose tokens are characters, and to which the letter number n costs n nats; `around` a text."""

    def __init__(self, around: tuple[str, str] = ("", "")) -> None:
        self._before, self._after = around
        self.encoded: list[str] = []
        self.asked: list[str] = []
        self.scorer = TextScorer(self.encode, self.logprobs)

    async def encode(self, text: str, special: bool) -> list[str]:
        self.encoded.append(text)
        await asyncio.sleep(0)
        return list(f"{self._before}{text}{self._after}" if special else text)

    async def logprobs(self, windows: Sequence[Sequence[str]]) -> list[list[float]]:
        self.asked += ["".join(window) for window in windows]
        return [[-float(ord(letter) - ord("a") + 1) for letter in window[1:]] for window in windows]

    def answers(self, windows: Windows, *texts: str) -> list[Answer]:
        async def all_at_once() -> list[Answer]:
            return await asyncio.gather(*(self.scorer.answer(Request.to_score(text, windows)) for text in texts))

        return asyncio.run(all_at_once())

    def score(self, text: str, windows: Windows) -> Scores:
        (answer,) = self.answers(windows, text)
        assert answer.scores
        return answer.scores


def test_without_bos_the_first_token_of_each_window_has_no_score() -> None:
    model = Letters()
    found = model.score("abcdefg", Windows(3, keep=True))
    assert model.asked == ["abc", "def"]
    assert found.each == (None, 2, 3, None, 5, 6, None)
    assert (found.nll, found.tokens) == (16, 4)


def test_with_bos_all_tokens_have_one_and_the_window_holds_it() -> None:
    model = Letters(around=("^", ""))
    found = model.score("abcde", Windows(3, keep=True))
    assert model.asked == ["^ab", "^cd", "^e"]
    assert (found.each, found.tokens) == ((1, 2, 3, 4, 5), 5)
    assert model.score("abcde", Windows(5, bos=False)).tokens == 4


def test_several_tokens_may_stand_before_a_text_and_what_stands_behind_it_is_not_scored() -> None:
    model = Letters(around=("[^", "$"))
    assert model.score("abc", Windows(5, keep=True)).each == (1, 2, 3)
    assert model.asked == ["[^abc"]


def test_the_tokens_of_all_windows_are_counted_as_sent_but_not_one_that_is_alone() -> None:
    assert [one.prompt_tokens for one in Letters().answers(Windows(3), "abcdefg", "a", "")] == [6, 0, 0]
    assert [one.prompt_tokens for one in Letters(around=("^", "")).answers(Windows(3), "abc", "a")] == [5, 2]


def test_tokens_after_a_marked_one_are_left_out_in_the_sum_too() -> None:
    found = Letters().score("abcabc", Windows(8, skip_after="c", keep=True))
    assert found.each == (None, 2, 3, None, 2, 3)
    assert (found.nll, found.tokens) == (10, 4)


def test_a_mark_that_is_not_one_token_is_refused_by_its_flag() -> None:
    with pytest.raises(UsageError, match="--skip-after end is not one token of the model, but 3"):
        Letters().score("abc", Windows(8, skip_after="end"))


def test_the_tokenizer_is_asked_about_itself_once() -> None:
    model = Letters()
    model.answers(Windows(8), *["abc"] * 20)
    assert model.encoded.count(SPECIMEN) == 2


def test_the_fingerprint_is_of_the_tokens_of_a_text_and_not_of_those_around_it() -> None:
    expected = fingerprint(list(SPECIMEN))
    assert Letters().score("ab", Windows(8)).tokenizer == expected
    assert Letters(around=("^", "$")).score("ab", Windows(8)).tokenizer == expected
    assert fingerprint(SPECIMEN.split()) != expected


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ([-1.0], "a window of 4 tokens has 1 log-probabilities"),
        ([-1.0] * 4, "a window of 4 tokens has 4 log-probabilities"),
        ([-1.0, -inf, -1.0], "a negative log-likelihood of inf"),
        ([-1.0, nan, -1.0], "a negative log-likelihood of nan"),
    ],
)
def test_log_probabilities_that_cannot_be_right_fail_the_text(given: list[float], says: str) -> None:
    class Wrong(Letters):
        async def logprobs(self, windows: Sequence[Sequence[str]]) -> list[list[float]]:
            return [given for _ in windows]

    with pytest.raises(RequestFailed, match=says):
        Wrong().score("abcd", Windows(8))


def test_a_window_that_is_too_long_names_the_option() -> None:
    class Small(Letters):
        async def logprobs(self, windows: Sequence[Sequence[str]]) -> list[list[float]]:
            raise PromptTooLong(f"the prompt has {len(windows[0])} tokens and the context holds 3")

    with pytest.raises(PromptTooLong, match="the context holds 3; lower --max-tokens"):
        Small().score("abcd", Windows(8))
