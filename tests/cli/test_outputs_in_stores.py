"""Row stages that write to an object store: what a directory would hold, complete when its state.json is there."""

import json
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from synth.pipelines.runtime.runner import Run
from synth.schemas.stores.places import output_at
from synth.schemas.stores.store import Store
from tests.command import invoke, synth, type_synth
from tests.counting_server import CountingServer, counting_server
from tests.object_store import Bucket, ask
from tests.rows import write_rows

ROWS = 20
CHUNK_ROWS = 4


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory, with questions; those in `bad.jsonl` have one without text. Five chunks are a run."""
    (folder := tmp_path / "here").mkdir()
    monkeypatch.chdir(folder)
    write_rows(folder / "q.jsonl", ({"question": f"What is {i}?", "answer": f"#### {i % 3}"} for i in range(ROWS)))
    write_rows(folder / "bad.jsonl", ({"question": f"What is {i}?" if i else None, "answer": "1"} for i in range(5)))
    execute = Run.execute
    monkeypatch.setattr(
        Run,
        "execute",
        lambda run, observe: execute(replace(run, options=replace(run.options, chunk_rows=CHUNK_ROWS)), observe),
    )
    return folder


@pytest.fixture
def server() -> Iterator[CountingServer]:
    with counting_server() as server:
        yield server


def run(*command: object) -> str:
    """What a command says that must succeed; it records itself."""
    ended = type_synth(*command, folder=Path.cwd())
    assert ended.returncode == 0, ended.stderr
    return ended.stderr


def sample(out: str, *options: object) -> str:
    return run("reject", "sample", "q.jsonl", out, "-n", 2, *options)


def refusal(*command: object) -> tuple[int, str]:
    """The exit code and the last sentence of a command that does not succeed."""
    ended = type_synth(*command, folder=Path.cwd())
    return ended.returncode, ended.stderr.splitlines()[-1].removeprefix("synth: ")


def files(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def on_another_machine(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(folder / "another"))


def test_the_bytes_are_those_of_a_directory(bucket: Bucket, folder: Path) -> None:
    options = ("--engine", "echo", "--bad-rows", "reject", "--keep-answers")
    for out in ("here", f"{bucket.url}/runs/there"):
        synth("reject", "sample", "bad.jsonl", out, *options)
    here, there = files(folder / "here"), bucket.objects("runs/there")
    records = [json.loads(found.pop("synth.json")) for found in (here, there)]
    # Answers lie in the order in which they came.
    assert here.keys() == there.keys()
    assert {name: content for name, content in here.items() if not name.startswith("answers")} == {
        name: content for name, content in there.items() if not name.startswith("answers")
    }
    for name in ("identity", "counts", "shards", "rejected_shards", "input_rows"):
        assert records[0][name] == records[1][name]
    assert os.environ["AWS_SECRET_ACCESS_KEY"] not in json.dumps(records[1])


def test_nothing_but_the_output_is_left(bucket: Bucket) -> None:
    said = sample(f"{bucket.url}/out", "--engine", "echo")
    assert bucket.objects("out.partial") == {}
    workplace = re.search(r"^s3://\S+/out: what is not finished is kept in (\S+)$", said, re.MULTILINE)
    assert workplace
    assert workplace[1].startswith(os.environ["XDG_STATE_HOME"])
    assert not Path(workplace[1]).exists()
    assert {file.suffix for file in Path(os.environ["XDG_STATE_HOME"]).rglob("*") if file.is_file()} == {".json"}
    assert f"{bucket.url}/out: {ROWS * 2} rows from" in said


def test_what_reads_datasets_reads_it_and_so_does_the_next_step(bucket: Bucket, folder: Path) -> None:
    for out in ("here", url := f"{bucket.url}/there"):
        sample(out, "--engine", "echo")
    shown = [synth("show", out, "--json").stdout for out in ("here", url)]
    assert shown[0] == shown[1]
    assert json.loads(synth("stats", url, "--json").stdout)[0]["input"] == url
    for out in ("here", url):
        synth("export", out, f"{Path(out).name}.jsonl")
    assert (folder / "here.jsonl").read_bytes() == (folder / "there.jsonl").read_bytes()
    synth("reject", "select", url, "selected")
    assert json.loads((folder / "selected" / "synth.json").read_text())["inputs"] == [url]
    traced = json.loads(synth("trace", json.loads(shown[0].splitlines()[0])["id"], url, "--json").stdout)["rows"]
    assert any(row["directory"] == url and row["answers"] for row in traced)


def test_a_complete_output_is_left_alone_and_why_says_so(bucket: Bucket, server: CountingServer) -> None:
    url = f"{bucket.url}/out"
    sample(url, "--base-url", server.url)
    asked = len(server.asked)
    assert f"{url} is complete already: nothing to do" in sample(url, "--base-url", server.url)
    assert len(server.asked) == asked
    assert synth("why", url).stdout == f"{url}: complete, nothing would run\n"
    assert invoke("why", url, "-n", 3).exit_code == 4
    code, said = refusal("reject", "sample", "q.jsonl", url, "-n", 3, "--base-url", server.url)
    assert code == 4
    assert said.startswith(f"{url} is stale: ")
    assert f"{url} is complete: " in synth("watch", url).stderr


def test_starting_over_never_takes_the_old_files_from_readers(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"{bucket.url}/out"
    sample(url, "--engine", "echo")
    before = bucket.objects("out")
    put, seen = Store.put, []

    def watched(store: Store, key: str, *arguments: Any, **named: Any) -> bool:
        if key == "out/state.json":
            now = bucket.objects("out")
            assert {name: now[name] for name in before if name.endswith(".arrow")} == {
                name: content for name, content in before.items() if name.endswith(".arrow")
            }
            listed = json.loads(arguments[0].read_text())["_data_files"]
            assert all(file["filename"] in now for file in listed)
            seen.append(key)
        return put(store, key, *arguments, **named)

    monkeypatch.setattr(Store, "put", watched)
    sample(url, "--engine", "echo", "--seed", 1, "--fresh")
    assert seen == ["out/state.json"]
    after = bucket.objects("out")
    assert not {name for name in before if name.endswith(".arrow")} & after.keys()
    sample("here", "--engine", "echo", "--seed", 1)
    assert synth("show", url, "--json").stdout == synth("show", "here", "--json").stdout


def stop_after(server: CountingServer, tokens: int, url: str, *options: object) -> None:
    code, said = refusal(
        "reject", "sample", "q.jsonl", url, "-n", 2, "--base-url", server.url, "--budget-tokens", tokens, *options
    )
    assert (code, "budget" in said) == (3, True), said


def test_a_run_goes_on_from_its_chunks_on_another_machine(
    bucket: Bucket, server: CountingServer, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"{bucket.url}/out"
    stop_after(server, 19 * 12, url, "--in-flight", 2)
    published = [name for name in bucket.objects("out.partial") if "/shards/" in name and name.endswith(".json")]
    assert len(published) >= 2
    answered = len(server.asked)
    code, said = refusal("show", url)
    assert (code, said.startswith(f"{url} is not finished: its run, in {url}.partial, ")) == (2, True)
    server.asked.clear()
    on_another_machine(monkeypatch, tmp_path)
    assert "begun" in invoke("why", url).stdout
    assert refusal("reject", "sample", "q.jsonl", url, "-n", 3, "--base-url", server.url)[0] == 4
    sample(url, "--base-url", server.url)
    assert answered + len(server.asked) == ROWS, "nothing is asked twice"
    cost = json.loads(bucket.objects("out")["synth.json"])["cost"]
    assert (cost["prompt_tokens"], cost["completion_tokens"]) == (5 * ROWS, 14 * ROWS)
    sample("here", "--base-url", server.url)
    assert bucket.objects("out")["state.json"] == (folder / "here" / "state.json").read_bytes()
    assert bucket.objects("out").keys() == files(folder / "here").keys()


def test_a_workplace_of_another_run_is_not_gone_on_with(
    bucket: Bucket, server: CountingServer, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"{bucket.url}/out"
    stop_after(server, 19 * 12, url, "--in-flight", 2)
    with monkeypatch.context() as there:
        on_another_machine(there, tmp_path)
        stop_after(server, 19 * 7, url, "--in-flight", 2, "--fresh", "--seed", 1)
    server.asked.clear()
    sample(url, "--base-url", server.url, "--seed", 1)
    sample("here", "--base-url", server.url, "--seed", 1)
    assert bucket.objects("out")["state.json"] == (folder / "here" / "state.json").read_bytes()


def test_answers_in_the_store_are_used_again_for_an_update(
    bucket: Bucket, server: CountingServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"{bucket.url}/out"
    sample(url, "--base-url", server.url)
    server.asked.clear()
    on_another_machine(monkeypatch, tmp_path)
    sample(url, "--base-url", server.url, "--update")
    assert server.asked == []
    assert "complete already" in sample(url, "--base-url", server.url)


def test_failed_rows_are_tried_again_on_another_machine(
    bucket: Bucket, server: CountingServer, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"{bucket.url}/out"
    (folder / "stage.py").write_text(STAGE)
    command = ("run", "stage.py:Stumbling", "q.jsonl", url, "--base-url", server.url, "--max-failures", 1)
    run(*command)
    assert json.loads(bucket.objects("out")["synth.json"])["counts"]["failed"] == 1
    server.asked.clear()
    (folder / "mended").touch()
    on_another_machine(monkeypatch, tmp_path)
    run(*command, "--retry-failed")
    assert json.loads(bucket.objects("out")["synth.json"])["counts"]["failed"] == 0
    assert server.asked == []


STAGE = """
from dataclasses import dataclass
from pathlib import Path
from synth.pipelines.engines import Sampling
from synth.pipelines.runtime.stage import RowStage
from synth.schemas.record import Record
from synth.schemas.records import QUERY


