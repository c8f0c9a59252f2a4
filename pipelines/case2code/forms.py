"""The JSON form of calls: a schema that fits what the parameters of a function expect, and values read back from it."""

from collections.abc import Mapping
from typing import Any

from synth.pipelines.case2code.evidence import Evidence
from synth.pipelines.case2code.signature import Signature
from synth.pipelines.runtime.asking import Form

__all__ = ["as_expected", "form_of_calls"]

REQUEST = (
    'Reply with a JSON object instead: "examples" is the list of the sets of arguments, each an object that names '
    "every argument."
)
# So that weak models stop.
MOST_ITEMS, LONGEST, LARGEST = 8, 60, 1_000_000
DEEPEST = 3
_PLAIN: Mapping[str, Mapping[str, Any]] = {
    "int": {"type": "integer", "minimum": -LARGEST, "maximum": LARGEST},
    "float": {"type": "number", "minimum": -LARGEST, "maximum": LARGEST},
    "str": {"type": "string", "maxLength": LONGEST},
    "bytes": {"type": "string", "maxLength": LONGEST},
    "bool": {"type": "boolean"},
    "none": {"type": "null"},
}
_COLLECTIONS = {"list": list, "tuple": tuple, "set": set}


def form_of_calls(signature: Signature, expected: Mapping[str, Evidence], least: int, most: int) -> Form:
    """A list of `least` to `most` calls, each an object with the required arguments and maybe others."""
    call = {
        "type": "object",
        "properties": {one.name: _schema(expected[one.name], 0) for one in signature.parameters},
        "required": [one.name for one in signature.parameters if one.required],
        "additionalProperties": False,
    }
    return Form.of({"examples": {"type": "array", "items": call, "minItems": least, "maxItems": most}}, REQUEST)


def as_expected(value: Any, evidence: Evidence) -> Any:
    """A JSON value as the type that is expected, where JSON has none of its own: tuples, sets, bytes, keys of dicts."""
    kinds = _likely(evidence)
    if isinstance(value, str):
        return value.encode() if kinds[:1] == ["bytes"] else value
    if isinstance(value, list):
        items = [as_expected(item, _inner(evidence, at)) for at, item in enumerate(value)]
        collection = _COLLECTIONS[next((kind for kind in kinds if kind in _COLLECTIONS), "list")]
        try:
            return collection(items)
        except TypeError:  # A set of lists: the call is filtered or fails as the model wrote it.
            return items
    if isinstance(value, dict):
        has_numbers = _likely(evidence.key)[:1] == ["int"]
        return {
            int(key) if has_numbers and key.lstrip("-").isdecimal() else key: as_expected(
                item, evidence.entries.get(key, evidence.item)
            )
            for key, item in value.items()
        }
    return value


def _schema(evidence: Evidence, depth: int) -> Mapping[str, Any]:
    kinds = _likely(evidence)
    if kinds in ([], ["none"]):
        kinds += ["int", "str", "list"][: 3 if depth == 0 else 2]
    schemas = [_PLAIN[kind] if kind in _PLAIN else _schema_of(kind, evidence, depth + 1) for kind in kinds]
    return schemas[0] if len(schemas) == 1 else {"anyOf": schemas}


def _schema_of(kind: str, evidence: Evidence, depth: int) -> Mapping[str, Any]:
    """A collection, whose innermost items are integers."""
    if depth > DEEPEST:
        return _PLAIN["int"]
    if kind == "dict" and evidence.entries:
        entries = {name: _schema(one, depth) for name, one in evidence.entries.items()}
        return {"type": "object", "properties": entries, "required": [*entries], "additionalProperties": False}
    if kind == "dict":
        return {"type": "object", "additionalProperties": _schema(evidence.item, depth), "maxProperties": MOST_ITEMS}
    if kind == "tuple" and evidence.parts:
        parts = [_schema(part, depth) for part in evidence.parts]
        return {"type": "array", "prefixItems": parts, "items": False, "minItems": len(parts), "maxItems": len(parts)}
    return {"type": "array", "items": _schema(evidence.item, depth), "maxItems": MOST_ITEMS}


def _inner(evidence: Evidence, at: int) -> Evidence:
    return evidence.parts[at] if at < len(evidence.parts) else evidence.item


def _likely(evidence: Evidence) -> list[str]:
    """The expected types, the likeliest first; those that are much less likely than it are left out."""
    known = {*_PLAIN, *_COLLECTIONS, "dict"}
    votes = {kind: weight for kind, weight in evidence.votes.items() if kind in known}
    most = max(votes.values(), default=0.0)
    return sorted((kind for kind, weight in votes.items() if weight >= most / 4), key=lambda kind: -votes[kind])
