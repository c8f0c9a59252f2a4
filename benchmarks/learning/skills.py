"""A mixture of skills with a long tail: instructions of every generator of the embedded model, with their tags.

The skills are word problems of eight stories, functions from results of three types, texts of six genres, and thoughts
about eight domains. Few skills have most of the rows, as in data from many users: the number of rows falls as one over
the rank of a skill. The tags are those that the embedded model learns, with their several spellings; they follow from
what an instruction says.
"""

from collections.abc import Iterator
from itertools import islice
from random import Random
from typing import Any

from synth.pipelines.case2code.compose import Compose
from tiny_model import money, things
from tiny_model.domains import DOMAINS
from tiny_model.functions import functions
from tiny_model.problems import families
from tiny_model.questions import thought, topics
from tiny_model.tags import Label, problem_labels, question_labels, task_labels, text_labels
from tiny_model.texts import instruction, short_text, subjects

__all__ = ["SKILLS", "held_out", "mixture"]

STORIES = {
    story.kind: story
    for story in (
        things.BAKERY, money.CHANGE, things.SHARING, money.DISCOUNT, things.GARDEN, things.TRAVEL, things.AGES,
        things.LIBRARY,
    )
}  # fmt: skip
# The words that an instruction of each genre begins with.
GENRES = ("Describe", "Write about", "Tell", "Write an article", "Write a report", "Explain")
RESULTS = ("int", "str", "list[int]")
# From the most frequent to the rarest.
SKILLS = [*STORIES, *GENRES, *RESULTS, *DOMAINS]
Random("ranks").shuffle(SKILLS)

Example = tuple[str, str, list[Label]]  # an instruction, a response and the tags of the instruction


def mixture(number: int) -> list[dict[str, Any]]:
    """About so many rows, as `instag tag` writes them, in random order; those of a skill fall as one over its rank."""
    share = number / sum(1 / rank for rank in range(1, len(SKILLS) + 1))
    rows = [
        _row(skill, place, example)
        for rank, skill in enumerate(SKILLS, start=1)
        for place, example in enumerate(islice(_examples(skill, "pool"), round(share / rank)))
    ]
    Random("order").shuffle(rows)
    return rows


def held_out(skill: str, number: int, seen: set[str]) -> list[dict[str, Any]]:
    """Rows of a skill with instructions that were not seen."""
    fresh = (example for example in _examples(skill, "held out") if example[0] not in seen)
    return [_row(skill, place, example) for place, example in enumerate(islice(fresh, number))]


def _row(skill: str, place: int, example: Example) -> dict[str, Any]:
    query, response, labels = example
    tags = [{"turn": 1, "tag": tag, "explanation": explanation} for tag, explanation in labels]
    name = skill.replace(" ", "-")
    return {"id": f"{name}-{place}", "skill": skill, "query": query, "response": response, "raw_tags": tags}


def _examples(skill: str, part: str) -> Iterator[Example]:
    """An endless stream, without an instruction that comes twice as long as there are others."""
    seen: set[str] = set()
    of = next(of for names, of in _KINDS if skill in names)
    for example in of(skill, f"{part}/{skill}"):
        if example[0] not in seen:
            seen.add(example[0])
            yield example


def _problems(story: str, seed: str) -> Iterator[Example]:
    random = Random(seed)
    for family in families(seed, [STORIES[story]]):
        question = family.seed.question
        yield question, random.choice(family.seed.paths), problem_labels(story, question)


def _texts(genre: str, seed: str) -> Iterator[Example]:
    random = Random(seed)
    for subject in subjects(seed):
        text = instruction(subject, random)
        if text.startswith(f"{genre} "):
            yield text, str(short_text(subject, random)), text_labels(text)


def _functions(returns: str, seed: str) -> Iterator[Example]:
    random = Random(seed)
    compose = Compose(visible=3)
    for function in functions(seed):
        if function.kind.returns == returns:
            task = function.task(random, compose)
            yield task, f"```python\n{function.answer}\n```", task_labels(task)


def _thoughts(domain: str, seed: str) -> Iterator[Example]:
    random = Random(seed)
    for topic in topics(seed):
        if topic.domain == domain and topic.kind == "question":
            yield topic.text, thought(topic, random), question_labels(domain, topic.text)


_KINDS = ((STORIES, _problems), (GENRES, _texts), (RESULTS, _functions), (DOMAINS, _thoughts))
