"""Random texts, and variants of known similarity."""

from random import Random

VOCABULARY = [f"{a}{b}{c}" for a in "bdfgklmnprst" for b in "aeiou" for c in ("", "n", "rt", "lo", "st")]


def drawn(rng: Random, words: int) -> str:
    return " ".join(rng.choices(VOCABULARY, k=words))


def altered(rng: Random, text: str, changes: int) -> str:
    """`text` with this many of its words replaced by others."""
    words = text.split()
    for place in rng.sample(range(len(words)), changes):
        words[place] = f"other{rng.randrange(10**6)}"
    return " ".join(words)


def similarity(one: str, other: str, shingle: int = 5) -> float:
    """Jaccard similarity of two texts of plain words, computed naively."""

    def shingles(text: str) -> set[tuple[str, ...]]:
        words = text.split()
        return {tuple(words[i : i + shingle]) for i in range(len(words) - shingle + 1)}

    return len(shingles(one) & shingles(other)) / len(shingles(one) | shingles(other))
