"""Lists and thoughts are read out of replies, however a model lays them out."""

import pytest

from synth.pipelines.query_of_cc.replies import cut, plain, read_questions, read_thought, words

PORT, FIND = "What is a port?", "How is a free one found?"


@pytest.mark.parametrize(
    "reply",
    [
        f"1. {PORT}\n2. {FIND}",
        f"1) {PORT}\n\n2) {FIND}\n",
        f"(1) {PORT}\n(2) {FIND}",
        f"1: {PORT}\r\n2: {FIND}",
        f"1 - {PORT}\n2 - {FIND}",
        f"①{PORT}\n②{FIND}",
        f"Q1: {PORT}\nQuestion 2. {FIND}",
        f"**1.** {PORT}\n**2. {FIND}**",
        f"1. **{PORT}**\n2. *{FIND}*",
        f"1. **Ports**: {PORT}\n2. **Free ports:** {FIND}",
        f"1. **{PORT}** - It asks for the notion.\n2. {FIND}\n   It asks for a method.",
        f"1. **Ports**:\n   - {PORT}\n2. **Free ports**:\n\n   {FIND}",
        '1. "What is a port?"\n2. “How is a free one found?”',
        "1. What is\n   a port?\n2. How is a free\n   one found?",
        f"Of course! Here are 2 questions:\n\n1. {PORT}\n2. {FIND}\n\nShall I write 3 more?",
        f"```\n1. {PORT}\n2. {FIND}\n```",
        f"- {PORT}\n- {FIND}",
        f"• {PORT}\n• {FIND}",
        f"## 1. Notions\n- {PORT}\n## 2. Methods\n- {FIND}",
        f"Here they are.\n{PORT}\n{FIND}\nGood luck.",
        f'[\n  "{PORT}",\n  "{FIND}"\n]',
        f"1. Q: {PORT}\n2. Question: {FIND}",
        f"\ufeff1.\u00a0{PORT}\x00\n2.\t{FIND}",
    ],
)
def test_lists_of_every_style_are_read(reply: str) -> None:
    assert read_questions(reply) == [PORT, FIND]


@pytest.mark.parametrize("reply", ["", " \n", "I cannot do that.", "Ports, 3.5 of them."])
def test_where_there_is_no_list_nothing_is_read(reply: str) -> None:
    assert read_questions(reply) == []


@pytest.mark.parametrize(
    "reply",
    [
        '{"questions": ["1. What is a port?", " Why  dredge it? ", 3]}',
        '```json\n[\n  "What is a port?",\n  "**Depth**: Why dredge it?"\n]\n```',
    ],
)
def test_questions_in_json_are_read(reply: str) -> None:
    assert read_questions(reply) == ["What is a port?", "Why dredge it?"]


def test_json_without_questions_has_none() -> None:
    assert read_questions('{"questions": "What is a port"}') == []
    assert read_questions('{"questions": []}') == []
    assert read_questions('{"questions": ["a port", "the depth of it"]}') == []


def test_what_numbers_and_quotes_stand_in_a_question_stays_there() -> None:
    questions = ['"Listen" or "bind": which comes first?', "Is 3.5 GHz\n2.4 times as much?", "Explain `ls -l`"]
    reply = "\n".join(f"{number}. {question}" for number, question in enumerate(questions, start=1))
    assert read_questions(reply) == [question.replace("\n", " ") for question in questions]


def test_questions_in_writing_without_spaces_are_read() -> None:
    assert read_questions("以下是问题：\n1、什么是端口？\n2、如何查看端口？") == ["什么是端口？", "如何查看端口？"]
    assert read_questions("１．ポートとは何ですか。\n２．どうして必要ですか。") == [
        "ポートとは何ですか。",
        "どうして必要ですか。",
    ]


@pytest.mark.parametrize(
    "reply",
    [
        "A port is\na number.\n\nIt names a service.",
        "Here is my thought:\n\nA port is a number. It names a service.",
        "**Thinking aloud:**\n\nA port is a number. It names a service.",
        '"A port is a number. It names a service."',
    ],
)
def test_a_thought_is_one_line_without_what_announces_it(reply: str) -> None:
    assert read_thought(reply) == "A port is a number. It names a service."


@pytest.mark.parametrize(
    ("text", "limit", "left"),
    [
        ("One two. Three four.", 20, "One two. Three four."),
        ("One two. Three four.", 19, "One two. Three"),
        ("One two. Three four.", 13, "One two."),
        ("One two three", 8, "One two"),
        ("Pi is 3.14159 or so", 9, "Pi is"),
        ("Onetwothreefour", 6, "Onetwo"),
        ("一二三四。五六七八", 8, "一二三四。"),
        ("一二三四五六七八", 5, "一二三四五"),
        ("", 5, ""),
    ],
)
def test_a_text_is_cut_after_a_sentence_or_else_a_word(text: str, limit: int, left: str) -> None:
    assert cut(text, limit) == left


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ("What's a file-system?", 3),
        ("黑洞如何形成？", 4),
        ("東京都 is big", 4),
        ("เกลือทำไมเค็ม", 13 / 1.5),
        ("?! —", 0),
    ],
)
def test_where_words_do_not_stand_apart_three_characters_count_as_two(text: str, count: float) -> None:
    assert words(text) == pytest.approx(count)


def test_texts_are_compared_without_case_width_and_punctuation_but_c_is_not_c_plus_plus() -> None:
    assert plain("  What is\nC++,  really? ") == plain("ｗｈａｔ is c++ REALLY")
    assert len({plain(f"What is {language}?") for language in ("C", "C++", "C#", "F#")}) == 4
    assert (
        len({plain(f"Why is {it} so?") for it in ("a-b", "a+b", "a*b", "a < b", "a > b", "3.5", "35", "x²", "x2")}) == 9
    )
