"""Cut a document into sequences of 2^i + 1 tokens (arXiv 2405.13226): 2^i to predict, and the one before the first.

From the front of a document, each piece is the longest that fits. What is left when none fits is its tail.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

__all__ = ["Piece", "cut", "drawn_bucket", "length"]


class Piece(NamedTuple):
    """Consecutive tokens of a document. The `number` of the first piece is 1; the `bucket` of a tail is None."""

    number: int
    bucket: int | None
    start: int
    size: int


def length(bucket: int) -> int:
    """The tokens of each sequence of a bucket."""
    return (1 << bucket) + 1


def cut(
    tokens: int, smallest: int, largest: int, *, drawn: Callable[[int], int] | None = None, keep_tail: bool = False
) -> Iterator[Piece]:
    """The pieces of a document of so many tokens, in order; with `keep_tail`, also its tail.

    Where more is left than the largest bucket takes, the next piece is of the bucket that is `drawn` for its number, or
    else of the largest.
    """
    start, number = 0, 1
    # A single token has nothing to predict.
    while (left := tokens - start) > 1:
        # The logarithm of integers: that of floats may fall on the wrong side of a power of two.
        bucket = (left - 1).bit_length() - 1
        if bucket < smallest:
            if keep_tail:
                yield Piece(number, None, start, left)
            return
        if bucket > largest:
            bucket = drawn(number) if drawn else largest
        yield Piece(number, bucket, start, length(bucket))
        start, number = start + length(bucket), number + 1


def drawn_bucket(random: int, smallest: int, largest: int) -> int:
    """A bucket for a random integer: each is half as likely as the one below, so that all get as many tokens."""
    outcomes = (1 << (largest - smallest + 1)) - 1
    # Of 1, 2, ..., 63, half have six binary digits, a quarter five, and only 1 has a single digit.
    return largest + 1 - (random % outcomes + 1).bit_length()
