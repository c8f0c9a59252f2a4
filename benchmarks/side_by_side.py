"""The same job written for each tool, as its users would: what they write, wait for, and lose.

The job (benchmarks/rivals/jobs/) draws four answers to each question from a server and keeps those whose last number is
the question's, as JSON lines. Each tool's own checkpoints are switched on, and 256 answers are under way at once: 64
requests of four, or 256 of one. distilabel sends batches of 64 and waits for the slowest; data-juicer would start a
process for each request, so its operator has 64 threads. The job is run three times:

1. On a server that answers every request after 0.1 s and is no limit else. "rows/s" is answers drawn between the first
   request and the end of the job; "start-up" is from exec to the first request; "CPU" are seconds of the whole job
   for 1,000 answers; "peak" is the memory of the job's processes together (PSS, twice a second).
2. On a real vLLM that serves the embedded model, the same server for all, without its prefix cache, so that nobody
   profits from who was there before; `synth` once more with the engine in process, before that server is started.
   "answers/s" is over the whole job. The peers' own ways to run vLLM in process want its builds for GPUs.
3. As 1, with kill -9 of all its processes when half of the requests are there, and then the same command again. "lost"
   and "doubled" are accepted answers that are missing or are there once more than they should, "asked again" the
   answers that the server was asked for beyond four a question. A second run that takes a minute longer than the
   whole job did has hung, and is killed.

"lines" are those of the job's files that are neither blank nor comments. Every other round is in reverse; figures are
medians.
"""

import ast
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

from contest import (
    HERE,
    QUESTION,
    ROOT,
    Contender,
    Rounds,
    multiple,
    parser,
    print_table,
    say,
    scratch,
    started_by,
)
from loopback import serving

JOBS = HERE / "rivals" / "jobs"
EXAMPLES = ROOT / "examples" / "questions.jsonl"
SAMPLES = 4
DELAY = 0.1
# What the server says to every question, and what it should have said to one of four.
RIGHT, OTHER = 24, 18


@dataclass(frozen=True)
class Tool(Contender):
    """A job in some files, of which the first is run, with the programs of an environment.

    `command` takes QUESTIONS OUT BASE_URL MODEL and leaves the accepted rows in OUT/accepted.jsonl, or OUT/accepted/*.
    """

    files: tuple[str, ...] = ()
    programs: Path = Path(sys.executable).parent

    def missing(self) -> str:
        return "" if (self.programs / "python").exists() else "not installed: make peers"

    @property
    def lines(self) -> int:
        return sum(_lines((JOBS / file).read_text(), python=file.endswith(".py")) for file in self.files)


def tool(name: str, *files: str, programs: Path = Path(sys.executable).parent, before: tuple[str, ...] = ()) -> Tool:
    runner = str(programs / "python") if files[0].endswith(".py") else shutil.which("bash") or "bash"
    return Tool(name, [runner, *before, str(JOBS / files[0])], files=files, programs=programs)


def tools(peers: Path, data_juicer: Path) -> list[Tool]:
    without_network = (str(JOBS / "without_network.py"),)
    return [
        tool("synth", "synth_sample.sh"),
        tool("datatrove", "datatrove_sample.py", programs=peers),
        tool("curator", "curator_sample.py", programs=peers, before=without_network),
        tool("distilabel", "distilabel_sample.py", programs=peers),
        tool("data-juicer", "data_juicer_sample.sh", "data_juicer_sample.yaml", "data_juicer_sample.py",
             programs=data_juicer),
    ]  # fmt: skip


def _lines(text: str, *, python: bool) -> int:
    """The lines that somebody has to write: no blank ones, no comments, no docstrings."""
    documented = set()
    if python:
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and node.end_lineno:
                documented.update(range(node.lineno, node.end_lineno + 1))
    return sum(
        bool(line.strip()) and not line.lstrip().startswith("#") and number not in documented
        for number, line in enumerate(text.splitlines(), 1)
    )


@dataclass(frozen=True)
class Ran:
    """When a job was started and when it ended (monotonic seconds), its CPU seconds, peak MiB, and what went wrong."""

    started: float
    ended: float
    cpu: float
    peak: float
    fault: str

    @property
    def seconds(self) -> float:
        return self.ended - self.started


