"""`synth run-code`: call a function of a file in the sandbox."""

import ast
import io
import json
import shlex
import sys
import tokenize
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from synth.cli.commands import with_options
from synth.cli.readable import shortened
from synth.cli.rendering import DataConsole, literal
from synth.pipelines.runtime.backends import SandboxSpec
from synth.pipelines.runtime.declared import path
from synth.schemas.phrases import plural

if TYPE_CHECKING:
    from synth.pipelines.case2code.signature import Signature
    from synth.sandbox.pool import Sandbox
    from synth.sandbox.program import Program
    from synth.sandbox.verdict import Outcome, Verdict

__all__ = ["run_code"]

# What each status means for the program.
MEANINGS = {
    "ok": "it answered every call",
    "load_error": "it could not be loaded",
    "timeout": "it ran out of time and was stopped",
    "output_limit": "it wrote more than the limit and was stopped",
    "killed": "something outside the sandbox killed it",
    "crashed": "a signal ended it: a fault, an abort or a forbidden system call",
    "no_exit": "it closed its result socket but did not exit",
    "missing": "it exited before it had answered every call",
    "malformed": "it wrote something other than answers",
    "quarantined": "the sandbox itself failed twice on it",
    "refused": "it was not run",
}
LONGEST_SHOWN = 500


@dataclass(frozen=True)
class Call:
    """The source of a call and its arguments."""

    text: str
    args: list[Any]
    kwargs: dict[str, Any]


@dataclass(frozen=True)
class CodeRun:
    """The verdict on a program, and that on its second run if `--repeat` is given and the first run was ok."""

    sandbox: dict[str, Any]
    verdict: "Verdict"
    again: "Verdict | None"

    def differs(self, index: int) -> bool:
        from synth.sandbox.values import equal

        if self.again is None or self.again.status != "ok":
            return False
        one, other = self.verdict.outcomes[index], self.again.outcomes[index]
        assert one is not None
        assert other is not None
        return one.kind != other.kind or not equal(one.data, other.data)

    @property
    def is_ok(self) -> bool:
        runs_ok = self.verdict.status == "ok" and (self.again is None or self.again.status == "ok")
        return runs_ok and not any(map(self.differs, range(len(self.verdict.outcomes))))


