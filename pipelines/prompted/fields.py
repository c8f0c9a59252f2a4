"""Replies in JSON as columns: a JSON schema says which."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from synth.pipelines.prompted.files import json_object
from synth.pipelines.runtime.asking import object_in
from synth.pipelines.runtime.stage import Reject
from synth.schemas.errors import UsageError

if TYPE_CHECKING:
    from jsonschema.protocols import Validator

__all__ = ["Fields"]

_TYPES = {"string": pa.string(), "integer": pa.int64(), "number": pa.float64(), "boolean": pa.bool_()}


@dataclass(frozen=True)
class Fields:
    """The columns that an object's properties become, and the reading of replies."""

    schema: Mapping[str, Any]

    def __reduce__(self) -> tuple[type["Fields"], tuple[Mapping[str, Any]]]:
        """Leaves out the validator, which cannot be pickled."""
        return Fields, (self.schema,)

    @classmethod
    def load(cls, name: str) -> "Fields":
        """The fields of a JSON schema file. Raises `UsageError` unless it describes an object with properties."""
        from jsonschema.exceptions import SchemaError
        from jsonschema.validators import validator_for

        schema = json_object(name, "--schema")
        if not isinstance(schema.get("properties"), dict) or not schema["properties"]:
            raise UsageError(f"--schema {name}: expected a schema of an object, with properties, which become columns")
        try:
            validator_for(schema).check_schema(schema)
        except SchemaError as error:
            raise UsageError(f"--schema {name} is not a JSON schema: {error.message}") from error
        return cls(schema)

    @property
    def columns(self) -> list[pa.Field]:
        """A column for each property. What has no single Arrow type is stored as JSON text."""
        return [pa.field(name, _type_of(of)) for name, of in self.schema["properties"].items()]

    def read(self, reply: str) -> dict[str, Any]:
        """The values of a reply's object. Raises `Reject`: `unreadable`, or `wrong_fields` if it breaks the schema."""
        found = object_in(reply)
        fault = next(self._validator.iter_errors(found), None)
        if fault is not None:
            raise Reject("wrong_fields", f"{'.'.join(map(str, fault.absolute_path)) or 'it'}: {fault.message}")
        return {
            column.name: _value(found.get(column.name), self.schema["properties"][column.name])
            for column in self.columns
        }

    @cached_property
    def _validator(self) -> "Validator":
        from jsonschema.validators import validator_for

        return validator_for(self.schema)(self.schema)


def _type_of(schema: Any) -> pa.DataType:
    kind = _kind(schema)
    if kind == "array":
        return pa.list_(_type_of(schema.get("items", {})))
    if kind == "object" and schema.get("properties"):
        return pa.struct([(name, _type_of(of)) for name, of in schema["properties"].items()])
    return _TYPES.get(kind, pa.string())


def _kind(schema: Any) -> str:
    """The one type that a value has, null aside; empty if there is no such type."""
    kinds = schema.get("type", "") if isinstance(schema, dict) else ""
    if isinstance(kinds, list):
        kinds = [kind for kind in kinds if kind != "null"]
        return str(kinds[0]) if len(kinds) == 1 else ""
    if not kinds and isinstance(schema, dict) and all(isinstance(value, str) for value in schema.get("enum", [0])):
        return "string"
    return str(kinds)


def _value(value: Any, schema: Any) -> Any:
    kind = _kind(schema)
    if value is None:
        return None
    if kind == "array":
        return [_value(item, schema.get("items", {})) for item in value]
    if kind == "object" and schema.get("properties"):
        return {name: _value(value.get(name), of) for name, of in schema["properties"].items()}
    if kind == "integer":
        # 3.0 is an integer in JSON.
        value = int(value)
        if not -(2**63) <= value < 2**63:
            raise Reject("wrong_fields", f"{value} has more than 64 bits")
    return value if kind in _TYPES else json.dumps(value, ensure_ascii=False)
