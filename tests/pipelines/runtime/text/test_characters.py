import sys
import unicodedata

import pytest

from synth.pipelines.runtime.text.characters import nfc, nfkc, without_invisible

ALL = [chr(code) for code in range(sys.maxunicode + 1)]
TELLING = ("<super>", "<sub>", "<fraction>", "<circle>", "<font>")


def test_format_characters_are_removed_and_letters_and_signs_are_not() -> None:
    assert [one for one in ALL if unicodedata.category(one) == "Cf" and without_invisible(one)] == []
    hidden = [one for one in ALL if not without_invisible(one)]
    # Hangul fillers are letters, joiners and variation selectors are marks; none is visible.
    assert {unicodedata.category(one) for one in hidden} == {"Cc", "Cf", "Cn", "Lo", "Mn"}
    assert not any(one.isspace() for one in hidden)


@pytest.mark.parametrize(
    "unseen", ["\u00ad", "\u200b", "\u200c", "\u200d", "\u2060", "\ufeff", "\u202e", "\u034f", "\0"]
)
def test_an_invisible_character_leaves_nothing_behind(unseen: str) -> None:
    assert without_invisible(f"{unseen}wo{unseen}rd{unseen}") == "word"
    assert nfc(f"e{unseen}\u0301") == "é"


def test_characters_with_a_meaningful_form_are_not_normalized() -> None:
    for one in ALL:
        if unicodedata.decomposition(one).startswith(TELLING):
            assert nfkc(one) == one
    assert nfkc("ﬁｎｄ x²，½ of ℝ") == "find x²,½ of ℝ"