@with_options
def run_code(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A Python file, or - for standard input.")],
    entry: Annotated[
        str | None, typer.Option(metavar="NAME", help="The function to call; by default the last one.")
    ] = None,
    given: Annotated[
        list[str] | None,
        typer.Option("--input", metavar="ARGUMENTS", help="The arguments of a call, such as 3, b='x'. Repeatable."),
    ] = None,
    seconds: Annotated[float, typer.Option(min=0.1, metavar="SECONDS", help="Time limit for all calls.")] = 5.0,
    memory_mb: Annotated[int, typer.Option(min=64, metavar="MB", help="Memory limit of the program.")] = 512,
    repeat: Annotated[
        bool, typer.Option("--repeat", help="Run again with other seeds, in reverse order, and show differences.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    *,
    sandbox: SandboxSpec,
) -> None:
    """Call a function of a Python file in the sandbox, and show what it returns.

    The exit code is 0 if it answers every call and --repeat finds no difference, else 1.
    """
    import asyncio

    from synth.sandbox.program import Program
    from synth.sandbox.verdict import Limits

    code = _source(file)
    signature, name = _function(code, entry, file)
    calls = [_read(text, name) for text in given or []] or [_no_arguments(signature, name)]
    limits = Limits(seconds=seconds, memory_mb=memory_mb)
    program = Program.of(code, name, [(call.args, call.kwargs) for call in calls], limits)
    result = asyncio.run(_run(sandbox.open(), program, repeat=repeat))
    if as_json:
        print(json.dumps(_document(file, name, calls, result), ensure_ascii=False))
    else:
        _print(file, name, calls, result)
    if not result.is_ok:
        raise typer.Exit(1)


async def _run(sandbox: "Sandbox", program: "Program", *, repeat: bool) -> CodeRun:
    from msgspec.structs import asdict, replace

    async with sandbox:
        verdict = await sandbox.answer(program)
        again = None
        if repeat and verdict.status == "ok":
            again = await sandbox.answer(replace(program, profile=1, reverse=True))
        return CodeRun({**(sandbox.record() or {}), "limits": asdict(program.limits)}, verdict, again)


def _source(file: str) -> str:
    from synth.schemas.errors import InputError

    try:
        content = sys.stdin.buffer.read() if file == "-" else path(file).read_bytes()
        # The declared encoding, as Python detects it.
        encoding, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
        return content.decode(encoding)
    except OSError as error:
        raise InputError(f"{file}: {error.strerror}") from error
    except (SyntaxError, UnicodeDecodeError):
        raise InputError(f"{file} is not text in UTF-8 or its declared encoding") from None


def _function(code: str, entry: str | None, file: str) -> "tuple[Signature | None, str]":
    """The signature and the name of the function; no signature if it cannot be parsed."""
    from synth.pipelines.case2code.signature import read_signature
    from synth.pipelines.runtime.stage import Reject
    from synth.schemas.errors import InputError

    try:
        defined = [node for node in ast.parse(code).body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None, entry or "f"
    if not (entry or defined):
        raise InputError(f"{file} defines no function: name the one to call with --entry")
    name = entry or defined[-1].name
    try:
        return read_signature(code, name), name
    except Reject:
        return None, name


def _read(text: str, name: str) -> Call:
    from synth.pipelines.case2code.literals import Unreadable, read_value
    from synth.schemas.errors import UsageError

    shown = f"--input {text[:80]}"
    try:
        call = ast.parse(f"f({text}\n)", mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        call = ast.Constant(None)
    names = [keyword.arg for keyword in call.keywords] if isinstance(call, ast.Call) else []
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or len(set(names)) < len(names):
        raise UsageError(f"{shown}: not the arguments of a call, such as 3, [1, 2] or a=1, b='x'")
    if None in names or any(isinstance(argument, ast.Starred) for argument in call.args):
        raise UsageError(f"{shown}: * and ** cannot be used: list the arguments")
    try:
        args = [read_value(argument) for argument in call.args]
        kwargs = {str(keyword.arg): read_value(keyword.value) for keyword in call.keywords}
    except Unreadable as unreadable:
        raise UsageError(f"{shown}: {unreadable.detail}") from None
    return Call(ast.unparse(ast.Call(ast.Name(name), call.args, call.keywords)), args, kwargs)


def _no_arguments(signature: "Signature | None", name: str) -> Call:
    from synth.schemas.errors import UsageError

    required = [parameter.name for parameter in signature.parameters if parameter.required] if signature else []
    if signature and required:
        raise UsageError(f"{name} needs {', '.join(required)}: try --input {_example(signature, required)}")
    return Call(f"{name}()", [], {})


def _example(signature: "Signature", required: Sequence[str]) -> str:
    """Arguments of the types that the function seems to expect, quoted for the shell."""
    from random import Random

    from synth.pipelines.case2code.drawing import draw_calls
    from synth.pipelines.case2code.expectation import expectations
    from synth.pipelines.case2code.literals import write_value
    from synth.pipelines.runtime.stage import Reject

    try:
        (call,) = draw_calls(signature, expectations(signature), Random(0), 1, set())
    except Reject:
        call = dict.fromkeys(required, 0)
    by_name = {parameter.name: parameter.by_name for parameter in signature.parameters}
    text = ", ".join(
        f"{name}={write_value(value)}" if by_name[name] else write_value(value) for name, value in call.items()
    )
    return f'"{text}"' if "'" in text and not set('"$`\\!').intersection(text) else shlex.quote(text)


def _document(file: str, name: str, calls: Sequence[Call], result: CodeRun) -> dict[str, Any]:
    return {
        "file": file,
        "entry": name,
        "sandbox": result.sandbox,
        **_verdict(result.verdict, calls),
        **({"again": _verdict(result.again, calls)} if result.again else {}),
    }


def _verdict(verdict: "Verdict", calls: Sequence[Call]) -> dict[str, Any]:
    return {
        "status": verdict.status,
        "detail": verdict.detail,
        "wall_seconds": round(verdict.wall_seconds, 6),
        "cpu_seconds": round(verdict.cpu_seconds, 6),
        "max_rss_kb": verdict.max_rss_kb,
        "calls": [
            {"call": call.text, **({outcome.kind: _data(outcome)} if outcome else {})}
            for call, outcome in zip(calls, verdict.outcomes, strict=True)
        ],
    }


def _data(outcome: "Outcome") -> str:
    from synth.sandbox.values import shown

    return shown(outcome.data) if outcome.kind == "value" else str(outcome.data)


def _print(file: str, name: str, calls: Sequence[Call], result: CodeRun) -> None:
    console = DataConsole()
    verdict, again = result.verdict, result.again
    source = "standard input" if file == "-" else literal(file)
    console.print(Text.assemble((literal(name), "bold"), f" of {source}, in a {result.sandbox['jail']} jail"))
    console.print(_status_text(verdict))
    console.print(
        f"{verdict.wall_seconds:.3f} s, {verdict.cpu_seconds:.3f} s of CPU time, {verdict.max_rss_kb / 1024:.1f} MB",
        style="dim",
    )
    console.print()
    for index, (call, outcome) in enumerate(zip(calls, verdict.outcomes, strict=True)):
        line = Text.assemble((_cut(call.text), "cyan"), (" → ", "dim"), _outcome_text(outcome))
        if again is not None and result.differs(index):
            line.append(", in the second run ", "yellow").append_text(_outcome_text(again.outcomes[index]))
        console.print(line)
    if again is not None:
        console.print()
        console.print(_comparison(result, again))


def _status_text(verdict: "Verdict") -> Text:
    detail = f" ({literal(verdict.detail)})" if verdict.detail else ""
    style = "bold green" if verdict.status == "ok" else "bold red"
    return Text.assemble((verdict.status, style), f": {MEANINGS[verdict.status]}{detail}")


def _outcome_text(outcome: "Outcome | None") -> Text:
    if outcome is None:
        return Text("not reached", "dim")
    match outcome.kind:
        case "value":
            return Text(_cut(_data(outcome)))
        case "exception":
            return Text(f"raises {_cut(_data(outcome))}", "red")
        case "unencodable":
            return Text(f"unencodable: {_cut(_data(outcome))}", "yellow")


def _comparison(result: CodeRun, again: "Verdict") -> Text:
    how = "second run in another process, in reverse order, with other seeds"
    how += " and another clock" * bool(result.sandbox.get("clock_shift"))
    if again.status != "ok":
        return Text.assemble((f"{how}: ", "yellow"), _status_text(again))
    if different := sum(map(result.differs, range(len(again.outcomes)))):
        return Text(f"{how}: {different} of {plural(len(again.outcomes), 'call')} differ", "yellow")
    return Text(f"{how}: same results", "green")


def _cut(text: str) -> str:
    return literal(shortened(text, LONGEST_SHOWN))
