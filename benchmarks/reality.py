"""What every recipe yields with a real chat model that is weak, on small real inputs: SmolLM2-135M-Instruct.

One server of vLLM answers all commands (or that of --base-url). Each arm runs them from the same inputs with its own
options wherever a command has such an option, and the table has the arms beside one another:

    free      the replies in the form that the paper asks for, with the commands' usual number of tries
    schema    replies that are parsed are held to a JSON schema
    repairs   the same, and a reply that cannot be read is shown to the model with what is wrong with it
    default   the commands as they are

DATA holds gsm8k-train.jsonl, humaneval.jsonl.gz, case2code-functions.jsonl, longen.jsonl and
self-instruct-user-instructions.jsonl, as their authors publish them.
"""

import gzip
import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from socket import socket
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from contest import SYNTH, parser, print_table, say, scratch
from reality_steps import ROWS, STEPS, Counts, Share, Step

from synth.pipelines.recipes import stage_named
from synth.pipelines.runtime.declared import declared

EXAMPLES = Path(__file__).parents[1] / "examples"
AT_ONCE = 6
ARMS: Mapping[str, Mapping[str, str]] = {
    "free": {"schema": "--no-schema", "repairs": "--repairs 0"},
    "schema": {"schema": "--schema", "repairs": "--repairs 0"},
    "repairs": {"schema": "--schema", "repairs": "--repairs 2"},
    "default": {},
}


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("data", type=Path, metavar="DATA", help="the folder of the inputs")
    arguments.add_argument("--model", type=Path, default=Path("build/smollm2"), help="what smollm2.py saved")
    arguments.add_argument("--base-url", help="a server of the model that runs already")
    arguments.add_argument("--arm", action="append", choices=ARMS, help="repeatable; by default the first three")
    arguments.add_argument("--only", action="append", metavar="OUT", help="only these steps; repeatable")
    arguments.add_argument("--keep", type=Path, metavar="FOLDER", help="keep the outputs there")
    given = arguments.parse_args()
    if not given.data.is_dir():
        raise SystemExit(
            f"{given.data}: no such folder. It holds the published inputs, which are not part of the project"
        )
    arms = given.arm or [*ARMS][:3]
    with scratch() as folder, serving(given.model, given.base_url) as url:
        place = given.keep or folder
        prepare(given.data, place / "inputs")
        runs = Runs(place, given.model, url)
        chosen = [step for step in STEPS if not given.only or step.out in given.only]
        submitted = {arm: {step: runs.submit(arm, step) for step in chosen} for arm in arms}
        found = {arm: {step: run.result() for step, run in steps.items()} for arm, steps in submitted.items()}
    print_table("Yields", ["what", *arms], shares(found))
    print_table("What they cost, and why not more", ["command", "tokens", "why not"], costs(found))


class Runs:
    """The runs of all steps, some at a time, so that the server is busy; a step waits for that of its source."""

    def __init__(self, place: Path, model: Path, url: str) -> None:
        self._place = place
        self._model = model
        self._url = url
        self._pool = ThreadPoolExecutor(AT_ONCE)
        self._runs: dict[Path, Future[dict[str, Any] | None]] = {}

    def submit(self, arm: str, step: Step) -> "Future[dict[str, Any] | None]":
        """The run record of a step in an arm; None if it has no output. What no arm changes is run once, for all."""
        names = {"repairs"} if step.command == "map" else {one.name for one in declared(stage_named(step.command))}
        source = next(
            (
                one
                for one in (self._place / arm / step.source, self._place / "common" / step.source)
                if one in self._runs
            ),
            self._place / "inputs" / f"{step.source}.jsonl",
        )
        is_same = not names & {"schema", "repairs"} and source.parent.name != arm
        out = self._place / ("common" if is_same else arm) / step.out
        if out not in self._runs:
            options = step.options.format(inputs=self._place / "inputs", model=self._model).split()
            options += [word for name, text in ARMS[arm].items() if name in names for word in text.split()]
            options += ["--base-url", self._url] if step.asks else []
            command = [SYNTH, *step.command.split(), str(source), str(out), *options]
            # Submitted after its source, so that it waits for one that is running already.
            self._runs[out] = self._pool.submit(self._run, source, out, command)
        return self._runs[out]

    def _run(self, source: Path, out: Path, command: Sequence[str]) -> dict[str, Any] | None:
        if source in self._runs and not self._runs[source].result():
            return None
        say(shlex.join(command))
        out.parent.mkdir(parents=True, exist_ok=True)
        ended = subprocess.run(command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        say(ended.stderr.decode(errors="replace").rpartition("\r")[2])
        record = out / "synth.json"
        return json.loads(record.read_text()) if record.exists() else None


def shares(found: Mapping[str, Mapping[Step, Mapping[str, Any] | None]]) -> list[list[str]]:
    return [
        [what, *(_share(measure, records.get(step)) for records in found.values())]
        for step in STEPS
        if any(step in records for records in found.values())
        for what, measure in step.yields.items()
    ]


def _share(measure: Callable[[Counts], Share], record: Mapping[str, Any] | None) -> str:
    if record is None:
        return "0"
    some, every = measure(record["counts"])
    return f"{some:.0f} of {every:.0f}"


def costs(found: Mapping[str, Mapping[Step, Mapping[str, Any] | None]]) -> list[list[str]]:
    table = []
    for arm, records in found.items():
        for step, record in records.items():
            if record and step.asks:
                counts = record["counts"]
                reasons = {**counts["output_reasons"], **counts["reasons"], **counts["failures"]}
                first = sorted(reasons.items(), key=lambda one: -one[1])[:4]
                tokens = counts["tallies"].get("completion_tokens", 0)
                why = ", ".join(f"{count} {reason}" for reason, count in first)
                table.append([f"{step.command}, {arm}", f"{tokens:,.0f}", why])
    return table


@contextmanager
def serving(model: Path, url: str | None) -> Iterator[str]:
    """The address of a server of the model: the one given, or vLLM's own, which ends with this."""
    if url:
        yield url
        return
    with socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # As synth has them in process: on a CPU seeds and chunks do not go together, and white space between JSON tokens is
    # where weak models get lost.
    outputs = json.dumps({"backend": "xgrammar", "disable_any_whitespace": True})
    options = f"--host 127.0.0.1 --port {port} --enforce-eager --no-enable-chunked-prefill --max-model-len 4096".split()
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(model)]
    command += [*options, "--served-model-name", "smollm2", "--structured-outputs-config", outputs]
    say(shlex.join(command))
    with scratch() as folder, (folder / "log").open("wb") as log:
        # By default vLLM takes most of the memory for what it has read, and does not start where others use some.
        environment = {"VLLM_CPU_KVCACHE_SPACE": "2", **os.environ}
        server = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
        try:
            while not _answers(url := f"http://127.0.0.1:{port}/v1"):
                if server.poll() is not None:
                    raise SystemExit(f"vLLM has ended: {(folder / 'log').read_text()[-2000:]}")
                time.sleep(1)
            yield url
        finally:
            server.terminate()
            server.wait()


