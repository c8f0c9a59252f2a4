"""Texts for the benchmarks of search: words of Python's sources by Zipf's law, and docstrings as they are.

A collection is a folder with the dataset `corpus`, queries in `<kind>.jsonl`, and judgements of all of them in
`qrels.txt`; and, for those who split texts at blanks only, the same as terms in `terms` and `<kind>.terms.jsonl`.

The words are those of every fourth Python file of the standard library and the installed packages, so there are others
on other machines; with the same packages and the same seed every text is the same.
"""

import json
import re
import sysconfig
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from contest import write_dataset
from numpy.typing import NDArray

from synth.pipelines.retrieval.analysis import Analysis

PASSAGE_WORDS = (60, 140)
# A word that stands in one place only may be a slip.
MOST_WORDS, RARER_THAN = 200_000, 2
THOUGHT_WORDS, OF_THE_PASSAGE = 150, 25
KEYWORDS = (3, 5)
COPIES, CHANGED = 2, (0.1, 0.5)
DOCSTRING_WORDS, FEWEST_TITLE_WORDS = (20, 290), 4
ROWS_IN_BATCH = 8192
SCHEMA = pa.schema([("id", pa.string()), ("text", pa.string())])

Ranks = NDArray[np.int64]


def vocabulary() -> NDArray[Any]:
    """The words, in small letters, the most frequent first."""
    counts: Counter[str] = Counter()
    for file in sources():
        counts.update(re.findall("[a-z]+", file.read_text(errors="replace").lower()))
    # Longer ones are data, such as keys and pictures.
    frequent = [(-count, word) for word, count in counts.items() if count >= RARER_THAN and len(word) < 25]
    return np.array([word for _, word in sorted(frequent)[:MOST_WORDS]], object)


def sources() -> list[Path]:
    folders = {sysconfig.get_path(name) for name in ("stdlib", "purelib")}
    return sorted({file for folder in folders for file in Path(folder).rglob("*.py") if file.is_file()})[::4]


class Zipf:
    """Draws words by their rank: the word of rank r is drawn in proportion to 1 / r."""

    def __init__(self, words: NDArray[Any], seed: int) -> None:
        self.words = words
        self.rng = np.random.default_rng(seed)
        self._shares = np.cumsum(1 / np.arange(1, len(words) + 1))
        self._shares /= self._shares[-1]

    def drawn(self, count: int) -> Ranks:
        """The ranks, from 0, of so many words."""
        return np.searchsorted(self._shares, self.rng.random(count))

    def passages(self, count: int) -> list[Ranks]:
        """Ranks of the words of so many passages of 100 words on average."""
        lengths = self.rng.integers(PASSAGE_WORDS[0], PASSAGE_WORDS[1] + 1, count)
        return np.split(self.drawn(int(lengths.sum())), np.cumsum(lengths)[:-1])

    def text(self, ranks: Ranks) -> str:
        return " ".join(self.words[ranks])


def docstrings() -> Iterator[tuple[str, str]]:
    """The first line of each docstring that has more than that, and the rest of it; no text comes twice."""
    seen = set()
    for file in sources():
        for docstring in re.findall('"""(.*?)"""', file.read_text(errors="replace"), re.DOTALL):
            title, _, rest = docstring.strip().partition("\n")
            fewest, most = DOCSTRING_WORDS
            if len(title.split()) >= FEWEST_TITLE_WORDS and fewest <= len(rest.split()) <= most and rest not in seen:
                seen.add(rest)
                yield title, rest


class Item(NamedTuple):
    """A passage to be found: positions of it and its copies, and its words."""

    passages: Sequence[int]
    ranks: Ranks