def run(
    tool: Tool, questions: Path, out: Path, base_url: str, model: str, limit: float,
    kill_when: Callable[[], bool] = lambda: False,
) -> Ran:  # fmt: skip
    """Run a job to its end, or to its death by signal 9, which it gets when it is time or has taken `limit` seconds."""
    out.mkdir(exist_ok=True)
    environment = {
        **os.environ,
        "PATH": f"{tool.programs}:{os.environ['PATH']}",
        # No telemetry, and no list of prices from the network.
        "TELEMETRY_ENABLED": "false",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "HF_HUB_OFFLINE": "1",
        "HOME": str(out.parent),
    }
    talk = out.parent / "talk"
    with talk.open("ab") as file:
        started = time.monotonic()
        job = subprocess.Popen(
            [*tool.command, str(questions), str(out), base_url, model],
            stdout=file, stderr=file, env=environment, cwd=out, start_new_session=True,
        )  # fmt: skip
        peak, fault, looked = 0, "", started
        while not (end := os.wait4(job.pid, os.WNOHANG))[0]:
            time.sleep(0.02)
            if kill_when() or time.monotonic() - started > limit:
                fault = "killed"
                kill(job.pid)
            elif time.monotonic() - looked > 0.5:
                looked = time.monotonic()
                peak = max(peak, sum(map(_share_of_memory, [job.pid, *started_by(job.pid)])))
        ended = time.monotonic()
    _, status, usage = end
    job.returncode = os.waitstatus_to_exitcode(status)
    if job.returncode and not fault:
        fault = f"exit {job.returncode}: {talk.read_text(errors='replace')[-800:]}"
    return Ran(started, ended, usage.ru_utime + usage.ru_stime, peak / 1024, fault)


