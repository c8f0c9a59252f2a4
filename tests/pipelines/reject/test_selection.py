import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth.pipelines.reject.selection import Path, judge, select_paths
from synth.pipelines.runtime.answers.answer import MarkedAnswers

RULE = MarkedAnswers()


def levenshtein(one: str, other: str) -> int:
    """The textbook recurrence."""
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, start=1):
        previous, row[0] = row[0], i
        for j, b in enumerate(other, start=1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (a != b))
    return row[-1]


def published(paths: list[Path]) -> list[Path]:
    """The selection as in the published code, without optimization."""
    kept: list[Path] = []
    for path in paths:
        rivals = [rival for rival in kept if rival.key == path.key]
        if not rivals:
            kept.append(path)
            continue
        (rival,) = rivals
        others = [other.text for other in kept if other.text != rival.text]
        if sum(levenshtein(path.text, o) for o in others) > sum(levenshtein(rival.text, o) for o in others):
            kept[kept.index(rival)] = path
    return kept


# Texts start with their key, as a path's key is made of its text.
correct_paths = st.builds(
    lambda key, text: Path(f"{key} {text}", key=key), st.sampled_from("abcd"), st.text(alphabet="xyz ", max_size=12)
)


@given(st.lists(correct_paths, max_size=14))
def test_the_kept_paths_are_those_of_the_published_algorithm(paths: list[Path]) -> None:
    kept_for = select_paths(paths)
    assert [paths[index] for index in dict.fromkeys(kept_for.values())] == published(paths)


@given(st.lists(correct_paths, max_size=14))
def test_every_correct_path_has_a_kept_path_with_its_key(paths: list[Path]) -> None:
    kept_for = select_paths(paths)
    assert list(kept_for) == list(range(len(paths)))
    for index, kept in kept_for.items():
        assert paths[kept].key == paths[index].key
        assert kept_for[kept] == kept


@given(st.lists(st.lists(correct_paths, max_size=6), min_size=2, max_size=4))
def test_merging_what_models_kept_gives_the_calculations_of_merging_their_samples(models: list[list[Path]]) -> None:
    kept = [paths[index] for paths in models for index in dict.fromkeys(select_paths(paths).values())]
    samples = [path for paths in models for path in paths]
    of_kept = {kept[index].key for index in select_paths(kept).values()}
    of_samples = {samples[index].key for index in select_paths(samples).values()}
    assert of_kept == of_samples


def test_wrong_paths_are_ignored() -> None:
    paths = [
        Path("no", reason="wrong_answer"),
        Path("a x", key="a"),
        Path("no", reason="no_answer"),
        Path("a y", key="a"),
    ]
    assert select_paths(paths) == {1: 1, 3: 1}


@pytest.mark.parametrize(
    ("response", "reason", "detail"),
    [
        ("Seven.", "no_answer", "no final answer can be read"),
        ("<<3+4=8>>\n#### 8", "wrong_answer", "answers 8, gold is 7"),
        ("<<3+4=8>>\n#### 7", "wrong_equation", "3+4=8 does not hold"),
        ("<<3+4=7>> and <<7*$1=7>>\n#### 7", "wrong_equation", "7*$1=7 cannot be evaluated"),
    ],
)
def test_a_wrong_path_says_what_is_wrong(response: str, reason: str, detail: str) -> None:
    gold = RULE.gold("7")
    assert gold is not None
    path = judge(response, gold, RULE)
    assert (path.reason, path.detail) == (reason, detail)


def test_text_after_the_answer_line_is_dropped() -> None:
    gold = RULE.gold("7")
    assert gold is not None
    path = judge("<<3+4=7>>7\n#### 7\nNext question: <<1+1=3>>", gold, RULE)
    assert path == Path("<<3+4=7>>7\n#### 7", key="3+4=7")


def test_prose_makes_paths_distinct_on_request() -> None:
    gold = RULE.gold("7")
    assert gold is not None
    assert judge("3 + 4 = 7\n#### 7", gold, RULE).key == ""
    assert judge("3 + 4 = 7\n#### 7", gold, RULE, plain_equations=True).key == "3+4=7"
    assert judge("3 + 4 = 8\n#### 7", gold, RULE, plain_equations=True).reason == "wrong_equation"