def write_known_items(folder: Path, passages: int, queries: int) -> int:
    """A collection of Zipf's words with `keywords` and `thoughts`; how many different words there are to draw from.

    Each query is made from a passage of which there are two copies with other words in the place of 10 to 50 % of its
    own. Keywords are 3 to 5 of its words; of the 150 words of a thought 25 are of the passage.
    """
    folder.mkdir()
    zipf = Zipf(vocabulary(), 0)
    items: list[Item] = []
    write_dataset(folder / "corpus", SCHEMA, [_batches(zipf, passages, queries, items)])
    (folder / "terms").symlink_to("corpus")
    judged = (folder / "qrels.txt").open("w")
    for kind, made in (("keywords", _keywords), ("thoughts", _thought)):
        _write_queries(folder, kind, ((f"{kind}-{i}", zipf.text(made(zipf, item))) for i, item in enumerate(items)))
        (folder / f"{kind}.terms.jsonl").symlink_to(f"{kind}.jsonl")
        for number, item in enumerate(items):
            judged.writelines(
                f"{kind}-{number} 0 p-{passage} {2 if passage == item.passages[0] else 1}\n"
                for passage in item.passages
            )
    judged.close()
    return len(zipf.words)


def _batches(zipf: Zipf, passages: int, queries: int, items: list[Item]) -> Iterator[pa.RecordBatch]:
    for start in range(0, passages, ROWS_IN_BATCH):
        stop = min(start + ROWS_IN_BATCH, passages)
        drawn = zipf.passages(stop - start)
        # Anywhere, for equal scores are ranked by position.
        places = zipf.rng.permutation(stop - start).tolist()
        for _ in range(queries * stop // passages - len(items)):
            found = [places.pop() for _ in range(1 + COPIES)]
            for copy in found[1:]:
                drawn[copy] = _altered(zipf, drawn[found[0]])
            items.append(Item([start + place for place in found], drawn[found[0]]))
        ids = [f"p-{number}" for number in range(start, stop)]
        yield pa.record_batch([ids, list(map(zipf.text, drawn))], schema=SCHEMA)


def _altered(zipf: Zipf, ranks: Ranks) -> Ranks:
    changed = zipf.rng.random(len(ranks)) < zipf.rng.uniform(*CHANGED)
    return np.where(changed, zipf.drawn(len(ranks)), ranks)


def _keywords(zipf: Zipf, item: Item) -> Ranks:
    return zipf.rng.choice(item.ranks, zipf.rng.integers(KEYWORDS[0], KEYWORDS[1] + 1), replace=False)


def _thought(zipf: Zipf, item: Item) -> Ranks:
    words = np.concatenate([zipf.rng.choice(item.ranks, OF_THE_PASSAGE), zipf.drawn(THOUGHT_WORDS - OF_THE_PASSAGE)])
    return zipf.rng.permutation(words)


def write_docstrings(folder: Path, queries: int) -> int:
    """A collection of docstrings without their first lines, which are the `titles`; the number of documents."""
    folder.mkdir()
    found = list(docstrings())
    terms = Analysis().terms
    for name, texts in (
        ("corpus", [text for _, text in found]),
        ("terms", [" ".join(terms(text)) for _, text in found]),
    ):
        ids = [f"d-{number}" for number in range(len(texts))]
        write_dataset(folder / name, SCHEMA, [[pa.record_batch([ids, texts], schema=SCHEMA)]])
    asked = np.random.default_rng(0).choice(len(found), min(queries, len(found)), replace=False).tolist()
    _write_queries(folder, "titles", ((f"t-{number}", found[number][0]) for number in asked))
    _write_queries(folder, "titles.terms", ((f"t-{number}", " ".join(terms(found[number][0]))) for number in asked))
    (folder / "qrels.txt").write_text("".join(f"t-{number} 0 d-{number} 1\n" for number in asked))
    return len(found)


def _write_queries(folder: Path, name: str, queries: Iterable[tuple[str, str]]) -> None:
    with (folder / f"{name}.jsonl").open("w") as file:
        file.writelines(json.dumps({"id": query, "domain": "all", "text": text}) + "\n" for query, text in queries)
