"""How many tokens a completion may have on a server that refuses requests exceeding its context.

vLLM in process, and its newer servers, end a completion at the end of the context. Other servers refuse a request if
prompt and `max_tokens` together exceed it, although the prompt leaves room. Their error messages, and their token
counts of other prompts, tell how much is left.
"""

import re
from collections.abc import Generator
from math import ceil

from synth.pipelines.engines import Answer
from synth.pipelines.engines.openai.refusals import TooManyTokens

__all__ = ["Room", "stated_limits"]

_NUMBER = re.compile(r"(?<![\w.-])(\d{1,3}(?:,\d{3}){1,3}|\d{1,12})(?:\.0+)?(?![\w-]|\.\d| characters)")
_CONTEXT = re.compile(
    r"(?:context|limit|maximum|window|exceeds?)"
    r"(?:[\s:=(`]|\b(?:the|model|available|allowed|maximum|context|input|length|size|window|limit|tokens|of|is)\b)*"
    r"(\d[\d,]{0,14})(?![\d,]* ?\+)",
    re.IGNORECASE,
)
# A limit of the completion alone.
_COMPLETION = re.compile(r"max_?\w*tokens|completion tokens|output tokens", re.IGNORECASE)
_PROMPT = re.compile(r"prompt|inputs?\b(?! should)|messages|context.?length|requested tokens", re.IGNORECASE)
# How many refusals are trusted: the first may state a limit of completions, the second the rest of the context.
_TRUSTED = 2


def stated_limits(words: str, limit: int) -> tuple[int | None, int | None]:
    """The context and the tokens left for a completion, from the error of a server that refused `limit` tokens."""
    numbers = {_integer(number) for number in _NUMBER.findall(words)} - {0}
    if _COMPLETION.search(words) and not _PROMPT.search(words):
        most = max((number for number in numbers if 1 < number < limit), default=None)
        return None, most - 1 if most and "exclusive" in words else most
    found = _CONTEXT.search(words)
    context = _integer(found[1]) if found else None
    others = numbers - {limit}
    totals = [number for number in others if number - limit in numbers]
    if totals:
        prompt = max(totals) - limit
        context = max(others - {max(totals), prompt}, default=context)
    elif limit in numbers and len(others) > 1:
        context = max(others)
        prompt = sum(others) - context
    elif limit in numbers and others and context in (None, max(numbers)):
        # One of the two is as large as the limit.
        context, prompt = max(numbers), min(numbers)
    else:
        return context, None
    left = None if context is None else context - prompt
    # Some servers stop counting a prompt one token past the room next to `limit`: then the count is a lower bound.
    return context, None if left == limit - 1 and "at least" in words else left


class Room:
    """What is known about a server's context, in tokens. It learns, so that later requests are not refused."""

    def __init__(self, context: int | None) -> None:
        self._context = context
        # The maximum tokens of a completion, regardless of the prompt.
        self._most: int | None = None
        # The most tokens per character of a prompt so far; None until a prompt matters.
        self._density: float | None = None

    def tries(self, wanted: int, size: int) -> Generator[int, Answer | TooManyTokens, None]:
        """Limits to send, each after the outcome of the previous one; the last outcome counts.

        A cut answer has all of the `wanted` tokens that its prompt of `size` characters leaves room for, so it does not
        depend on what was learned before.
        """
        limit = self._guess(wanted, size)
        context, prompt, refused, refusals = self._context, None, wanted + 1, 0
        while isinstance(outcome := (yield limit), TooManyTokens):
            found, left = stated_limits(outcome.words, limit)
            if limit == 1 or (left is not None and left < 1):
                return
            context = found or context
            prompt = found - left if found and left else prompt
            refused, refusals = limit, refusals + 1
            # One token is enough to see whether the prompt fits, and to have it counted.
            limit = left if left and left < limit and refusals <= _TRUSTED else 1
        prompt = outcome.prompt_tokens or prompt
        rest = context - prompt if context and prompt else None
        if refusals or self._density is not None:
            self._learn(context, prompt, size, limit)
        if all(completion.finish_reason in ("stop", "refused") for completion in outcome.completions):
            return
        exact = min(bound for bound in (wanted, refused - 1, self._most, rest) if bound is not None)
        if rest and exact > limit:
            outcome = yield exact
            if isinstance(outcome, TooManyTokens) and limit > 1:
                yield limit
        elif limit == 1 and not rest:
            yield from self._halves(refused)

    def _guess(self, wanted: int, size: int) -> int:
        bounds = [wanted, self._context, self._most]
        if self._density is not None and self._context is not None:
            bounds.append(self._context - ceil(self._density * size))
        return max(1, min(bound for bound in bounds if bound is not None))

    def _learn(self, context: int | None, prompt: int | None, size: int, limit: int) -> None:
        if context and prompt and context > prompt:
            self._context = context
            self._density = max(self._density or 0, prompt / max(size, 1))
        elif limit > 1:
            self._most = limit

    def _halves(self, refused: int) -> Generator[int, Answer | TooManyTokens, None]:
        """Halve the refused limit until the server accepts it; it has accepted one token."""
        while refused > 3:
            refused //= 2
            if isinstance((yield refused), Answer):
                self._most = refused
                return
        yield 1


def _integer(digits: str) -> int:
    return int(digits.replace(",", ""))
