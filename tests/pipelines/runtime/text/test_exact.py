import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth.pipelines.runtime.text import words
from synth.pipelines.runtime.text.characters import nfc
from synth.pipelines.runtime.text.exact import same_text, same_url


def test_white_space_and_composition_do_not_matter() -> None:
    assert same_text(" Caf\u00e9\n\u00a0au\tlait ") == same_text("Cafe\u0301 au lait")
    assert same_text("Two words") != same_text("two words")
    assert same_text("2 + 2") != same_text("2 - 2")


@given(st.one_of(st.text(st.sampled_from("ab \n\t\0\x7f\x1f\u00a0é"), max_size=12), st.text()))
def test_any_text_is_its_visible_words_with_a_blank_between_two(text: str) -> None:
    assert same_text(text) == " ".join(nfc(text).split())


def test_a_long_text_is_the_same_however_it_is_split(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "  some words \n\n of  a longer\ttext " * 20
    whole = " ".join(text.split())
    assert same_text(text) == whole
    for portion in range(1, 40):
        monkeypatch.setattr(words, "PORTION", portion)
        assert same_text(text) == whole


@pytest.mark.parametrize(
    "other",
    [
        "http://Example.org/a/b?q=1",
        "https://example.org:443/a/b?q=1#part",
        "HTTPS://example.org/a/b/?q=1",
        " https://example.org./a/b?q=1",
        "example.org/a/b?q=1",
        "http://example.org:80/a/b?q=1",
        "https://user:word@example.org/a/b?q=1",
    ],
)
def test_urls_of_the_same_page_are_equal(other: str) -> None:
    assert same_url(other) == same_url("https://example.org/a/b?q=1")


@pytest.mark.parametrize(
    "other",
    [
        "https://example.org/A/b?q=1",
        "https://example.org/a/b",
        "https://example.org/a/b?q=2",
        "https://example.org:8080/a/b?q=1",
        "https://www.example.org/a/b?q=1",
        "http://[broken/a/b?q=1",
        "http://example.org:port/a/b?q=1",
        "",
    ],
)
def test_urls_of_different_pages_are_not_equal(other: str) -> None:
    assert same_url(other) != same_url("https://example.org/a/b?q=1")


@pytest.mark.parametrize("nowhere", ["", " ", "//", "http://", "#top"])
def test_text_that_identifies_no_page_is_not_a_url(nowhere: str) -> None:
    assert same_url(nowhere) == ""
