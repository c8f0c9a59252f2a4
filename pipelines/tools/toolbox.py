"""The tools that a task offers: their schemas, and which calls of them are the same."""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any
from unicodedata import normalize

from synth.pipelines.runtime.stage import Reject
from synth.pipelines.tools.calls import ToolCall, parsed

__all__ = ["Toolbox"]

JSON_TYPES = frozenset({"object", "array", "string", "number", "integer", "boolean", "null"})
# What published tools call these types.
OTHER_TYPES = {
    **dict.fromkeys(("dict", "hashmap", "map"), "object"),
    **dict.fromkeys(("list", "tuple", "set"), "array"),
    **dict.fromkeys(("str", "char", "text"), "string"),
    **dict.fromkeys(("int", "long"), "integer"),
    **dict.fromkeys(("float", "double"), "number"),
    "bool": "boolean",
}
# Members of a schema that hold values, not schemas.
VALUES = frozenset({"default", "enum", "const", "example", "examples"})


@dataclass(frozen=True)
class Tool:
    """A tool as the data describes it, and the JSON schema of its arguments."""

    given: Mapping[str, Any]
    schema: Mapping[str, Any]

    @property
    def name(self) -> str:
        return str(self.given["name"])

    @cached_property
    def defaults(self) -> Mapping[str, Any]:
        """The values that optional arguments have if they are missing."""
        properties: Mapping[str, Any] = self.schema["properties"]
        required = self.schema.get("required") or ()
        return {
            name: schema["default"]
            for name, schema in properties.items()
            if isinstance(schema, dict) and "default" in schema and name not in required
        }

    def fault(self, arguments: Mapping[str, Any]) -> str | None:
        """What is wrong with the arguments by the schema; None if nothing is, or the schema cannot tell."""
        from jsonschema.validators import Draft202012Validator
        from referencing import Registry
        from referencing.exceptions import Unresolvable

        try:
            # With a registry of its own, it looks nothing up elsewhere.
            found = next(Draft202012Validator(self.schema, registry=Registry()).iter_errors(dict(arguments)), None)
        except (Unresolvable, RecursionError, re.error):
            return None
        return found and f"{'.'.join(map(str, found.absolute_path)) or self.name}: {found.message:.200}"


class Toolbox:
    """The tools of a task by name. Equality of calls is that of arXiv 2504.01400: of parsed calls, not of texts."""

    def __init__(self, tools: Sequence[Tool]) -> None:
        self._tools = {tool.name: tool for tool in tools}

    @classmethod
    @lru_cache(maxsize=1024)
    def read(cls, text: str) -> "Toolbox":
        """Tools in JSON: a list of objects with `name`, `description`, `parameters`, or with those as their `function`.

        Parameters are a JSON schema, or the properties of one. Raises `Reject` (`bad_tools`).
        """
        try:
            listed = parsed(text)
            return cls([_tool(item) for item in (listed if isinstance(listed, list) else [listed])])
        except (ValueError, RecursionError) as error:
            raise Reject("bad_tools", f"the tools cannot be read: {error}") from None

    @property
    def names(self) -> frozenset[str]:
        return frozenset(self._tools)

    @property
    def described(self) -> str:
        """Each tool on a line of JSON, as the data describes it."""
        return "\n".join(json.dumps(tool.given, ensure_ascii=False) for tool in self._tools.values())

    @property
    def specified(self) -> tuple[Mapping[str, Any], ...]:
        """The tools in the layout of OpenAI's API, which chat templates read."""
        return tuple(
            {"type": "function", "function": {**tool.given, "parameters": tool.schema}} for tool in self._tools.values()
        )

    def fault(self, calls: Sequence[ToolCall]) -> tuple[str, str] | None:
        """Reason and detail of the first call that cannot be made: `unknown_tool`, `bad_arguments`."""
        for call in calls:
            if call.name not in self._tools:
                return "unknown_tool", f"{call.name} is none of {', '.join(self._tools) or 'no tools'}"
            if fault := self._tools[call.name].fault(call.arguments):
                return "bad_arguments", fault
        return None

    def same(self, some: Sequence[ToolCall], others: Sequence[ToolCall], *, ordered: bool = False) -> bool:
        """Whether these are the same calls, as often, in any order or, if `ordered`, in the same.

        The order of arguments does not matter, and an optional one that is missing has its default. Numbers are equal
        by value (1 and 1.0), but a number is neither a text nor a truth value; texts are equal after Unicode
        normalization (NFC).
        """
        ones, twos = ([self._key(call) for call in calls] for calls in (some, others))
        return ones == twos if ordered else Counter(ones) == Counter(twos)

    def _key(self, call: ToolCall) -> tuple[Any, ...]:
        tool = self._tools.get(call.name)
        arguments = {**tool.defaults, **call.arguments} if tool else call.arguments
        return call.name, _key_of(arguments)


def _key_of(value: Any) -> tuple[Any, ...]:
    """A hashable value that equal values share."""
    match value:
        case None | bool():
            return "constant", value
        case int() | float():
            return "number", value
        case str():
            return "text", normalize("NFC", value)
        case list() | tuple():
            return "list", tuple(_key_of(item) for item in value)
    return "object", frozenset((normalize("NFC", name), _key_of(item)) for name, item in value.items())


def _tool(item: Any) -> Tool:
    given = item.get("function", item) if isinstance(item, dict) else None
    if not isinstance(given, dict) or not isinstance(given.get("name"), str) or not given["name"].strip():
        raise ValueError(f"this is no tool with a name: {item!r:.200}")
    given = _without_nulls(given)
    parameters = given.get("parameters", {})
    if isinstance(parameters, str):
        parameters = parsed(parameters)
    if not isinstance(parameters, dict):
        raise ValueError(f"the parameters of {given['name']} are no object: {parameters!r:.200}")
    if not isinstance(parameters.get("properties"), dict):
        # xLAM's are the properties alone.
        is_schema = parameters.get("type") in ("object", "dict")
        parameters = {"properties": {} if is_schema else parameters}
    schema = {"additionalProperties": False, **_schema(parameters), "type": "object"}
    _check(given["name"], schema)
    return Tool(given, schema)


def _check(name: str, schema: Mapping[str, Any]) -> None:
    from jsonschema.exceptions import SchemaError
    from jsonschema.validators import Draft202012Validator

    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        raise ValueError(f"the parameters of {name} are no JSON schema: {error.message:.200}") from None


def _without_nulls(value: Any) -> Any:
    """Without the members that are null only because other rows of a table have them."""
    if isinstance(value, dict):
        return {name: _without_nulls(item) for name, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


def _schema(value: Any, name: str = "") -> Any:
    """A schema with the types that JSON schemas have; a type that is none of them, such as `any`, says nothing."""
    if isinstance(value, list):
        return [_schema(item) for item in value]
    if not isinstance(value, dict):
        return value
    made = {key: item if key in VALUES and name != "properties" else _schema(item, key) for key, item in value.items()}
    if name == "properties":
        return made
    if isinstance(kind := made.get("type"), str) and kind not in JSON_TYPES:
        word = re.split(r"\W", kind.casefold())[0]
        known = OTHER_TYPES.get(word, word)
        made = {key: item for key, item in made.items() if key != "type"}
        made |= {"type": known} if known in JSON_TYPES else {}
    # Some write whether an argument is required into its own schema.
    return {key: item for key, item in made.items() if key != "required" or isinstance(item, list)}
