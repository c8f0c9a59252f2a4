"""The order of the released code: runs of at least a fixed size (swj0419/in-context-pretraining).

The code differs from the paper, and does not run. Unlike there, the first document belongs to a run, too, and no run
has one document more than the others; a missing neighbour is not taken for document -1; a document whose neighbours are
all in its run stays there.
"""

from itertools import pairwise

from synth.pipelines.in_context.neighbors import Neighbors

__all__ = ["dissolved", "in_runs", "is_repetition"]

# Of the start of a text.
CHARACTERS = 100
MOST_ALIKE = 0.85


def in_runs(neighbors: Neighbors, size: int) -> list[list[int]]:
    """Runs of up to `size` documents: each starts at the first document left, and goes on to the first neighbour left.

    Every document is in one.
    """
    is_left = bytearray(b"\1") * len(neighbors.documents)
    lists = neighbors.documents.tolist()
    runs = []
    for start in range(len(lists)):
        run: list[int] = []
        document: int | None = start if is_left[start] else None
        while document is not None:
            is_left[document] = 0
            run.append(document)
            near = lists[document] if len(run) < size else ()
            document = next((other for other in near if other >= 0 and is_left[other]), None)
        if run:
            runs.append(run)
    return runs


def dissolved(runs: list[list[int]], neighbors: Neighbors, size: int) -> list[list[int]]:
    """Move each document of a run shorter than `size` directly before its nearest neighbour in another run.

    Runs are dissolved in their order: one that has received documents from runs before it may be long enough by then.
    """
    count, lists = len(neighbors.documents), neighbors.documents.tolist()
    # Each run is a ring of its documents and one more member, where it begins and ends.
    after, before, run_of = [0] * (count + len(runs)), [0] * (count + len(runs)), [0] * count
    for number, run in enumerate(runs):
        for one, other in pairwise([count + number, *run, count + number]):
            after[one], before[other] = other, one
        for document in run:
            run_of[document] = number

    def members(number: int) -> list[int]:
        found, member = [], after[count + number]
        while member < count:
            found.append(member)
            member = after[member]
        return found

    lengths = list(map(len, runs))
    for number in range(len(runs)):
        for document in members(number) if lengths[number] < size else ():
            target = next((other for other in lists[document] if other >= 0 and run_of[other] != number), None)
            if target is None:
                continue
            after[before[document]], before[after[document]] = after[document], before[document]
            after[before[target]], before[document] = document, before[target]
            after[document], before[target] = target, document
            run_of[document] = run_of[target]
            lengths[number] -= 1
            lengths[run_of[target]] += 1
    return [run for run in map(members, range(len(runs))) if run]


def is_repetition(text: str, before: str) -> bool:
    """Whether the first 100 characters of two texts have nearly the same trigrams; never if they have none."""
    one, other = _trigrams(text), _trigrams(before)
    return bool(one | other) and len(one & other) / len(one | other) > MOST_ALIKE


def _trigrams(text: str) -> set[str]:
    start = text[:CHARACTERS]
    return {start[at : at + 3] for at in range(len(start) - 2)}
