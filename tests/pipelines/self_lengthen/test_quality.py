"""Which responses are fit to be trained on. Where the published rules err is said at each test."""

from random import Random

import pytest

from synth.pipelines.self_lengthen import quality

LEGAL = (
    "GNU General Public License, Version 2\n\n"
    "The licensee’s rights end where the licensor’s begin; it’s the court’s view, and the parties’, too.\n\n"
    "Nothing in this Licence’s terms takes away a reader’s rights ‘under the law of the reader’s country’."
)


def reason(text: str) -> str | None:
    refused = quality.refusal(text)
    return refused[0] if refused else None


def words(count: int, seed: int = 0) -> list[str]:
    """Words of which hardly two are alike, with enough English between them."""
    draw = Random(seed)
    return ["the" if draw.random() < 0.3 else "".join(draw.choices("bcdfgaeiou", k=9)) for _ in range(count)]


def han(count: int, seed: int = 0) -> str:
    return "".join(Random(seed).choices([chr(code) for code in range(0x4E00, 0x5E00)], k=count))


@pytest.mark.parametrize("text", ["", " ", "\n\n\t"])
def test_an_empty_text_is_refused(text: str) -> None:
    assert reason(text) == "empty"


@pytest.mark.parametrize(
    "text",
    [
        "One line is enough.",
        "It was the end of the day.\n\n",
        'He said, "That is all."',
        "She said, “That is all.”",
        "He called it ‘the end of it’",
        "That is all (or so they say)",
        "**That is all there is.**",
        "The program is this:\n\n```\nprint(1)\n```",
        "这就是全部。",
        "他说：“这就是全部。”",
        "这就是全部（完）",
        "真的吗？",
    ],
)
def test_a_text_that_comes_to_its_end_is_fit(text: str) -> None:
    assert reason(text) is None


@pytest.mark.parametrize("text", ["And that is the end", "这还没有写", "| the | last | row |", "The end of the day #"])
def test_a_text_that_breaks_off_is_refused(text: str) -> None:
    assert reason(text) == "unfinished"


@pytest.mark.parametrize("end", [",", ";", ":", "-", "—", "，", "；", "：", "、"])
def test_what_goes_on_is_no_end(end: str) -> None:
    """The published English rule takes commas, colons and dashes for ends."""
    assert reason(f"It was the end of the day{end}") == "unfinished"
    assert reason(f"这就是那一天的结尾{end}") == "unfinished"


def test_a_chinese_text_may_end_in_an_ascii_full_stop() -> None:
    """The published Chinese set has none: with it, no English text would ever pass."""
    assert reason("这个例子用的是 Python 3.11.") is None
    assert reason("It was the end of the day.") is None


@pytest.mark.parametrize("end", ["...", "…", "……"])
def test_an_ellipsis_is_an_end_however_it_is_written(end: str) -> None:
    """In the published sets three dots stand as one entry, which no last character can be."""
    assert reason(f"It was the end of the day{end}") is None
    assert reason(f"那一天就这样结束了{end}") is None


@pytest.mark.parametrize(
    "text",
    [
        "Here is the revised essay.\n\nThe sea is wide.",
        "The sea is wide.\n\nThis version is longer than the first.",
        "HERE IS THE REVISED ESSAY that you asked for.\n\nThe sea is wide.",
        "Revised Version: The Sea\n\nThe sea is wide.",
        "# Revised Version\n\nThe sea is wide.",
        "**Extended response**\n\nThe sea is wide.",
        "Paragraph 1:\nThe sea is wide.",
    ],
)
def test_an_english_text_that_speaks_of_itself_is_refused(text: str) -> None:
    assert reason(text) == "about_itself"


def test_only_whole_words_speak_of_the_text() -> None:
    """The published rule finds `version` in `conversion`, and no word with a capital."""
    assert reason("Conversions, and the aversion of some to the diversion of rivers.") is None
    assert reason("He wrote responsively.\nIt was the end.") is None


