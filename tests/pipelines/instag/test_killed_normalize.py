"""A run that is killed does not count or embed again, and ends in the same bytes."""

import subprocess
import sys
import time
from pathlib import Path
from random import Random

import numpy as np
import pytest

from synth.pipelines.instag.normalize import counting, embedding, normalize
from synth.pipelines.instag.normalize.embedding import Characters, Model, embedder_named
from synth.pipelines.instag.normalize.normalize import Normalize
from synth.pipelines.runtime.options import Options
from synth.pipelines.runtime.runner import Run
from synth.pipelines.runtime.stage import Row
from synth.schemas.errors import Interrupted
from tests.faults.processes import end, kill
from tests.pipelines.instag.normalizing import queries
from tests.pipelines.passing import shards
from tests.pipelines.retrieval.meanings import MODEL, SENTENCES, needs_model
from tests.rows import write_rows

SYNTH = "from synth.cli.main import main; main()"


def drawn(count: int) -> list[Row]:
    rng = Random(3)
    words = ["poem", "song", "story", "essay", "letter", "recipe", "plan", "review", "joke", "riddle"]
    tags = [f"{one} {other}{end}" for one in words for other in words for end in ("", "s", "!")]
    return queries(*([rng.choice(tags) for _ in range(rng.randrange(6))] for _ in range(count)))  # type: ignore[return-value]


def outputs(folder: Path) -> list[bytes | str]:
    return [*shards(folder), (folder / "vocabulary" / "data-00000-of-00001.arrow").read_bytes()]


def start(source: Path, out: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", SYNTH, "instag", "normalize", str(source), str(out), "--embedder", "characters"]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)


def test_a_run_that_is_killed_again_and_again_ends_as_one_that_was_not(tmp_path: Path) -> None:
    rng = Random(1)
    source = write_rows(tmp_path / "rows.jsonl", drawn(20_000))
    whole, out = tmp_path / "whole", tmp_path / "out"
    begun = time.monotonic()
    assert end(start(source, whole))[0] == 0
    longest = time.monotonic() - begun
    for _ in range(3):
        if not out.exists():
            process = start(source, out)
            time.sleep(rng.uniform(0.5 * longest, longest))
            kill(process)
    assert end(start(source, out))[0] == 0
    assert outputs(out) == outputs(whole)
    assert not (tmp_path / "out.partial").exists()


def test_what_is_counted_is_not_counted_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write_rows(tmp_path / "rows.jsonl", drawn(500))
    stage = Normalize(embedder=Characters(), alpha=2)
    Run(stage, [str(source)], tmp_path / "whole", Options()).execute()

    def break_off(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(normalize, "merge_associated", break_off)
        with pytest.raises(Interrupted):
            Run(stage, [str(source)], tmp_path / "out", Options()).execute()
    monkeypatch.setattr(counting, "_Counting", break_off)
    Run(stage, [str(source)], tmp_path / "out", Options()).execute()
    assert outputs(tmp_path / "out") == outputs(tmp_path / "whole")


def test_portions_have_no_part_in_the_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write_rows(tmp_path / "rows.jsonl", drawn(500))
    stage = Normalize(embedder=Characters(), alpha=2)
    Run(stage, [str(source)], tmp_path / "whole", Options()).execute()
    monkeypatch.setattr(counting, "ROWS_AT_A_TIME", 7)
    monkeypatch.setattr(counting, "TAGS_AT_A_TIME", 11)
    Run(stage, [str(source)], tmp_path / "out", Options()).execute()
    assert outputs(tmp_path / "out") == outputs(tmp_path / "whole")


@needs_model
def test_what_is_embedded_is_not_embedded_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding, "TEXTS_AT_A_TIME", 5)
    model = embedder_named(str(MODEL))
    assert isinstance(model, Model)
    model.points(SENTENCES, tmp_path)
    path = tmp_path / "vectors.float32"
    whole = path.read_bytes()
    assert len(whole) == len(SENTENCES) * 384 * 4
    vectors = np.frombuffer(whole, "f4").reshape(-1, 384).copy()
    # Two portions and a torn third one. What is marked in the first shows that it was not made anew.
    vectors[0] = 1
    path.write_bytes(vectors.tobytes()[: 12 * 384 * 4 + 100])
    model.points(SENTENCES, tmp_path)
    assert path.read_bytes() == vectors.tobytes()
    model.points(SENTENCES, tmp_path)
    assert path.read_bytes() == vectors.tobytes()
