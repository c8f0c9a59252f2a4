"""What the embedded model learns of Query of CC: questions about terms of a domain, and thoughts about questions."""

import ast
import itertools
import json
from random import Random

import pytest

from synth.pipelines.query_of_cc import bootstrap
from synth.pipelines.query_of_cc.replies import read_questions, read_thought, words
from tests.counting_server import counting_server
from tiny_model import EXAMPLES
from tiny_model.domains import DOMAINS
from tiny_model.evaluate_queries import measure_queries
from tiny_model.questions import KINDS, Topic, example_seeds, numbered, questions, thought, topics, training_topics

SEEDS = EXAMPLES.with_name("seeds.jsonl")
CORPUS = EXAMPLES.with_name("docstrings.py")


@pytest.fixture(scope="module")
def drawn() -> list[Topic]:
    return list(itertools.islice(topics("test"), 400))


def test_seeds_are_of_every_kind_that_the_recipe_extends(drawn: list[Topic]) -> None:
    assert KINDS == bootstrap.KINDS == tuple(sorted({topic.kind for topic in drawn}, key=KINDS.index))
    assert {topic.domain for topic in drawn} == set(DOMAINS)
    assert all(topic.text.endswith("?") == (topic.kind == "question") for topic in drawn)
    assert all(words(topic.text) >= bootstrap.PASSAGE_WORDS for topic in drawn if topic.kind == "thought")


def test_a_reply_is_a_list_of_different_questions_as_the_recipe_reads_it(drawn: list[Topic]) -> None:
    random = Random("questions")
    for topic in drawn:
        asked = questions(topic, 10, random)
        assert read_questions(numbered(asked)) == asked
        assert len({*asked, topic.text}) == 11
        assert all(4 <= words(text) <= 30 for text in asked)


def test_questions_are_about_terms_of_the_domain(drawn: list[Topic]) -> None:
    random = Random("terms")
    for topic in drawn:
        assert all(any(term in text for term, _ in topic.near) for text in questions(topic, 5, random))
        if topic.kind != "category":
            for term, purpose in topic.terms:
                bare = term.removeprefix("an ").removeprefix("a ")
                assert bare.lower() in topic.text.lower() or purpose in topic.text


def test_a_thought_speaks_of_what_its_question_asks_for(drawn: list[Topic]) -> None:
    random = Random("thoughts")
    for topic in drawn:
        text = thought(topic, random)
        assert read_thought(text) == text
        assert 30 <= words(text) <= 90
        assert not {"{", "}"} & set(text)
        if topic.kind == "question":
            assert all(term.lower() in text.lower() for term, _ in topic.terms)


def test_the_example_seeds_are_those_of_the_generator() -> None:
    rows = [json.loads(line) for line in SEEDS.read_text().splitlines()]
    assert rows == list(example_seeds())
    assert len({row["id"] for row in rows}) == len({row["text"] for row in rows}) == len(rows) == 32


def test_training_sees_no_example_seed() -> None:
    held_out = {row["text"] for row in example_seeds()}
    random = Random("held out")
    for topic in itertools.islice(training_topics("0"), 3000):
        assert topic.text not in held_out
        assert held_out.isdisjoint(questions(topic, 3, random))


def test_the_corpus_has_documents_of_every_domain() -> None:
    (modules,) = (
        ast.literal_eval(node.value)
        for node in ast.parse(CORPUS.read_text()).body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "MODULES"
    )
    assert modules.keys() == DOMAINS.keys()
    listed = " ".join(modules.values()).split()
    assert len(set(listed)) == len(listed)


def test_questions_that_a_model_knows_find_their_own_domain() -> None:
    """What is asked does not depend on the seed here but for its field, so many questions are asked again."""

    def says(_: int) -> str:
        user = server.asked[-1]["messages"][-1]["content"]
        if "Question: " in user:
            return str(user).partition("Question: ")[2].strip()
        topic = next(topic for topic in known if f"Field: {topic.domain}\n" in user)
        return numbered(questions(topic, 10, Random(user)))

    known = list(itertools.islice(topics("known"), 100))
    with counting_server(says=says) as server:
        scores = measure_queries(["--base-url", server.url, "--model", "counted", "--in-flight", "1"])
    kept, thoughts, first, _ = scores.values()
    assert kept > 0.9
    assert thoughts == 0  # each repeats its question
    assert first > 0.9
