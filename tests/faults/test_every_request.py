"""A process is killed before any of its requests to an object store, and another one goes on, here or elsewhere.

The output is always that of a run on one machine, and nothing that was recorded is asked for again.
"""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from synth.pipelines.runtime.options import Options
from synth.schemas.stores.places import output_at
from synth.schemas.stores.store import Store
from tests.faults.campaign import (
    CHUNK_ROWS,
    asked,
    in_small_chunks,
    questions,
    recorded,
    run_two_calls,
    shard_bytes,
)
from tests.faults.dying import dying_at_a_store, forking
from tests.object_store import Bucket

# Two chunks: another one would only add requests of kinds that these have already.
TEXTS = ["one", "refuse two", "three", "four", "five", "stumble six"]
Prepare = Callable[[str], None]


def data_of(bucket: Bucket, key: str) -> dict[str, list[bytes]]:
    """The data files of an output and of its rejected rows, whatever their names are."""
    objects = bucket.objects(key)
    return {
        folder: [
            objects[f"{folder}{file['filename']}"] for file in json.loads(objects[f"{folder}state.json"])["_data_files"]
        ]
        for folder in ("", "rejected/")
    }


def kill_at_every_request(
    bucket: Bucket,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: Options,
    *,
    elsewhere: bool = False,
    prepare: Prepare = lambda _url: None,
    starts_over: bool = False,
) -> int:
    """After each kill the run is repeated, `elsewhere` without its workplace; how often it was killed."""
    source = questions(folder, TEXTS)
    run_two_calls(source, folder / "whole", folder / "whole.log", options)
    expected = [[content] for _, content in sorted(shard_bytes(folder / "whole").items())]
    request, code, left_over = 0, -signal.SIGKILL, 0
    while code:
        state = folder / f"state-{request}"
        monkeypatch.setenv("XDG_STATE_HOME", str(state))
        key, log = f"run-{request}/out", folder / f"{request}.log"
        url = f"{bucket.url}/{key}"
        prepare(url)
        process = forking.Process(target=dying_at_a_store, args=(request, url, source, log, options, dict(os.environ)))
        process.start()
        process.join()
        code = process.exitcode or 0
        assert code in (0, -signal.SIGKILL)
        kept = set() if elsewhere or starts_over else recorded(state)
        records = [name for name in bucket.objects(f"{key}.partial") if "/shards/" in name and name.endswith(".json")]
        finished = {TEXTS[row] for name in records for row in rows_of(name)} if not starts_over else set()
        before = len(asked(log))
        if elsewhere:
            monkeypatch.setenv("XDG_STATE_HOME", str(folder / f"elsewhere-{request}"))
        run_two_calls(source, output_at(url), log, options)
        after = asked(log)[before:]
        assert list(data_of(bucket, key).values()) == expected, f"killed before request {request}"
        assert not kept & set(after), f"killed before request {request}, answers were asked for again"
        assert not finished & {prompt.split(" [")[0] for prompt, _ in after}, f"killed before request {request}"
        left_over += bool(bucket.objects(f"{key}.partial"))
        request += 1
    # One moment there is, after the output has appeared, at which nothing tells the remains from a run begun anew.
    assert left_over <= 1
    return request


def rows_of(record: str) -> range:
    start = int(Path(record).stem) * CHUNK_ROWS
    return range(start, min(start + CHUNK_ROWS, len(TEXTS)))


@pytest.mark.parametrize("elsewhere", [False, True], ids=["here", "elsewhere"])
def test_a_run_with_a_failure_that_is_allowed(
    bucket: Bucket, quick_path: Path, monkeypatch: pytest.MonkeyPatch, elsewhere: bool
) -> None:
    options = in_small_chunks(in_flight=3, max_failures=1)
    assert kill_at_every_request(bucket, quick_path, monkeypatch, options, elsewhere=elsewhere) > 25


def test_a_run_until(bucket: Bucket, quick_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = in_small_chunks(in_flight=8, until=5, max_failures=1)
    assert kill_at_every_request(bucket, quick_path, monkeypatch, options) > 15


def test_starting_over(bucket: Bucket, quick_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    earlier = in_small_chunks(in_flight=8, seed=1, max_failures=1)
    run_two_calls(questions(quick_path, TEXTS), output_at(f"{bucket.url}/earlier"), quick_path / "earlier.log", earlier)
    lies_there = bucket.objects("earlier")

    def prepare(url: str) -> None:
        store, key = Store.of(url)
        for name, content in lies_there.items():
            store.put(f"{key}/{name}", content)

    options = in_small_chunks(in_flight=8, fresh=True, max_failures=1)
    assert kill_at_every_request(bucket, quick_path, monkeypatch, options, prepare=prepare, starts_over=True) > 25
