"""Calls of tools in the forms that models write them in. Nothing of a reply is evaluated."""

import ast
import json
import re
import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Any

from synth.pipelines.runtime.stage import Reject
from synth.pipelines.runtime.text.fences import without_fence

__all__ = ["ToolCall", "calls_in", "parsed", "read_calls", "written"]

BLOCK = re.compile(r"<tool_call>(.*?)(?:</tool_call>|\Z)", re.DOTALL)
# How JSON begins that may be a call or a list of calls, and what stands between calls.
JSON_START = re.compile(r'\[\s*\{|\{\s*"')
BETWEEN = re.compile(r"[\s,;]*")
# In a long reply of brackets, no more places than this are tried.
MOST_STARTS = 200
IDENTIFIER = r"[A-Za-z_][\w.]*"
CONSTANTS = {"true": True, "false": False, "null": None}
QUOTES_AND_BRACKETS = re.compile(r"\\.|[\"'()]", re.DOTALL)


@dataclass(frozen=True)
class ToolCall:
    """A tool by its name, and its arguments by theirs: JSON values."""

    name: str
    arguments: Mapping[str, Any]


def written(calls: Sequence[ToolCall]) -> str:
    """The calls as a JSON list of objects with `name` and `arguments`, on one line."""
    return json.dumps([{"name": call.name, "arguments": call.arguments} for call in calls], ensure_ascii=False)


def parsed(text: str) -> Any:
    """The JSON value in a text, also if it is JSON text in turn, as datasets have it. Raises `ValueError`."""
    try:
        value = _DECODER.decode(text)
        return parsed(value) if isinstance(value, str) and value.lstrip().startswith(("[", "{")) else value
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def read_calls(reply: str, known: Collection[str]) -> tuple[ToolCall, ...]:
    """The calls in a reply, none if it makes none; `known` are the names of the tools that were offered.

    The first of these forms that the reply has is read, so that a call is found once: blocks between `<tool_call>` and
    `</tool_call>`; JSON, as an object, a list, or one object after the other; calls as Python writes them,
    `[f(x=1), g(y='a')]`, whose names may contain blanks if they are known. JSON and a list in brackets may stand in
    prose, and so may calls of known tools without brackets.

    Raises `Reject`: `not_a_call` for a block that cannot be read, `bad_arguments` if arguments have no names, or values
    that are not literals.
    """
    calls = _in_blocks(reply, known) or _in_json(without_fence(reply), known) or _in_python(reply, known)
    try:
        # NaN, and half of a surrogate pair, which cannot be stored.
        json.dumps([call.arguments for call in calls], allow_nan=False, ensure_ascii=False).encode()
        "".join(call.name for call in calls).encode()
    except (ValueError, RecursionError) as error:
        raise Reject("bad_arguments", f"they cannot be written as JSON: {error}") from None
    return calls


def calls_in(value: Any, known: Collection[str] = ()) -> tuple[ToolCall, ...] | None:
    """The calls that a JSON value is, in any of the layouts in use; None if it is something else.

    An object has a `name` and `arguments` (or `parameters`, `args`), which may be JSON text, as it is or as the
    `function` of another object; or it has the arguments under the name of a known tool.
    """
    if isinstance(value, list):
        found = [calls_in(item, known) for item in value]
        return None if None in found else tuple(call for calls in found for call in calls or ())
    if not isinstance(value, dict):
        return None
    if isinstance(value.get("tool_calls"), list):
        return calls_in(value["tool_calls"], known)
    if isinstance(value.get("function"), dict):
        return calls_in(value["function"], known)
    name = value.get("name", value.get("function"))
    key = next((key for key in ("arguments", "parameters", "args") if key in value), None)
    # With a description, it is a definition of the tool.
    if isinstance(name, str) and "description" not in value and (key or name in known):
        return (ToolCall(name, _arguments(name, value[key] if key else {})),)
    if len(value) == 1 and next(iter(value)) in known:
        ((name, arguments),) = value.items()
        return (ToolCall(name, _arguments(name, arguments)),)
    return None


def _arguments(name: str, given: Any) -> Mapping[str, Any]:
    if isinstance(given, str):
        try:
            given = parsed(given)
        except ValueError:
            raise Reject("bad_arguments", f"those of {name} are not JSON: {given!r:.200}") from None
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise Reject("bad_arguments", f"those of {name} are no object: {given!r:.200}")
    return given


def _in_blocks(reply: str, known: Collection[str]) -> tuple[ToolCall, ...]:
    found: list[ToolCall] = []
    for block in BLOCK.finditer(reply):
        calls = _in_json(block[1], known)
        if not calls:
            raise Reject("not_a_call", f"this is not a call in JSON: {block[0]!r:.200}")
        found += calls
    return tuple(found)


def _in_json(text: str, known: Collection[str]) -> tuple[ToolCall, ...]:
    """The first JSON value that is calls, and those that follow it with nothing between them."""
    found: list[ToolCall] = []
    end = 0
    for start in islice(JSON_START.finditer(text), MOST_STARTS):
        if start.start() < end:
            continue
        if found and not BETWEEN.fullmatch(text, end, start.start()):
            break
        try:
            value, after = _DECODER.raw_decode(text, start.start())
        except (ValueError, RecursionError):
            continue
        calls = calls_in(value, known)
        if calls:
            found += calls
            end = after
    return tuple(found)


