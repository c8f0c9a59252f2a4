"""Words are counted in one way, whoever counts them."""

import json
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth.schemas import words
from synth.schemas.inspecting.statistics import survey
from synth.schemas.reading.inputs import locate
from tests.command import synth
from tests.rows import rows_of, write_rows

LONGEN = Path(__file__).parents[3] / "shared" / "data" / "longen.jsonl"

TEXTS = {
    "two\u00a0words": 2,
    "figure\u2007space and\u202fnarrow": 4,
    "next\u0085line\u2028and\u2029paragraph": 4,
    "zero\u200bwidth": 1,
    "joined\u2060up \ufeffmark": 2,
    # The ideographic space is one of the signs that the published code counts.
    "茶\u3000道": 3,
    "ＡＢ、c d": 5,
    "カタカナ と かな": 3,
    "한국어 문장": 2,
    "soft\u00adhyphen": 1,
    "tab\tand\x1cseparator": 3,
}


@pytest.mark.parametrize(("text", "expected"), TEXTS.items())
def test_white_space_of_any_kind_parts_words_and_nothing_else_does(text: str, expected: int) -> None:
    assert words.count(text) == expected


def told_of(responses: list[str], folder: Path) -> tuple[list[int], list[int]]:
    """The words of responses as `self-lengthen evaluate` writes them and as a report is made of them, in order."""
    asked = {"instruction": "Write.", "constraint": "about 10 words"}
    rows = write_rows(folder / "rows.jsonl", ({**asked, "response": response} for response in responses))
    synth("self-lengthen", "evaluate", rows, folder / "scored")
    values, counts = survey(locate(str(rows))).words["response"].sorted()
    surveyed = [value for value, count in zip(values.tolist(), counts.tolist(), strict=True) for _ in range(count)]
    return sorted(row["words"] for row in rows_of(folder / "scored")), surveyed


def test_a_report_and_self_lengthen_agree(tmp_path: Path) -> None:
    evaluated, surveyed = told_of(list(TEXTS), tmp_path)
    assert evaluated == surveyed == sorted(TEXTS.values())


def test_a_report_and_self_lengthen_agree_on_real_texts(tmp_path: Path) -> None:
    if not LONGEN.exists():
        pytest.skip(f"{LONGEN} is not there")
    texts = [json.loads(line)["query"] for line in LONGEN.read_text().splitlines()]
    evaluated, surveyed = told_of([*texts, *(text.replace(" ", "\u00a0") for text in texts)], tmp_path)
    assert evaluated == surveyed


@given(
    st.lists(
        st.text(
            st.sampled_from("ab 茶、\u00a0\u200b\u3000\n\u2028Ａ\x1f\x85😀") | st.characters(exclude_categories=["Cs"])
        )
    )
)
def test_many_texts_have_the_words_of_each(texts: list[str]) -> None:
    whole = pa.array(texts, pa.string())
    assert words.counts(whole).tolist() == [words.count(text) for text in texts]
    assert words.counts(whole[1:]).tolist() == [words.count(text) for text in texts[1:]]


def test_texts_that_are_too_long_to_be_counted_at_once_are_counted() -> None:
    texts = ["one two " * (1 << 20), "茶 tea", *["three words here"] * 3, "x " * (3 << 20)]
    assert words.counts(pa.array(texts)).tolist() == [2 << 20, 2, 3, 3, 3, 3 << 20]


@given(st.text(st.sampled_from("ab 茶、\u00a0\u200b\u3000\n\u2028Ａ\x1f")), st.text())
def test_a_text_has_the_words_of_its_lines(first: str, rest: str) -> None:
    assert words.count(f"{first}\n{rest}") == words.count(first) + words.count(rest)
