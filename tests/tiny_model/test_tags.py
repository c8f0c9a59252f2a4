"""What the embedded model learns of InsTag: the tags that instructions call for, with explanations."""

import itertools
from collections import Counter

import pytest

from synth.pipelines.instag.replies import read_tags
from synth.pipelines.instag.tag import LONGEST_EXPLANATION, Tag
from tests.counting_server import counting_server
from tiny_model.domains import DOMAINS
from tiny_model.evaluate_queries import expected_tags, measure_tags
from tiny_model.problems import STORIES
from tiny_model.tags import SPELLINGS, Label, problem_labels, question_labels, reply, task_labels, text_labels
from tiny_model.tasks import TASKS, Sources


@pytest.fixture(scope="module")
def replies() -> list[tuple[str, str]]:
    (task,) = (task for task in TASKS if task.__name__ == "_tag")
    sources = Sources("test")
    return [task(sources) for _ in range(600)]


def names(labels: list[Label]) -> list[str]:
    """The tags in their usual spellings."""
    usual = {spelling: spellings[0] for spellings in SPELLINGS.values() for spelling in spellings}
    return [usual.get(tag, tag) for tag, _ in labels]


def test_every_reply_holds_two_to_four_tags_as_the_recipe_reads_them(replies: list[tuple[str, str]]) -> None:
    for _, text in replies:
        reading = read_tags(text, Tag().max_tag_chars)
        assert 2 <= len(reading.tags) <= 4
        assert reply([(tag, str(explanation)) for tag, explanation in reading.tags]) == text
        assert all(explanation and len(explanation) < LONGEST_EXPLANATION for _, explanation in reading.tags)


def test_there_are_some_dozens_of_tags_and_several_spellings_of_the_usual_ones(replies: list[tuple[str, str]]) -> None:
    counts = Counter(tag for _, text in replies for tag, _ in read_tags(text, 80).tags)
    assert 60 < len(counts) < 120
    assert all(len(set(spellings)) > 1 for spellings in SPELLINGS.values())
    assert all(any(spelling in counts for spelling in spellings[1:]) for spellings in SPELLINGS.values())


def test_an_evolved_problem_has_the_tags_of_what_was_added() -> None:
    plain = "A coat costs 80 dollars. In a sale the price is 25% lower. What is the new price?"
    assert names(problem_labels("discount", plain)) == ["word problem", "discounts", "percentages", "money"]
    conditional = "Zoe bakes 3 trays of 4 pies. If a day is rainy, 2 pies stay unsold; one day is rainy."
    assert "conditions" in names(problem_labels("bakery", conditional))


def test_every_story_has_a_topic_of_its_own() -> None:
    topics = [problem_labels(story.kind, "?")[1][0] for story in STORIES]
    assert len(set(topics)) == len(STORIES)


def test_a_text_is_tagged_by_its_kind_and_its_place() -> None:
    assert names(text_labels("Describe the museum of Dana in winter.")) == ["descriptive writing", "museum", "seasons"]
    assert names(text_labels("Tell how Hana spends a day in the farm in spring."))[0] == "storytelling"


def test_a_task_is_tagged_by_the_values_in_its_examples() -> None:
    asked = "What does this Python function's code look like?\n"
    assert names(task_labels(f"{asked}f('a b') -> [1, 1]"))[2:] == ["string processing", "list processing"]
    assert names(task_labels(f"[examples]\n{asked}f(2) -> 3"))[2:] == ["integer arithmetic"]


def test_a_question_is_tagged_by_its_domain_and_by_what_it_asks_for() -> None:
    for domain in DOMAINS:
        assert names(question_labels(domain, "How does a mode differ from a median?")) == [domain, "comparison"]


def test_the_first_letter_decides_on_the_spelling() -> None:
    found = [problem_labels("bakery", f"{letter}da bakes.")[0][0] for letter in "ABCA"]
    assert found[0] == found[3]
    assert set(found) == set(SPELLINGS["word problem"])


def test_tags_are_measured_on_instructions_that_are_not_trained_on() -> None:
    asked = dict(expected_tags())
    assert len(asked) > 100
    sources = Sources("0")
    assert asked.keys().isdisjoint(sources.instruction() for _ in range(2000))
    assert asked.keys().isdisjoint(topic.text for topic in (sources.topic() for _ in range(2000)))


def test_a_tagger_that_is_silent_about_every_other_instruction_has_half_marks() -> None:
    known = {text.strip(): reply(labels) for text, labels in expected_tags()}
    known |= dict.fromkeys(itertools.islice(known, 0, None, 2), "I would rather not.")

    def says(_: int) -> str:
        user = server.asked[-1]["messages"][-1]["content"]
        return next(text for asked, text in known.items() if f"[begin of the instruction]\n{asked}\n" in user)

    with counting_server(says=says) as server:
        scores = measure_tags(["--base-url", server.url, "--model", "counted", "--in-flight", "1"])
    assert list(scores.values()) == pytest.approx([0.5, 0.5, 1], abs=0.05)
