"""Worked vectors of RRHF (arXiv 2304.05302): the loss of a ranked set, and its pairs."""

from itertools import permutations

import pytest

from synth.pipelines.rank.ranking import Which, pairs_of, ranking_loss, ranks_of

# The sums of the log-probabilities of three responses, their tokens, and their rewards.
LOGPROBS = (-4.0, -9.0, -6.0)
LENGTHS = (4, 6, 3)
REWARDS = (0.2, 0.9, -0.5)


def numbered(scores: tuple[float, ...], min_margin: float = 0.0, which: Which = "all") -> list[tuple[int, int]]:
    """The pairs of responses that are numbered from 1."""
    return [(better + 1, worse + 1) for better, worse in pairs_of(scores, min_margin, which)]


def test_only_the_better_response_that_is_less_likely_by_token_costs_anything() -> None:
    # p is -1, -1.5 and -2, so only the first response is likelier than a better one.
    assert ranking_loss(LOGPROBS, LENGTHS, REWARDS) == pytest.approx((0.5, 9.0))


def test_the_published_code_divides_by_the_padded_length() -> None:
    rank, likelihood = ranking_loss(LOGPROBS, (10, 10, 10), REWARDS)
    # p is -0.4, -0.9 and -0.6 there, and the likelihood is divided, too: by 10, where the mean would be 9 / 6.
    assert rank == pytest.approx(0.3 + 0.5)
    assert likelihood / 10 == pytest.approx(0.9)


def test_the_loss_does_not_depend_on_the_order_of_the_responses() -> None:
    for order in permutations(range(3)):
        shuffled = [[values[place] for place in order] for values in (LOGPROBS, LENGTHS, REWARDS)]
        assert ranking_loss(*shuffled) == pytest.approx((0.5, 9.0))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("scores", "margin", "pairs"),
    [
        (REWARDS, 0.5, [(1, 3), (2, 1), (2, 3)]),
        (REWARDS, 0.7001, [(2, 3)]),
        ((1.0, 1.0, 0.0), 1.0, [(1, 3), (2, 3)]),
        ((1.0, 1.0, 1.0), 0.0, []),
        (REWARDS, 1.5, []),
    ],
)
def test_pairs_have_the_margin_at_least_and_never_equal_scores(
    scores: tuple[float, ...], margin: float, pairs: list[tuple[int, int]]
) -> None:
    assert numbered(scores, margin) == pairs


def test_fewer_pairs_are_the_ends_or_the_neighbours() -> None:
    assert numbered(REWARDS, which="best-worst") == [(2, 3)]
    assert numbered(REWARDS, which="adjacent") == [(2, 1), (1, 3)]
    assert numbered(REWARDS, 1.5, "best-worst") == []
    # The first response wins a tie at both ends; equal neighbours are no pair.
    assert numbered((1.0, 3.0, 3.0, 1.0), which="best-worst") == [(2, 1)]
    assert numbered((1.0, 3.0, 3.0, 1.0), which="adjacent") == [(3, 1)]


def test_equal_scores_share_a_rank() -> None:
    assert ranks_of(REWARDS) == [2, 1, 3]
    assert ranks_of((1.0, 3.0, 3.0, 0.0)) == [3, 1, 1, 4]
