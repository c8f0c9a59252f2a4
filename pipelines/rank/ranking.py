"""From scores to ranks, pairs, and the loss that learns them (arXiv 2304.05302, section 3.1)."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

__all__ = ["Which", "pairs_of", "ranking_loss", "ranks_of"]

Which = Literal["all", "best-worst", "adjacent"]


def ranks_of(scores: Sequence[float]) -> list[int]:
    """The rank of each score: 1 plus the number of higher ones."""
    return [1 + sum(other > score for other in scores) for score in scores]


def pairs_of(scores: Sequence[float], min_margin: float = 0.0, which: Which = "all") -> list[tuple[int, int]]:
    """Indices of a better and a worse response, whose scores differ, and by `min_margin` at least.

    `all` pairs are ordered by the better index, then by the worse one. `best-worst` is at most one, in which the first
    response wins a tie. `adjacent` are neighbours by score, best first; responses with equal scores stay in order.
    """
    order = sorted(range(len(scores)), key=lambda index: -scores[index])
    match which:
        case "all":
            possible = [(better, worse) for better in range(len(scores)) for worse in range(len(scores))]
        case "best-worst":
            possible = [(order[0], scores.index(scores[order[-1]]))]
        case "adjacent":
            possible = list(pairwise(order))
    return [
        (better, worse)
        for better, worse in possible
        if scores[better] > scores[worse] and scores[better] - scores[worse] >= min_margin
    ]


def ranking_loss(logprobs: Sequence[float], lengths: Sequence[int], scores: Sequence[float]) -> tuple[float, float]:
    """The two parts of RRHF's loss for one set: the rank loss, and the negative log-likelihood of the best response.

    `logprobs` are the sums of the log-probabilities of the tokens of each response given the query, in nats; `lengths`
    the numbers of these tokens. With p = sum / length, the rank loss is the sum of max(0, p_i - p_j) over all responses
    i with a lower score than j, without a margin; the paper adds both parts without weights. It says what a ranked set
    teaches; nothing here trains on it.

    The published code divides by the length to which the batch is padded, because it overwrites the labels with zeros
    before it counts them, and does so for the likelihood, too, of which the paper has the sum.
    """
    means = [logprob / length for logprob, length in zip(logprobs, lengths, strict=True)]
    rank = sum(max(0.0, means[worse] - means[better]) for better, worse in pairs_of(scores))
    return rank, -logprobs[scores.index(max(scores))]
