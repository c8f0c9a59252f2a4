"""Some sixty raw tags through the four steps of InsTag (arXiv 2308.07074, section 3.2), the vocabulary after each."""

from pathlib import Path

import numpy as np

from synth.pipelines.instag.normalize.association import merge_associated
from synth.pipelines.instag.normalize.embedding import embedder_named
from synth.pipelines.instag.normalize.forms import Forms
from synth.pipelines.instag.normalize.groups import Groups
from synth.pipelines.instag.normalize.overrides import NONE
from synth.pipelines.instag.normalize.rules import merge_by_rule, words
from synth.pipelines.instag.normalize.semantics import merge_near
from tests.pipelines.instag.normalizing import normalized, queries
from tests.pipelines.retrieval.meanings import MODEL, needs_model

pytestmark = needs_model

# How many queries have each form. A line is one tag in the end, but for what is said beside it.
# fmt: off
COUNTS = {
    # Case, special characters, plural and other endings.
    "Code Generation": 120, "code generation": 80, "code-generation": 40, "CODE_GENERATION": 25,
    "Code Generations": 21, "code: generation!": 20, "code generating": 22, "code-generation.": 19,
    "spell-check": 35, "Spell Check": 30, "spell checking": 20,
    "Recommendations": 60, "Recommendation": 60,
    "question answering": 50, "Question Answer": 22,
    "café reviews": 20, "CAFÉ REVIEWS": 20,
    # As the paper's rule has it, all of these are the letter.
    "C++": 60, "C": 40, "C#": 30,
    # Languages without English endings, and forms of special characters alone, each a tag of its own.
    "机器学习": 30, "机器学习。": 20,
    "深度学习": 24,
    "Машинное обучение": 25, "машинное обучение": 21,
    "???": 22,
    "!!!": 21,
    # Nearly the same meaning.
    "data visualization": 90, "Data Visualisation": 31, "data-visualisation": 30,
    "colour theory": 45, "color theory": 44,
    "television show": 41, "tv show": 40, "TV Shows": 23,
    "cooking recipe": 70, "recipe for cooking": 26,
    "text summarization": 100, "text summarisation": 22,
    # Not near enough.
    "movie review": 30,
    "film review": 31,
    "spanish translation": 44,
    "german translation": 43,
    "python": 110,
    "java": 70,
    # One comes with the other in 99 of 100 queries, and another one in 98.
    "array slicing": 100, "numpy": 179,
    "pivot table": 100,
    "spreadsheet": 178,
    # Others.
    "physics": 55, "history": 54, "poetry": 53, "legal advice": 52, "travel planning": 51, "chess": 49,
    "music theory": 48, "gardening": 47, "astronomy": 46, "resume writing": 42, "philosophy": 39, "cryptography": 38,
    # Rare.
    "fishing": 19, "haiku": 12, "PHYSICS": 7, "one of a kind": 1,
}
# fmt: on
PAIRS = {("array slicing", "numpy"): 99, ("pivot table", "spreadsheet"): 98}

AFTER_FREQUENCY = COUNTS.keys() - {"code-generation.", "fishing", "haiku", "PHYSICS", "one of a kind"}
AFTER_RULES = AFTER_FREQUENCY - {
    *("code generation", "code-generation", "CODE_GENERATION", "Code Generations", "code: generation!"),
    *("code generating", "Spell Check", "spell checking", "Recommendations", "Question Answer", "café reviews"),
    *("C", "C#", "机器学习。", "машинное обучение", "data-visualisation", "TV Shows"),
}
AFTER_SEMANTICS = AFTER_RULES - {
    *("Data Visualisation", "color theory", "tv show", "recipe for cooking", "text summarisation"),
}
AFTER_ASSOCIATION = AFTER_SEMANTICS - {"array slicing"}


def tagged_queries() -> list[list[str]]:
    left = dict(COUNTS)
    found = []
    for (one, other), times in PAIRS.items():
        found += [[one, other]] * times
        left[one] -= times
        left[other] -= times
    return found + [[form] for form, times in left.items() for _ in range(times)]


def test_there_are_some_sixty_forms_in_the_counts_that_are_said() -> None:
    assert len(COUNTS) == 65
    assert all(sum(form in tags for tags in tagged_queries()) == count for form, count in COUNTS.items())


def test_the_vocabulary_after_each_step(tmp_path: Path) -> None:
    texts = list(COUNTS)
    forms = Forms.of(texts, np.array(list(COUNTS.values())), 20, NONE)
    groups = forms.grouped(NONE)
    kept = [texts[number] for number in forms.kept]

    def tags(groups: Groups) -> set[str]:
        return {kept[leader] for leader in groups.leaders}

    assert tags(groups) == AFTER_FREQUENCY
    merge_by_rule(groups, kept)
    assert tags(groups) == AFTER_RULES
    points = embedder_named(str(MODEL)).points([" ".join(words(kept[leader])) for leader in groups.leaders], tmp_path)
    merge_near(groups, points, 0.05, tmp_path)
    assert tags(groups) == AFTER_SEMANTICS
    number = {kept[leader]: place for place, leader in enumerate(groups.leaders)}
    of_form = {form: number[kept[groups.leader[place]]] for place, form in enumerate(kept)}
    sets = [sorted({of_form[form] for form in query if form in of_form}) for query in tagged_queries()]
    starts = np.cumsum([0, *map(len, sets)])
    assert merge_associated(groups, (starts, np.concatenate(sets).astype(np.int32)), 40, 0.99) == 1
    assert tags(groups) == AFTER_ASSOCIATION


def test_the_whole_stage(tmp_path: Path) -> None:
    found = normalized(tmp_path, queries(*tagged_queries()), embedder=embedder_named(str(MODEL)), alpha=20)
    assert {form: found.tallies[form] for form in found.tallies if form.startswith("after")} == {
        "after_frequency": len(AFTER_FREQUENCY),
        "after_rules": len(AFTER_RULES),
        "after_semantics": len(AFTER_SEMANTICS),
        "after_association": len(AFTER_ASSOCIATION),
    }
    assert {tag for tag in found.tag_of.values() if tag} == AFTER_ASSOCIATION
    by_step = {step: {form for form, by in found.step_of.items() if by == step} for step in found.step_of.values()}
    assert by_step["frequency"] == COUNTS.keys() - AFTER_FREQUENCY
    assert by_step["association"] == {"array slicing"}
    # What a rule had made one with these goes with them.
    assert by_step["semantic"] == (AFTER_RULES - AFTER_SEMANTICS) | {"data-visualisation", "TV Shows"}
    assert by_step["rule"] == AFTER_FREQUENCY - AFTER_RULES - by_step["semantic"]
    assert found.tallies["unread_by_the_model"] == 2
    assert found.tag_of["array slicing"] == "numpy"
    assert found.tag_of["pivot table"] == "pivot table"