def _in_python(reply: str, known: Collection[str]) -> tuple[ToolCall, ...]:
    name, known_name, opened = _names(frozenset(known))
    text = without_fence(reply).strip()
    if (whole := _sequence(text, 0, name, known)) and whole[1] == len(text):
        return whole[0]
    for bracket in islice(opened.finditer(text), MOST_STARTS):
        listed = _sequence(text, bracket.start(), name, known)
        if listed and text[listed[1] - 1] == "]":
            return listed[0]
    return tuple(_mentioned(text, known_name, known)) if known else ()


@lru_cache(maxsize=256)
def _names(known: frozenset[str]) -> tuple[re.Pattern[str], re.Pattern[str], re.Pattern[str]]:
    """Patterns of any name before its `(`, of a known one in prose, and of a bracket before any."""
    # The longest first: one name may begin like another.
    listed = "|".join(re.escape(name) for name in sorted(known, key=lambda name: (-len(name), name))) or r"(?!)"
    name = rf"((?:{listed})|{IDENTIFIER})\s*(?=\()"
    return re.compile(name), re.compile(rf"(?<![\w.])({listed})(?=\()"), re.compile(rf"\[\s*(?={name})")


def _sequence(
    text: str, start: int, name: re.Pattern[str], known: Collection[str]
) -> tuple[tuple[ToolCall, ...], int] | None:
    """Calls one after the other from `start` on, in brackets or not, and where they end; None if there are none."""
    calls: list[ToolCall] = []
    at = start + text.startswith("[", start)
    while found := name.match(text, BETWEEN.match(text, at).end()):  # type: ignore[union-attr]  # it may be empty
        read = _python_call(text, found, known)
        if read is None:
            return None
        calls.append(read[0])
        at = read[1]
    if text.startswith("[", start):
        closing = BETWEEN.match(text, at).end()  # type: ignore[union-attr]
        if not text.startswith("]", closing):
            return None
        at = closing + 1
    return (tuple(calls), at) if calls else None


def _mentioned(text: str, name: re.Pattern[str], known: Collection[str]) -> Iterator[ToolCall]:
    end = 0
    for found in name.finditer(text):
        if found.start() >= end and (read := _python_call(text, found, known)):
            yield read[0]
            end = read[1]


def _python_call(text: str, name: re.Match[str], known: Collection[str]) -> tuple[ToolCall, int] | None:
    """The call whose name is matched, and where it ends; None if it is unknown and what follows is no arguments."""
    end = _closed(text, name.end())
    try:
        if end is None:
            raise ValueError("they do not end")
        return ToolCall(name[1], _python_arguments(text[name.end() : end])), end
    except (ValueError, SyntaxError, RecursionError, MemoryError) as error:
        if name[1] in known:
            raise Reject("bad_arguments", f"those of {name[1]} cannot be read: {error}") from None
        return None


def _closed(text: str, start: int) -> int | None:
    """Where the parenthesis at `start` ends, strings aside; None if it does not."""
    depth, quote = 0, ""
    for mark in QUOTES_AND_BRACKETS.finditer(text, start):
        if quote or mark[0] in "\"'":
            if mark[0] == quote:
                quote = ""
            elif not quote:
                quote = mark[0]
        elif mark[0] in "()":
            depth += 1 if mark[0] == "(" else -1
            if not depth:
                return mark.end()
    return None


def _python_arguments(text: str) -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        call = ast.parse(f"f{text}", mode="eval").body
    if not isinstance(call, ast.Call) or call.args:
        raise ValueError("an argument has no name")
    arguments = {keyword.arg: _literal(keyword.value) for keyword in call.keywords if keyword.arg}
    if len(arguments) < len(call.keywords):
        raise ValueError("an argument has no name, or one that another has")
    return arguments


def _literal(node: ast.expr) -> Any:
    """The JSON value that a literal is; tuples are lists, and `true`, `false` and `null` what they are in JSON."""
    match node:
        case ast.Constant(str() | int() | float() | None as value):
            return value
        case ast.Name(name) if name in CONSTANTS:
            return CONSTANTS[name]
        case ast.List(items) | ast.Tuple(items):
            return [_literal(item) for item in items]
        case ast.Dict(keys, values) if all(isinstance(key, ast.Constant) and type(key.value) is str for key in keys):
            return {key.value: _literal(value) for key, value in zip(keys, values, strict=True)}  # type: ignore[union-attr]
        case ast.UnaryOp(ast.USub(), ast.Constant(int() | float() as number)) if type(number) is not bool:
            return -number
    raise ValueError(f"{ast.unparse(node):.80} is not a literal")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError("it has a key twice")
    return made


def _constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON value")


# Line breaks inside strings are allowed, which JSON forbids and models write.
_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant, strict=False)
