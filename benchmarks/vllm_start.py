"""How much later than bare `LLM(...)` vLLM is ready under `synth reject sample`: both in new processes, in turns.

Seconds count from exec until the engine could take its first request, on the clock that all processes share. Both have
the same settings and the same environment. Beside them stand the seconds of CPU until then, which say more on a busy
machine, and the top-level packages that synth has loaded by then and bare vLLM has not.

    vllm_start.py                                             the embedded model
    vllm_start.py --model DIR --engine-arg load_format=dummy  another one
"""

import argparse
import json
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

from contest import ROOT, parser, print_table, run_apart, say, scratch

SIDES = ("bare LLM", "synth")
# As `set_environment` of synth's engine sets them, for both.
ENVIRONMENT = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "TOKENIZERS_PARALLELISM": "false",
}
TINY = ROOT / "pipelines" / "engines" / "tiny"


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--model", default="tiny")
    arguments.add_argument("--engine-arg", action="append", default=[], metavar="NAME=VALUE")
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--inside", choices=SIDES, help=argparse.SUPPRESS)
    arguments.add_argument("--out", help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.inside:
        {"bare LLM": start_bare, "synth": start_synth}[given.inside](given)
        return
    reports: dict[str, list[dict[str, Any]]] = {side: [] for side in SIDES}
    with scratch() as folder:
        for number in range(given.rounds):
            # Who goes first alternates, for what one leaves behind the other finds.
            for side in SIDES if number % 2 else reversed(SIDES):
                reports[side].append(started(side, given, folder / f"out-{number}"))
    table = []
    for side in SIDES:
        seconds, cpu = ([one[name] for one in reports[side]] for name in ("seconds", "cpu"))
        table.append(
            [side, f"{median(seconds):.2f}", f"{min(seconds):.2f}", f"{max(seconds):.2f}", f"{median(cpu):.2f}"]
        )
    later, more = (
        [mine[name] - bare[name] for bare, mine in zip(*(reports[side] for side in SIDES), strict=True)]
        for name in ("seconds", "cpu")
    )
    table.append(
        ["synth - bare", f"{median(later):+.2f}", f"{min(later):+.2f}", f"{max(later):+.2f}", f"{median(more):+.2f}"]
    )
    columns = ["until the engine is ready", "median, s", "fastest", "slowest", "CPU, s"]
    print_table(f"Start of vLLM with {given.model}, {given.rounds} rounds", columns, table)
    bare, synths = (set(reports[side][-1]["packages"]) for side in SIDES)
    print(f"loaded by synth alone: {', '.join(sorted(synths - bare))}")
    print(f"loaded by bare vLLM alone: {', '.join(sorted(bare - synths))}")


def started(side: str, given: argparse.Namespace, out: Path) -> dict[str, Any]:
    """What a process of one side reports: when its engine was ready, what that cost, what was loaded."""
    more = [word for arg in given.engine_arg for word in ("--engine-arg", arg)]
    command = [sys.executable, __file__, "--inside", side, "--model", given.model, "--out", str(out), *more]
    before = time.monotonic()
    outcome = run_apart(command, **ENVIRONMENT)
    if outcome.fault:
        raise SystemExit(f"{side}: {outcome.fault}")
    report = outcome.report
    report["seconds"] = report["ready"] - before
    say(f"{side}: {report['seconds']:.2f} s, {report['cpu']:.2f} s of CPU")
    return report


def ready() -> None:
    packages = sorted({name.partition(".")[0] for name in sys.modules})
    print(json.dumps({"ready": time.monotonic(), "cpu": time.process_time(), "packages": packages}), flush=True)


def start_bare(given: argparse.Namespace) -> None:
    from vllm import LLM
    from vllm.platforms import current_platform

    # As synth's engine sets them where nothing else is given.
    flags = Path("/proc/cpuinfo").read_text()
    on_cpu = {
        "dtype": "auto" if "bf16" in flags else "float32", "enforce_eager": True, "enable_chunked_prefill": False,
    }  # fmt: skip
    schemas = {"backend": "xgrammar", "disable_any_whitespace": True}
    LLM(
        str(TINY) if given.model == "tiny" else given.model,
        **(on_cpu if current_platform.is_cpu() else {}),
        structured_outputs_config=schemas,
        use_tqdm_on_load=False,
        **{name: _value(text) for name, _, text in (arg.partition("=") for arg in given.engine_arg)},
    )
    ready()


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def start_synth(given: argparse.Namespace) -> None:
    """The command, with an engine that says when it has started."""
    from synth.cli.main import main as synth
    from synth.pipelines.engines.registry import ENGINES

    opened = ENGINES["vllm"]

    def telling(*spec: Any) -> Any:
        engine: Any = opened(*spec)
        start = engine.start

        async def start_and_tell() -> None:
            await start()
            ready()

        engine.start = start_and_tell
        return engine

    ENGINES["vllm"] = telling
    questions = str(ROOT / "examples" / "questions.jsonl")
    more = [word for arg in given.engine_arg for word in ("--engine-arg", arg)]
    sys.argv[1:] = ["reject", "sample", questions, given.out, "--model", given.model, "--limit", "1"]
    sys.argv += ["-n", "1", "--max-tokens", "1", *more]
    synth()


if __name__ == "__main__":
    main()