def _answers(url: str) -> bool:
    try:
        with urlopen(f"{url}/models"):
            return True
    except (URLError, OSError):
        return False


def prepare(data: Path, folder: Path) -> None:
    """Write the inputs of all steps: 24 rows each, 40 instructions, 8 programming tasks, 12 failures of five kinds."""
    folder.mkdir(parents=True, exist_ok=True)
    questions = read(data / "gsm8k-train.jsonl", ROWS)
    problems = read(data / "humaneval.jsonl.gz", 164)
    functions = [
        {"id": f"humaneval-{number}", "content": one["prompt"] + one["canonical_solution"]}
        for number, one in enumerate(problems)
    ]
    users = read(data / "self-instruct-user-instructions.jsonl", 252)
    english = [one for one in read(data / "longen.jsonl", 240) if one["language"] == "en"]
    write(folder / "questions.jsonl", questions)
    facts = [
        {"question": one["question"], "choices": one["choices"], "answer": one["answerKey"]}
        for one in read(EXAMPLES / "facts.jsonl", ROWS)
    ]
    write(folder / "facts.jsonl", [*facts, *questions[: 10 - len(facts)]])
    write(folder / "tool-tasks.jsonl", read(EXAMPLES / "tool-tasks.jsonl", ROWS))
    write(folder / "raw.jsonl", [*read(data / "case2code-functions.jsonl", 10), *functions[: ROWS + 4]])
    write(folder / "instructions.jsonl", ({"instruction": one["instruction"]} for one in users[::6][:40]))
    write(
        folder / "programming.jsonl",
        ({"instruction": one["prompt"], "entry_point": one["entry_point"]} for one in problems[:6]),
    )
    write(
        folder / "seeds.jsonl",
        ({"domain": "mathematics at school", "kind": "passage", "text": one["question"]} for one in questions[:12]),
    )
    write(folder / "profile.jsonl", [{"profile": (EXAMPLES / "elin-marsh.txt").read_text()}])
    write(folder / "trivia.jsonl", read(EXAMPLES / "trivia.jsonl", ROWS))
    write(folder / "documents.jsonl", ({"text": f"{one['question']}\n\n{one['answer']}"} for one in questions[:10]))
    write(folder / "assignments.jsonl", ({"instruction": one["query"], "language": "en"} for one in english[:ROWS]))
    failures = [{**one, "pattern": one["id"].partition("-")[0]} for one in read(EXAMPLES / "failures.jsonl", ROWS)]
    kinds = dict.fromkeys(one["pattern"] for one in failures)
    write(folder / "failures.jsonl", failures)
    write(
        folder / "kinds.jsonl", ({"name": kind, "description": f"On {kind}.", "suggestion": "More."} for kind in kinds)
    )
    (folder / "rubric.md").write_text(
        "Does the text do what the assignment asks?\nAssignment: {{ instruction }}\nText: {{ response }}\n"
    )
    (folder / "app.md").write_text("# user\nWhich kind of app is this for, and who uses it? {{ instruction }}\n")
    text = {"type": "string", "maxLength": 80}
    (folder / "app.json").write_text(
        json.dumps({"type": "object", "properties": {"kind": text, "users": text}, "required": ["kind", "users"]})
    )
    # Tasks that no model had a part in, so that all arms induce the same functions.
    chain = (
        f"case2code functions {folder}/raw.jsonl {folder}/found",
        f"case2code inputs {folder}/found {folder}/typed --inputs-from types -n 8",
        f"case2code execute {folder}/typed {folder}/ran",
        f"case2code compose {folder}/ran {folder}/composed --evaluation --visible 4",
        f"export {folder}/found {folder}/functions.jsonl --force",
        f"export {folder}/composed {folder}/tasks.jsonl --force",
    )
    for words in chain:
        subprocess.run([SYNTH, *words.split()], check=True, stdout=subprocess.DEVNULL)
    for name in ("functions", "tasks"):
        write(folder / f"{name}.jsonl", read(folder / f"{name}.jsonl", ROWS))


def read(file: Path, most: int) -> list[dict[str, Any]]:
    with gzip.open(file, "rt") if file.suffix == ".gz" else file.open() as lines:
        return [json.loads(line) for line in islice(lines, most)]


def write(file: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))


if __name__ == "__main__":
    main()
