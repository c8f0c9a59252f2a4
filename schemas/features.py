"""The features of columns, such as class names, which `datasets` stores in the metadata of an Arrow schema."""

from collections.abc import Iterator
from typing import Any

import orjson
import pyarrow as pa

__all__ = ["class_names", "with_only_features"]

_KEY = b"huggingface"


def with_only_features(table: pa.Table) -> pa.Table:
    """The table without any other metadata."""
    metadata = (table.schema.metadata or {}).get(_KEY)
    return table.replace_schema_metadata({_KEY: metadata} if metadata else None)


def class_names(schema: pa.Schema) -> dict[str, list[str]]:
    """The class names of each column of class numbers, in order; the names of nested columns are dotted."""
    metadata = (schema.metadata or {}).get(_KEY)
    features = orjson.loads(metadata)["info"]["features"] if metadata else {}
    return {path: names for name in schema.names for path, names in _class_names(name, features.get(name))}


def _class_names(path: str, feature: Any) -> Iterator[tuple[str, list[str]]]:
    if not isinstance(feature, dict):
        return
    if feature.get("_type") == "ClassLabel":
        yield path, feature["names"]
    elif "_type" in feature:
        yield from _class_names(path, feature.get("feature"))
    else:
        for name, inner in feature.items():
            yield from _class_names(f"{path}.{name}", inner)
