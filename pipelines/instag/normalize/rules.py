"""Step 2: forms that differ in case, special characters or endings are one (InsTag, arXiv 2308.07074, section 3.2).

As in the paper, words are stemmed with NLTK; its Porter stemmer leaves what is not English mostly as it is. Special
characters are all but letters, marks and digits of any script.
"""

import unicodedata
from collections.abc import Callable, Iterator, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from synth.pipelines.instag.normalize.groups import RULE, Groups, connected

__all__ = ["unite_equal", "words"]


class _Letters(dict[int, str]):
    """For `str.translate`: every character that is no part of a word becomes a blank."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        self[code] = character if unicodedata.category(character)[0] in "LMN" else " "
        return self[code]


_letters = _Letters()


def words(form: str) -> list[str]:
    """The words of a form in lower case; of one that consists of special characters, these."""
    lowered = unicodedata.normalize("NFKC", form).lower()
    return lowered.translate(_letters).split() or lowered.split()


def stemmed(forms: Sequence[str]) -> list[str]:
    """What forms that are equal by this rule share."""
    stem = _stemmer()
    return [" ".join(map(stem, words(form))) for form in forms]


def _stemmer() -> Callable[[str], str]:
    from nltk.stem.porter import PorterStemmer

    # Words repeat.
    return cache(PorterStemmer().stem)


def unite_equal(groups: Groups, forms: Sequence[str]) -> None:
    """Make one what is equal by this rule."""
    first: dict[str, int] = {}
    equal = np.array([first.setdefault(key, form) for form, key in enumerate(stemmed(forms))], np.int32)
    leader = groups.leader

    def links(members: NDArray[np.int32]) -> Iterator[tuple[int, int]]:
        """Each form goes with the most frequent one that it may go with."""
        of_key: dict[int, list[int]] = {}
        for form in np.flatnonzero(np.isin(leader, members)).tolist():
            earlier = of_key.setdefault(int(equal[form]), [])
            yield from ((int(leader[other]), int(leader[form])) for other in earlier)
            earlier.append(form)

    groups.unite(connected(len(forms), leader[equal], leader), RULE, links)
