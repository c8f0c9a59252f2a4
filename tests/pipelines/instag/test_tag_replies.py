"""Tags are read out of whatever a model makes of JSON, and nothing of it is evaluated."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth.pipelines.instag.replies import DEEPEST, TagReading, read_tags

PROOF = ("proofreading", "The letter has mistakes.")
ROLE = ("role play", "A captain speaks.")
LIST = json.dumps([{"tag": tag, "explanation": explanation} for tag, explanation in (PROOF, ROLE)])
FIRST, SECOND = (json.dumps(item) for item in json.loads(LIST))


def tags(reply: str) -> list[tuple[str, str | None]]:
    return list(read_tags(reply, 80).tags)


def names(reply: str) -> list[str]:
    return [tag for tag, _ in tags(reply)]


@pytest.mark.parametrize(
    "reply",
    [
        LIST,
        json.dumps(json.loads(LIST), indent=2),
        f"```json\n{LIST}\n```",
        f"Here are the tags [as you asked] of {{this instruction}}:\n\n{LIST}\n\nThese are the main ones. [1]",
        f"{FIRST}\n{SECOND}",
        f"{FIRST}, {SECOND}",
        f"{FIRST}{SECOND}",
        f"1. {FIRST}\n2. {SECOND}",
        f"[{FIRST}]\n[{SECOND}]",
        f"[{FIRST} {SECOND}]",
        f"[{FIRST}, {SECOND},]",
        f'{{"tags": {LIST}}}',
        f'{{"result": {{"count": 2, "tags": {LIST}}}}}',
        f'{{"first": {FIRST}, "second": {SECOND}}}',
        LIST.replace('"tag"', '"Tag"').replace('"explanation"', '" Explanation "'),
        LIST.replace('"tag"', "tag").replace('"explanation"', "explanation"),
        str(json.loads(LIST)),
        LIST.replace('"', "“"),
        f"{LIST[:-1]}, {{",
        f'{LIST[:-1]}, {{"tag": "summary", "explanation": "What was sa',
        f'{LIST[:-1]}, {{"tag": "summary", "expl',
        f'{{"tags": {LIST[:-1]}, {{"tag": "summary", "explanation": ',
        f'[{FIRST}, {{"tag": "summary", "explanation": unclear}}, {SECOND}]',
    ],
)
def test_objects_are_read_from_whatever_stands_around_and_between_them(reply: str) -> None:
    assert tags(reply) == [PROOF, ROLE]


@pytest.mark.parametrize(
    ("reply", "read"),
    [
        ('["proofreading", "role play"]', ["proofreading", "role play"]),
        ("['proofreading', 'role play']", ["proofreading", "role play"]),
        ('{"tags": ["proofreading", "role play"]}', ["proofreading", "role play"]),
        ('{"tag": ["proofreading", "role play"]}', ["proofreading", "role play"]),
        ('["proofreading", "role play", "summ', ["proofreading", "role play"]),
        ('{"tags": ["proofreading", "role play"', ["proofreading", "role play"]),
        (f'["an aside"] {FIRST}', ["proofreading"]),
    ],
)
def test_a_list_of_texts_will_do_where_no_object_has_a_tag(reply: str, read: list[str]) -> None:
    assert names(reply) == read


@pytest.mark.parametrize(
    ("reply", "explanation"),
    [
        (
            """[{'tag': 'a', 'explanation': 'the user's wish, in the users' words'}]""",
            "the user's wish, in the users' words",
        ),
        ("""[{'tag': 'a', 'explanation': "the user's wish"}]""", "the user's wish"),
        ("""[{'tag': 'a', 'explanation': 'the user\\'s wish'}]""", "the user's wish"),
        ('{"tag": "a", "explanation": "what "better" means"}', 'what "better" means'),
        (r'{"tag": "a", "explanation": "what \"better\", means"}', 'what "better", means'),
        ("{“tag”: “a”, “explanation”: “what “better” means”}", "what “better” means"),
        ("{‘tag’: ‘a’, ‘explanation’: ‘the user’s wish’}", "the user’s wish"),
        ("{“tag”：“a”，“explanation”：“他说“好”的意思”}", "他说“好”的意思"),
        (r'{"tag": "a", "explanation": "two\nlines\tand caf\u00e9 \ud83d\ude00"}', "two lines and café 😀"),
        ('{"tag": "a", "explanation": "two\nlines"}', "two lines"),
        ('{"tag": "a", "explanation": "[b] {c}"}', "[b] {c}"),
        ('{"tag": "a", "explanation": ""}', None),
        ('{"tag": "a", "explanation": 17}', None),
        ('{"tag": "a"}', None),
    ],
)
def test_quotes_apostrophes_and_escapes_stay_in_the_text(reply: str, explanation: str | None) -> None:
    assert tags(reply) == [("a", explanation)]


