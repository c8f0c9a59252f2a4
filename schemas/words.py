"""The word count of a text, as Self-Lengthen measures every length and reports show it."""

import re

__all__ = ["count"]

# Han characters, their punctuation, and full-width forms.
_ONE_WORD_EACH = re.compile("[\u3000-\u303f\u4e00-\u9fff\uff00-\uffef]")


def count(text: str) -> int:
    """Words of `text`: each Chinese character or full-width sign, and each run of other characters between white space.

    White space is as Unicode defines it: a no-break space is included, a zero-width space is not.

    Counts as the published code does (arXiv 2410.23933), so that lengths can be compared: a run of kana or hangul is
    one word, and so is a dash between spaces.
    """
    rest, characters = _ONE_WORD_EACH.subn(" ", text)
    return characters + len(rest.split())