@dataclass(frozen=True)
class Stumbling(RowStage):
    \"\"\"Stumble over one row.\"\"\"

    name = "stumbling"
    input = QUERY
    output = QUERY
    uses_engine = True

    async def process(self, row, tools):
        answer = await tools.llm.generate(row["query"], Sampling(max_tokens=50))
        if "is 7?" in row["query"] and not Path("mended").exists():
            raise ValueError("it stumbles")
        yield {"id": f"{row['id']}/a", "query": answer.text}
"""


@pytest.mark.parametrize("place", ["gone", "denied", "root", "taken", "table"])
def test_what_cannot_be_written_to_is_said_before_anything_is_asked(
    bucket: Bucket, server: CountingServer, folder: Path, place: str
) -> None:
    sampling = ("reject", "sample", "q.jsonl")
    at = ("--base-url", server.url)
    match place:
        case "gone":
            code, said = refusal(*sampling, f"{bucket.url}-gone/out", *at)
            assert said == f"the bucket {bucket.url}-gone does not exist"
        case "root":
            code, said = refusal(*sampling, bucket.url, *at)
            assert said == f"{bucket.url} cannot be an output: name a place in the bucket, as in {bucket.url}/NAME"
        case "taken":
            url = bucket.upload(folder / "q.jsonl", "data/q.jsonl").rpartition("/")[0]
            code, said = refusal(*sampling, url, *at)
            assert said == f"{url} exists and is not a directory that synth wrote: name another output"
        case "table":
            code, said = refusal("reject", "select", "q.jsonl", f"{bucket.url}/out")
            assert "where only steps that process row by row can write" in said
        case "denied":
            assert ask(bucket.address, "POST", "/moto-api/reset-auth", "0") == 200
            try:
                code, said = refusal(*sampling, f"{bucket.url}/out", *at)
            finally:
                ask(bucket.address, "POST", "/moto-api/reset-auth", "inf")
            assert said.startswith(f"the store denies access to {bucket.url}/out")
    assert code == 2
    assert server.asked == []
    assert not [name for name in bucket.objects() if ".partial" in name]
    assert not output_at(f"{bucket.url}/out").with_name("out.partial").exists()