def test_half_a_character_is_replaced_so_that_a_file_can_hold_the_tag() -> None:
    (tag,) = names(r'["cut \ud83d"]')
    assert tag.encode() == "cut \ufffd".encode()


def test_the_first_of_tags_that_differ_in_case_and_blanks_alone_stands() -> None:
    reply = (
        '[{"tag": " Role  Play", "explanation": "x"}, {"tag": "role play ", "explanation": "y"}, {"tag": "STRASSE"}]'
    )
    assert tags(f'{reply} {{"tag": "Straße"}}') == [("Role Play", "x"), ("STRASSE", None)]


def test_tags_that_are_too_long_or_no_text_are_left_out_and_counted() -> None:
    reply = (
        '[{"tag": "abcd"}, {"tag": "abcde"}, {"tag": 5}, {"tag": null}, {"tag": ""}, {"tag": " "}, {"tag": "翻译文章"}]'
    )
    assert read_tags(reply, 4) == TagReading((("abcd", None), ("翻译文章", None)), True, too_long=1, without_text=4)


@pytest.mark.parametrize("reply", ["", "proofreading, role play", "Tags: [as asked]", '"a", "b"', "}]"])
def test_a_reply_without_a_list_or_object_is_no_json(reply: str) -> None:
    assert read_tags(reply, 80) == TagReading((), is_json=False)


@pytest.mark.parametrize("reply", ["[]", "{}", "[[]]", '{"tags": []}', '{"name": "a"}', "["])
def test_json_may_hold_no_tags(reply: str) -> None:
    assert read_tags(reply, 80) == TagReading((), is_json=True)


@pytest.mark.parametrize("reply", ["__import__('os').abort()", "[__import__('os').abort()]", "[exit() for x in [1]]"])
def test_a_program_is_no_tag(reply: str) -> None:
    assert names(reply) == []


@pytest.mark.parametrize("piece", ["[", "{", '["a', '{"a":', '[{"tag": "', "'", '"' + " " * 50, '["a" ', "\\", "[{"])
def test_a_reply_of_brackets_and_quotes_comes_to_an_end(piece: str) -> None:
    read_tags(piece * 1000, 80)


def test_what_is_nested_deeper_than_any_list_of_tags_is_read_from_the_inside() -> None:
    assert names("[" * 5 * DEEPEST + '"a"' + "]" * 5 * DEEPEST) == ["a"]


TEXTS = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=20)


@given(st.lists(st.tuples(TEXTS, TEXTS), unique_by=lambda item: item[0].casefold()), st.booleans())
def test_json_is_read_as_json(items: list[tuple[str, str]], ascii_only: bool) -> None:
    reply = json.dumps([{"tag": tag, "explanation": said} for tag, said in items], ensure_ascii=ascii_only)
    assert tags(reply) == items


@given(st.text("[]{}\",:'\\“”’ ab\n0", max_size=60))
def test_no_reply_makes_the_reader_fail(reply: str) -> None:
    for tag in names(reply):
        assert tag == " ".join(tag.split())
        assert 0 < len(tag) <= 80


@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, unique_by=lambda item: item[0].casefold()), st.data())
def test_of_a_reply_that_is_cut_anywhere_the_whole_objects_are_read(
    items: list[tuple[str, str]], data: st.DataObject
) -> None:
    objects = [json.dumps({"tag": tag, "explanation": said}) for tag, said in items]
    reply = f"[{', '.join(objects)}]"
    end = data.draw(st.integers(0, len(reply)))
    whole = [item for item, piece in zip(items, objects, strict=True) if reply.index(piece) + len(piece) <= end]
    assert tags(reply[:end]) == whole
