"""How texts are scored, for all engines: cut into windows, whose tokens' log-probabilities are added up.

An engine provides its tokens and their probabilities; the rest is the same, so that scores can be compared.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from math import fsum, isfinite
from typing import Generic, TypeVar

import xxhash
from msgspec import UNSET

from synth.pipelines.engines import Answer, PromptTooLong, Request, RequestFailed, Scores
from synth.schemas.errors import UsageError

__all__ = ["TextScorer", "fingerprint", "scores_of", "windows_of"]

TokenT = TypeVar("TokenT", bound=int | str)

# The tokens of this text tell tokenizers apart: words long and rare, numbers, spaces, signs, code, other scripts.
SPECIMEN = """\
The extraordinarily persevering archaeologists catalogued 1,284 potsherds (of 3.5 kg) in 1997-98; "Why?" they wondered.
It isn't what she'd have guessed, they'll say, and we're none the wiser: unputdownable, antidisestablishmentarianism.
  Two spaces,\tone tab,     five spaces.   x = 7*(y+2)**3 != 0x1F; e.g. https://example.org/a_b?c=%20d#e @name #tag $5
def parse_header(line: str) -> dict[str, int]:
\treturn {key: int(value) for key, value in map(split_pair, line.rstrip().split(","))}  # TODO: errors
SELECT COUNT(*) FROM users WHERE id >= 1000000 AND NOT is_deleted; <div class="main">&nbsp;</div> {"a": [null, true]}
\\frac{\\partial f}{\\partial x} = \\sum_{i=1}^{n} a_i ≤ ∞, αβγ, 20\u00a0°C, €9.99, ½, naïve café, “quoted” — dash…
Straße, mañana, ça va, Łódź, İstanbul, tiếng Việt, быстрая лиса, γλώσσα, שלום, مرحبا, नमस्ते, สวัสดี
今天天气很好。これはテストです。한국어 문장. 😀👨\u200d👩\u200d👧 🇪🇺 \u200bEND."""


def windows_of(tokens: Sequence[TokenT], bos: Sequence[TokenT], max_tokens: int) -> list[list[TokenT]]:
    """The tokens in windows of at most `max_tokens`, which begin with the tokens `bos`. The last one may be short."""
    room = max_tokens - len(bos)
    return [[*bos, *tokens[start : start + room]] for start in range(0, len(tokens), room)]


def scores_of(
    window: Sequence[TokenT], logprobs: Sequence[float], bos: int, skip_after: TokenT | None
) -> list[float | None]:
    """The negative log-probability of each token of a window after its `bos` first ones; None for those without.

    `logprobs` are of all its tokens but the first. Those of tokens right after the token `skip_after` are left out, as
    in the published code of MiniPLM (arXiv 2410.17215). Raises `RequestFailed` if there are too few, or too many.
    """
    if len(logprobs) != len(window) - 1:
        raise RequestFailed(f"a window of {len(window)} tokens has {len(logprobs)} log-probabilities")
    after_first = [
        None if before == skip_after else -logprob for before, logprob in zip(window, logprobs, strict=False)
    ]
    return after_first[bos - 1 :] if bos else [None, *after_first]


def fingerprint(tokens: Sequence[TokenT]) -> str:
    """The fingerprint of the tokenizer that makes these tokens of `SPECIMEN`."""
    return xxhash.xxh3_64_hexdigest(" ".join(map(str, tokens)).encode())


@dataclass(frozen=True)
class _Tokenizer(Generic[TokenT]):
    """What is known of a tokenizer: the tokens that it puts before a text, and its fingerprint."""

    bos: tuple[TokenT, ...]
    fingerprint: str


class TextScorer(Generic[TokenT]):
    """Scores texts with an engine that gives tokens and their log-probabilities.

    `encode(text, special)` makes tokens of a text, with or without those that the tokenizer puts around it.
    `logprobs(windows)` has, for each window, the natural logarithms of the probabilities of all tokens but the first,
    given those before them. `dtype` is the number type that the model computes in, if known.
    """

    def __init__(
        self,
        encode: Callable[[str, bool], Awaitable[list[TokenT]]],
        logprobs: Callable[[list[list[TokenT]]], Awaitable[Sequence[Sequence[float]]]],
        dtype: str | None = None,
    ) -> None:
        self._encode = encode
        self._logprobs = logprobs
        self._dtype = dtype
        self._tokenizer: _Tokenizer[TokenT] | None = None
        self._single: dict[str, TokenT] = {}
        self._learning = asyncio.Lock()

    async def answer(self, request: Request) -> Answer:
        """Raises `RequestFailed`, and `UsageError` if `skip_after` is not one token."""
        text, windows = request.prompt, request.windows
        assert isinstance(text, str), "only texts are scored"
        assert windows is not UNSET, "they are scored in windows"
        tokenizer = await self._known()
        skip_after = None if windows.skip_after is None else await self._token(windows.skip_after)
        bos = tokenizer.bos if windows.bos else ()
        cut = windows_of(await self._encode(text, False), bos, windows.max_tokens)
        # A single token has no score, and is not sent.
        sent = [window for window in cut if len(window) > 1]
        try:
            found = iter(await self._logprobs(sent) if sent else ())
        except PromptTooLong as error:
            raise PromptTooLong(f"{error}; lower --max-tokens") from error
        each = [
            score
            for window in cut
            for score in scores_of(window, next(found) if len(window) > 1 else (), len(bos), skip_after)
        ]
        scored = [score for score in each if score is not None]
        nll = fsum(scored)
        if not isfinite(nll):
            raise RequestFailed(f"the model gives the text a negative log-likelihood of {nll}")
        kept = tuple(each) if windows.keep else None
        scores = Scores(nll, len(scored), tokenizer.fingerprint, self._dtype, kept)
        return Answer((), sum(map(len, sent)), scores=scores)

    async def _known(self) -> _Tokenizer[TokenT]:
        async with self._learning:
            if self._tokenizer is None:
                plain, special = await self._encode(SPECIMEN, False), await self._encode(SPECIMEN, True)
                # What follows a text, such as an end of a sentence, is not part of a window.
                before = next((at for at in range(len(special)) if special[at:][: len(plain)] == plain), 0)
                self._tokenizer = _Tokenizer(tuple(special[:before]), fingerprint(plain))
            return self._tokenizer

    async def _token(self, text: str) -> TokenT:
        if text not in self._single:
            tokens = await self._encode(text, False)
            if len(tokens) != 1:
                raise UsageError(f"--skip-after {text} is not one token of the model, but {len(tokens)}")
            self._single[text] = tokens[0]
        return self._single[text]
