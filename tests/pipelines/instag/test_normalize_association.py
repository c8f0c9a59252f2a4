"""Rules from one tag to one tag: those that FP-Growth finds, and what becomes of the tags."""

from collections import Counter
from collections.abc import Sequence
from importlib.util import find_spec
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synth.pipelines.instag.normalize import association
from synth.pipelines.instag.normalize.association import mine_rules
from tests.pipelines.instag.normalizing import normalized, queries

Rule = tuple[int, int, int]


def rules_of(sets: Sequence[Sequence[int]], tags: int, support: int, confidence: float) -> set[Rule]:
    starts = np.cumsum([0, *map(len, sets)])
    numbers = np.array([tag for one in sets for tag in one], np.int32)
    found = mine_rules(starts, numbers, np.bincount(numbers, minlength=tags), support, confidence)
    rules = list(zip(found.one.tolist(), found.other.tolist(), found.support.tolist(), strict=True))
    assert len(rules) == len(set(rules))
    return set(rules)


def by_hand(sets: Sequence[Sequence[int]], support: int, confidence: float) -> set[Rule]:
    counts = Counter(tag for one in sets for tag in one)
    together = Counter(pair for one in sets for pair in permutations(one, 2))
    return {(one, other, n) for (one, other), n in together.items() if n >= support and n / counts[one] >= confidence}


def drawn_sets(count: int, tags: int, seed: int) -> list[list[int]]:
    """Of few tags, the first of which are common and the last come with another one."""
    rng = np.random.default_rng(seed)
    chances = 1 / np.arange(1, tags + 1)
    sets = []
    for _ in range(count):
        drawn = set(rng.choice(tags, rng.integers(0, 7), p=chances / chances.sum()).tolist())
        drawn |= {tag // 2 for tag in drawn if tag > tags // 2 and rng.random() < 0.97}
        sets.append(sorted(drawn))
    return sets


@pytest.mark.parametrize("products", [1, 50, 1 << 25])
def test_rules_are_those_of_all_pairs(monkeypatch: pytest.MonkeyPatch, products: int) -> None:
    monkeypatch.setattr(association, "PRODUCTS_AT_A_TIME", products)
    sets = drawn_sets(2_000, 40, 0)
    for support, confidence in ((40, 0.9), (20, 0.95), (5, 0.99), (1, 0.5)):
        found = rules_of(sets, 40, support, confidence)
        assert found == by_hand(sets, support, confidence)
        assert found


@settings(deadline=None)
@given(st.lists(st.sets(st.integers(0, 8)).map(sorted)), st.integers(1, 5), st.floats(0.01, 1))
def test_rules_of_any_sets(sets: list[list[int]], support: int, confidence: float) -> None:
    assert rules_of(sets, 9, support, confidence) == by_hand(sets, support, confidence)


@pytest.mark.skipif(find_spec("mlxtend") is None, reason="mlxtend, which only this test needs, is not installed")
@pytest.mark.filterwarnings("ignore")
def test_rules_are_those_of_fp_growth() -> None:
    import pandas as pd
    from mlxtend.frequent_patterns import association_rules, fpgrowth

    sets = drawn_sets(3_000, 60, 1)
    table = pd.DataFrame([[tag in one for tag in range(60)] for one in sets])
    for support, confidence in ((40, 0.9), (10, 0.955)):
        itemsets = fpgrowth(table, min_support=support / len(sets), max_len=2)
        rules = association_rules(itemsets, metric="confidence", min_threshold=confidence)
        theirs = {
            (*one, *other, round(share * len(sets)))
            for one, other, share in zip(rules["antecedents"], rules["consequents"], rules["support"], strict=True)
        }
        assert rules_of(sets, 60, support, confidence) == theirs
        assert theirs


def test_a_tag_that_comes_with_another_in_99_of_100_queries_is_that_one(tmp_path: Path) -> None:
    tags = [["numpy", "arrays"]] * 99 + [["numpy"]] + [["arrays"]] * 80
    tags += [["haiku", "poem"]] * 98 + [["haiku"]] * 2 + [["poem"]] * 80
    found = normalized(tmp_path, queries(*tags))
    assert found.tag_of == {"arrays": "arrays", "numpy": "arrays", "poem": "poem", "haiku": "haiku"}
    assert found.step_of["numpy"] == "association"
    assert found.tallies["association_rules"] == 1
    # Of a query with both, one tag is left.
    assert found.rows[0]["tags"] == ["arrays"]
    assert found.rows[0]["tags_per_query"] == 1.0


def test_support_counts_the_queries_of_both(tmp_path: Path) -> None:
    tags = [["one", "two"]] * 39 + [["two"]] * 5
    assert normalized(tmp_path / "39", queries(*tags)).tallies["association_rules"] == 0
    assert normalized(tmp_path / "40", queries(*tags, ["one", "two"])).tallies["association_rules"] == 1


def test_forms_that_steps_made_one_count_as_one(tmp_path: Path) -> None:
    # Each form of poems alone comes with rhymes too rarely.
    tags = [["Poem", "rhyme"]] * 25 + [["poems", "Rhymes"]] * 25 + [["rhyme"]]
    found = normalized(tmp_path, queries(*tags))
    assert set(found.tag_of.values()) == {"rhyme"}


def test_what_rules_link_through_others_is_one_tag_named_by_the_most_frequent(tmp_path: Path) -> None:
    tags = [["a", "b", "c"]] * 50 + [["b", "c"]] * 20 + [["c"]] * 5 + [["d", "c"]] * 60 + [["other"]] * 500
    found = normalized(tmp_path, queries(*tags), min_confidence=0.9)
    assert {form: found.tag_of[form] for form in "abcd"} == dict.fromkeys("abcd", "c")
    assert found.tag_of["other"] == "other"


def test_of_tags_that_always_come_together_the_shortest_leads_then_the_first_by_alphabet(tmp_path: Path) -> None:
    found = normalized(tmp_path, queries(*[["verse", "song", "aria"]] * 40))
    assert set(found.tag_of.values()) == {"aria"}
