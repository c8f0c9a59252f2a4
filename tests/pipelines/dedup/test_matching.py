"""Rows are matched as if each were compared with the kept ones before it alone, however many are read ahead."""

from pathlib import Path
from random import Random

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from synth.pipelines.dedup import matching
from synth.pipelines.dedup.fingerprints import SHINGLE, Compared, Fingerprints
from synth.pipelines.dedup.matching import ERROR, MOST, Match, Matcher
from synth.pipelines.runtime.text.exact import same_text
from synth.pipelines.runtime.text.near import band_keys, bands_for, signatures
from synth.pipelines.runtime.text.words import windows, word_hashes
from tests.pipelines.runtime.text.drawing import drawn

ODD = ["東京", "e\u0301té", "Foo(x)", "N - n", "a&amp;b", "\u200b", "\ud7a3", "…", "x²", "\n\n"]


def some_texts(rng: Random, count: int) -> list[str]:
    """Texts of some words, most of them copies of earlier ones with a few words replaced."""
    texts: list[str] = []
    for _ in range(count):
        words = rng.choice(texts).split(" ") if texts and rng.random() < 0.8 else drawn(rng, rng.randint(1, 60)).split()
        for _ in range(rng.choice([0, 0, 1, 1, 2, 4])):
            words[rng.randrange(len(words))] = rng.choice([*ODD, drawn(rng, 1), f" {rng.randrange(99)}"])
        texts.append(" ".join(words))
    return texts


def matched_alone(texts: list[str], threshold: float) -> dict[int, Match]:
    """The match of each duplicate, found by comparing it with all kept rows one by one."""
    shingles, slots, bands = [], [], []
    for text in texts:
        hashes, starts = word_hashes([text], signed=True)
        found, starts_of_windows = windows(hashes, starts, SHINGLE)
        signature = signatures(found, starts_of_windows)
        shingles.append(set(found.tolist()))
        slots.append(signature[0].astype(np.uint16))
        keys = band_keys(signature, bands_for(threshold))[0].tolist()
        bands.append(keys if len(hashes) >= SHINGLE else [])
    kept: list[int] = []
    matches: dict[int, Match] = {}
    for row, text in enumerate(texts):
        same = same_text(text)
        match = next((Match(one, "exact_duplicate") for one in kept if same and same_text(texts[one]) == same), None)
        earlier = {
            one
            for band, key in enumerate(bands[row])
            for one in [one for one in kept if bands[one] and bands[one][band] == key][-matching.CANDIDATES :]
        }
        estimated = {one: float(np.mean(slots[row] == slots[one])) for one in sorted(earlier)}
        likely = [one for one in estimated if estimated[one] >= threshold - ERROR]
        for one in sorted(likely, key=lambda one: -estimated[one])[: matching.COMPARED]:
            similarity = estimated[one]
            if similarity < threshold + ERROR:
                similarity = len(shingles[row] & shingles[one]) / len(shingles[row] | shingles[one])
            if not match and min(similarity, MOST) >= threshold:
                match = Match(one, "near_duplicate", min(similarity, MOST))
        if match:
            matches[row] = match
        else:
            kept.append(row)
    return matches


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.randoms(use_true_random=False), st.sampled_from([0.3, 0.5, 0.8]), st.integers(1, 30), st.booleans())
def test_rows_are_matched_as_each_alone(
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    rng: Random,
    threshold: float,
    size: int,
    few: bool,
) -> None:
    texts = some_texts(rng, 40)
    monkeypatch.setattr(matching, "CANDIDATES", 2 if few else 64)
    monkeypatch.setattr(matching, "COMPARED", 1 if few else 8)
    table = pa.table({"text": texts})
    compared = Compared(("text",), None, bands_for(threshold))
    folder: Path = tmp_path_factory.mktemp("work")
    found = Fingerprints(table, compared, folder, lambda _: None)
    matcher = Matcher(table, compared, threshold, found, folder)
    matches: dict[int, Match] = {}
    for start in range(0, len(texts), size):
        matches.update(matcher.among(start, min(start + size, len(texts))))
    assert matches == matched_alone(texts, threshold)
