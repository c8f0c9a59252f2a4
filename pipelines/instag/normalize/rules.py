"""Step 2: merge forms that differ in case, special characters or endings (InsTag, arXiv 2308.07074, section 3.2).

As in the paper, words are stemmed with NLTK; its Porter stemmer changes few words of other languages than English.
Special characters are all characters but letters, marks and digits of any script.
"""

import unicodedata
from collections.abc import Iterator, Sequence
from functools import cache

import numpy as np

from synth.pipelines.instag.normalize.groups import RULE, Groups, component_labels
from synth.pipelines.instag.tagsets import Int32s

__all__ = ["merge_by_rule", "words"]


class _Letters(dict[int, str]):
    """For `str.translate`: replaces every special character by a blank."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        self[code] = character if unicodedata.category(character)[0] in "LMN" else " "
        return self[code]


_letters = _Letters()


def words(form: str) -> list[str]:
    """The words of a form in lower case; if it has none, its special characters."""
    lowered = unicodedata.normalize("NFKC", form).lower()
    return lowered.translate(_letters).split() or lowered.split()


def stemmed(forms: Sequence[str]) -> list[str]:
    """The stemmed words of each form: equal for forms to merge."""
    from nltk.stem.porter import PorterStemmer

    # Words repeat.
    stem = cache(PorterStemmer().stem)
    return [" ".join(map(stem, words(form))) for form in forms]


def merge_by_rule(groups: Groups, forms: Sequence[str]) -> None:
    """Merge forms with equal stems."""
    first: dict[str, int] = {}
    equal = np.array([first.setdefault(stems, form) for form, stems in enumerate(stemmed(forms))], np.int32)
    leader = groups.leader

    def links(members: Int32s) -> Iterator[tuple[int, int]]:
        """Link each form to more frequent ones with equal stems, the most frequent first."""
        by_stems: dict[int, list[int]] = {}
        for form in np.flatnonzero(np.isin(leader, members)).tolist():
            earlier = by_stems.setdefault(int(equal[form]), [])
            yield from ((int(leader[other]), int(leader[form])) for other in earlier)
            earlier.append(form)

    groups.merge(component_labels(len(forms), leader[equal], leader), RULE, links)