def test_a_title_may_name_what_the_text_is_about() -> None:
    assert reason(LEGAL) is None
    assert reason("# The King James Version and its readers\n\nThe king had it made.") is None
    assert reason("**Emergency response in coastal towns**\n\nThe sea is wide.") is None
    assert reason("The text of version two is here.\n\nThe sea is wide.") == "about_itself"


def test_what_stands_in_the_middle_is_not_looked_at() -> None:
    middle = "The last version of the law was the revised one."
    assert reason(f"The law is old.\n\n{middle}\n\nThe sea is wide.\n\nIt is the end.") is None
    assert reason(f"The law is old.\n{middle}\n\nThe sea is wide.\n\nIt is the end.") == "about_itself"


def test_other_languages_have_no_such_words() -> None:
    assert reason("这是 version 2 的说明。") is None
    assert reason("Le mot « version » est dans le titre.") is None


def test_ten_english_words_may_not_occur_twice() -> None:
    """The published Chinese rule takes a text in ASCII for one unit, in which nothing can be repeated."""
    text = words(200)
    assert reason(" ".join(text) + ".") is None
    assert reason(" ".join([*text, *text[50:59]]) + " end.") is None
    refused = quality.refusal(" ".join([*text, *text[50:60]]) + " end.")
    assert refused == ("repetition", f"10 in a row occur twice: {' '.join(text[50:60])}"[: 200 + 26])


def test_ten_words_may_overlap_with_themselves() -> None:
    assert reason("the sea " * 6 + "is wide.") == "repetition"


def test_thirteen_chinese_characters_may_not_occur_twice() -> None:
    text = han(400)
    assert reason(f"{text}。") is None
    assert reason(f"{text}{text[50:62]}完。") is None
    assert reason(f"{text}{text[50:63]}完。") == "repetition"


def test_in_chinese_a_latin_word_is_one_unit() -> None:
    """In the published rule a whole English passage is one, however it goes round in circles."""
    assert reason(f"{han(100)} {'the sea is wide and ' * 5}。") == "repetition"
    row = "——————————————————————————————"
    assert reason(f"{han(100)}\n{row}\n{han(100, 1)}。") is None


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        ("C'est la fin de l'histoire que les enfants aiment.", None),
        ("C'est la fin de l'histoire que les enfants aiment,", "unfinished"),
        ("C'est la fin de l'histoire que les enfants aiment", "unfinished"),
        ("これで終わりです。", None),
        ("これで終わりで", "unfinished"),
        ("यह कहानी समाप्त हुई।", None),
        ("هل انتهت القصة؟", None),
        ("انتهت القصة،", "unfinished"),
        # Thai has no full stop.
        ("เรื่องจบแล้ว", None),
        ("Это конец рассказа.", None),
        ("Это конец рассказа", "unfinished"),
    ],
)
def test_the_end_of_a_text_in_another_language(text: str, refused: str | None) -> None:
    assert reason(text) == refused


def test_thirteen_words_of_another_language_may_not_occur_twice() -> None:
    text = "и вот " + " ".join("".join(Random(word).choices("абвгдежзик", k=9)) for word in range(200))
    words = text.split()
    assert reason(f"{' '.join([*words, *words[50:62]])} да.") is None
    assert reason(f"{' '.join([*words, *words[50:63]])} да.") == "repetition"


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        (" ".join(words(110_000)) + ".", None),
        (f"{han(350_000)}。", None),
        ("version " + "the a " * 170_000 + "end.", "about_itself"),
        ("a" * 1_000_000, "unfinished"),
        ("\n" * 1_000_000 + "It is the end.", None),
        ("# " * 500_000 + ".", "repetition"),
        ("ก" * 1_000_000, "repetition"),
    ],
    ids=["english", "chinese", "one-line", "one-word", "blank", "hashes", "thai"],
)
def test_a_megabyte_of_text(text: str, refused: str | None) -> None:
    assert reason(text) == refused