def kill(job: int) -> None:
    for pid in [job, *started_by(job)]:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _share_of_memory(pid: int) -> int:
    """KiB of a process; what several have in common is divided among them (PSS)."""
    with suppress(OSError):
        if found := re.search(r"^Pss: *(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE):
            return int(found[1])
    return 0


def accepted(out: Path) -> list[str]:
    files = [out / "accepted.jsonl"] if (out / "accepted.jsonl").exists() else sorted((out / "accepted").glob("*"))
    return [line for file in files for line in file.read_text().splitlines()]


def write_questions(folder: Path, rows: int) -> Path:
    """Questions that the loopback server answers, three of four correctly, and the system prompt beside them."""
    path = folder / "questions.jsonl"
    with path.open("w") as file:
        for number in range(rows):
            answer = OTHER if number % 4 == 3 else RIGHT
            row = {"id": f"order-{number}", "question": QUESTION.format(number, "plain"), "answer": f"#### {answer}"}
            file.write(json.dumps(row) + "\n")
    return _with_system_prompt(path)


def repeat_examples(folder: Path, rows: int) -> Path:
    """So many example questions, one after the other and from the first again, each under an id of its own."""
    path = folder / "questions.jsonl"
    examples = [json.loads(line) for line in EXAMPLES.read_text().splitlines()]
    repeated = ({**examples[number % len(examples)], "id": f"question-{number}"} for number in range(rows))
    path.write_text("".join(json.dumps(row) + "\n" for row in repeated))
    return _with_system_prompt(path)


def _with_system_prompt(questions: Path) -> Path:
    """What `synth reject sample --prompt chat` tells a model, for the jobs that have to say it themselves."""
    text = (ROOT / "pipelines" / "reject" / "prompts" / "chat.md").read_text()
    system = text.removeprefix("# system\n").split("\n# user\n")[0].strip()
    questions.with_name("system.txt").write_text(system)
    return questions


def sample(tool: Tool, questions: Path, rows: int, rounds: Rounds) -> None:
    with scratch() as folder, serving(DELAY) as server:
        out = folder / "out"
        ran = run(tool, questions, out, server.base_url, "loopback", 600)
        kept, right = len(accepted(out)), rows - rows // 4
        counts = server.counts()
    if ran.fault or kept != right * SAMPLES:
        rounds.fail(tool, ran.fault or f"{kept} rows came out instead of {right * SAMPLES}")
        return
    note(
        tool,
        rounds,
        start_up=counts["first"] - ran.started,
        rate=rows * SAMPLES / (ran.ended - counts["first"]),
        seconds=ran.seconds,
        cpu=1000 * ran.cpu / (rows * SAMPLES),
        peak=ran.peak,
        requests=counts["requests"],
        in_flight=counts["peak"],
    )


def note(tool: Tool, rounds: Rounds, **figures: float) -> None:
    """Keep the figures of a job, and say them at once, for the table comes late."""
    rounds.add(tool, **figures)
    say(f"{tool.name}: " + ", ".join(f"{name} {value:,.5g}" for name, value in figures.items()))


def kill_and_resume(tool: Tool, questions: Path, rows: int, rounds: Rounds) -> None:
    half = rounds.figure(tool, "requests") / 2
    limit = 60 + rounds.figure(tool, "seconds")
    with scratch() as folder, serving(DELAY) as server:
        out = folder / "out"
        run(tool, questions, out, server.base_url, "loopback", 600, lambda: server.counts()["requests"] >= half)
        before = server.counts()["requests"]
        resumed = run(tool, questions, out, server.base_url, "loopback", limit)
        asked = server.asked()
        of_order = Counter(found[1] for line in accepted(out) if (found := re.search(r"Order (\d+) ", line)))
    right = [str(number) for number in range(rows) if number % 4 != 3]
    if resumed.fault:
        say(f"{tool.name} again: {resumed.fault}")
    note(
        tool,
        rounds,
        killed_after=before,
        hung=resumed.fault == "killed",
        lost=sum(max(0, SAMPLES - of_order[order]) for order in right),
        doubled=sum(max(0, of_order[order] - SAMPLES) for order in right),
        again=sum(max(0, answers - SAMPLES) for answers in asked.values()),
    )


def batch(tool: Tool, questions: Path, rows: int, base_url: str, rounds: Rounds) -> None:
    with scratch() as folder:
        out = folder / "out"
        ran = run(tool, questions, out, base_url, "tiny", 600)
        kept = len(accepted(out))
    if ran.fault or not kept:
        say(f"{tool.name} with vLLM failed: {ran.fault or 'nothing was accepted'}")
        return
    note(tool, rounds, vllm=rows * SAMPLES / ran.seconds, vllm_kept=kept / (rows * SAMPLES), vllm_peak=ran.peak)


@contextmanager
def vllm() -> Iterator[str]:
    """A server of the embedded model, as anybody would start it on a machine without a GPU.

    On CPUs vLLM ends at a request with a seed if its prompt is split (chunked prefill).
    """
    command = [
        sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(ROOT / "pipelines/engines/tiny"),
        "--served-model-name", "tiny", "--port", "8017", "--enforce-eager", "--no-enable-prefix-caching",
        "--max-num-seqs", "256", "--no-enable-chunked-prefill", "--disable-log-stats", "--disable-uvicorn-access-log",
    ]  # fmt: skip
    say("starting vLLM")
    with scratch() as folder, (folder / "talk").open("wb") as talk:
        environment = {**os.environ, "VLLM_CPU_KVCACHE_SPACE": "1"}
        server = subprocess.Popen(command, stdout=talk, stderr=talk, env=environment, start_new_session=True)
        try:
            while not _answers("http://127.0.0.1:8017/health"):
                if server.poll() is not None:
                    raise SystemExit(f"vLLM does not start: {(folder / 'talk').read_text()[-2000:]}")
                time.sleep(0.5)
            yield "http://127.0.0.1:8017/v1"
        finally:
            kill(server.pid)
            server.wait()


def _answers(url: str) -> bool:
    with suppress(OSError), urlopen(url) as answer:
        return bool(answer.status == 200)
    return False


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--questions", type=int, default=1_000, help="for jobs 1 and 3; 0 leaves them out")
    arguments.add_argument("--vllm-questions", type=int, default=160, help="for job 2; 0 leaves it out")
    arguments.add_argument("--rounds", type=int, default=1, help="each tool once a round; medians are shown")
    arguments.add_argument("--only", action="append", help="a tool to run alone")
    arguments.add_argument("--peers", type=Path, default=ROOT / ".venv-peers", help="the environment of `make peers`")
    arguments.add_argument(
        "--data-juicer", type=Path, default=ROOT / ".venv-peers-data-juicer", help="that of data-juicer"
    )
    given = arguments.parse_args()
    entered = tools(given.peers.absolute() / "bin", given.data_juicer.absolute() / "bin")
    entered = [tool for tool in entered if not given.only or tool.name in given.only]
    in_process = tool("synth, vLLM in process", "synth_in_process.sh")
    rounds = Rounds()

    def turns(number: int, of: list[Tool], what: str) -> Iterator[Tool]:
        for entrant in reversed(of) if number % 2 else of:
            if not rounds.problem(entrant):
                say(f"round {number + 1}: {entrant.name}, {what}")
                yield entrant

    with scratch() as folder:
        questions = write_questions(folder, given.questions)
        for number in range(given.rounds if given.questions else 0):
            for entrant in turns(number, entered, "a server with a fixed latency"):
                sample(entrant, questions, given.questions, rounds)
            for entrant in turns(number, entered, "kill -9"):
                kill_and_resume(entrant, questions, given.questions, rounds)
    if given.questions:
        print_table(
            f"Four answers to each of {given.questions:,} questions, and the right ones kept",
            ["tool", "lines", "start-up, s", "rows/s", "synth is faster by", "CPU s/1k", "CPU less by", "in flight",
             "peak MiB", "lost", "doubled", "asked again"],
            [[entrant.name, *figures(entrant, rounds, entered[0])] for entrant in entered],
        )  # fmt: skip
    if rows := given.vllm_questions:
        with scratch() as folder:
            examples = repeat_examples(folder, rows)
            for _ in range(given.rounds):
                say("synth, vLLM in process")
                batch(in_process, examples, rows, "-", rounds)
            with vllm() as base_url:
                for number in range(given.rounds):
                    for entrant in turns(number, entered, "vLLM"):
                        batch(entrant, examples, rows, base_url, rounds)
        print_table(
            f"The same of a real vLLM, {rows} questions",
            ["tool", "answers/s", "synth is faster by", "accepted", "peak MiB"],
            [[entrant.name, *batch_figures(entrant, rounds, entered[0])] for entrant in [*entered, in_process]],
        )


def figures(tool: Tool, rounds: Rounds, synth: Tool) -> list[str]:
    if problem := rounds.problem(tool):
        return [f"{tool.lines}", problem, *"---------"]

    return [
        f"{tool.lines}",
        f"{rounds.figure(tool, 'start_up'):.1f}",
        f"{rounds.figure(tool, 'rate'):,.0f}",
        multiple(rounds.ratio(synth, tool, "rate")),
        f"{rounds.figure(tool, 'cpu'):.2f}",
        multiple(rounds.ratio(tool, synth, "cpu")),
        f"{rounds.figure(tool, 'in_flight'):.0f}",
        f"{rounds.figure(tool, 'peak'):,.0f}",
        f"{rounds.figure(tool, 'lost'):,.0f}" + (" (hung)" if rounds.figure(tool, "hung") else ""),
        f"{rounds.figure(tool, 'doubled'):,.0f}",
        f"{rounds.figure(tool, 'again'):,.0f}",
    ]


def batch_figures(tool: Tool, rounds: Rounds, synth: Tool) -> list[str]:
    rate = rounds.figure(tool, "vllm")
    if problem := rounds.problem(tool) or ("failed" if rate != rate else ""):
        return [problem, *"---"]
    faster = multiple(rounds.ratio(synth, tool, "vllm"))
    return [
        f"{rate:.1f}",
        faster,
        f"{rounds.figure(tool, 'vllm_kept'):.0%}",
        f"{rounds.figure(tool, 'vllm_peak'):,.0f}",
    ]


if __name__ == "__main__":
    main()
